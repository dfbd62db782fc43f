//! From a result's address to an object of ours.

use std::time::Duration;

use bytes::Bytes;
use domain::MediaKind;
use futures_util::{Stream, StreamExt};

use crate::{
    error::{CopyError, MediaError, SourceTrouble},
    fetch::Fetcher,
    ingest::{self, Intake},
    sniff::Accept,
    store::MediaStore,
};

/// A cut download is asked for once more at once; everything else waits for the caller's schedule.
const TRIES: usize = 2;
/// An upload that brings no byte for so long is given up.
const UPLOAD_IDLE_MAX: Duration = Duration::from_secs(30);
const UPLOAD_TOTAL_MAX: Duration = Duration::from_mins(15);

/// One result to copy.
#[derive(Debug, Clone, Copy)]
pub struct CopyRequest<'a> {
    /// Where the provider has it.
    pub source: &'a str,
    /// The object's name, fixed and written down before; see [`crate::key`].
    pub object: &'a str,
    /// What it must be; none for any picture, clip or sound that we keep.
    pub expected: Option<MediaKind>,
}

/// A file in our storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The object's name.
    pub object: String,
    /// Type by content.
    pub content_type: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// Width in pixels, where the file tells it.
    pub width: Option<u32>,
    /// Height in pixels, where the file tells it.
    pub height: Option<u32>,
    /// Length in milliseconds, where the file tells it (MP4, `QuickTime`, wave).
    pub duration_ms: Option<u64>,
}

/// Copies a result into the storage in bounded memory; the same name may be written again.
///
/// Two processes that copy the same result write the same bytes under the same name, so doing it twice is harmless.
/// If the future is dropped, nothing becomes visible.
pub async fn copy(
    fetcher: &Fetcher,
    store: &MediaStore,
    request: CopyRequest<'_>,
) -> Result<Stored, CopyError> {
    let mut tries = 1;
    loop {
        match copy_once(fetcher, store, request).await {
            Err(error) if error.is_cut() && tries < TRIES => tries += 1,
            outcome => return outcome,
        }
    }
}

/// Stores a customer's own file: any picture, clip or sound that we keep, up to `bytes_max` bytes. A file that is
/// announced to be longer is refused before a byte of it is read.
///
/// An error of the stream means that the customer's connection broke.
pub async fn keep_upload<S, E>(
    store: &MediaStore,
    object: &str,
    (bytes_announced, bytes_max): (Option<u64>, u64),
    stream: S,
) -> Result<Stored, CopyError>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let intake = Intake {
        store,
        object,
        accept: Accept::AnyMedia,
        bytes_announced,
        bytes_max,
        idle_timeout: UPLOAD_IDLE_MAX,
        total_timeout: UPLOAD_TOTAL_MAX,
    };
    let broken = |error: E| CopyError::Source(SourceTrouble::Failed(error.into()));
    ingest::take_in(intake, stream.map(|piece| piece.map_err(broken))).await
}

/// Adopts an object that lies in the storage already, under whatever name: it is read, checked and hashed in bounded
/// memory, and stays where it is.
pub async fn adopt(
    fetcher: &Fetcher,
    store: &MediaStore,
    object: &str,
    expected: Option<MediaKind>,
) -> Result<Stored, CopyError> {
    let found = store.get(object, None).await.map_err(absent)?;
    let limits = fetcher.limits();
    if found.info.bytes > limits.bytes_max {
        return Err(CopyError::TooLarge { bytes_max: limits.bytes_max });
    }
    let intake = Intake {
        store,
        object,
        accept: expected.map_or(Accept::AnyMedia, Accept::Kind),
        bytes_announced: Some(found.info.bytes),
        bytes_max: limits.bytes_max,
        idle_timeout: limits.idle_timeout,
        total_timeout: limits.total_timeout,
    };
    ingest::look_through(intake, found.stream.map(|piece| piece.map_err(CopyError::Storage))).await
}

/// An object that is not there is a dead link; anything else is trouble of the storage.
fn absent(error: MediaError) -> CopyError {
    match error {
        MediaError::NotFound { .. } => CopyError::Gone { status: 404 },
        other => CopyError::Storage(other),
    }
}

async fn copy_once(
    fetcher: &Fetcher,
    store: &MediaStore,
    request: CopyRequest<'_>,
) -> Result<Stored, CopyError> {
    let body = fetcher.open(request.source).await?;
    let limits = fetcher.limits();
    let intake = Intake {
        store,
        object: request.object,
        accept: request.expected.map_or(Accept::AnyMedia, Accept::Kind),
        bytes_announced: body.bytes,
        bytes_max: limits.bytes_max,
        idle_timeout: limits.idle_timeout,
        total_timeout: limits.total_timeout,
    };
    ingest::take_in(intake, body.stream).await
}
