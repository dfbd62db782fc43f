//! The shop as a whole: its currency, its clock, who is alive.

use async_trait::async_trait;
use domain::Timestamp;

use crate::StoreError;

/// What became of the opening of the shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenShop {
    /// The currency is written now or was the same before.
    Open,
    /// The database keeps another currency.
    OtherCurrency(String),
}

/// A process that shows that it is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its name.
    pub name: String,
    /// When it was last seen.
    pub seen_at: Timestamp,
    /// Microseconds by which the database's clock was last found ahead of its machine's, if it was ever measured.
    pub skew_micros: Option<i64>,
}

/// The shop.
#[async_trait]
pub trait ShopStore: Send + Sync {
    /// Writes the currency (`CODE:digits`) at the first start and compares it at every other.
    async fn open_shop(&self, currency: &str, at: Timestamp) -> Result<OpenShop, StoreError>;
    /// The currency that the database keeps, if it was ever opened.
    async fn currency(&self) -> Result<Option<String>, StoreError>;
    /// The database's own clock; only to measure its offset to the process's.
    async fn database_time(&self) -> Result<Timestamp, StoreError>;
    /// One cheap round trip: is the database there and writable?
    async fn ping(&self) -> Result<(), StoreError>;
    /// The version of the schema, for start lines and health.
    async fn schema_version(&self) -> Result<i64, StoreError>;
    /// Notes that a process of this name is alive, and how far its machine's clock is off; kept as it was if none.
    async fn heartbeat(
        &self,
        process: &str,
        at: Timestamp,
        skew_micros: Option<i64>,
    ) -> Result<(), StoreError>;
    /// Processes, by name.
    async fn heartbeats(&self) -> Result<Vec<Process>, StoreError>;
    /// Forgets processes that were not seen since `before`, at most `limit`; how many.
    async fn forget_processes(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
    /// A short description for start lines: engine and pool, no credentials.
    fn describe(&self) -> String;
    /// Closes the pool, after running transactions.
    async fn close(&self);
}
