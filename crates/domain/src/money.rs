//! Money: integers in the currency's minor unit, checked arithmetic only.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why an amount or a currency cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// The result does not fit.
    #[error("the amount is too large")]
    Overflow,
    /// Not an amount of this currency.
    #[error("`{0}` is not an amount")]
    Unreadable(String),
    /// Not a currency code with optional digits.
    #[error("`{0}` is not a currency: expected CODE or CODE:digits, such as RUB or STAR:0")]
    Currency(String),
}

/// An amount in the currency's minor unit (kopecks, cents); negative only in corrections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(i64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount of `minor` units.
    pub const fn from_minor(minor: i64) -> Self {
        Self(minor)
    }

    /// The amount in minor units.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether it is above zero.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// The sum, or [`MoneyError::Overflow`].
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_add(other.0).map(Self).ok_or(MoneyError::Overflow)
    }

    /// The difference, or [`MoneyError::Overflow`].
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_sub(other.0).map(Self).ok_or(MoneyError::Overflow)
    }

    /// The amount `count` times, or [`MoneyError::Overflow`].
    pub fn times(self, count: u32) -> Result<Self, MoneyError> {
        self.0.checked_mul(i64::from(count)).map(Self).ok_or(MoneyError::Overflow)
    }

    /// `self · part / whole`, rounded down; `self` when `whole` is zero. Never overflows for `part <= whole`.
    pub fn share(self, part: u32, whole: u32) -> Result<Self, MoneyError> {
        let product = i128::from(self.0).checked_mul(i128::from(part)).ok_or(MoneyError::Overflow)?;
        let Some(share) = product.checked_div_euclid(i128::from(whole)) else { return Ok(self) };
        i64::try_from(share).map(Self).map_err(|_too_large| MoneyError::Overflow)
    }
}

/// The shop's currency: a code and how many digits its minor unit has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Currency {
    code: String,
    digits: u8,
}

impl Currency {
    /// The code, such as `RUB`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Decimal digits of the minor unit: 2 for kopecks, 0 for stars.
    pub const fn digits(&self) -> u8 {
        self.digits
    }

    /// Minor units in one major unit.
    pub fn minor_per_major(&self) -> i64 {
        10_i64.saturating_pow(u32::from(self.digits))
    }

    /// Reads an amount in major units, `100.00` or `-5`, with no more digits than the currency has.
    pub fn parse_amount(&self, text: &str) -> Result<Money, MoneyError> {
        let unreadable = || MoneyError::Unreadable(text.to_owned());
        let (negative, digits) = match text.strip_prefix(['-', '+']) {
            Some(rest) => (text.starts_with('-'), rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || digits.ends_with('.') {
            return Err(unreadable());
        }
        let missing = usize::from(self.digits).checked_sub(fraction.len()).ok_or_else(unreadable)?;
        let minor: i64 = format!("{whole}{fraction}{}", "0".repeat(missing))
            .parse()
            .map_err(|_not_i64| MoneyError::Overflow)?;
        Ok(Money(if negative { minor.saturating_neg() } else { minor }))
    }

    /// The amount in major units with the code, such as `15.60 RUB`.
    pub fn format(&self, amount: Money) -> String {
        let unit = self.minor_per_major().unsigned_abs();
        let minor = amount.minor().unsigned_abs();
        let sign = if amount.minor() < 0 { "-" } else { "" };
        let whole = minor.checked_div(unit).unwrap_or(minor);
        if self.digits == 0 {
            return format!("{sign}{whole} {}", self.code);
        }
        let fraction = minor.checked_rem(unit).unwrap_or(0);
        format!("{sign}{whole}.{fraction:0width$} {}", self.code, width = usize::from(self.digits))
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    /// `CODE`, with two digits, or `CODE:digits`, 0 to 6.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unreadable = || MoneyError::Currency(text.to_owned());
        let (code, digits) = match text.split_once(':') {
            Some((code, digits)) => (code, digits.parse().map_err(|_not_a_number| unreadable())?),
            None => (text, 2),
        };
        let code_fits = (2..=12).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_uppercase());
        if !code_fits || digits > 6 {
            return Err(unreadable());
        }
        Ok(Self { code: code.to_owned(), digits })
    }
}

impl fmt::Display for Currency {
    /// The form that [`FromStr`] reads; the same currency always prints the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.code, self.digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_rounds_down_and_the_rest_is_what_is_left() {
        let full = Money::from_minor(100);
        let kept = full.share(2, 3).unwrap();
        assert_eq!((kept, full.minus(kept).unwrap()), (Money::from_minor(66), Money::from_minor(34)));
        assert_eq!(Money::from_minor(i64::MAX).share(32, 32).unwrap(), Money::from_minor(i64::MAX));
    }

    #[test]
    fn amounts_are_read_exactly_or_refused() {
        let rub: Currency = "RUB".parse().unwrap();
        assert_eq!(rub.parse_amount("100.00"), Ok(Money::from_minor(10_000)));
        assert_eq!(rub.parse_amount("-5"), Ok(Money::from_minor(-500)));
        assert_eq!(rub.parse_amount("0.1"), Ok(Money::from_minor(10)));
        for bad in ["", ".", "1.", ".5", "1.001", "1e3", "--1", "1 000"] {
            assert_eq!(rub.parse_amount(bad), Err(MoneyError::Unreadable(bad.to_owned())), "{bad}");
        }
        assert_eq!(rub.parse_amount("99999999999999999999"), Err(MoneyError::Overflow));
    }

    #[test]
    fn currencies_print_what_they_read() {
        for text in ["RUB:2", "STAR:0", "CREDIT:6"] {
            assert_eq!(text.parse::<Currency>().unwrap().to_string(), text);
        }
        for bad in ["rub", "R", "RUB:7", "RUB:x", ""] {
            assert!(bad.parse::<Currency>().is_err(), "{bad}");
        }
        assert_eq!("RUB".parse::<Currency>().unwrap().format(Money::from_minor(-5)), "-0.05 RUB");
    }
}
