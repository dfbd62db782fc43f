//! Exporting: an account's library as a zip with its files and a manifest, in bounded memory.

mod manifest;
mod zip;

use std::path::Path;

use anyhow::{Context, ensure};
use domain::{
    Account, AccountId, Asset, AssetId, AssetRole, AssetState, Currency, Delivery, Job, JobId, Scope,
    Timestamp, Transfer,
};
use futures_util::TryStreamExt;
use media::MediaStore;
use serde::Serialize;
use sha2::{Digest, Sha256};
use store::{JobFilter, Store, TransferFilter};

use self::manifest::{FileEntry, JobEntry};
use self::zip::ZipFile;
use crate::Tell;

/// Jobs are read in pages of this size.
const JOBS: u32 = 100;
/// Other rows are read in pages of this size.
const PAGE: u32 = 500;
/// At most so many files that could not be had are listed.
const MISSING_MAX: usize = 1000;

/// What an export holds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ExportReport {
    /// Jobs in the manifest.
    pub jobs: u64,
    /// Files in the archive.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Files whose bytes could not be had, and why; the first thousand.
    pub missing: Vec<(AssetId, String)>,
    /// Jobs whose rows cannot be read, and that are not in the manifest; the first thousand.
    pub unreadable: Vec<JobId>,
}

/// Writes everything that an account ordered, uploaded and paid to the new file `out`; files under `files/` and
/// `uploads/`, and `manifest.json`. Nothing is at `out` until all of it is.
///
/// # Errors
/// When there is no such account, `out` is there already or cannot be written, or the database fails. A file that cannot
/// be had is in the report and has no name in the manifest; a job that cannot be read is in the report alone.
pub async fn export(
    store: &dyn Store,
    media: &MediaStore,
    account: AccountId,
    (out, now): (&Path, Timestamp),
    tell: Tell<'_>,
) -> anyhow::Result<ExportReport> {
    let owner =
        store.find_account(account).await?.with_context(|| format!("there is no account {account}"))?;
    let currency: Currency = store
        .currency()
        .await?
        .context("the shop was never opened, so there is nothing to export")?
        .parse()?;
    ensure!(!out.exists(), "{} is there already", out.display());
    let zip = ZipFile::create(out)?;
    let mut export = Export { store, media, zip, currency, report: ExportReport::default(), tell };
    export.all(&owner, now).await?;
    export.report.unreadable = store.unreadable_jobs_of(account).await?;
    let Export { zip, report, .. } = export;
    zip.finish(out).await?;
    Ok(report)
}

struct Export<'a> {
    store: &'a dyn Store,
    media: &'a MediaStore,
    zip: ZipFile,
    currency: Currency,
    report: ExportReport,
    tell: Tell<'a>,
}

impl Export<'_> {
    async fn all(&mut self, owner: &Account, now: Timestamp) -> anyhow::Result<()> {
        self.zip.manifest(manifest::head(owner, &self.currency, now)?).await?;
        self.jobs(owner.id).await?;
        self.zip.manifest("],\"uploads\":[".to_owned()).await?;
        self.uploads(owner.id).await?;
        self.zip.manifest("],\"transfers\":[".to_owned()).await?;
        self.transfers(owner.id).await?;
        self.zip.manifest("]}\n".to_owned()).await
    }

    async fn jobs(&mut self, account: AccountId) -> anyhow::Result<()> {
        let (mut before, mut first) = (None, true);
        loop {
            let filter = JobFilter {
                account: Some(account),
                with_hidden: true,
                before,
                limit: JOBS,
                ..JobFilter::default()
            };
            let page = self.store.list_jobs(&filter).await?;
            let Some(last) = page.last() else { return Ok(()) };
            before = Some(last.id);
            let ids: Vec<_> = page.iter().map(|job| job.id).collect();
            let assets = self.store.assets_of(&ids).await?;
            let deliveries = self.store.deliveries_of(&ids).await?;
            let transfers = self.store.transfers_of(&ids).await?;
            for job in &page {
                let own = assets.iter().filter(|asset| asset.job == Some(job.id));
                let told: Vec<_> = deliveries.iter().filter(|one| one.job == job.id).cloned().collect();
                let moved: Vec<_> = transfers.iter().filter(|one| one.job == Some(job.id)).cloned().collect();
                let entry = self.job(job, own, (&moved, &told)).await?;
                self.item(&entry, &mut first).await?;
                self.report.jobs = self.report.jobs.saturating_add(1);
            }
        }
    }

    async fn job<'a>(
        &mut self,
        job: &Job,
        assets: impl Iterator<Item = &'a Asset>,
        (transfers, deliveries): (&[Transfer], &[Delivery]),
    ) -> anyhow::Result<JobEntry> {
        let mut outputs = Vec::new();
        for asset in assets {
            let name = format!("files/{}/{}-{}", job.id, asset.role, asset.index.saturating_add(1));
            outputs.push(self.file(asset, &name).await?);
        }
        let receipt = ledger::job_receipt(job, transfers, deliveries, &self.currency);
        Ok(JobEntry::new(job, outputs, receipt))
    }

    async fn uploads(&mut self, account: AccountId) -> anyhow::Result<()> {
        let (mut after, mut first) = (None, true);
        loop {
            let page = self.store.list_stored_assets(Scope::Account(account), after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for asset in page.iter().filter(|asset| asset.role == AssetRole::Upload) {
                let entry = self.file(asset, &format!("uploads/{}", asset.id)).await?;
                self.item(&entry, &mut first).await?;
            }
        }
    }

    /// Movements that belong to no job: top-ups, corrections.
    async fn transfers(&mut self, account: AccountId) -> anyhow::Result<()> {
        let (mut before, mut first) = (None, true);
        loop {
            let filter =
                TransferFilter { account: Some(account), before, limit: PAGE, ..TransferFilter::default() };
            let page = self.store.list_transfers(&filter).await?;
            let Some(last) = page.last() else { return Ok(()) };
            before = Some(last.id);
            for transfer in page.iter().filter(|transfer| transfer.job.is_none()) {
                let receipt = ledger::transfer_receipt(transfer, &self.currency);
                self.item(&receipt, &mut first).await?;
            }
        }
    }

    async fn item<T: Serialize + Sync>(&mut self, item: &T, first: &mut bool) -> anyhow::Result<()> {
        let comma = if std::mem::take(first) { "\n" } else { ",\n" };
        self.zip.manifest(format!("{comma}{}", serde_json::to_string(item)?)).await
    }

    /// The entry of a file, with its name in the archive if its bytes are there.
    async fn file(&mut self, asset: &Asset, stem: &str) -> anyhow::Result<FileEntry> {
        if asset.state != AssetState::Stored || asset.deleted_at.is_some() {
            return Ok(FileEntry::new(asset, None));
        }
        let extension = asset.content_type.as_deref().map_or("bin", media::extension_of);
        let name = format!("{stem}.{extension}");
        self.zip.begin(name.clone()).await?;
        (self.tell)(1);
        match self.copy(asset).await? {
            Ok(bytes) => {
                self.report.files = self.report.files.saturating_add(1);
                self.report.bytes = self.report.bytes.saturating_add(bytes);
                Ok(FileEntry::new(asset, Some(name)))
            }
            Err(words) => {
                self.zip.abort().await?;
                if self.report.missing.len() < MISSING_MAX {
                    self.report.missing.push((asset.id, words));
                }
                Ok(FileEntry::new(asset, None))
            }
        }
    }

    /// The bytes of a file that were copied, or why they could not be had; the outer error is the archive's.
    async fn copy(&mut self, asset: &Asset) -> anyhow::Result<Result<u64, String>> {
        let mut object = match self.media.get(&asset.object, None).await {
            Ok(object) => object,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let (mut bytes, mut hash) = (0_u64, Sha256::new());
        loop {
            match object.stream.try_next().await {
                Ok(Some(piece)) => {
                    bytes = bytes.saturating_add(piece.len() as u64);
                    hash.update(&piece);
                    self.zip.bytes(piece).await?;
                }
                Ok(None) => break,
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        let hash: [u8; 32] = hash.finalize().into();
        if Some(hash) == asset.sha256 {
            return Ok(Ok(bytes));
        }
        Ok(Err("the object's hash is not the recorded one".to_owned()))
    }
}
