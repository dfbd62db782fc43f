//! Keeping house: what is done from time to time, by any process that works.

use std::time::Duration;

use domain::Timestamp;
use store::StoreError;

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
        let mut report = HousekeepingReport { callbacks_deleted, assets_purged: 0 };
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
