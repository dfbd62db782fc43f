//! The storage port over `media`.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use domain::{AccountId, AssetId, AssetRole, MediaKind};
use futures_util::TryStreamExt;
use media::{
    CopyError, CopyRequest, Fetcher, MediaError, MediaStore, Stored, ThumbnailError, Thumbnailer, key,
};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::{KeepError, Kept, OBJECT, SourceFile, Vault, error_chain::error_chain};

/// Our storage behind `MEDIA_URL`.
#[derive(Clone)]
pub struct MediaVault {
    store: MediaStore,
    fetcher: Fetcher,
    thumbnailer: Thumbnailer,
    copies: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

/// Copies at once: what bounds the memory of a process, however many jobs are being stored.
const COPIES: usize = 4;
/// Copies at once or next. Jobs that wait for their copy hold places of a worker, which others need.
const QUEUE: usize = 48;

impl MediaVault {
    /// Storage, the way to foreign addresses, and the maker of thumbnails.
    pub fn new(store: MediaStore, fetcher: Fetcher, thumbnailer: Thumbnailer) -> Self {
        let [copies, queue] = [COPIES, QUEUE].map(|places| Arc::new(Semaphore::new(places)));
        Self { store, fetcher, thumbnailer, copies, queue }
    }

    /// A thumbnail is a convenience: a picture without one is still delivered, after a second try where one may help.
    async fn thumbnail(&self, object: &str) -> Option<String> {
        let name = key::thumbnail(object);
        let mut made = self.thumbnailer.keep(&self.store, object, &name).await;
        if made.as_ref().is_err_and(ThumbnailError::is_passing) {
            made = self.thumbnailer.keep(&self.store, object, &name).await;
        }
        match made {
            Ok(_) => Some(name),
            Err(error) => {
                tracing::warn!(object, error = &error as &dyn std::error::Error, "thumbnail.failed");
                None
            }
        }
    }
}

#[async_trait]
impl Vault for MediaVault {
    fn object_name(&self, account: AccountId, kind: MediaKind, role: AssetRole, asset: AssetId) -> String {
        match role {
            AssetRole::Output | AssetRole::Extra => key::output(account, kind, asset),
            AssetRole::Upload => key::upload(account, asset),
        }
    }

    async fn copy(&self, source_url: &str, object: &str, kind: Option<MediaKind>) -> Result<Kept, KeepError> {
        // The semaphores are never closed.
        let _queued = self.queue.acquire().await;
        let _place = self.copies.acquire().await;
        let request = CopyRequest { source: source_url, object, expected: kind };
        let stored =
            media::copy(&self.fetcher, &self.store, request).await.map_err(|error| keep_error(&error))?;
        store::fail_point!("keep.landed");
        let thumbnail = match kind {
            Some(MediaKind::Image) => self.thumbnail(object).await,
            Some(MediaKind::Video | MediaKind::Audio | MediaKind::Text) | None => None,
        };
        Ok(kept(stored, thumbnail))
    }

    fn has_room(&self) -> bool {
        self.queue.available_permits() > 0
    }

    async fn adopt(&self, object: &str, kind: Option<MediaKind>) -> Result<Kept, KeepError> {
        // The semaphores are never closed.
        let _queued = self.queue.acquire().await;
        let _place = self.copies.acquire().await;
        let adopted = media::adopt(&self.fetcher, &self.store, object, kind).await;
        let stored = adopted.map_err(|error| keep_error(&error))?;
        let thumbnail = if kind == Some(MediaKind::Image) { self.thumbnail(object).await } else { None };
        Ok(kept(stored, thumbnail))
    }

    async fn answers(&self, source: &str) -> Result<(), KeepError> {
        let Some(object) = source.strip_prefix(OBJECT) else {
            return self.fetcher.answers(source).await.map_err(|error| keep_error(&error));
        };
        match self.store.head(object).await {
            Ok(_) => Ok(()),
            Err(error @ MediaError::NotFound { .. }) => Err(KeepError::Gone(error_chain(&error))),
            Err(error) => Err(KeepError::Storage(error_chain(&error))),
        }
    }

    async fn write(&self, object: &str, content_type: &str, bytes: Bytes) -> Result<Kept, KeepError> {
        let (length, sha256) = (bytes.len() as u64, Sha256::digest(&bytes).into());
        self.store
            .put_bytes(object, content_type, bytes)
            .await
            .map_err(|error| KeepError::Storage(error_chain(&error)))?;
        Ok(Kept {
            kind: None,
            content_type: content_type.to_owned(),
            bytes: length,
            sha256,
            width: None,
            height: None,
            duration_ms: None,
            thumbnail: None,
        })
    }

    async fn digest(&self, object: &str) -> Result<Option<(u64, [u8; 32])>, KeepError> {
        match self.store.digest(object).await {
            Ok(digest) => Ok(Some(digest)),
            Err(MediaError::NotFound { .. }) => Ok(None),
            Err(error) => Err(KeepError::Storage(error_chain(&error))),
        }
    }

    async fn read(&self, object: &str, content_type: &str, bytes: u64) -> Result<SourceFile, KeepError> {
        let found =
            self.store.get(object, None).await.map_err(|error| KeepError::Storage(error_chain(&error)))?;
        let extension = media::extension_of(content_type);
        let name = format!("{}.{extension}", object.rsplit('/').next().unwrap_or(object));
        let stream = found.stream.map_err(std::io::Error::other);
        Ok(SourceFile { name, content_type: content_type.to_owned(), bytes, stream: Box::pin(stream) })
    }

    async fn delete(&self, objects: &[String]) -> Result<(), KeepError> {
        for object in objects {
            self.store.delete(object).await.map_err(|error| KeepError::Storage(error_chain(&error)))?;
        }
        Ok(())
    }
}

fn kept(stored: Stored, thumbnail: Option<String>) -> Kept {
    Kept {
        kind: None,
        content_type: stored.content_type,
        bytes: stored.bytes,
        sha256: stored.sha256,
        width: stored.width,
        height: stored.height,
        duration_ms: stored.duration_ms,
        thumbnail,
    }
}

fn keep_error(error: &CopyError) -> KeepError {
    let words = error_chain(error);
    match error {
        CopyError::Gone { .. } => KeepError::Gone(words),
        CopyError::Unusable { .. } | CopyError::TooLarge { .. } => KeepError::Unusable(words),
        CopyError::Blocked { .. } => KeepError::Blocked(words),
        // Whose trouble it is, our own error says.
        CopyError::Storage(trouble) => KeepError::Storage(error_chain(trouble)),
        CopyError::Source(trouble) => KeepError::Source(error_chain(trouble)),
        _ => KeepError::Source(words),
    }
}
