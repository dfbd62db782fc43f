//! What all processes share toward the provider: create slots, the breaker, the health of models.

use async_trait::async_trait;
use domain::Timestamp;

use crate::StoreError;

/// The breaker of createTask, when it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    /// Since when.
    pub open_since: Timestamp,
    /// When one trial is allowed.
    pub next_trial_at: Timestamp,
    /// The provider's words.
    pub reason: String,
}

/// A model that the provider refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelHealth {
    /// The model.
    pub model: String,
    /// Refusals in a row.
    pub refusals: u32,
    /// Since when it is off sale.
    pub off_since: Option<Timestamp>,
}

/// Slots, breaker, model health.
#[async_trait]
pub trait SlotStore: Send + Sync {
    /// Makes sure that `count` slot rows exist; idempotent, safe from several processes at once.
    async fn ensure_slots(&self, count: u32) -> Result<(), StoreError>;
    /// Pushes every slot back to `until` at least.
    async fn push_slots_back(&self, until: Timestamp) -> Result<(), StoreError>;
    /// Opens the breaker (or renews its reason and next trial, `open_since` stays); true if it was closed.
    async fn open_breaker(
        &self,
        reason: &str,
        at: Timestamp,
        next_trial_at: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Closes the breaker; true if it was open.
    async fn close_breaker(&self) -> Result<bool, StoreError>;
    /// The breaker, if it is open.
    async fn breaker(&self) -> Result<Option<Breaker>, StoreError>;
    /// Counts one more refusal of a model in a row; at `off_at` refusals it goes off sale. The row after it.
    async fn count_refusal(&self, model: &str, off_at: u32, at: Timestamp)
    -> Result<ModelHealth, StoreError>;
    /// Forgets a model's refusals and puts it back on sale.
    async fn clear_refusals(&self, model: &str) -> Result<(), StoreError>;
    /// Models that are off sale.
    async fn models_off_sale(&self) -> Result<Vec<ModelHealth>, StoreError>;
}
