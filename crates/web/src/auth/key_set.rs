//! The identity provider's keys as they were read last: how long they are used, how often they are asked for.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::JwkSet;
use tokio::time::Instant;

/// Older sets are asked for anew while they go on being used: a key that was withdrawn is soon forgotten.
const STALE_AFTER: Duration = Duration::from_mins(10);
/// Nothing is believed by a set that could not be read again for so long.
const DROPPED_AFTER: Duration = Duration::from_hours(1);
/// An unknown key asks for the set anew, at most this often …
const ASK_EVERY: Duration = Duration::from_mins(1);
/// … and where there is no set at all, this often.
const ASK_AGAIN_EVERY: Duration = Duration::from_secs(5);
/// Keys that are tried for a token that names none.
const TRIED_MAX: usize = 8;

#[derive(Default)]
pub(super) struct KeySet {
    read: Option<(Arc<JwkSet>, Instant)>,
    asked_at: Option<Instant>,
}

impl KeySet {
    /// The keys, and whether they should be read again.
    pub(super) fn current(&self, now: Instant) -> Option<(Arc<JwkSet>, bool)> {
        let (keys, read_at) = self.read.as_ref()?;
        let age = now.saturating_duration_since(*read_at);
        (age < DROPPED_AFTER).then(|| (keys.clone(), age >= STALE_AFTER))
    }

    /// Whether the provider may be asked; it counts as asked then.
    pub(super) fn may_ask(&mut self, now: Instant) -> bool {
        let pause = if self.current(now).is_some() { ASK_EVERY } else { ASK_AGAIN_EVERY };
        if self.asked_at.is_some_and(|asked_at| now.saturating_duration_since(asked_at) < pause) {
            return false;
        }
        self.asked_at = Some(now);
        true
    }

    pub(super) fn keep(&mut self, keys: JwkSet, now: Instant) {
        self.read = Some((Arc::new(keys), now));
    }

    /// The pause begins when a vain question ended: whoever waited for it does not ask at once again.
    pub(super) fn note_failure(&mut self, now: Instant) {
        self.asked_at = Some(now);
    }
}

/// The keys that may have signed a token: the one it names, or any.
pub(super) fn candidates(keys: &JwkSet, kid: Option<&str>) -> Vec<DecodingKey> {
    let fits = |key: &&jsonwebtoken::jwk::Jwk| kid.is_none() || key.common.key_id.as_deref() == kid;
    let found = keys.keys.iter().filter(fits).take(TRIED_MAX);
    found.filter_map(|key| DecodingKey::from_jwk(key).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_used_for_an_hour_and_asked_for_after_ten_minutes() {
        let (mut set, start) = (KeySet::default(), Instant::now());
        let at = |minutes| start + Duration::from_mins(minutes);
        let state = |set: &KeySet, minutes| set.current(at(minutes)).map(|(_, stale)| stale);
        assert!(set.may_ask(start) && !set.may_ask(start));
        assert!(set.may_ask(start + Duration::from_secs(5)), "without a set it is asked soon again");
        set.keep(JwkSet { keys: Vec::new() }, start);
        assert_eq!(
            [9, 10, 59, 60].map(|minutes| state(&set, minutes)),
            [Some(false), Some(true), Some(true), None]
        );
        assert!(!set.may_ask(start + Duration::from_secs(30)), "with a set once a minute");
        assert!(set.may_ask(at(10)) && !set.may_ask(at(10)));
        set.note_failure(at(11));
        assert!(!set.may_ask(at(11)) && set.may_ask(at(12)));
        set.keep(JwkSet { keys: Vec::new() }, at(61));
        assert_eq!(state(&set, 61), Some(false));
    }
}
