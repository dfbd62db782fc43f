//! Sweeping: objects without rows, rows without objects. Looking and acting are apart.

use std::time::Duration;

use domain::{AccountId, Asset, AssetId, JobId, Scope, Timestamp};
use futures_util::{StreamExt, TryStreamExt, stream};
use media::{MediaError, MediaStore, ObjectInfo, key};
use serde::Serialize;
use store::{NewEntry, Store, StoreError};
use thiserror::Error;

use crate::Tell;

/// Objects younger than this may belong to a step that is still running.
pub(crate) const YOUNG: Duration = Duration::from_hours(1);
/// Rows are looked at in pages of this size.
const PAGE: u32 = 500;
/// Objects or rows looked at at once.
const AT_ONCE: usize = 8;
/// At most so many of each are listed and acted upon in one pass; the next pass finds the rest.
const LISTED_MAX: usize = 10_000;

/// Why a sweep could not go on. What was done before stays done; a second pass does the rest.
#[derive(Debug, Error)]
pub enum SweepError {
    /// The database.
    #[error("the database")]
    Store(#[from] StoreError),
    /// The storage.
    #[error("the storage")]
    Storage(#[from] MediaError),
}

/// An object that no row knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Orphan {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Hours since it was written.
    pub age_hours: i64,
}

/// A stored row whose object is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The row.
    pub asset: AssetId,
    /// Its owner.
    pub account: AccountId,
    /// The job that made it; none for an upload.
    pub job: Option<JobId>,
    /// The object that should be there.
    pub object: String,
}

/// What a look at rows and objects found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// Objects that were looked at.
    pub objects: u64,
    /// Rows that were looked at.
    pub rows: u64,
    /// Objects with our form of name that no row knows, or whose row says that they were deleted.
    pub orphans: Vec<Orphan>,
    /// Objects with another form of name; never touched.
    pub foreign: Vec<String>,
    /// Rows without objects.
    pub missing: Vec<Missing>,
    /// Whether there are more than were listed.
    pub more: bool,
}

/// Looks at every object older than `older` and at every stored row.
///
/// # Errors
/// When the database or the storage fails.
pub async fn survey(
    store: &dyn Store,
    media: &MediaStore,
    (now, older): (Timestamp, Duration),
    tell: Tell<'_>,
) -> Result<Survey, SweepError> {
    let mut survey = Survey::default();
    survey_objects(store, media, (now, older), &mut survey, tell).await?;
    survey_rows(store, media, &mut survey, tell).await?;
    Ok(survey)
}

enum Seen {
    Known,
    Orphan(Orphan),
    Foreign(String),
}

pub(crate) async fn survey_objects(
    store: &dyn Store,
    media: &MediaStore,
    (now, older): (Timestamp, Duration),
    survey: &mut Survey,
    tell: Tell<'_>,
) -> Result<(), SweepError> {
    let looked = media
        .list(None)
        .map_err(SweepError::from)
        .map_ok(|object| look_at(store, object, now, older))
        .try_buffer_unordered(AT_ONCE);
    let mut looked = std::pin::pin!(looked);
    while let Some(seen) = looked.try_next().await? {
        survey.objects = survey.objects.saturating_add(1);
        tell(1);
        match seen {
            Seen::Known => {}
            Seen::Orphan(orphan) => add(&mut survey.orphans, orphan, &mut survey.more),
            Seen::Foreign(name) => add(&mut survey.foreign, name, &mut survey.more),
        }
    }
    Ok(())
}

fn add<T>(list: &mut Vec<T>, found: T, more: &mut bool) {
    if list.len() < LISTED_MAX {
        list.push(found);
    } else {
        *more = true;
    }
}

async fn look_at(
    store: &dyn Store,
    object: ObjectInfo,
    now: Timestamp,
    older: Duration,
) -> Result<Seen, SweepError> {
    let age = now.as_second().saturating_sub(seconds(object.modified));
    if age < i64::try_from(older.as_secs()).unwrap_or(i64::MAX) {
        return Ok(Seen::Known);
    }
    if has_row(store, &object.name).await? {
        return Ok(Seen::Known);
    }
    let ours = key::find_named(&object.name).is_some() || object.name.starts_with(key::PROBE_PREFIX);
    if !ours {
        return Ok(Seen::Foreign(object.name));
    }
    let age_hours = age.checked_div(3600).unwrap_or(0);
    Ok(Seen::Orphan(Orphan { name: object.name, bytes: object.bytes, age_hours }))
}

/// Whether a row wants this object to be there.
async fn has_row(store: &dyn Store, object: &str) -> Result<bool, StoreError> {
    let Some(named) = key::find_named(object) else {
        // An object of an old shop keeps its name when it is adopted.
        let adopted = store.find_asset_by_object(key::original(object)).await?;
        return Ok(adopted.is_some_and(|asset| asset.deleted_at.is_none()));
    };
    let row = store.find_asset(named.asset, Scope::All).await?;
    Ok(row.is_some_and(|asset| asset.deleted_at.is_none() && asset.account == named.account))
}

fn seconds(at: std::time::SystemTime) -> i64 {
    at.duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

async fn survey_rows(
    store: &dyn Store,
    media: &MediaStore,
    survey: &mut Survey,
    tell: Tell<'_>,
) -> Result<(), SweepError> {
    let mut after = None;
    loop {
        let page = store.list_stored_assets(Scope::All, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id);
        survey.rows = survey.rows.saturating_add(page.len() as u64);
        let looked = stream::iter(page).map(|asset| async move {
            let there = is_there(media, &asset.object).await?;
            tell(1);
            Ok::<_, SweepError>((!there).then_some(asset))
        });
        let mut looked = std::pin::pin!(looked.buffered(AT_ONCE));
        while let Some(missing) = looked.try_next().await? {
            if let Some(asset) = missing {
                add(&mut survey.missing, missing_row(asset), &mut survey.more);
            }
        }
    }
}

fn missing_row(asset: Asset) -> Missing {
    Missing { asset: asset.id, account: asset.account, job: asset.job, object: asset.object }
}

async fn is_there(media: &MediaStore, object: &str) -> Result<bool, MediaError> {
    match media.head(object).await {
        Ok(_) => Ok(true),
        Err(MediaError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Deletes objects that are still without a row; how many.
///
/// # Errors
/// When the database or the storage fails.
pub async fn delete_orphans(
    store: &dyn Store,
    media: &MediaStore,
    orphans: &[Orphan],
    tell: Tell<'_>,
) -> Result<u64, SweepError> {
    let mut deleted = 0_u64;
    for orphan in orphans {
        if !has_row(store, &orphan.name).await? {
            media.delete(&orphan.name).await?;
            deleted = deleted.saturating_add(1);
        }
        tell(1);
    }
    Ok(deleted)
}

/// Deletes what uploads left in a local folder when their process was killed; such a half is no object, so nobody can miss
/// it. How many.
///
/// # Errors
/// When the folder cannot be read or written.
pub async fn delete_torn(media: &MediaStore, (now, older): (Timestamp, Duration)) -> Result<u64, SweepError> {
    let before = now.saturating_sub(older).unwrap_or(Timestamp::MIN);
    Ok(media.remove_torn_uploads(before.into()).await?)
}

/// Marks rows as deleted whose objects are still not there; hash, transfers and history stay. How many.
///
/// # Errors
/// When the database or the storage fails.
pub async fn give_up_rows(
    store: &dyn Store,
    media: &MediaStore,
    missing: &[Missing],
    (reason, now): (&str, Timestamp),
    tell: Tell<'_>,
) -> Result<u64, SweepError> {
    let mut marked = 0_u64;
    for row in missing {
        if !is_there(media, &row.object).await? {
            store.assets_deleted(&[row.asset], now).await?;
            if let Some(job) = row.job {
                let detail = Some(format!("file {} is given up: {reason}", row.asset));
                let line = NewEntry { source: "operator", event: "job.decided", detail, fold: None };
                store.note(job, &[line], now).await?;
            }
            marked = marked.saturating_add(1);
        }
        tell(1);
    }
    Ok(marked)
}
