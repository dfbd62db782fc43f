//! Durations, moments and sizes as people write them.

use std::time::Duration;

use domain::Timestamp;
use lifecycle::GiveUp;

/// `90s`, `15m`, `2h`, `14d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration such as 90s, 15m, 2h or 14d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_not_a_number| wrong())?;
    count.checked_mul(seconds).filter(|&total| total > 0).map(Duration::from_secs).ok_or_else(wrong)
}

/// A moment, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(Timestamp),
}

impl Since {
    /// The moment, if it is `now`.
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(ago) => now.saturating_sub(ago).unwrap_or(Timestamp::MIN),
            Self::At(at) => at,
        }
    }
}

/// A [`duration`] ago, or a moment such as `2026-07-01T12:00:00Z`.
///
/// # Errors
/// When it is neither.
pub fn since(text: &str) -> Result<Since, String> {
    let wrong = |_neither| {
        format!("`{text}` is neither a duration such as 2h or 3d nor a time such as 2026-07-01T12:00:00Z")
    };
    duration(text).map(Since::Ago).or_else(|_no_duration| text.parse().map(Since::At).map_err(wrong))
}

/// `512`, `50MiB`, `4GiB`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size such as 512, 64KiB, 50MiB or 4GiB");
    let (digits, factor) = [("KiB", 1_u64 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]
        .into_iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|digits| (digits, factor)))
        .unwrap_or((text, 1));
    let count: u64 = digits.trim().parse().map_err(|_not_a_number| wrong())?;
    count.checked_mul(factor).ok_or_else(wrong)
}

/// `image=6h,audio=12h,video=72h`; a kind that is left out keeps its default.
pub(crate) fn give_up(text: &str) -> Result<GiveUp, String> {
    let hours = |hours| Duration::from_hours(hours);
    let mut times = GiveUp { image: hours(6), audio: hours(12), video: hours(72) };
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (kind, time) =
            part.split_once('=').ok_or_else(|| format!("`{part}` is not of the form kind=duration"))?;
        let time = duration(time)?;
        match kind {
            "image" => times.image = time,
            "audio" => times.audio = time,
            "video" => times.video = time,
            _ => return Err(format!("`{kind}` is not a kind: expected image, audio or video")),
        }
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_or_refused_with_an_example() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_hours(2)));
        assert_eq!(bytes("4GiB"), Ok(4 << 30));
        assert_eq!(bytes("512"), Ok(512));
        for bad in ["", "h", "0s", "-1h", "1w", "99999999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        for bad in ["", "MiB", "-1", "1.5GiB", "99999999999999999999"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
        let then: Timestamp = "2026-07-01T12:00:00Z".parse().unwrap();
        let ago = |text: &str| since(text).map(|since| since.before(then).to_string());
        assert_eq!(ago("3d"), Ok("2026-06-28T12:00:00Z".to_owned()));
        assert_eq!(ago("2026-07-01T12:00:00+02:00"), Ok("2026-07-01T10:00:00Z".to_owned()));
        for bad in ["", "yesterday", "2026-07-01", "2026-07-01T12:00:00"] {
            assert!(since(bad).is_err(), "{bad}");
        }
        assert_eq!(give_up("video=24h").map(|times| times.video), Ok(Duration::from_hours(24)));
        assert!(give_up("film=1h").is_err());
    }
}
