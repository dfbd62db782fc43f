//! Durations and sizes as people write them.

use std::time::Duration;

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
        assert_eq!(give_up("video=24h").map(|times| times.video), Ok(Duration::from_hours(24)));
        assert!(give_up("film=1h").is_err());
    }
}
