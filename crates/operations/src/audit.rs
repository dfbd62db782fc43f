//! The audit: the books prove themselves; with `--media` the storage, too.

use std::time::Duration;

use domain::{Asset, AssetId, Timestamp};
use futures_util::{StreamExt, stream};
use media::MediaStore;
use serde::Serialize;
use store::{AuditFinding, Store, StoreError};

/// What an audit found.
#[derive(Debug, Clone, Serialize)]
pub struct AuditReport {
    /// Broken invariants; none in good books.
    pub findings: Vec<AuditFinding>,
    /// Stored objects that were compared with their rows, if that was asked for.
    pub objects_checked: Option<u64>,
}

/// How the storage is compared with the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaAudit {
    /// Every object is there with the recorded length.
    Length,
    /// Every object is read and its hash compared.
    Hash,
}

/// Rows and objects are looked at in pages of this size.
const PAGE: u32 = 500;
/// Objects younger than this may belong to a step that is still running.
const YOUNG: Duration = Duration::from_hours(1);

/// Checks I1, I2, I4, I5 in one snapshot of the books, and I6 against the storage if asked.
///
/// # Errors
/// When the database fails. Trouble of the storage is a finding.
pub async fn audit(
    store: &dyn Store,
    media: Option<(&MediaStore, MediaAudit)>,
    now: Timestamp,
) -> Result<AuditReport, StoreError> {
    let mut findings = store.audit(now).await?;
    let mut objects_checked = None;
    if let Some((media, depth)) = media {
        objects_checked = Some(rows_have_objects(store, media, depth, &mut findings).await?);
        objects_have_rows(store, media, now, &mut findings).await?;
    }
    Ok(AuditReport { findings, objects_checked })
}

fn finding(noun: &'static str, id: String, detail: String) -> AuditFinding {
    AuditFinding { invariant: "I6", noun, id, detail }
}

async fn rows_have_objects(
    store: &dyn Store,
    media: &MediaStore,
    depth: MediaAudit,
    findings: &mut Vec<AuditFinding>,
) -> Result<u64, StoreError> {
    let (mut after, mut checked): (Option<AssetId>, u64) = (None, 0);
    loop {
        let page = store.list_stored_assets(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(checked) };
        after = Some(last.id);
        checked = checked.saturating_add(page.len() as u64);
        let compared = stream::iter(&page)
            .map(|asset| async move { compare(media, asset, depth).await.map(|detail| (asset.id, detail)) })
            .buffer_unordered(8)
            .filter_map(std::future::ready);
        let mut compared = std::pin::pin!(compared);
        while let Some((id, detail)) = compared.next().await {
            findings.push(finding("asset", id.to_string(), detail));
        }
    }
}

/// What is wrong with the object of a row, if anything.
async fn compare(media: &MediaStore, asset: &Asset, depth: MediaAudit) -> Option<String> {
    let recorded = asset.bytes.unwrap_or(0);
    let (bytes, hash) = match depth {
        MediaAudit::Length => match media.head(&asset.object).await {
            Ok(info) => (info.bytes, None),
            Err(error) => return Some(format!("the object cannot be seen: {error}")),
        },
        MediaAudit::Hash => match media.digest(&asset.object).await {
            Ok((bytes, hash)) => (bytes, Some(hash)),
            Err(error) => return Some(format!("the object cannot be read: {error}")),
        },
    };
    if bytes != recorded {
        return Some(format!("the object has {bytes} bytes, the row says {recorded}"));
    }
    (hash.is_some() && hash != asset.sha256).then(|| "the object's hash is not the recorded one".to_owned())
}

async fn objects_have_rows(
    store: &dyn Store,
    media: &MediaStore,
    now: Timestamp,
    findings: &mut Vec<AuditFinding>,
) -> Result<(), StoreError> {
    let mut objects = media.list(None);
    while let Some(object) = objects.next().await {
        let object = match object {
            Ok(object) => object,
            Err(error) => {
                findings.push(finding("storage", "-".to_owned(), format!("it cannot be listed: {error}")));
                return Ok(());
            }
        };
        let age = now.as_second().saturating_sub(seconds(object.modified));
        if age < i64::try_from(YOUNG.as_secs()).unwrap_or(i64::MAX) {
            continue;
        }
        // What a process that was killed in the middle of its trial of the storage left behind belongs to no row.
        if object.name.split('/').next() == Some(media::key::PROBE_PREFIX) {
            continue;
        }
        let row = match media::key::find_named(&object.name) {
            Some(named) => store.find_asset(named.asset, domain::Scope::All).await?,
            None => None,
        };
        if row.is_none() {
            findings.push(finding("object", object.name, "no row knows it".to_owned()));
        }
    }
    Ok(())
}

fn seconds(at: std::time::SystemTime) -> i64 {
    at.duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
