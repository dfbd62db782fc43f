//! KIE credits as exact decimals.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One credit in micro-credits.
const SCALE: u64 = 1_000_000;

/// An amount of KIE credits, exact to the millionth; one credit is 0.005 USD.
///
/// It is read and written as a plain decimal (`"0.8"`), never as a float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Credits(u64);

/// The text is not a decimal with at most six digits after the point, or it is too large.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a number of credits with at most six decimals")]
pub struct ParseCreditsError(String);

impl Credits {
    /// Nothing.
    pub const ZERO: Credits = Credits(0);

    /// The amount of so many millionths of a credit.
    pub const fn from_micro(micro: u64) -> Credits {
        Credits(micro)
    }

    /// The amount in millionths of a credit.
    pub const fn micro(self) -> u64 {
        self.0
    }

    /// The sum, or `None` if it does not fit.
    pub const fn checked_add(self, other: Credits) -> Option<Credits> {
        match self.0.checked_add(other.0) {
            Some(micro) => Some(Credits(micro)),
            None => None,
        }
    }

    /// So many times the amount, or `None` if it does not fit.
    pub const fn checked_mul(self, times: u64) -> Option<Credits> {
        match self.0.checked_mul(times) {
            Some(micro) => Some(Credits(micro)),
            None => None,
        }
    }

    /// The product with a quantity given in millionths, rounded up to a whole micro-credit.
    pub(crate) fn checked_mul_micro(self, quantity: u64) -> Option<Credits> {
        let product = u128::from(self.0) * u128::from(quantity);
        u64::try_from(product.div_ceil(u128::from(SCALE))).ok().map(Credits)
    }
}

impl FromStr for Credits {
    type Err = ParseCreditsError;

    fn from_str(text: &str) -> Result<Credits, ParseCreditsError> {
        parse_micro(text).map(Credits).ok_or_else(|| ParseCreditsError(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for Credits {
    type Error = ParseCreditsError;

    fn try_from(text: String) -> Result<Credits, ParseCreditsError> {
        text.parse()
    }
}

impl From<Credits> for String {
    fn from(credits: Credits) -> String {
        credits.to_string()
    }
}

impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / SCALE, self.0 % SCALE);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{}", format!("{rest:06}").trim_end_matches('0'))
    }
}

/// Reads `12`, `12.5` or `0.000001` into millionths; anything else is `None`.
pub(crate) fn parse_micro(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 6 {
        return None;
    }
    let rest: u64 = format!("{fraction:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(SCALE)?.checked_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_exact_decimals() {
        for (text, micro) in
            [("0", 0), ("0.8", 800_000), ("220", 220_000_000), ("0.000001", 1), ("4.194304", 4_194_304)]
        {
            let credits: Credits = text.parse().unwrap();
            assert_eq!(credits.micro(), micro);
            assert_eq!(credits.to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_not_an_exact_decimal() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "0.0000001", "18446744073709551616", " 1", "1,5"]
        {
            assert!(text.parse::<Credits>().is_err(), "{text}");
        }
    }

    #[test]
    fn arithmetic_is_checked_and_rounds_up() {
        assert_eq!(Credits::from_micro(u64::MAX).checked_add(Credits::from_micro(1)), None);
        assert_eq!(Credits::from_micro(u64::MAX).checked_mul(2), None);
        assert_eq!(Credits::from_micro(1).checked_mul_micro(500_000), Some(Credits::from_micro(1)));
        assert_eq!(Credits::from_micro(u64::MAX).checked_mul_micro(u64::MAX), None);
    }
}
