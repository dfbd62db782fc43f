//! The storage of files, whichever backend holds it.

use std::{
    fmt,
    ops::Range,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    Attribute, Attributes, GetOptions, GetRange, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutOptions, path::Path,
};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncSeekExt, SeekFrom},
    sync::Semaphore,
};
use tokio_util::io::ReaderStream;

use crate::{error::MediaError, key, open, probe, writer};

/// The storage of files; cheap to clone.
#[derive(Clone)]
pub struct MediaStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) objects: Arc<dyn ObjectStore>,
    description: String,
    /// Set for a local folder.
    folder: Option<PathBuf>,
    pub(crate) part_places: Arc<Semaphore>,
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was last written, by the storage's clock.
    pub modified: SystemTime,
}

/// An object being read.
pub struct Object {
    /// What is known of it.
    pub info: ObjectInfo,
    /// The part that the stream brings.
    pub range: Range<u64>,
    /// Its bytes, in pieces.
    pub stream: BoxStream<'static, Result<Bytes, MediaError>>,
}

/// A part of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByteRange {
    /// From the first offset up to, but without, the second; cut at the object's end.
    Between(u64, u64),
    /// From an offset to the end.
    From(u64),
    /// The last bytes.
    Last(u64),
}

impl MediaStore {
    /// Opens `file:///folder` (created if missing), `s3://bucket/prefix`, `gs://bucket/prefix` or
    /// `az://container/prefix`.
    ///
    /// Options are the backend's usual variables (`AWS_ENDPOINT`, `AWS_ACCESS_KEY_ID`…) in any case; unknown keys
    /// are passed over. An `http://` endpoint is accepted as it stands. A local folder syncs every file to disk
    /// before it counts as stored. The storage is not asked yet: see [`MediaStore::probe`].
    pub fn open<K, V>(url: &str, options: impl IntoIterator<Item = (K, V)>) -> Result<Self, MediaError>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let mut options: Vec<(String, String)> =
            options.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        options.retain(|(_, value)| !value.is_empty());
        let opened = open::open(url, &options)?;
        let open::Opened { objects, description, folder } = opened;
        let part_places = Arc::new(Semaphore::new(writer::PARTS_IN_FLIGHT_TOTAL));
        Ok(Self { inner: Arc::new(Inner { objects, description, folder, part_places }) })
    }

    /// Where the files are, without credentials.
    pub fn describe(&self) -> String {
        self.inner.description.clone()
    }

    /// Stores a small body under a name, replacing what was there; readers see the old or the new, never a half.
    pub async fn put_bytes(&self, name: &str, content_type: &str, bytes: Bytes) -> Result<(), MediaError> {
        let options = PutOptions { attributes: self.attributes(content_type), ..PutOptions::default() };
        let put = self.inner.objects.put_opts(&path(name)?, bytes.into(), options).await;
        put.map(drop).map_err(failed("write an object"))
    }

    /// Opens an object, or a part of it, for reading.
    pub async fn get(&self, name: &str, range: Option<ByteRange>) -> Result<Object, MediaError> {
        let options = GetOptions { range: range.clone().map(GetRange::from), ..GetOptions::default() };
        let found = match self.inner.objects.get_opts(&path(name)?, options).await {
            Ok(found) => found,
            Err(error) => return Err(self.read_failed(name, range, error).await),
        };
        let info = info_of(&found.meta);
        let range = found.range.clone();
        let stream = match found.payload {
            GetResultPayload::File(file, _) => file_stream(file, range.clone()),
            GetResultPayload::Stream(stream) => stream.map_err(failed("read an object")).boxed(),
        };
        Ok(Object { info, range, stream })
    }

    /// Reads a small object whole; refused if it is longer than `bytes_max`.
    pub async fn get_bytes(&self, name: &str, bytes_max: u64) -> Result<Bytes, MediaError> {
        let object = self.get(name, None).await?;
        if object.info.bytes > bytes_max {
            return Err(MediaError::TooLong { bytes: object.info.bytes });
        }
        let collected = object.stream.try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        });
        Ok(collected.await?.into())
    }

    /// What is known of an object.
    pub async fn head(&self, name: &str) -> Result<ObjectInfo, MediaError> {
        let meta = self.inner.objects.head(&path(name)?).await;
        meta.map(|meta| info_of(&meta)).map_err(failed("look at an object"))
    }

    /// Removes an object; one that is not there is no error.
    pub async fn delete(&self, name: &str) -> Result<(), MediaError> {
        match self.inner.objects.delete(&path(name)?).await.map_err(failed("delete an object")) {
            Ok(()) | Err(MediaError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Every object, or every object below a folder such as an account's id; in no order, unfinished uploads not
    /// among them.
    pub fn list(&self, folder: Option<&str>) -> BoxStream<'static, Result<ObjectInfo, MediaError>> {
        let folder = folder.map(Path::from);
        let listed = self.inner.objects.list(folder.as_ref());
        listed.map_ok(|meta| info_of(&meta)).map_err(failed("list objects")).boxed()
    }

    /// Reads an object whole and gives its length and SHA-256, in bounded memory.
    pub async fn digest(&self, name: &str) -> Result<(u64, [u8; 32]), MediaError> {
        let mut object = self.get(name, None).await?;
        let (mut bytes, mut hash) = (0, Sha256::new());
        while let Some(piece) = object.stream.try_next().await? {
            bytes += piece.len() as u64;
            hash.update(&piece);
        }
        Ok((bytes, hash.finalize().into()))
    }

    /// Whether the storage answers: asks for an object that need not exist.
    pub async fn ping(&self) -> Result<(), MediaError> {
        match self.head(&format!("{}/ping", key::PROBE_PREFIX)).await {
            Ok(_) | Err(MediaError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes, reads and deletes small objects of the types that we keep, so that a missing bucket, missing rights
    /// or a policy on types shows before money is taken.
    pub async fn probe(&self) -> Result<(), MediaError> {
        probe::probe(self).await
    }

    /// Removes what uploads left in a local folder when their process was killed, if older than `before`; returns
    /// how many. A bucket cleans up by its own rule for incomplete uploads.
    pub async fn remove_torn_uploads(&self, before: SystemTime) -> Result<u64, MediaError> {
        let Some(folder) = self.inner.folder.clone() else { return Ok(0) };
        let walk = tokio::task::spawn_blocking(move || remove_torn(&folder, before, 4));
        let removed = walk.await.map_err(MediaError::Interrupted)?;
        removed.map_err(|source| MediaError::Folder { doing: "remove torn uploads", source })
    }

    /// Backends name a range outside of the object differently, so the object's length decides.
    async fn read_failed(
        &self,
        name: &str,
        range: Option<ByteRange>,
        error: object_store::Error,
    ) -> MediaError {
        let error = failed("read an object")(error);
        let (Some(range), MediaError::Unavailable { .. }) = (range, &error) else { return error };
        match self.head(name).await {
            Ok(info) if range.is_outside(info.bytes) => MediaError::OutOfRange,
            _ => error,
        }
    }

    /// The type as an attribute, where the storage keeps attributes.
    pub(crate) fn attributes(&self, content_type: &str) -> Attributes {
        let mut attributes = Attributes::new();
        if self.inner.folder.is_none() {
            attributes.insert(Attribute::ContentType, content_type.to_owned().into());
        }
        attributes
    }
}

impl fmt::Debug for MediaStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MediaStore").field(&self.inner.description).finish()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("info", &self.info).field("range", &self.range).finish_non_exhaustive()
    }
}

impl ByteRange {
    fn is_outside(&self, bytes: u64) -> bool {
        match self {
            Self::Between(from, to) => from >= to || *from >= bytes,
            Self::From(from) => *from >= bytes,
            Self::Last(last) => *last == 0 || bytes == 0,
        }
    }
}

impl From<ByteRange> for GetRange {
    fn from(range: ByteRange) -> Self {
        match range {
            ByteRange::Between(from, to) => Self::Bounded(from..to),
            ByteRange::From(from) => Self::Offset(from),
            ByteRange::Last(bytes) => Self::Suffix(bytes),
        }
    }
}

/// The backend's form of a name; names with empty or dotted parts are nobody's.
pub(crate) fn path(name: &str) -> Result<Path, MediaError> {
    Path::parse(name)
        .ok()
        .filter(|path| !path.as_ref().is_empty())
        .ok_or_else(|| MediaError::NotFound { name: name.to_owned() })
}

/// Gives an error of the backend its place in ours.
pub(crate) fn failed(doing: &'static str) -> impl Fn(object_store::Error) -> MediaError {
    move |error| match error {
        object_store::Error::NotFound { path, .. } => MediaError::NotFound { name: path },
        source => MediaError::Unavailable { doing, source },
    }
}

/// Reads in pieces that are large against the cost of changing threads for each.
fn file_stream(file: std::fs::File, range: Range<u64>) -> BoxStream<'static, Result<Bytes, MediaError>> {
    let opened = async move {
        let mut file = tokio::fs::File::from_std(file);
        file.seek(SeekFrom::Start(range.start)).await?;
        Ok::<_, std::io::Error>(ReaderStream::with_capacity(file.take(range.end - range.start), READ_BYTES))
    };
    let unreadable = |source| MediaError::Folder { doing: "read an object", source };
    futures_util::stream::once(opened).try_flatten().map_err(unreadable).boxed()
}

fn info_of(meta: &ObjectMeta) -> ObjectInfo {
    ObjectInfo { name: meta.location.to_string(), bytes: meta.size, modified: meta.last_modified.into() }
}

fn remove_torn(folder: &std::path::Path, before: SystemTime, depth_max: usize) -> std::io::Result<u64> {
    let mut removed = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && depth_max > 0 {
            removed += remove_torn(&entry.path(), before, depth_max - 1)?;
        }
        let name = entry.file_name();
        let torn = name
            .to_str()
            .and_then(|name| name.rsplit_once('#'))
            .is_some_and(|(_, n)| n.parse::<u32>().is_ok());
        if kind.is_file() && torn && entry.metadata()?.modified()? < before {
            std::fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

const READ_BYTES: usize = 128 * 1024;

/// How long cleaning up after a failed upload may take.
pub(crate) const CLEAN_UP_MAX: Duration = Duration::from_secs(10);
