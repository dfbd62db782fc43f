//! What is for sale, and for how much.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::Timestamp;
use jiff::SignedDuration;
use kie_catalogue::{Catalogue, Model, ValidInput};
use store::{Store, StoreError};

use crate::{Pricing, Quote, QuoteError};

/// How long a model that the provider refuses stays off sale before it is tried again.
const OFF_SALE_FOR: SignedDuration = SignedDuration::from_hours(1);

/// Why a model cannot be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffSale {
    /// The provider no longer offers it.
    Gone,
    /// Its file is broken.
    Broken,
    /// The provider refused it three times in a row; it is tried again within the hour.
    Refused,
    /// No price is known: of the model, or of a request like this.
    Unpriced,
}

impl fmt::Display for OffSale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "the provider no longer offers it",
            Self::Broken => "its description here is broken",
            Self::Refused => "the provider refuses it at the moment; try again in an hour",
            Self::Unpriced => "no price is known for it, or for a request like this",
        })
    }
}

/// The catalogue, the price policy, and the models that are off sale for now.
pub struct Offers {
    catalogue: ArcSwap<Catalogue>,
    pricing: Pricing,
    off_sale: ArcSwap<HashSet<String>>,
}

impl Offers {
    /// Offers of this catalogue at these prices.
    pub fn new(catalogue: Arc<Catalogue>, pricing: Pricing) -> Self {
        Self { catalogue: ArcSwap::new(catalogue), pricing, off_sale: ArcSwap::default() }
    }

    /// The catalogue as it is now.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.load_full()
    }

    /// The price policy.
    pub const fn pricing(&self) -> &Pricing {
        &self.pricing
    }

    /// Whether the model can be ordered: listed, whole, priced, and not refused by the provider of late.
    pub fn is_for_sale(&self, model: &Model) -> bool {
        self.why_not_for_sale(model).is_none()
    }

    /// What keeps the model from being ordered.
    pub fn why_not_for_sale(&self, model: &Model) -> Option<OffSale> {
        let named = self.pricing.names(model.id());
        if !model.is_listed() {
            Some(OffSale::Gone)
        } else if model.fault().is_some() {
            Some(OffSale::Broken)
        } else if self.off_sale.load().contains(model.id()) {
            Some(OffSale::Refused)
        } else if self.pricing.bars(model.id()) || !(model.is_sellable() || named) {
            Some(OffSale::Unpriced)
        } else {
            None
        }
    }

    /// What is wrong with the prices: broken entries, and names that the catalogue does not have.
    pub fn price_faults(&self) -> Vec<String> {
        let (list, catalogue) = (&self.pricing.list, self.catalogue());
        let strangers = list.models().filter(|model| catalogue.get(model).is_none());
        let strangers = strangers.map(|model| format!("there is no model `{model}`"));
        list.faults().iter().cloned().chain(strangers).collect()
    }

    /// How many models are for sale.
    pub fn count_for_sale(&self) -> usize {
        let catalogue = self.catalogue();
        catalogue.models().filter(|model| self.is_for_sale(model)).count()
    }

    /// The price of one job.
    pub fn quote(&self, model: &Model, input: &ValidInput) -> Result<Quote, QuoteError> {
        self.pricing.quote(model.id(), input, self.catalogue.load().version())
    }

    /// Learns which models the provider refuses; called from time to time by every process that sells. After an hour off
    /// sale a model is tried again.
    pub async fn refresh(&self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        let mut off = HashSet::new();
        for health in store.models_off_sale().await? {
            let rested = health.off_since.is_some_and(|since| now.duration_since(since) > OFF_SALE_FOR);
            if rested {
                store.clear_refusals(&health.model).await?;
                tracing::info!(model = health.model, "model.on_sale: it is tried again");
            } else {
                off.insert(health.model);
            }
        }
        self.off_sale.store(Arc::new(off));
        Ok(())
    }
}

impl std::fmt::Debug for Offers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offers").field("for_sale", &self.count_for_sale()).finish()
    }
}
