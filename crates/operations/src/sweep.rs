//! Sweeping: objects without rows, rows without objects. Looking and acting are apart.

use std::time::Duration;

use domain::{AccountId, Asset, AssetId, JobId, Scope, Timestamp};
use futures_util::{StreamExt, TryStreamExt, stream};
use media::{MediaError, MediaStore, ObjectInfo, key};
use serde::Serialize;
use store::{Store, StoreError};
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

/// Why rows and objects could not be compared, or are not acted upon. What was done before stays done; a second pass does
/// the rest.
#[derive(Debug, Error)]
pub enum FilesError {
    /// The database.
    #[error("the database")]
    Store(#[from] StoreError),
    /// The storage.
    #[error("the storage")]
    Storage(#[from] MediaError),
    /// Rows and objects seem to be those of different shops.
    #[error(
        "only {there} of {rows} stored files are in {place}, so nothing is swept: is MEDIA_URL right, and DATABASE_URL?"
    )]
    Apart {
        /// Rows that were looked at.
        rows: u64,
        /// Of them, those whose object is there.
        there: u64,
        /// Where objects were looked for.
        place: String,
    },
}

/// An object that no row knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stray {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Hours since it was written.
    pub age_hours: i64,
    /// The same in minutes.
    pub age_minutes: i64,
}

/// Why an object is not ours to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyForeign {
    /// Its name is not of our form.
    Name,
    /// It is named for an account that this database does not have. Accounts are never deleted, so it is another shop's,
    /// or its account was opened after the backup that was restored.
    Account,
}

impl WhyForeign {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Name => "no row knows it, and its name is not of our form",
            Self::Account => "no row knows it, and this database does not have the account in its name",
        }
    }
}

/// An object that is never touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Foreign {
    /// Its name.
    pub name: String,
    /// Why it is left alone.
    pub why: WhyForeign,
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
    /// The object of its thumbnail, which may be there.
    pub thumbnail: Option<String>,
}

/// What a look at rows and objects found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// Objects that were looked at.
    pub objects: u64,
    /// Rows that were looked at.
    pub rows: u64,
    /// Of them, those whose object is there.
    pub there: u64,
    /// Objects of our accounts that no row knows, or whose row says that they were deleted.
    pub strays: Vec<Stray>,
    /// Objects that are not ours; never touched.
    pub foreign: Vec<Foreign>,
    /// Rows without objects.
    pub missing: Vec<Missing>,
    /// How many more there are than are listed.
    pub more: u64,
}

impl Survey {
    /// Refuses to go on when fewer than half of the rows have their object in `media`: then it is more likely that rows
    /// and objects are those of different shops than that so many were lost.
    pub fn require_kinship(&self, media: &MediaStore) -> Result<(), FilesError> {
        let (rows, there) = (self.rows, self.there);
        if there < rows.div_ceil(2) {
            return Err(FilesError::Apart { rows, there, place: media.describe() });
        }
        Ok(())
    }

    fn list<T>(list: &mut Vec<T>, found: T, more: &mut u64) {
        if list.len() < LISTED_MAX {
            list.push(found);
        } else {
            *more = more.saturating_add(1);
        }
    }
}

/// Looks at every object older than `older` and at every stored row.
///
/// # Errors
/// When the database or the storage fails.
pub async fn survey(
    store: &dyn Store,
    media: &MediaStore,
    times: (Timestamp, Duration),
    tell: Tell<'_>,
) -> Result<Survey, FilesError> {
    let mut survey = Survey::default();
    let found = |seen| {
        survey.objects = survey.objects.saturating_add(1);
        match seen {
            Seen::Known => {}
            Seen::Stray(stray) => Survey::list(&mut survey.strays, stray, &mut survey.more),
            Seen::Foreign(foreign) => Survey::list(&mut survey.foreign, foreign, &mut survey.more),
        }
    };
    look_at_objects(store, media, times, found, tell).await?;
    look_at_rows(store, media, &mut survey, tell).await?;
    Ok(survey)
}

/// What an object turned out to be.
pub(crate) enum Seen {
    /// A row wants it, or it is too young to tell.
    Known,
    Stray(Stray),
    Foreign(Foreign),
}

/// Looks at every object; `found` hears of each.
pub(crate) async fn look_at_objects(
    store: &dyn Store,
    media: &MediaStore,
    (now, older): (Timestamp, Duration),
    mut found: impl FnMut(Seen),
    tell: Tell<'_>,
) -> Result<(), FilesError> {
    let looked = media
        .list(None)
        .map_err(FilesError::from)
        .map_ok(|object| look_at(store, media, object, (now, older)))
        .try_buffer_unordered(AT_ONCE);
    let mut looked = std::pin::pin!(looked);
    while let Some(seen) = looked.try_next().await? {
        found(seen);
        tell(1);
    }
    Ok(())
}

async fn look_at(
    store: &dyn Store,
    media: &MediaStore,
    object: ObjectInfo,
    (now, older): (Timestamp, Duration),
) -> Result<Seen, FilesError> {
    let age = now.as_second().saturating_sub(seconds(object.modified));
    if age < i64::try_from(older.as_secs()).unwrap_or(i64::MAX) {
        return Ok(Seen::Known);
    }
    let cleared_before = now.saturating_sub(older).unwrap_or(Timestamp::MIN);
    if is_wanted(store, &object.name, cleared_before).await? {
        return Ok(Seen::Known);
    }
    let why = match key::find_named(&object.name) {
        Some(named) => store.find_account(named.account).await?.is_none().then_some(WhyForeign::Account),
        None => (!is_trial(&object.name)).then_some(WhyForeign::Name),
    };
    if let Some(why) = why {
        return Ok(Seen::Foreign(Foreign { name: object.name, why }));
    }
    // It may have been deleted since it was listed.
    if !is_there(media, &object.name).await? {
        return Ok(Seen::Known);
    }
    let (age_hours, age_minutes) = (age.checked_div(3600).unwrap_or(0), age.checked_div(60).unwrap_or(0));
    Ok(Seen::Stray(Stray { name: object.name, bytes: object.bytes, age_hours, age_minutes }))
}

/// Whether this object was written to try the storage.
pub(crate) fn is_trial(object: &str) -> bool {
    object.strip_prefix(key::PROBE_PREFIX).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether a row wants this object to be there, or housekeeping has marked it a moment ago and is about to delete it.
async fn is_wanted(store: &dyn Store, object: &str, cleared_before: Timestamp) -> Result<bool, StoreError> {
    let wants = |asset: &Asset| asset.deleted_at.is_none_or(|deleted| deleted > cleared_before);
    if let Some(named) = key::find_named(object)
        && let Some(asset) = store.find_asset(named.asset, Scope::All).await?
    {
        return Ok(wants(&asset) && asset.account == named.account);
    }
    // An object of an old shop keeps its name, of whatever form, when it is adopted.
    let adopted = store.find_asset_by_object(key::original(object)).await?;
    Ok(adopted.is_some_and(|asset| wants(&asset)))
}

fn seconds(at: std::time::SystemTime) -> i64 {
    at.duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

async fn look_at_rows(
    store: &dyn Store,
    media: &MediaStore,
    survey: &mut Survey,
    tell: Tell<'_>,
) -> Result<(), FilesError> {
    let mut after = None;
    loop {
        let page = store.list_stored_assets(Scope::All, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id);
        survey.rows = survey.rows.saturating_add(page.len() as u64);
        let looked = stream::iter(page).map(|asset| async move {
            let there = is_there(media, &asset.object).await?;
            tell(1);
            Ok::<_, FilesError>((!there).then_some(asset))
        });
        let mut looked = std::pin::pin!(looked.buffered(AT_ONCE));
        while let Some(missing) = looked.try_next().await? {
            match missing {
                Some(asset) => Survey::list(&mut survey.missing, missing_row(asset), &mut survey.more),
                None => survey.there = survey.there.saturating_add(1),
            }
        }
    }
}

fn missing_row(asset: Asset) -> Missing {
    let Asset { id, account, job, object, thumbnail, .. } = asset;
    Missing { asset: id, account, job, object, thumbnail }
}

pub(crate) async fn is_there(media: &MediaStore, object: &str) -> Result<bool, MediaError> {
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
pub async fn delete_strays(
    store: &dyn Store,
    media: &MediaStore,
    strays: &[Stray],
    (now, older): (Timestamp, Duration),
    tell: Tell<'_>,
) -> Result<u64, FilesError> {
    let cleared_before = now.saturating_sub(older).unwrap_or(Timestamp::MIN);
    let mut deleted = 0_u64;
    for stray in strays {
        if !is_wanted(store, &stray.name, cleared_before).await? {
            media.delete(&stray.name).await?;
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
pub async fn delete_torn(media: &MediaStore, (now, older): (Timestamp, Duration)) -> Result<u64, FilesError> {
    let before = now.saturating_sub(older).unwrap_or(Timestamp::MIN);
    Ok(media.remove_torn_uploads(before.into()).await?)
}
