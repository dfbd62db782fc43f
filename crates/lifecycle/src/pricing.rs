//! What a generation costs the customer: the deployer's rate, mark-up, fixed prices and gifts.

use std::collections::HashSet;

use domain::{Currency, Decimal, Money, PriceBasis, price_of_credits};
use kie_catalogue::{Cost, ValidInput};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// Fixed prices; the first entry that fits wins. What is broken in the file takes off sale what it may have been about: to
/// sell at another price than the deployer's is worse than not to sell.
#[derive(Debug, Clone, Default)]
pub struct PriceList {
    fixed: Vec<FixedPrice>,
    barred: Barred,
    faults: Vec<String>,
}

#[derive(Debug, Clone)]
struct FixedPrice {
    model: String,
    when: serde_json::Map<String, Value>,
    amount: Money,
}

/// Which models a broken file leaves without a price.
#[derive(Debug, Clone)]
enum Barred {
    Models(HashSet<String>),
    All,
}

impl Default for Barred {
    fn default() -> Self {
        Self::Models(HashSet::new())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceFile {
    #[serde(default)]
    price: Vec<toml::Value>,
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
    /// Reads TOML: `[[price]] model = "…"  when = { duration = "10" }  amount = "99.00"`, amounts in major units. A broken
    /// entry takes its model off sale, a broken file all that is not free.
    pub fn parse(text: &str, currency: &Currency) -> Self {
        let file: PriceFile = match toml::from_str(text) {
            Ok(file) => file,
            Err(error) => return Self::broken(error.to_string()),
        };
        let mut list = Self::default();
        for (index, entry) in file.price.into_iter().enumerate() {
            let model = entry.get("model").and_then(toml::Value::as_str).map(str::to_owned);
            match fixed_price(entry, currency) {
                Ok(fixed) => list.fixed.push(fixed),
                Err(reason) => list.bar(index.saturating_add(1), model, &reason),
            }
        }
        list
    }

    /// A file that cannot be read: nothing has a price but what is free.
    pub fn broken(reason: String) -> Self {
        Self { fixed: Vec::new(), barred: Barred::All, faults: vec![reason] }
    }

    fn bar(&mut self, entry: usize, model: Option<String>, reason: &str) {
        let named = model.as_deref().unwrap_or("of no model");
        self.faults.push(format!("entry {entry} ({named}): {reason}"));
        match (&mut self.barred, model) {
            (Barred::All, _) => {}
            (Barred::Models(models), Some(model)) => {
                models.insert(model);
            }
            (barred, None) => *barred = Barred::All,
        }
    }

    /// What is wrong with the file.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// The models that it names, those of broken entries too.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        let barred = match &self.barred {
            Barred::Models(models) => Some(models),
            Barred::All => None,
        };
        let barred = barred.into_iter().flatten().map(String::as_str);
        self.fixed.iter().map(|fixed| fixed.model.as_str()).chain(barred)
    }

    fn bars(&self, model: &str) -> bool {
        match &self.barred {
            Barred::Models(models) => models.contains(model),
            Barred::All => true,
        }
    }

    fn find(&self, model: &str, input: &ValidInput) -> Option<Money> {
        let fits = |fixed: &&FixedPrice| {
            fixed.model == model && fixed.when.iter().all(|(field, value)| input.has_value(field, value))
        };
        self.fixed.iter().find(fits).map(|fixed| fixed.amount)
    }

    fn names(&self, model: &str) -> bool {
        self.fixed.iter().any(|fixed| fixed.model == model)
    }
}

fn fixed_price(entry: toml::Value, currency: &Currency) -> Result<FixedPrice, String> {
    let PriceEntry { model, when, amount } = entry.try_into().map_err(|error| error.to_string())?;
    let amount = currency.parse_amount(&amount).map_err(|error| error.to_string())?;
    if amount < Money::ZERO {
        return Err("the amount is below zero".to_owned());
    }
    Ok(FixedPrice { model, when, amount })
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
        if self.bars(model) {
            return Err(QuoteError::Unknown);
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

    /// Whether the price file is broken where the model's price may be.
    pub fn bars(&self, model: &str) -> bool {
        !self.free.contains(model) && self.list.bars(model)
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
    fn the_first_entry_that_fits_wins() {
        const MODEL: &str = "hailuo/02-image-to-video-standard";
        let rub: Currency = "RUB".parse().unwrap();
        let text = format!(
            "[[price]]\nmodel = \"{MODEL}\"\nwhen = {{ duration = \"10\" }}\namount = \"99.00\"\n\
             [[price]]\nmodel = \"{MODEL}\"\namount = \"50\"\n"
        );
        let list = PriceList::parse(&text, &rub);
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
    }

    #[test]
    fn what_is_broken_takes_off_sale_what_it_may_be_about() {
        let rub: Currency = "RUB".parse().unwrap();
        let parse = |text: &str| PriceList::parse(text, &rub);
        let entry =
            |model: &str, amount: &str| format!("[[price]]\nmodel = \"{model}\"\namount = {amount}\n");
        let good = entry("good", "\"1.00\"");
        for bad in ["\"abc\"", "\"1.001\"", "\"-1\"", "1"] {
            let list = parse(&(good.clone() + &entry("bad", bad)));
            assert!(list.bars("bad") && !list.bars("good") && !list.bars("other"), "{bad}");
            assert!(list.faults()[0].starts_with("entry 2 (bad): "), "{:?}", list.faults());
        }
        for bad in
            ["[[price]]\nmodle = \"a\"", "[[prices]]", "price = 1", "]", "[[price]]\namount = \"1.00\""]
        {
            let list = parse(&(good.clone() + bad));
            assert!(list.bars("good") && list.faults().len() == 1, "{bad}: {:?}", list.faults());
        }
        assert!(!parse("").bars("good") && parse("").faults().is_empty());
    }
}
