//! Writing one object from a stream: small ones at once, large ones in parts, never visible by half.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use object_store::{MultipartUpload, ObjectStore, PutMultipartOptions, path::Path};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    error::MediaError,
    store::{self, CLEAN_UP_MAX, MediaStore},
};

/// Length of every part but the last: the least that S3 takes, since eight copies at once share the memory.
pub(crate) const PART_BYTES: usize = 5 * 1024 * 1024;
/// Parts on their way while the next one is gathered.
const PARTS_IN_FLIGHT: usize = 2;
/// Parts on their way for all uploads of one store together.
pub(crate) const PARTS_IN_FLIGHT_TOTAL: usize = 8;
/// Growth of the first buffer while a body's length is unknown.
const FIRST_BYTES: usize = 64 * 1024;

/// An object that is being written. Dropped without [`ObjectWriter::finish`], nothing becomes visible.
pub(crate) struct ObjectWriter {
    store: MediaStore,
    name: String,
    path: Path,
    content_type: &'static str,
    buffer: BytesMut,
    parts: Option<Parts>,
}

impl ObjectWriter {
    pub(crate) fn new(
        store: &MediaStore,
        name: &str,
        content_type: &'static str,
        bytes_expected: Option<u64>,
    ) -> Result<Self, MediaError> {
        let expected =
            bytes_expected.map_or(FIRST_BYTES, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let buffer = BytesMut::with_capacity(expected.min(PART_BYTES));
        let (store, name, path) = (store.clone(), name.to_owned(), store::path(name)?);
        Ok(Self { store, name, path, content_type, buffer, parts: None })
    }

    /// Takes as much of a piece as fits the current part; gives the part when it is full.
    pub(crate) fn gather(&mut self, piece: &mut Bytes) -> Option<Bytes> {
        let taken = piece.split_to(piece.len().min(PART_BYTES - self.buffer.len()));
        self.buffer.extend_from_slice(&taken);
        (self.buffer.len() == PART_BYTES).then(|| self.take_part(PART_BYTES))
    }

    /// The rest that fills no part.
    pub(crate) fn take_rest(&mut self) -> Bytes {
        self.take_part(0)
    }

    /// Sends a full part on its way, waiting for an earlier one if too many are under way.
    pub(crate) async fn send_part(&mut self, part: Bytes) -> Result<(), MediaError> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => none.insert(Parts::begin(&self.store, &self.path, self.content_type).await?),
        };
        parts.send(part).await
    }

    /// Makes the object visible, with the rest as its last bytes.
    pub(crate) async fn finish(mut self, rest: Bytes) -> Result<(), MediaError> {
        let Some(mut parts) = self.parts.take() else {
            return self.store.put_bytes(&self.name, self.content_type, rest).await;
        };
        match parts.complete(rest).await {
            Ok(()) => Ok(()),
            Err(error) => {
                parts.abort().await;
                Err(error)
            }
        }
    }

    /// Gives up: removes what was sent, as far as the storage lets us.
    pub(crate) async fn abort(mut self) {
        if let Some(parts) = &mut self.parts {
            parts.abort().await;
        }
    }

    fn take_part(&mut self, next_bytes: usize) -> Bytes {
        std::mem::replace(&mut self.buffer, BytesMut::with_capacity(next_bytes)).freeze()
    }
}

/// The parts of one large object.
struct Parts {
    upload: Box<dyn MultipartUpload>,
    under_way: JoinSet<object_store::Result<()>>,
    /// Shared by all uploads of the store, so that many copies at once do not add up.
    places: Arc<Semaphore>,
}

impl Parts {
    async fn begin(store: &MediaStore, path: &Path, content_type: &str) -> Result<Self, MediaError> {
        let options = PutMultipartOptions {
            attributes: store.attributes(content_type),
            ..PutMultipartOptions::default()
        };
        let upload = store.inner.objects.put_multipart_opts(path, options).await;
        let upload = upload.map_err(store::failed("begin an upload"))?;
        Ok(Self { upload, under_way: JoinSet::new(), places: Arc::clone(&store.inner.part_places) })
    }

    async fn send(&mut self, part: Bytes) -> Result<(), MediaError> {
        while self.under_way.len() >= PARTS_IN_FLIGHT {
            self.wait_one().await?;
        }
        // The semaphore is never closed, so there is always a place in the end.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let sending = self.upload.put_part(part.into());
        self.under_way.spawn(async move {
            let sent = sending.await;
            drop(place);
            sent
        });
        Ok(())
    }

    async fn complete(&mut self, rest: Bytes) -> Result<(), MediaError> {
        if !rest.is_empty() {
            self.send(rest).await?;
        }
        while !self.under_way.is_empty() {
            self.wait_one().await?;
        }
        self.upload.complete().await.map(drop).map_err(store::failed("finish an upload"))
    }

    async fn wait_one(&mut self) -> Result<(), MediaError> {
        match self.under_way.join_next().await {
            None => Ok(()),
            Some(Ok(sent)) => sent.map_err(store::failed("write a part")),
            Some(Err(lost)) => Err(MediaError::Interrupted(lost)),
        }
    }

    async fn abort(&mut self) {
        self.under_way.shutdown().await;
        match tokio::time::timeout(CLEAN_UP_MAX, self.upload.abort()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "Could not remove the parts of a failed upload"),
            Err(_) => tracing::warn!("Removing the parts of a failed upload took too long"),
        }
    }
}
