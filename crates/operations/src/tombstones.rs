//! Rows without objects: their files are fetched again; only what cannot be had any more is marked as deleted.

use std::collections::BTreeMap;

use domain::{AssetId, JobId};
use lifecycle::{Lifecycle, Restored};
use media::MediaStore;
use serde::Serialize;
use store::{NewEntry, StoreError};

use crate::sweep::is_there;
use crate::{FilesError, Missing, Tell};

/// What became of a row without its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Its file was fetched again.
    Fetched,
    /// Its object came back without us.
    CameBack,
    /// It cannot be fetched any more; the row is marked as deleted.
    Marked,
    /// Nobody can tell now whether it can be fetched.
    Left,
}

/// A row without its object, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mended {
    /// The row.
    pub asset: AssetId,
    /// The job that made it; none for an upload.
    pub job: Option<JobId>,
    /// What became of it.
    pub fate: Fate,
    /// Why it could not be fetched, where that was tried in vain.
    pub trouble: Option<String>,
}

/// Fetches the files of these rows again, and marks those rows as deleted whose files KIE has no more, or that are uploads.
/// Hash, transfers and history stay. What our own storage or a passing trouble of KIE hides is left as it is.
///
/// # Errors
/// When the database or the storage fails.
pub async fn fetch_or_give_up(
    lifecycle: &Lifecycle,
    media: &MediaStore,
    missing: &[Missing],
    reason: &str,
    tell: Tell<'_>,
) -> Result<Vec<Mended>, FilesError> {
    let mut jobs: BTreeMap<Option<JobId>, Vec<&Missing>> = BTreeMap::new();
    for row in missing {
        jobs.entry(row.job).or_default().push(row);
    }
    let mut mended = Vec::with_capacity(missing.len());
    for (job, rows) in jobs {
        let tried = match job {
            Some(job) => {
                let files: Vec<_> = rows.iter().map(|row| row.asset).collect();
                lifecycle.restore_only(job, &files, reason).await?
            }
            None => Vec::new(),
        };
        for row in rows {
            let restored = tried.iter().find(|file| file.asset == row.asset);
            let trouble = restored.and_then(|file| file.trouble.clone());
            if let Some(fate) = fate_of(lifecycle, media, row, restored, reason).await? {
                mended.push(Mended { asset: row.asset, job, fate, trouble });
            }
            tell(1);
        }
    }
    Ok(mended)
}

/// None if the row was marked by somebody else meanwhile.
async fn fate_of(
    lifecycle: &Lifecycle,
    media: &MediaStore,
    row: &Missing,
    restored: Option<&Restored>,
    reason: &str,
) -> Result<Option<Fate>, FilesError> {
    match restored {
        Some(Restored { trouble: None, .. }) => Ok(Some(Fate::Fetched)),
        Some(Restored { is_gone: false, .. }) => Ok(Some(Fate::Left)),
        Some(Restored { is_gone: true, .. }) | None => give_up(lifecycle, media, row, reason).await,
    }
}

async fn give_up(
    lifecycle: &Lifecycle,
    media: &MediaStore,
    row: &Missing,
    reason: &str,
) -> Result<Option<Fate>, FilesError> {
    let (store, now) = (lifecycle.store(), lifecycle.ids().now());
    if is_there(media, &row.object).await? {
        return Ok(Some(Fate::CameBack));
    }
    note(lifecycle, row, format!("is given up: {reason}")).await?;
    if !store.give_up_asset(row.asset, now).await? {
        return Ok(None);
    }
    // A `retry` that began before the mark may have restored it meanwhile.
    if is_there(media, &row.object).await? && store.take_back_asset(row.asset, now).await? {
        note(lifecycle, row, "came back, and is kept".to_owned()).await?;
        return Ok(Some(Fate::CameBack));
    }
    // Nobody is shown it any more, and no row would know it.
    if let Some(thumbnail) = &row.thumbnail {
        media.delete(thumbnail).await?;
    }
    Ok(Some(Fate::Marked))
}

/// A line in the history of the row's job.
async fn note(lifecycle: &Lifecycle, row: &Missing, what: String) -> Result<(), StoreError> {
    let Some(job) = row.job else { return Ok(()) };
    let detail = Some(format!("file {} {what}", row.asset));
    let line = NewEntry { source: "operator", event: "job.decided", detail, fold: None };
    lifecycle.store().note(job, &[line], lifecycle.ids().now()).await
}
