//! The audit: the books prove themselves; with `--media` the storage, too; with `--provider` KIE's balance is compared.

use domain::{Asset, AssetId, Scope, Timestamp};
use futures_util::{StreamExt, TryStreamExt, stream};
use lifecycle::Provider;
use media::{MediaError, MediaStore};
use serde::Serialize;
use store::{CreditReading, Store, StoreError};

use crate::credits::credits_text;
use crate::findings::{Finding, Findings};
use crate::sweep::{Seen, YOUNG, is_trial, look_at_objects};
use crate::{FilesError, Tell, untold};

/// What an audit found.
#[derive(Debug, Clone, Serialize)]
pub struct AuditReport {
    /// Broken invariants, the first thousand; none in good books.
    pub findings: Vec<Finding>,
    /// How many there are in all.
    pub found: u64,
    /// Stored objects that were compared with their rows, if that was asked for.
    pub objects_checked: Option<u64>,
    /// KIE's balance against our books, if that was asked for; a note, never a finding of the audit.
    pub provider: Option<ProviderNote>,
}

/// KIE's balance against our books.
#[derive(Debug, Clone, Serialize)]
pub struct ProviderNote {
    /// In a sentence.
    pub note: String,
    /// The comparison with the newest kept reading; none where the balance could not be read.
    pub reading: Option<CreditReading>,
}

/// Compares KIE's balance as it is now with the newest reading that was kept.
///
/// # Errors
/// When the database fails. A balance that cannot be read is a note.
pub async fn provider_note(
    store: &dyn Store,
    provider: &dyn Provider,
    now: Timestamp,
) -> Result<ProviderNote, StoreError> {
    match lifecycle::compare_balance(store, provider, now).await {
        Ok(reading) => {
            let balance = reading.balance;
            let note = match reading.drift_micro {
                None if reading.number == 1 => {
                    format!(
                        "KIE's balance is {balance} credits; no worker has kept a reading to compare with yet"
                    )
                }
                None => {
                    format!("KIE's balance is {balance} credits; it was topped up since the last reading")
                }
                Some(drift) => format!(
                    "KIE's balance is {balance} credits; since the last reading {} credits left it beyond what our jobs \
                     consumed, {} are tolerated",
                    credits_text(drift),
                    credits_text(reading.tolerance_micro)
                ),
            };
            Ok(ProviderNote { note, reading: Some(reading) })
        }
        Err(lifecycle::CompareError::Store(error)) => Err(error),
        Err(lifecycle::CompareError::Provider(error)) => {
            Ok(ProviderNote { note: format!("KIE's balance: {error}"), reading: None })
        }
    }
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
/// Objects compared at once.
const AT_ONCE: usize = 8;

/// Checks I1, I2, I4, I5 in one snapshot of the books, and I6 against the storage if asked.
///
/// # Errors
/// When the database fails, or the storage in any other way than by lacking an object.
pub async fn audit(
    store: &dyn Store,
    media: Option<(&MediaStore, MediaAudit)>,
    now: Timestamp,
) -> Result<AuditReport, FilesError> {
    audit_telling(store, media, now, untold()).await
}

/// The same; `tell` is told of every object that was looked at.
///
/// # Errors
/// As [`audit`].
pub async fn audit_telling(
    store: &dyn Store,
    media: Option<(&MediaStore, MediaAudit)>,
    now: Timestamp,
    tell: Tell<'_>,
) -> Result<AuditReport, FilesError> {
    let mut findings = Findings::of_books(store.audit(now).await?);
    let mut objects_checked = None;
    if let Some((media, depth)) = media {
        objects_checked = Some(rows_have_objects(store, media, depth, &mut findings, tell).await?);
        objects_have_rows(store, media, now, &mut findings, tell).await?;
        findings.settle(store).await?;
    }
    let Findings { listed, found } = findings;
    Ok(AuditReport { findings: listed, found, objects_checked, provider: None })
}

async fn rows_have_objects(
    store: &dyn Store,
    media: &MediaStore,
    depth: MediaAudit,
    findings: &mut Findings,
    tell: Tell<'_>,
) -> Result<u64, FilesError> {
    let (mut after, mut checked): (Option<AssetId>, u64) = (None, 0);
    loop {
        let page = store.list_stored_assets(Scope::All, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(checked) };
        after = Some(last.id);
        checked = checked.saturating_add(page.len() as u64);
        compare_all(media, &page, depth, findings, tell).await?;
    }
}

/// Adds what is wrong with the objects of these rows, a few at a time.
pub(crate) async fn compare_all(
    media: &MediaStore,
    assets: &[Asset],
    depth: MediaAudit,
    findings: &mut Findings,
    tell: Tell<'_>,
) -> Result<(), MediaError> {
    let compared = stream::iter(assets).map(|asset| async move {
        let detail = compare(media, asset, depth).await?;
        tell(1);
        Ok::<_, MediaError>((asset, detail))
    });
    let mut compared = std::pin::pin!(compared.buffer_unordered(AT_ONCE));
    while let Some((asset, detail)) = compared.try_next().await? {
        if let Some(detail) = detail {
            findings.add_row(asset, detail);
        }
    }
    Ok(())
}

/// What is wrong with the object of a row, if anything. A storage that does not answer says nothing about objects.
async fn compare(media: &MediaStore, asset: &Asset, depth: MediaAudit) -> Result<Option<String>, MediaError> {
    let recorded = asset.bytes.unwrap_or(0);
    let seen = match depth {
        MediaAudit::Length => media.head(&asset.object).await.map(|info| (info.bytes, None)),
        MediaAudit::Hash => media.digest(&asset.object).await.map(|(bytes, hash)| (bytes, Some(hash))),
    };
    let (bytes, hash) = match seen {
        Ok(seen) => seen,
        Err(MediaError::NotFound { .. }) => return Ok(Some("the object is not there".to_owned())),
        Err(error) => return Err(error),
    };
    if bytes != recorded {
        return Ok(Some(format!("the object has {bytes} bytes, the row says {recorded}")));
    }
    let is_other = hash.is_some() && hash != asset.sha256;
    Ok(is_other.then(|| "the object's hash is not the recorded one".to_owned()))
}

async fn objects_have_rows(
    store: &dyn Store,
    media: &MediaStore,
    now: Timestamp,
    findings: &mut Findings,
    tell: Tell<'_>,
) -> Result<(), FilesError> {
    let found = |seen| match seen {
        // What a process that was killed in the middle of its trial of the storage left behind belongs to no row.
        Seen::Stray(stray) if !is_trial(&stray.name) => findings.add_object(stray.name, "no row knows it"),
        Seen::Known | Seen::Stray(_) => {}
        Seen::Foreign(foreign) => findings.add_object(foreign.name, foreign.why.words()),
    };
    look_at_objects(store, media, (now, YOUNG), found, tell).await
}
