//! Readings of the provider's credit balance, to be compared with what our own jobs consumed.

use async_trait::async_trait;
use domain::{Decimal, Timestamp};

use crate::StoreError;

/// One reading, and what it showed against the one before.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CreditReading {
    /// From 1, without gaps: the next number is free for one reading only.
    pub number: u32,
    /// When.
    pub at: Timestamp,
    /// The balance, in the provider's credits.
    pub balance: Decimal,
    /// Credits that left since the reading before, beyond what our jobs consumed, in millionths; none where the balance
    /// cannot be compared: the first reading, and after a top-up.
    pub drift_micro: Option<i64>,
    /// What `drift_micro` may be without being a finding, in millionths.
    pub tolerance_micro: i64,
    /// Tasks in flight: the provider may have charged them, we do not know their cost yet.
    pub in_flight: u32,
}

impl CreditReading {
    /// Whether more left than our jobs account for.
    pub fn is_finding(&self) -> bool {
        self.drift_micro.is_some_and(|drift| drift > self.tolerance_micro)
    }
}

/// What our jobs consumed between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consumption {
    /// The sum of the costs that records told.
    pub credits: Decimal,
    /// Jobs that ended well whose record told no cost.
    pub untold: u32,
    /// Tasks in flight now.
    pub in_flight: u32,
}

/// Readings of the provider's balance.
#[async_trait]
pub trait ReadingStore: Send + Sync {
    /// What jobs consumed whose record said success after `since` and not after `until`; what is in flight now.
    async fn consumption(&self, since: Timestamp, until: Timestamp) -> Result<Consumption, StoreError>;
    /// Keeps a reading; false if its number is taken, so that of several processes one compares.
    async fn add_reading(&self, reading: &CreditReading) -> Result<bool, StoreError>;
    /// The newest readings, newest first, at most `limit`.
    async fn list_readings(&self, limit: u32) -> Result<Vec<CreditReading>, StoreError>;
}
