//! When a failed delivery is tried again.

use std::time::Duration;

/// Tries of one delivery, the first one included, before it is dead.
pub const TRIES_MAX: u32 = 10;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// Seconds after the first, second… failed try: the schedule that Standard Webhooks recommends.
const DELAYS: [u64; TRIES_MAX as usize - 1] =
    [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];

/// At most this part of a delay is added by chance, so that receivers that fail together are not hit together.
const JITTER: f64 = 0.05;

/// The wait after failed try number `attempt` (from 1), or none when the delivery is dead.
///
/// `chance_fraction` lies in `0.0..1.0` and lengthens the wait by at most a twentieth.
pub fn retry_delay(attempt: u32, chance_fraction: f64) -> Option<Duration> {
    let index = usize::try_from(attempt.saturating_sub(1)).ok()?;
    let delay = Duration::from_secs(*DELAYS.get(index)?);
    let chance = if chance_fraction.is_finite() { chance_fraction.clamp(0.0, 1.0) } else { 0.0 };
    Some(delay + delay.mul_f64(JITTER * chance))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_spans_three_days_and_ends() {
        let waits: Vec<u64> =
            (1..=20).map_while(|attempt| retry_delay(attempt, 0.0)).map(|d| d.as_secs()).collect();
        assert_eq!(waits, [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]);
        assert_eq!(waits.len() + 1, TRIES_MAX as usize);
        assert_eq!(retry_delay(TRIES_MAX, 0.0), None);
        assert_eq!(retry_delay(u32::MAX, 0.5), None);
    }

    #[test]
    fn chance_adds_little_and_nonsense_adds_nothing_worse() {
        for attempt in 1..TRIES_MAX {
            let base = retry_delay(attempt, 0.0).unwrap();
            let longest = retry_delay(attempt, 1.0).unwrap();
            assert!(longest > base && longest <= base.mul_f64(1.051), "{attempt}: {longest:?}");
            assert_eq!(retry_delay(attempt, f64::NAN), Some(base));
            assert_eq!(retry_delay(attempt, -3.0), Some(base));
            assert_eq!(retry_delay(attempt, 9.0), Some(longest));
        }
        assert_eq!(retry_delay(0, 0.0), retry_delay(1, 0.0));
    }
}
