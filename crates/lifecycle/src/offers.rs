//! What is for sale, and for how much.

use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::Timestamp;
use jiff::SignedDuration;
use kie_catalogue::{Catalogue, Model, ValidInput};
use store::{Store, StoreError};

use crate::{Pricing, Quote, QuoteError};

/// How long a model that the provider refuses stays off sale before it is tried again.
const OFF_SALE_FOR: SignedDuration = SignedDuration::from_hours(1);

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
        let priced = model.is_sellable() || (model.is_listed() && self.pricing.names(model.id()));
        priced && !self.off_sale.load().contains(model.id())
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
