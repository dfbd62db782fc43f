//! Deliveries: the outbox, written with the state it tells of.

use async_trait::async_trait;
use domain::{AccountId, Channel, Delivery, DeliveryEvent, DeliveryId, JobId, Scope, Timestamp};

use crate::StoreError;

/// A delivery owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// How.
    pub channel: Channel,
    /// Where.
    pub address: String,
    /// Of what.
    pub event: DeliveryEvent,
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryResult {
    /// The recipient took it.
    Delivered,
    /// Try again at this moment.
    Retry {
        /// When.
        at: Timestamp,
        /// What went wrong.
        error: String,
    },
    /// Given up.
    Dead {
        /// What went wrong.
        error: String,
    },
}

/// Deliveries.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Claims due deliveries of these channels: pending, `wake_at <= now`, no live lease; at most `limit`. Skips what others
    /// are claiming; those of other channels wait for a process that has them.
    async fn claim_deliveries(
        &self,
        channels: &[Channel],
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;
    /// Lets a claimed delivery wait until then, under its fence, without a trace: nothing was tried. False if the fence is
    /// stale.
    async fn put_off_delivery(&self, delivery: &Delivery, until: Timestamp) -> Result<bool, StoreError>;
    /// Writes how a try ended, under its fence; the lease is freed and the job's `version` and `updated_at` rise. False if
    /// the fence is stale.
    async fn record_delivery(
        &self,
        delivery: &Delivery,
        result: &DeliveryResult,
        at: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Makes the deliveries of a job pending and due, with the same ids and all their tries before them: those that are done
    /// or dead, and those that nobody is sending and that wait after a failed try or have no wake; how many.
    async fn redeliver(&self, job: JobId, scope: Scope, at: Timestamp) -> Result<u64, StoreError>;
    /// The deliveries of these jobs, by job and time; one query whatever their number.
    async fn deliveries_of(&self, jobs: &[JobId]) -> Result<Vec<Delivery>, StoreError>;
    /// Dead deliveries, newest first, before `before` by id, at most `limit`.
    async fn list_dead_deliveries(
        &self,
        account: Option<AccountId>,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;
}
