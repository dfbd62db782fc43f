//! The audit: the books prove themselves; with `--media` the storage, too; with `--provider` KIE's balance is compared.

use domain::{Asset, AssetId, Scope, Timestamp};
use futures_util::{StreamExt, stream};
use lifecycle::Provider;
use media::MediaStore;
use serde::Serialize;
use store::{AuditFinding, CreditReading, Store, StoreError};

use crate::credits::credits_text;
use crate::sweep::{Survey, YOUNG, survey_objects};
use crate::{Tell, untold};

/// What an audit found.
#[derive(Debug, Clone, Serialize)]
pub struct AuditReport {
    /// Broken invariants; none in good books.
    pub findings: Vec<AuditFinding>,
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
/// Checks I1, I2, I4, I5 in one snapshot of the books, and I6 against the storage if asked.
///
/// # Errors
/// When the database fails. Trouble of the storage is a finding.
pub async fn audit(
    store: &dyn Store,
    media: Option<(&MediaStore, MediaAudit)>,
    now: Timestamp,
) -> Result<AuditReport, StoreError> {
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
) -> Result<AuditReport, StoreError> {
    let mut findings = store.audit(now).await?;
    let mut objects_checked = None;
    if let Some((media, depth)) = media {
        objects_checked = Some(rows_have_objects(store, media, depth, &mut findings, tell).await?);
        objects_have_rows(store, media, now, &mut findings, tell).await?;
    }
    Ok(AuditReport { findings, objects_checked, provider: None })
}

pub(crate) fn finding(noun: &'static str, id: String, detail: String) -> AuditFinding {
    AuditFinding { invariant: "I6", noun, id, detail }
}

async fn rows_have_objects(
    store: &dyn Store,
    media: &MediaStore,
    depth: MediaAudit,
    findings: &mut Vec<AuditFinding>,
    tell: Tell<'_>,
) -> Result<u64, StoreError> {
    let (mut after, mut checked): (Option<AssetId>, u64) = (None, 0);
    loop {
        let page = store.list_stored_assets(Scope::All, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(checked) };
        after = Some(last.id);
        checked = checked.saturating_add(page.len() as u64);
        findings.extend(compare_all(media, &page, depth, tell).await);
    }
}

/// What is wrong with the objects of these rows, a few at a time.
pub(crate) async fn compare_all(
    media: &MediaStore,
    assets: &[Asset],
    depth: MediaAudit,
    tell: Tell<'_>,
) -> Vec<AuditFinding> {
    let compared = stream::iter(assets)
        .map(|asset| async move {
            let detail = compare(media, asset, depth).await;
            tell(1);
            detail.map(|detail| finding("asset", asset.id.to_string(), detail))
        })
        .buffer_unordered(8)
        .filter_map(std::future::ready);
    compared.collect().await
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
    tell: Tell<'_>,
) -> Result<(), StoreError> {
    let mut survey = Survey::default();
    match survey_objects(store, media, (now, YOUNG), &mut survey, tell).await {
        Ok(()) => {}
        Err(crate::SweepError::Store(error)) => return Err(error),
        Err(crate::SweepError::Storage(error)) => {
            findings.push(finding("storage", "-".to_owned(), format!("it cannot be listed: {error}")));
        }
    }
    let unknown = survey.orphans.into_iter().map(|object| object.name).chain(survey.foreign);
    // What a process that was killed in the middle of its trial of the storage left behind belongs to no row.
    let unknown = unknown.filter(|name| !name.starts_with(media::key::PROBE_PREFIX));
    findings.extend(unknown.map(|name| finding("object", name, "no row knows it".to_owned())));
    Ok(())
}
