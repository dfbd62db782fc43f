//! What an operator decides about an import.

use crate::ModelMap;

/// Whether the old balance includes what was set aside for generations in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// `balance_rub` includes `hold_rub`.
    Inside,
    /// `hold_rub` was taken out of `balance_rub` and stands beside it.
    Beside,
}

/// What becomes of the price of a finished generation whose result is gone everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The shop keeps it.
    Keep,
    /// The customer gets it back.
    Refund,
}

/// What an operator decides about an import.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// What this old shop is called; keys of rows are unique within it.
    pub shop: String,
    /// Look at everything, write nothing.
    pub dry_run: bool,
    /// Leave what is in flight, and drafts, to the old shop: it is still working.
    pub settled_only: bool,
    /// Send finished generations to chats that never got them.
    pub deliver: bool,
    /// What becomes of the price of what was finished and is lost.
    pub lost: Lost,
    /// Where old holds are.
    pub holds: Holds,
    /// Old names of models.
    pub models: ModelMap,
    /// Beginnings of `asset_url` behind which the rest is the name of an object in our storage.
    pub media_at: Vec<String>,
    /// How many finished generations may become due in a second, so that new orders do not wait behind them; 0 for all at
    /// once.
    pub per_second: u32,
}
