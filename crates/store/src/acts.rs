//! Acts of operators that belong to no job and no transfer: the trace that they leave.

use async_trait::async_trait;
use domain::Timestamp;

use crate::StoreError;

/// Something that an operator did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Act {
    /// When.
    pub at: Timestamp,
    /// The command, such as `account erase`.
    pub command: String,
    /// What it was done to: an id or a name.
    pub subject: String,
    /// Why, in the operator's words.
    pub reason: String,
}

/// Acts of operators; append-only.
#[async_trait]
pub trait ActStore: Send + Sync {
    /// Appends an act.
    async fn note_act(&self, act: &Act) -> Result<(), StoreError>;
    /// The newest acts, newest first, at most `limit`.
    async fn list_acts(&self, limit: u32) -> Result<Vec<Act>, StoreError>;
}
