//! The manifest of an export: what was ordered, what came of it, what it cost.

use domain::{
    Account, Asset, AssetId, AssetRole, AssetState, Currency, Job, JobId, JobState, MediaKind, Timestamp,
};
use ledger::Receipt;
use serde::Serialize;
use serde_json::{Value, json};

/// The manifest up to the list of jobs.
pub(super) fn head(owner: &Account, currency: &Currency, now: Timestamp) -> serde_json::Result<String> {
    let account = json!({
        "id": owner.id, "external_id": owner.external_id, "name": owner.name,
        "available": owner.available, "held": owner.held, "created_at": owner.created_at,
    });
    let head = json!({ "account": account, "currency": currency.code(), "exported_at": now });
    let mut text = serde_json::to_string(&head)?;
    // The object goes on with its lists.
    text.pop();
    text.push_str(",\"jobs\":[");
    Ok(text)
}

/// A file.
#[derive(Debug, Serialize)]
pub(super) struct FileEntry {
    asset: AssetId,
    role: AssetRole,
    index: u16,
    kind: MediaKind,
    state: AssetState,
    content_type: Option<String>,
    bytes: Option<u64>,
    sha256: Option<String>,
    deleted_at: Option<Timestamp>,
    /// Its name in the archive; none where the bytes are not there.
    file: Option<String>,
}

impl FileEntry {
    pub(super) fn new(asset: &Asset, file: Option<String>) -> Self {
        Self {
            asset: asset.id,
            role: asset.role,
            index: asset.index,
            kind: asset.kind,
            state: asset.state,
            content_type: asset.content_type.clone(),
            bytes: asset.bytes,
            sha256: asset.sha256.map(hex::encode),
            deleted_at: asset.deleted_at,
            file,
        }
    }
}

/// A job with its files and its receipt.
#[derive(Debug, Serialize)]
pub(super) struct JobEntry {
    id: JobId,
    model: String,
    kind: MediaKind,
    state: JobState,
    prompt: Option<String>,
    input: Value,
    created_at: Timestamp,
    favourite: bool,
    hidden: bool,
    outputs: Vec<FileEntry>,
    receipt: Receipt,
}

impl JobEntry {
    pub(super) fn new(job: &Job, outputs: Vec<FileEntry>, receipt: Receipt) -> Self {
        Self {
            id: job.id,
            model: job.model.clone(),
            kind: job.kind,
            state: job.state,
            prompt: job.prompt.clone(),
            input: job.input.clone(),
            created_at: job.created_at,
            favourite: job.favourite,
            hidden: job.hidden_at.is_some(),
            outputs,
            receipt,
        }
    }
}
