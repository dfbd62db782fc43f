//! Keeping house: what is done from time to time, by any process that works.

use std::time::Duration;

use domain::{Job, JobState, Timestamp};
use jiff::SignedDuration;
use store::{Store, StoreError, StuckLimits};

use crate::{Lifecycle, Policy};

/// At most so many rows of each kind in one round.
const ROUND: u32 = 500;
/// How long a process is remembered that does not show itself.
const PROCESSES_KEPT: Duration = Duration::from_hours(30 * 24);

/// What a round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HousekeepingReport {
    /// Callbacks deleted after their time, those that no job knew among them.
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
    let limits = StuckLimits { image: age, audio: age, video: age, models: Vec::new() };
    let mut jobs = store.stuck_jobs(&limits, None, now, limit).await?;
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
        self.store().forget_processes(ago(PROCESSES_KEPT), ROUND).await?;
        let assets_purged = self.purge(ago(Policy::PURGE_AFTER), ago(Policy::UPLOAD_AWAITED)).await?;
        let mut report =
            HousekeepingReport { callbacks_deleted, assets_purged, ..HousekeepingReport::default() };
        let expiring = expiring_jobs(self.store(), self.ids().now(), ROUND).await?;
        if let Some(oldest) = expiring.first() {
            let (jobs, job, ordered_at) = (expiring.len(), oldest.id, oldest.created_at);
            tracing::error!(jobs, %job, %ordered_at, "retention.ends: KIE soon deletes results that are not stored");
        }
        report.balance_compared = self.keep_balance().await?;
        Ok(report)
    }

    /// Files are marked, then their bytes deleted, then that is noted: an owner who brings a job back between finds no dead
    /// files, and what a dying process or a broken storage left is deleted by a later round.
    async fn purge(&self, hidden_before: Timestamp, upload_before: Timestamp) -> Result<u64, StoreError> {
        let store = self.store();
        let purged = store.purge_assets(hidden_before, upload_before, self.ids().now(), ROUND).await?;
        if purged.is_empty() {
            return Ok(0);
        }
        store::fail_point!("house.marked");
        let ids: Vec<_> = purged.iter().map(|asset| asset.id).collect();
        let objects: Vec<String> =
            purged.into_iter().flat_map(|asset| [Some(asset.object), asset.thumbnail]).flatten().collect();
        if let Err(error) = self.vault().delete(&objects).await {
            tracing::warn!(%error, "purge.failed");
            return Ok(0);
        }
        store::fail_point!("house.deleted");
        store.bytes_gone(&ids).await?;
        Ok(u64::try_from(ids.len()).unwrap_or(u64::MAX))
    }

    /// What a difference that was just measured makes for the clock of this process's machine, from which ours was moved.
    pub fn of_machine(&self, skew: Skew) -> Skew {
        Skew { micros: skew.micros.saturating_add(self.ids().clock.moved_micros()) }
    }

    /// Measures the offset to the database's clock.
    pub async fn measure_skew(&self) -> Result<Skew, StoreError> {
        let before = self.ids().now();
        let theirs = self.store().database_time().await?;
        let after = self.ids().now();
        if after.duration_since(before) > SignedDuration::from_secs(1) {
            // Half of what it took is the error, and an hour that is a second old is no measure.
            return Err(StoreError::Unavailable("it answered too slowly to measure its clock".into()));
        }
        let middle = before.as_microsecond().midpoint(after.as_microsecond());
        Ok(Skew { micros: theirs.as_microsecond().saturating_sub(middle) })
    }
}
