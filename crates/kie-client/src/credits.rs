//! KIE credits as exact decimals, taken from the digits of the wire and never from a float.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

const SCALE_DIGITS: usize = 6;
const SCALE: u64 = 1_000_000;
const MAX_EXPONENT: i32 = 30;
const MAX_TEXT: usize = 64;

/// A number of KIE credits, counted in millionths. One credit is 0.005 USD.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Credits(u64);

impl Credits {
    /// No credits.
    pub const ZERO: Self = Self(0);

    /// Credits from their millionths.
    pub const fn from_micro(micro: u64) -> Self {
        Self(micro)
    }

    /// The millionths.
    pub const fn micro(self) -> u64 {
        self.0
    }

    /// Reads a JSON number, or a string that holds one. The provider's own arithmetic leaves tails such as
    /// `0.30000000000000004`: digits beyond the sixth are rounded half up.
    ///
    /// ```
    /// use kie_client::Credits;
    /// assert_eq!(Credits::from_json("0.19")?.micro(), 190_000);
    /// assert_eq!(Credits::from_json("5916.25")?.to_string(), "5916.25");
    /// # Ok::<(), kie_client::InvalidCredits>(())
    /// ```
    pub fn from_json(token: &str) -> Result<Self, InvalidCredits> {
        let token = token.trim();
        token.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(token).trim().parse()
    }
}

impl FromStr for Credits {
    type Err = InvalidCredits;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_TEXT {
            return Err(InvalidCredits);
        }
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                (mantissa, exponent.parse::<i32>().map_err(|_error| InvalidCredits)?)
            }
            None => (text, 0),
        };
        if exponent.abs() > MAX_EXPONENT {
            return Err(InvalidCredits);
        }
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidCredits);
        }
        let point = i32::try_from(whole.len()).map_err(|_error| InvalidCredits)? + exponent;
        scaled(&digits, point).map(Self).ok_or(InvalidCredits)
    }
}

/// Millionths of `0.{digits}` with the point moved right by `point`.
fn scaled(digits: &str, point: i32) -> Option<u64> {
    let keep = point + i32::try_from(SCALE_DIGITS).ok()?;
    let mut micro: u64 = 0;
    let mut bytes = digits.bytes();
    for _ in 0..keep.max(0) {
        let digit = bytes.next().map_or(0, |byte| u64::from(byte - b'0'));
        micro = micro.checked_mul(10)?.checked_add(digit)?;
    }
    let round_up = keep >= 0 && bytes.next().is_some_and(|byte| byte >= b'5');
    micro.checked_add(u64::from(round_up))
}

impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:0width$}", self.0 % SCALE, width = SCALE_DIGITS);
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{}", self.0 / SCALE),
            fraction => write!(f, "{}.{fraction}", self.0 / SCALE),
        }
    }
}

impl TryFrom<String> for Credits {
    type Error = InvalidCredits;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Credits> for String {
    fn from(credits: Credits) -> Self {
        credits.to_string()
    }
}

/// The text is not a number of credits: not a decimal, negative, or too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a number of credits")]
#[non_exhaustive]
pub struct InvalidCredits;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_digits_of_the_wire() {
        for (token, micro) in [
            ("0", 0),
            ("0.0", 0),
            ("8", 8_000_000),
            ("4.0", 4_000_000),
            ("0.19", 190_000),
            ("\"1.5\"", 1_500_000),
            ("5916.25", 5_916_250_000),
            ("0.30000000000000004", 300_000),
            ("0.0000005", 1),
            ("0.00000049", 0),
            ("1.9e-1", 190_000),
            ("1.9E2", 190_000_000),
            ("1e-6", 1),
            ("5e-7", 1),
            ("1e-30", 0),
        ] {
            assert_eq!(Credits::from_json(token).map(Credits::micro), Ok(micro), "{token}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for token in
            ["", "-1", "+1", "1.2.3", "abc", "1e99", "1e", "null", ".5", "99999999999999999999", "1_0", "∞"]
        {
            assert_eq!(Credits::from_json(token), Err(InvalidCredits), "{token}");
        }
    }

    proptest! {
        #[test]
        fn shows_what_it_reads(micro in 0..=u64::MAX) {
            let credits = Credits::from_micro(micro);
            prop_assert_eq!(credits.to_string().parse::<Credits>(), Ok(credits));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = Credits::from_json(&text);
        }
    }
}
