//! What a generation costs the customer: the deployer's rate, mark-up, fixed prices and gifts.

use std::collections::HashSet;

use domain::{Currency, Decimal, Money, PriceBasis, price_of_credits};
use kie_catalogue::{Cost, ValidInput};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// Why a price file is refused.
#[derive(Debug, Error)]
pub enum PriceListError {
    /// Not TOML of the expected form.
    #[error("the price file cannot be read: {0}")]
    Unreadable(String),
    /// An amount that the currency cannot have.
    #[error("entry {entry} of the price file ({model}): {reason}")]
    Amount {
        /// Number of the entry, from 1.
        entry: usize,
        /// Its model.
        model: String,
        /// What is wrong.
        reason: String,
    },
}

/// Fixed prices; the first entry that fits wins.
#[derive(Debug, Clone, Default)]
pub struct PriceList(Vec<FixedPrice>);

#[derive(Debug, Clone)]
struct FixedPrice {
    model: String,
    when: serde_json::Map<String, Value>,
    amount: Money,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceFile {
    #[serde(default)]
    price: Vec<PriceEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceEntry {
    model: String,
    #[serde(default)]
    when: serde_json::Map<String, Value>,
    amount: String,
}

impl PriceList {
    /// Reads TOML: `[[price]] model = "…"  when = { duration = "10" }  amount = "99.00"`, amounts in major units.
    pub fn parse(text: &str, currency: &Currency) -> Result<Self, PriceListError> {
        let file: PriceFile =
            toml::from_str(text).map_err(|error| PriceListError::Unreadable(error.to_string()))?;
        let fixed = |(index, entry): (usize, PriceEntry)| {
            let refused = |reason: String| PriceListError::Amount {
                entry: index + 1,
                model: entry.model.clone(),
                reason,
            };
            let amount = currency.parse_amount(&entry.amount).map_err(|error| refused(error.to_string()))?;
            if amount < Money::ZERO {
                return Err(refused("the amount is below zero".to_owned()));
            }
            Ok(FixedPrice { model: entry.model, when: entry.when, amount })
        };
        file.price.into_iter().enumerate().map(fixed).collect::<Result<_, _>>().map(Self)
    }

    fn find(&self, model: &str, input: &ValidInput) -> Option<Money> {
        let fits = |fixed: &&FixedPrice| {
            fixed.model == model && fixed.when.iter().all(|(field, value)| input.has_value(field, value))
        };
        self.0.iter().find(fits).map(|fixed| fixed.amount)
    }

    fn names(&self, model: &str) -> bool {
        self.0.iter().any(|fixed| fixed.model == model)
    }
}

/// The deployer's price policy.
#[derive(Debug, Clone)]
pub struct Pricing {
    /// The shop's currency.
    pub currency: Currency,
    /// Currency units for one USD.
    pub usd_rate: Decimal,
    /// The shop's mark-up.
    pub markup: Decimal,
    /// Fixed prices, which win.
    pub list: PriceList,
    /// Models that are given away.
    pub free: HashSet<String>,
}

/// A price, frozen with its basis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// What is held.
    pub price: Money,
    /// Where it came from.
    pub basis: PriceBasis,
}

/// Why there is no price.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QuoteError {
    /// The cost of this request is not known.
    #[error("the price of this request is not known")]
    Unknown,
    /// The price does not fit.
    #[error("the price is too large")]
    TooLarge,
}

impl Pricing {
    /// The price of one job with this input. `catalogue` is its version.
    pub fn quote(&self, model: &str, input: &ValidInput, catalogue: &str) -> Result<Quote, QuoteError> {
        if self.free.contains(model) {
            return Ok(Quote { price: Money::ZERO, basis: PriceBasis::Free });
        }
        if let Some(price) = self.list.find(model, input) {
            return Ok(Quote { price, basis: PriceBasis::Fixed { catalogue: catalogue.to_owned() } });
        }
        let (credits, exact) = match input.cost() {
            Cost::Exact(credits) => (credits, true),
            Cost::AtMost(credits) => (credits, false),
            Cost::Unknown => return Err(QuoteError::Unknown),
        };
        let credits = Decimal::from_micro(credits.micro());
        let price = price_of_credits(credits, self.usd_rate, self.markup, &self.currency)
            .map_err(|_too_large| QuoteError::TooLarge)?;
        let (usd_rate, markup) = (self.usd_rate, self.markup);
        Ok(Quote {
            price,
            basis: PriceBasis::Cost { credits, exact, usd_rate, markup, catalogue: catalogue.to_owned() },
        })
    }

    /// Whether the model has a price by policy, whatever the catalogue knows of its cost.
    pub fn names(&self, model: &str) -> bool {
        self.free.contains(model) || self.list.names(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_that_fits_wins_and_bad_entries_are_named() {
        const MODEL: &str = "hailuo/02-image-to-video-standard";
        let rub: Currency = "RUB".parse().unwrap();
        let text = format!(
            "[[price]]\nmodel = \"{MODEL}\"\nwhen = {{ duration = \"10\" }}\namount = \"99.00\"\n\
             [[price]]\nmodel = \"{MODEL}\"\namount = \"50\"\n"
        );
        let list = PriceList::parse(&text, &rub).unwrap();
        let catalogue = kie_catalogue::Catalogue::packed().unwrap();
        let model = catalogue.get(MODEL).unwrap();
        let price = |duration: Option<&str>| {
            let mut input = model.example().clone();
            input.as_object_mut().unwrap().remove("duration");
            if let Some(duration) = duration {
                input["duration"] = duration.into();
            }
            list.find(MODEL, &model.validate(input).unwrap())
        };
        assert_eq!(price(Some("10")), Some(Money::from_minor(9900)));
        assert_eq!(price(None), Some(Money::from_minor(9900)), "10 is what KIE makes if nothing is said");
        assert_eq!(price(Some("6")), Some(Money::from_minor(5000)));
        let other = catalogue.get("z-image").unwrap();
        assert_eq!(list.find("z-image", &other.validate(other.example().clone()).unwrap()), None);
        let bad = PriceList::parse("[[price]]\nmodel = \"a\"\namount = \"1.001\"\n", &rub).unwrap_err();
        assert!(bad.to_string().contains("entry 1 of the price file (a)"), "{bad}");
        assert!(PriceList::parse("[[price]]\nmodle = \"a\"", &rub).is_err());
    }
}
