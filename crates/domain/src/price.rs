//! Prices: from the provider's credits to the shop's currency, exactly.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Currency, Money};

/// Millionths in one.
const SCALE: u64 = 1_000_000;

/// Why a price cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PriceError {
    /// Not a decimal with at most six digits behind the point.
    #[error("`{0}` is not a decimal number with at most six digits behind the point")]
    Unreadable(String),
    /// The price does not fit.
    #[error("the price is too large")]
    Overflow,
}

/// An exact, non-negative decimal with up to six digits behind the point: rates, mark-ups, credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(u64);

impl Decimal {
    /// A number of millionths.
    pub const fn from_micro(micro: u64) -> Self {
        Self(micro)
    }

    /// The number in millionths.
    pub const fn micro(self) -> u64 {
        self.0
    }
}

impl FromStr for Decimal {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unreadable = || PriceError::Unreadable(text.to_owned());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty()
            || !digits(whole)
            || !digits(fraction)
            || fraction.len() > 6
            || text.ends_with('.')
        {
            return Err(unreadable());
        }
        format!("{whole}{fraction:0<6}").parse().map(Self).map_err(|_not_u64| PriceError::Overflow)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.checked_div(SCALE).unwrap_or(0);
        let fraction = format!("{:06}", self.0.checked_rem(SCALE).unwrap_or(0));
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{whole}"),
            digits => write!(f, "{whole}.{digits}"),
        }
    }
}

impl Serialize for Decimal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where a frozen price came from; kept on the job and shown on its receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "basis", rename_all = "snake_case")]
pub enum PriceBasis {
    /// The deployment gives this model away.
    Free,
    /// The `PRICES` file names a price.
    Fixed {
        /// Version of the catalogue.
        catalogue: String,
    },
    /// Cost in credits × USD rate × mark-up.
    Cost {
        /// The provider's credits that the hold covers.
        credits: Decimal,
        /// Whether the request fixes the cost, or `credits` is the documented maximum.
        exact: bool,
        /// Currency units for one USD.
        usd_rate: Decimal,
        /// The shop's mark-up.
        markup: Decimal,
        /// Version of the catalogue.
        catalogue: String,
    },
    /// Taken over from an old shop, which had its own price. The job's own price is what is held for it here: nothing,
    /// unless it was in flight with its money set aside.
    Imported {
        /// What it cost there, minor units.
        price: Money,
    },
}

/// The price of `credits`: × 0.005 USD × `usd_rate` × `markup`, rounded up to a whole minor unit.
///
/// One credit is 0.005 USD (the provider's price list).
pub fn price_of_credits(
    credits: Decimal,
    usd_rate: Decimal,
    markup: Decimal,
    currency: &Currency,
) -> Result<Money, PriceError> {
    // Three factors in millionths and 5/1000 USD a credit.
    const DIVISOR: u128 = 1_000_000 * 1_000_000 * 1_000_000 * 1_000;
    let minor_per_major = u128::from(currency.minor_per_major().unsigned_abs());
    let product = [u128::from(usd_rate.micro()), u128::from(markup.micro()), 5, minor_per_major]
        .into_iter()
        .try_fold(u128::from(credits.micro()), u128::checked_mul)
        .ok_or(PriceError::Overflow)?;
    i64::try_from(product.div_ceil(DIVISOR)).map(Money::from_minor).map_err(|_too_large| PriceError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(credits: &str, rate: &str, markup: &str) -> i64 {
        let decimal = |text: &str| text.parse::<Decimal>().unwrap();
        let rub = "RUB".parse().unwrap();
        price_of_credits(decimal(credits), decimal(rate), decimal(markup), &rub).unwrap().minor()
    }

    #[test]
    fn a_price_is_rounded_up_to_a_whole_minor_unit() {
        assert_eq!(price("55", "78", "2"), 4290); // 0.275 USD
        assert_eq!(price("0.8", "78", "2"), 63); // 62.4 kopecks
        assert_eq!(price("0", "78", "2"), 0);
    }

    #[test]
    fn a_price_that_does_not_fit_is_an_error() {
        let most = Decimal::from_micro(u64::MAX);
        assert_eq!(price_of_credits(most, most, most, &"RUB".parse().unwrap()), Err(PriceError::Overflow));
    }

    #[test]
    fn decimals_print_what_they_read() {
        for text in ["0", "0.19", "5916.25", "1.000001"] {
            assert_eq!(text.parse::<Decimal>().unwrap().to_string(), text);
        }
        for bad in ["", ".5", "1.", "-1", "1e3", "0.0000001"] {
            assert!(bad.parse::<Decimal>().is_err(), "{bad}");
        }
    }
}
