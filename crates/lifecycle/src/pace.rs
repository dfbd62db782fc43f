//! How often things are tried again.

use std::time::Duration;

use domain::MediaKind;

/// Stretches or shrinks `base` by up to a tenth; `fraction` is chance in `0.0..1.0`.
pub(crate) fn jitter(base: Duration, fraction: f64) -> Duration {
    base.mul_f64(0.9 + 0.2 * fraction.clamp(0.0, 1.0))
}

/// Until the next read of a running task: after a callback 2, 4, 8 s; else an eighth of its age between the kind's bounds
/// (image 3 to 15 s, audio 10 to 30, video 15 to 60).
pub(crate) fn next_read(kind: MediaKind, age: Duration, hints: u16, fraction: f64) -> Duration {
    if let 1..=3 = hints {
        return Duration::from_secs(16 >> hints);
    }
    let (least, most) = match kind {
        MediaKind::Image | MediaKind::Text => (3, 15),
        MediaKind::Audio => (10, 30),
        MediaKind::Video => (15, 60),
    };
    jitter((age / 8).clamp(Duration::from_secs(least), Duration::from_secs(most)), fraction)
}

/// Until something refused is tried again: 2 s doubling to 5 minutes.
pub(crate) fn backoff(tries: u32, fraction: f64) -> Duration {
    let seconds = 2_u64.saturating_pow(tries.saturating_add(1).min(9)).min(300);
    jitter(Duration::from_secs(seconds), fraction)
}

/// Until an output that could not be had is tried again: 8 tries span more than a day.
pub(crate) fn next_copy(tries: u32, fraction: f64) -> Duration {
    const DELAYS_S: [u64; 8] = [3, 20, 120, 900, 3600, 4 * 3600, 8 * 3600, 12 * 3600];
    let index = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX).min(DELAYS_S.len() - 1);
    jitter(Duration::from_secs(DELAYS_S[index]), fraction)
}

/// Outputs are given up after this many tries …
pub(crate) const COPY_TRIES: u32 = 8;
/// … over at least this time.
pub(crate) const COPY_TIME: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_makes_the_next_reads_come_fast() {
        let seconds = |hints| next_read(MediaKind::Video, Duration::from_mins(10), hints, 0.5).as_secs();
        assert_eq!([seconds(3), seconds(2), seconds(1), seconds(0)], [2, 4, 8, 60]);
    }

    #[test]
    fn an_image_that_takes_half_a_minute_is_seen_within_five_seconds() {
        assert!(next_read(MediaKind::Image, Duration::from_secs(30), 0, 1.0) < Duration::from_secs(5));
        assert_eq!(next_read(MediaKind::Image, Duration::ZERO, 0, 0.5), Duration::from_secs(3));
    }

    #[test]
    fn eight_tries_of_an_output_span_a_day() {
        let total: Duration = (1..=COPY_TRIES).map(|tries| next_copy(tries, 0.0)).sum();
        assert!(total >= Duration::from_hours(22), "{total:?}");
        assert!(backoff(0, 0.5) == Duration::from_secs(2) && backoff(100, 0.5) == Duration::from_mins(5));
    }
}
