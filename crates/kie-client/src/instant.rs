//! Times that the provider writes as text.

/// Milliseconds since 1970 of a time of RFC 3339, such as `2026-01-29T07:12:40Z`. `None` of anything else, and of a
/// time without its zone: nobody says which one is meant.
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    let (date, clock) = text.trim().split_once(['T', 't', ' '])?;
    let (clock, zone) = clock.split_at(clock.find(['Z', 'z', '+', '-'])?);
    let [year, month, day] = numbers(date, '-')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':')?;
    let in_range =
        (0..=9_999).contains(&year) && (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    if !in_range || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = (days(year, month, day) * 24 + hour) * 3600 + minute * 60 + second - offset(zone)?;
    Some(seconds * 1000 + thousandths(fraction)?)
}

/// The zone's lead over UTC in seconds.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = zone.get(1..)?.replace(':', "");
    let (hours, minutes) = (number(digits.get(..2)?)?, number(digits.get(2..)?)?);
    (digits.len() == 4 && hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn thousandths(fraction: &str) -> Option<i64> {
    number(fraction)?;
    number(&format!("{fraction:0<3}")[..3])
}

fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let parts: Option<Vec<i64>> = text.split(between).map(number).collect();
    parts?.try_into().ok()
}

fn number(text: &str) -> Option<i64> {
    let digits = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn days_of(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970, counted in years that begin in March, so that a leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month < 3);
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + in_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_a_zone_are_read() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-01-29T07:12:40Z", 1_769_670_760_000),
            ("2026-01-29T15:12:40+08:00", 1_769_670_760_000),
            ("2026-01-29 02:42:40-0430", 1_769_670_760_000),
            ("2026-01-29T07:12:40.5Z", 1_769_670_760_500),
            ("2026-01-29T07:12:40.123456Z", 1_769_670_760_123),
            ("2024-02-29T23:59:59Z", 1_709_251_199_000),
            ("2000-03-01T00:00:00Z", 951_868_800_000),
        ] {
            assert_eq!(milliseconds(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn everything_else_is_not() {
        for text in [
            "2026-01-29 15:12:40",
            "2026-01-29T15:12:40",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+8",
            "2026-01-01T00:00:00+08:000",
            "+026-01-01T00:00:00Z",
            "9999999999-01-01T00:00:00Z",
            "1769670760000",
            "Tя:Z",
            "",
        ] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
