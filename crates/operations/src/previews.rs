//! Backfilling previews: thumbnails of stored images that have none.

use domain::{Asset, AssetId, AssetRole, MediaKind, Scope};
use ledger::Ids;
use media::{MediaError, MediaStore, Thumbnailer, key};
use serde::Serialize;
use store::{Store, StoreError};

use crate::Tell;

/// Rows are looked at in pages of this size.
const PAGE: u32 = 500;
/// At most so many failures are listed.
const FAILED_MAX: usize = 1000;

/// What a backfill found and made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BackfillReport {
    /// Stored image outputs.
    pub images: u64,
    /// Of them, those without a thumbnail.
    pub without: u64,
    /// Thumbnails that were made.
    pub made: u64,
    /// Images of which none can be made, and why; the first thousand.
    pub failed: Vec<(AssetId, String)>,
}

/// Makes the thumbnails that are missing, one after the other; with `act` false it only counts them.
///
/// # Errors
/// When the database fails. An image of which none can be made is in the report.
pub async fn backfill_previews(
    store: &dyn Store,
    media: &MediaStore,
    thumbnailer: &Thumbnailer,
    (ids, act): (&Ids, bool),
    tell: Tell<'_>,
) -> Result<BackfillReport, StoreError> {
    let mut report = BackfillReport::default();
    let mut after = None;
    loop {
        let page = store.list_stored_assets(Scope::All, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(report) };
        after = Some(last.id);
        for asset in page.iter().filter(|asset| is_image_output(asset)) {
            tell(1);
            report.images = report.images.saturating_add(1);
            if has_thumbnail(media, asset).await {
                continue;
            }
            report.without = report.without.saturating_add(1);
            if act {
                let made = make(store, media, thumbnailer, asset, ids).await?;
                report.add(asset.id, made);
            }
        }
    }
}

impl BackfillReport {
    fn add(&mut self, asset: AssetId, made: Result<(), String>) {
        match made {
            Ok(()) => self.made = self.made.saturating_add(1),
            Err(words) if self.failed.len() < FAILED_MAX => self.failed.push((asset, words)),
            Err(_) => {}
        }
    }
}

fn is_image_output(asset: &Asset) -> bool {
    asset.role == AssetRole::Output && asset.kind == MediaKind::Image
}

/// A row may name a thumbnail that is gone; it is made anew under the same name.
async fn has_thumbnail(media: &MediaStore, asset: &Asset) -> bool {
    let Some(name) = &asset.thumbnail else { return false };
    !matches!(media.head(name).await, Err(MediaError::NotFound { .. }))
}

async fn make(
    store: &dyn Store,
    media: &MediaStore,
    thumbnailer: &Thumbnailer,
    asset: &Asset,
    ids: &Ids,
) -> Result<Result<(), String>, StoreError> {
    let name = key::thumbnail(&asset.object);
    if let Err(error) = thumbnailer.keep(media, &asset.object, &name).await {
        return Ok(Err(error.to_string()));
    }
    store.set_thumbnail(asset.id, &name, ids.now()).await?;
    Ok(Ok(()))
}
