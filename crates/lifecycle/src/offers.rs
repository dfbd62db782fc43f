//! What is for sale, and for how much.

use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use kie_catalogue::{Catalogue, Model, ValidInput};
use store::{Store, StoreError};

use crate::{Pricing, Quote, QuoteError};

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

    /// Learns which models the provider refuses; called from time to time by every process that sells.
    pub async fn refresh(&self, store: &dyn Store) -> Result<(), StoreError> {
        let off = store.models_off_sale().await?.into_iter().map(|health| health.model).collect();
        self.off_sale.store(Arc::new(off));
        Ok(())
    }
}

impl std::fmt::Debug for Offers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offers").field("for_sale", &self.count_for_sale()).finish()
    }
}
