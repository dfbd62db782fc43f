//! Assets: rows of files; each is written before its object.

use async_trait::async_trait;
use domain::{AccountId, Asset, AssetId, AssetRole, JobId, MediaKind, Scope, Timestamp};

use crate::StoreError;

/// A file that is to become ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAsset {
    /// Its id.
    pub id: AssetId,
    /// Its owner.
    pub account: AccountId,
    /// The job that made it.
    pub job: Option<JobId>,
    /// Place among the job's assets of the same role.
    pub index: u16,
    /// Why it is kept.
    pub role: AssetRole,
    /// What it is.
    pub kind: MediaKind,
    /// Where the provider has it.
    pub source_url: Option<String>,
    /// Name of its object.
    pub object: String,
}

/// What is known of a file once its bytes are in our storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// What it turned out to be, where that was not known before; none leaves what the row says.
    pub kind: Option<MediaKind>,
    /// Type by content.
    pub content_type: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Hash of the bytes.
    pub sha256: [u8; 32],
    /// Width in pixels, where known.
    pub width: Option<u32>,
    /// Height in pixels, where known.
    pub height: Option<u32>,
    /// Length in milliseconds, where known.
    pub duration_ms: Option<u64>,
    /// Object of the thumbnail, where one was made.
    pub thumbnail: Option<String>,
}

/// A fresh copy of an upload at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderCopy {
    /// The provider's address of it.
    pub url: String,
    /// Until when it may be used.
    pub until: Timestamp,
}

/// A file whose row is marked as deleted and whose bytes are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgedAsset {
    /// The row, which stays.
    pub id: AssetId,
    /// Its object.
    pub object: String,
    /// The object of its thumbnail.
    pub thumbnail: Option<String>,
}

/// Assets.
#[async_trait]
pub trait AssetStore: Send + Sync {
    /// Writes the `pending` row of an upload. [`StoreError::NotFound`] if the account does not exist.
    async fn add_asset(&self, asset: &NewAsset, at: Timestamp) -> Result<(), StoreError>;
    /// Marks a `pending` asset `stored`. With `fence`, only while its job's fence is that; false if nothing was written.
    /// The job's `updated_at` and `version` rise.
    async fn asset_stored(
        &self,
        id: AssetId,
        fence: Option<i64>,
        file: &StoredFile,
        at: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Counts a failed try of a `pending` asset under its job's fence: `tries` rises, `first_try_at` is set once,
    /// `last_error` and, if given, a new `source_url` are kept. False if nothing was written.
    async fn asset_failed(
        &self,
        id: AssetId,
        fence: i64,
        error: &str,
        counts: bool,
        new_url: Option<&str>,
        at: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Gives a `pending` asset up under its job's fence; `blocked` if its address may not be reached. False if nothing was
    /// written.
    async fn asset_lost(
        &self,
        id: AssetId,
        fence: i64,
        reason: &str,
        blocked: bool,
        at: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Keeps a fresh copy of an upload at the provider. [`StoreError::NotFound`] if there is no such asset.
    async fn set_provider_copy(&self, id: AssetId, copy: &ProviderCopy) -> Result<(), StoreError>;
    /// One asset, if the reader may see it.
    async fn find_asset(&self, id: AssetId, scope: Scope) -> Result<Option<Asset>, StoreError>;
    /// The asset whose object has this name.
    async fn find_asset_by_object(&self, object: &str) -> Result<Option<Asset>, StoreError>;
    /// The assets of these jobs, by job, role (outputs first) and index; one query whatever their number.
    async fn assets_of(&self, jobs: &[JobId]) -> Result<Vec<Asset>, StoreError>;
    /// Marks as deleted what is not owed to anybody any more: stored assets of ended jobs hidden before `hidden_before`,
    /// uploads of accounts closed before then, uploads from before `upload_before` that never arrived; at most `limit` jobs
    /// and uploads of either sort. The marks come before the bytes go: an owner who brings a job back meanwhile keeps all of
    /// it or nothing. Answers marked ones of this call or earlier whose bytes are still to go, at most `limit`.
    async fn purge_assets(
        &self,
        hidden_before: Timestamp,
        upload_before: Timestamp,
        at: Timestamp,
        limit: u32,
    ) -> Result<Vec<PurgedAsset>, StoreError>;
    /// The bytes of these purged assets are gone; rows and hashes stay.
    async fn bytes_gone(&self, ids: &[AssetId]) -> Result<(), StoreError>;
    /// Marks a stored asset as deleted whose object is not there; false if it is not stored or was marked before.
    async fn give_up_asset(&self, id: AssetId, at: Timestamp) -> Result<bool, StoreError>;
    /// Takes the mark back that [`AssetStore::give_up_asset`] set at `at`; false if it is not there any more.
    async fn take_back_asset(&self, id: AssetId, at: Timestamp) -> Result<bool, StoreError>;
    /// Stored assets that the reader may see after `after` by id, at most `limit`; deleted ones are left out.
    async fn list_stored_assets(
        &self,
        scope: Scope,
        after: Option<AssetId>,
        limit: u32,
    ) -> Result<Vec<Asset>, StoreError>;
    /// Names the thumbnail of a stored asset that has none; false if nothing was written. The job's `updated_at` and
    /// `version` rise.
    async fn set_thumbnail(&self, id: AssetId, thumbnail: &str, at: Timestamp) -> Result<bool, StoreError>;
}
