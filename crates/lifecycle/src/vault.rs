//! The port to our own storage: what the life of a job needs of it.

use async_trait::async_trait;
use bytes::Bytes;
use domain::{AccountId, AssetId, AssetRole, MediaKind};
use store::{StoreError, StoredFile};
use thiserror::Error;

use crate::{error_chain::error_chain, provider::SourceFile};

/// Bytes that are in our storage now.
pub type Kept = StoredFile;

/// Why bytes could not be kept.
#[derive(Debug, Clone, Error)]
pub enum KeepError {
    /// The link is dead: a fresh one may do.
    #[error("the link is dead: {0}")]
    Gone(String),
    /// What came is not what was announced.
    #[error("the bytes are unusable: {0}")]
    Unusable(String),
    /// The link points where nothing may be fetched from; final.
    #[error("the address may not be reached: {0}")]
    Blocked(String),
    /// The other side or the way to it has trouble.
    #[error("the source has trouble: {0}")]
    Source(String),
    /// Our own storage has trouble; never held against the output.
    #[error("our storage has trouble: {0}")]
    Storage(String),
}

/// A port of ours that fails in the middle of a copy is trouble of our own.
impl From<StoreError> for KeepError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error_chain(&error))
    }
}

/// What the source of an asset begins with if it is an object that is in our storage already: the asset's own.
pub const OBJECT: &str = "object:";

/// Our storage.
#[async_trait]
pub trait Vault: Send + Sync {
    /// The object name of an asset; fixed before its bytes come.
    fn object_name(&self, account: AccountId, kind: MediaKind, role: AssetRole, asset: AssetId) -> String;
    /// Copies a result into `object`, checked to be of `kind` (of any kind that we keep, if none is said); images get a
    /// thumbnail if one can be made.
    async fn copy(&self, source_url: &str, object: &str, kind: Option<MediaKind>) -> Result<Kept, KeepError>;
    /// Whether another copy would begin soon. A job that would wait for long gives its place to others.
    fn has_room(&self) -> bool {
        true
    }
    /// Checks and measures an object that is in our storage already and stays where it is.
    async fn adopt(&self, object: &str, kind: Option<MediaKind>) -> Result<Kept, KeepError>;
    /// Whether a source of [`Vault::copy`], or an [`OBJECT`] of our storage, gives a file now; nothing is kept.
    async fn answers(&self, source: &str) -> Result<(), KeepError>;
    /// Writes bytes of our own.
    async fn write(&self, object: &str, content_type: &str, bytes: Bytes) -> Result<Kept, KeepError>;
    /// Reads an object whole: its length and SHA-256; none if it is not there.
    async fn digest(&self, object: &str) -> Result<Option<(u64, [u8; 32])>, KeepError>;
    /// Opens an object for reading.
    async fn read(&self, object: &str, content_type: &str, bytes: u64) -> Result<SourceFile, KeepError>;
    /// Deletes objects; one that is not there is no error.
    async fn delete(&self, objects: &[String]) -> Result<(), KeepError>;
}
