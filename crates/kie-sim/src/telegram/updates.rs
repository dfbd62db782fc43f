//! The queue of updates, and the webhook that takes from it.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Value, json};

/// Updates kept; the oldest are lost, as they are after a day.
const PENDING_MAX: usize = 100_000;
/// What is not delivered unless it is asked for.
const ONLY_ON_WISH: [&str; 3] = ["chat_member", "message_reaction", "message_reaction_count"];

/// An update that waits for the bot.
#[derive(Debug, Clone)]
pub(crate) struct Update {
    /// Tells copies of one update apart.
    pub(crate) seq: u64,
    pub(crate) id: i64,
    /// The chat or customer within which order holds.
    pub(crate) lane: i64,
    kind: &'static str,
    body: Value,
}

impl Update {
    pub(crate) fn json(&self) -> Value {
        json!({"update_id": self.id, self.kind: self.body})
    }
}

/// Where updates are pushed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Webhook {
    pub(crate) url: String,
    pub(crate) secret: String,
    pub(crate) max_connections: usize,
    pub(crate) ip_address: Option<String>,
}

/// How deliveries stand within one lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) attempts: u32,
    pub(crate) until_ms: u64,
}

/// All updates and how the bot wants them.
#[derive(Debug)]
pub(crate) struct Updates {
    next_id: i64,
    next_seq: u64,
    pending: VecDeque<Update>,
    /// `None` is the default: everything but what is delivered on wish.
    pub(crate) allowed: Option<Vec<String>>,
    /// Grows with each getUpdates and each change of the webhook; an older one ends.
    pub(crate) generation: u64,
    pub(crate) webhook: Option<Webhook>,
    pub(crate) last_error: Option<(u64, String)>,
    busy: HashSet<i64>,
    held: HashMap<i64, Held>,
}

/// What a webhook can do next.
pub(crate) enum Next {
    /// Deliver this, for so many times already.
    Deliver(Update, u32),
    /// Nothing before this time.
    Wait(u64),
    /// Nothing until something changes.
    Idle,
}

impl Updates {
    pub(crate) fn new(seed: u64) -> Self {
        let first = 100_000_000 + i64::try_from(seed % 800_000_000).unwrap_or(0);
        Self {
            next_id: first,
            next_seq: 0,
            pending: VecDeque::new(),
            allowed: None,
            generation: 0,
            webhook: None,
            last_error: None,
            busy: HashSet::new(),
            held: HashMap::new(),
        }
    }

    pub(crate) fn wants(&self, kind: &str) -> bool {
        match &self.allowed {
            Some(kinds) => kinds.iter().any(|wanted| wanted == kind),
            None => !ONLY_ON_WISH.contains(&kind),
        }
    }

    /// Puts an update into the queue, in so many copies.
    pub(crate) fn push(&mut self, kind: &'static str, body: &Value, lane: i64, copies: u32) {
        if !self.wants(kind) {
            return;
        }
        let id = self.next_id;
        self.next_id += 1;
        for _ in 0..copies {
            self.next_seq += 1;
            if self.pending.len() == PENDING_MAX {
                self.pending.pop_front();
            }
            self.pending.push_back(Update { seq: self.next_seq, id, lane, kind, body: body.clone() });
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn all(&self) -> Vec<Value> {
        self.pending.iter().map(Update::json).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.pending.clear();
    }

    /// Forgets what the offset confirms; a negative one keeps so many of the newest.
    pub(crate) fn confirm(&mut self, offset: i64) {
        if offset < 0 {
            let keep = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
            let drop = self.pending.len().saturating_sub(keep);
            self.pending.drain(..drop);
        } else {
            self.pending.retain(|update| update.id >= offset);
        }
    }

    /// The oldest updates, which stay until they are confirmed.
    pub(crate) fn peek(&self, limit: usize) -> Vec<Value> {
        self.pending.iter().take(limit).map(Update::json).collect()
    }

    /// Sets or removes the webhook; what runs for the old one ends.
    pub(crate) fn set_webhook(&mut self, webhook: Option<Webhook>) -> u64 {
        self.webhook = webhook;
        self.last_error = None;
        self.busy.clear();
        self.held.clear();
        self.generation += 1;
        self.generation
    }

    /// The oldest update of a lane where nothing is under way; order holds within a lane.
    pub(crate) fn next(&mut self, now_ms: u64) -> Next {
        let most = self.webhook.as_ref().map_or(0, |webhook| webhook.max_connections);
        if self.busy.len() >= most {
            return Next::Idle;
        }
        let mut soonest: Option<u64> = None;
        let mut seen = HashSet::new();
        for update in &self.pending {
            if !seen.insert(update.lane) || self.busy.contains(&update.lane) {
                continue;
            }
            let held = self.held.get(&update.lane).copied();
            if let Some(held) = held.filter(|held| held.until_ms > now_ms) {
                soonest = Some(soonest.map_or(held.until_ms, |time| time.min(held.until_ms)));
                continue;
            }
            self.busy.insert(update.lane);
            return Next::Deliver(update.clone(), held.map_or(0, |held| held.attempts));
        }
        soonest.map_or(Next::Idle, Next::Wait)
    }

    pub(crate) fn delivered(&mut self, update: &Update) {
        self.pending.retain(|waiting| waiting.seq != update.seq);
        self.busy.remove(&update.lane);
        self.held.remove(&update.lane);
    }

    pub(crate) fn refused(&mut self, update: &Update, held: Held, error: String, now_ms: u64) {
        self.busy.remove(&update.lane);
        self.held.insert(update.lane, held);
        self.last_error = Some((now_ms, error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(updates: &Updates) -> Vec<i64> {
        updates.pending.iter().map(|update| update.id).collect()
    }

    #[test]
    fn offsets_confirm_and_ids_grow_by_one() {
        let mut updates = Updates::new(5);
        (0..4).for_each(|n| updates.push("message", &json!(n), 1, 1));
        let first = ids(&updates)[0];
        assert_eq!(ids(&updates), [first, first + 1, first + 2, first + 3]);
        updates.confirm(first + 1);
        assert_eq!(updates.len(), 3);
        updates.confirm(-1);
        assert_eq!(ids(&updates), [first + 3]);
        updates.push("chat_member", &json!({}), 1, 1);
        assert_eq!(updates.len(), 1);
    }

    #[test]
    fn a_webhook_gets_one_update_of_a_chat_at_a_time() {
        let mut updates = Updates::new(5);
        updates.set_webhook(Some(Webhook { max_connections: 2, ..Webhook::default() }));
        for lane in [1, 1, 2, 3] {
            updates.push("message", &json!(lane), lane, 1);
        }
        let Next::Deliver(first, 0) = updates.next(0) else { panic!("nothing to deliver") };
        let Next::Deliver(second, 0) = updates.next(0) else { panic!("nothing to deliver") };
        assert_eq!((first.lane, second.lane), (1, 2));
        assert!(matches!(updates.next(0), Next::Idle));
        updates.delivered(&second);
        updates.refused(&first, Held { attempts: 1, until_ms: 50 }, "no".into(), 0);
        let Next::Deliver(third, 0) = updates.next(0) else { panic!("nothing to deliver") };
        assert_eq!(third.lane, 3);
        assert!(matches!(updates.next(0), Next::Wait(50)));
        assert!(matches!(updates.next(50), Next::Deliver(update, 1) if update.seq == first.seq));
    }
}
