//! Keeping house: what is done from time to time, by any process that works.

use std::time::Duration;

use domain::{Job, JobState, Timestamp};
use store::{Store, StoreError, StuckLimits};

use crate::{Lifecycle, Policy};

/// At most so many rows of each kind in one round.
const ROUND: u32 = 500;

/// What a round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HousekeepingReport {
    /// Callback bodies deleted after their time.
    pub callbacks_deleted: u64,
    /// Assets whose bytes were deleted: 30 days after their owner hid them or left, or a day after an upload broke off.
    pub assets_purged: u64,
    /// Whether the provider's balance was compared with our books.
    pub balance_compared: bool,
}

/// Open jobs, oldest first and at most `limit`, that were bought so long ago that the provider will soon delete what it
/// made: fewer than [`Policy::RETENTION_ALARM`] is left of [`Policy::RETENTION`].
pub async fn expiring_jobs(store: &dyn Store, now: Timestamp, limit: u32) -> Result<Vec<Job>, StoreError> {
    let age = Policy::RETENTION.saturating_sub(Policy::RETENTION_ALARM);
    let limits = StuckLimits { image: age, audio: age, video: age };
    let mut jobs = store.stuck_jobs(&limits, now, limit).await?;
    // What was never sent has no result that could be lost.
    jobs.retain(|job| job.state != JobState::Pending);
    Ok(jobs)
}

/// How far the database's clock is from this process's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew {
    /// Microseconds; above zero when the database is ahead.
    pub micros: i64,
}

impl Skew {
    /// More than this is an alarm.
    pub const ALARM: Duration = Duration::from_secs(2);

    /// Whether leases of different processes may disagree too much.
    pub const fn is_alarming(self) -> bool {
        self.micros.unsigned_abs() as u128 > Self::ALARM.as_micros()
    }
}

impl Lifecycle {
    /// One bounded, idempotent round.
    pub async fn keep_house(&self) -> Result<HousekeepingReport, StoreError> {
        let ago = |age: Duration| {
            let now = self.ids().now();
            now.saturating_sub(age).unwrap_or(Timestamp::MIN)
        };
        let callbacks_deleted = self.store().delete_callbacks(ago(Policy::CALLBACKS_KEPT), ROUND).await?;
        let assets = self
            .store()
            .purgeable_assets(ago(Policy::PURGE_AFTER), ago(Policy::UPLOAD_AWAITED), ROUND)
            .await?;
        let objects: Vec<String> = assets
            .iter()
            .flat_map(|asset| [Some(asset.object.clone()), asset.thumbnail.clone()])
            .flatten()
            .collect();
        let mut report = HousekeepingReport { callbacks_deleted, ..HousekeepingReport::default() };
        if !assets.is_empty() {
            // Bytes first: if the process dies between, the next round deletes what is gone already, which is no error.
            match self.vault().delete(&objects).await {
                Ok(()) => {
                    let ids: Vec<_> = assets.iter().map(|asset| asset.id).collect();
                    self.store().assets_deleted(&ids, self.ids().now()).await?;
                    report.assets_purged = u64::try_from(ids.len()).unwrap_or(u64::MAX);
                }
                Err(error) => tracing::warn!(%error, "purge.failed"),
            }
        }
        let expiring = expiring_jobs(self.store(), self.ids().now(), ROUND).await?;
        if let Some(oldest) = expiring.first() {
            let (jobs, job, ordered_at) = (expiring.len(), oldest.id, oldest.created_at);
            tracing::error!(jobs, %job, %ordered_at, "retention.ends: KIE soon deletes results that are not stored");
        }
        report.balance_compared = self.keep_balance().await?;
        Ok(report)
    }

    /// Measures the offset to the database's clock.
    pub async fn measure_skew(&self) -> Result<Skew, StoreError> {
        let before = self.ids().now();
        let theirs = self.store().database_time().await?;
        let after = self.ids().now();
        let middle = before.as_microsecond().midpoint(after.as_microsecond());
        Ok(Skew { micros: theirs.as_microsecond().saturating_sub(middle) })
    }
}
