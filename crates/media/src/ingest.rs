//! The one path of foreign bytes into the storage: sniffed, counted, hashed, looked through, stored.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use crate::{
    copy::Stored,
    error::{CopyError, MediaError, SourceTrouble},
    inspect::{Facts, Inspector, Truncated},
    sniff::{self, Accept},
    store::MediaStore,
    writer::ObjectWriter,
};

/// Bodies up to this length are hashed where they are; longer ones on a thread of their own.
const INLINE_BYTES: usize = 256 * 1024;

/// What is being taken in, and its limits.
pub(crate) struct Intake<'a> {
    pub(crate) store: &'a MediaStore,
    pub(crate) object: &'a str,
    pub(crate) accept: Accept,
    pub(crate) bytes_announced: Option<u64>,
    pub(crate) bytes_max: u64,
    pub(crate) idle_timeout: Duration,
    pub(crate) total_timeout: Duration,
}

/// Takes a body in. Nothing is uploaded before its first bytes are found acceptable, and nothing becomes visible
/// before its last byte has been checked.
pub(crate) async fn take_in<S>(intake: Intake<'_>, stream: S) -> Result<Stored, CopyError>
where
    S: Stream<Item = Result<Bytes, CopyError>> + Unpin + Send,
{
    let (bytes_max, announced) = (intake.bytes_max, intake.bytes_announced);
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(CopyError::TooLarge { bytes_max });
    }
    let mut source =
        Source { stream, bytes: 0, bytes_max, idle: intake.idle_timeout, left: intake.total_timeout };
    let head = source.head().await?;
    let content_type = sniff::judge(&head, intake.accept)?;
    let mut writer = ObjectWriter::new(intake.store, intake.object, content_type, announced)?;
    let mut examiner = Examiner::new(content_type);
    match pump(&mut source, head, &mut writer, &mut examiner).await {
        Ok(rest) => finish(intake, content_type, source.bytes, (writer, examiner, rest)).await,
        Err(error) => {
            writer.abort().await;
            Err(error)
        }
    }
}

/// Looks through a body that is in the storage already: the same checks, and nothing is written.
pub(crate) async fn look_through<S>(intake: Intake<'_>, stream: S) -> Result<Stored, CopyError>
where
    S: Stream<Item = Result<Bytes, CopyError>> + Unpin + Send,
{
    let Intake { object, accept, bytes_max, idle_timeout: idle, total_timeout: left, .. } = intake;
    let mut source = Source { stream, bytes: 0, bytes_max, idle, left };
    let head = source.head().await?;
    let content_type = sniff::judge(&head, accept)?;
    let mut examiner = Examiner::new(content_type);
    let mut next = Some(head);
    while let Some(piece) = next {
        examiner.feed(piece).await?;
        next = source.next().await?;
    }
    let (sha256, Facts { width, height, duration_ms }) = examiner.finish(source.bytes).await?;
    let (object, content_type) = (object.to_owned(), content_type.to_owned());
    Ok(Stored { object, content_type, bytes: source.bytes, sha256, width, height, duration_ms })
}

/// Moves the body into the writer part by part; gives what fills no part.
async fn pump<S>(
    source: &mut Source<S>,
    head: Bytes,
    writer: &mut ObjectWriter,
    examiner: &mut Examiner,
) -> Result<Bytes, CopyError>
where
    S: Stream<Item = Result<Bytes, CopyError>> + Unpin + Send,
{
    let mut next = Some(head);
    while let Some(mut piece) = next {
        while !piece.is_empty() {
            if let Some(part) = writer.gather(&mut piece) {
                examiner.feed(part.clone()).await?;
                writer.send_part(part).await?;
            }
        }
        next = source.next().await?;
    }
    let rest = writer.take_rest();
    examiner.feed(rest.clone()).await?;
    Ok(rest)
}

/// The last checks, and the moment in which the object becomes visible.
async fn finish(
    intake: Intake<'_>,
    content_type: &'static str,
    bytes: u64,
    (writer, examiner, rest): (ObjectWriter, Examiner, Bytes),
) -> Result<Stored, CopyError> {
    let verdict = examiner.finish(bytes).await;
    let short = intake.bytes_announced.is_some_and(|announced| bytes < announced);
    let (sha256, facts) = match verdict {
        Ok(found) if !short => found,
        refused => {
            writer.abort().await;
            return Err(refused.err().unwrap_or_else(|| CopyError::cut(bytes)));
        }
    };
    writer.finish(rest).await?;
    let Facts { width, height, duration_ms } = facts;
    let (object, content_type) = (intake.object.to_owned(), content_type.to_owned());
    Ok(Stored { object, content_type, bytes, sha256, width, height, duration_ms })
}

/// A body under limits of length and time. Only waiting for the source counts as its time.
struct Source<S> {
    stream: S,
    bytes: u64,
    bytes_max: u64,
    idle: Duration,
    left: Duration,
}

impl<S> Source<S>
where
    S: Stream<Item = Result<Bytes, CopyError>> + Unpin + Send,
{
    async fn next(&mut self) -> Result<Option<Bytes>, CopyError> {
        let started = Instant::now();
        let waited = tokio::time::timeout(self.idle.min(self.left), self.stream.next()).await;
        self.left = self.left.saturating_sub(started.elapsed());
        let piece = waited.map_err(|_elapsed| SourceTrouble::Slow)?.transpose()?;
        self.bytes += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if self.bytes > self.bytes_max {
            return Err(CopyError::TooLarge { bytes_max: self.bytes_max });
        }
        Ok(piece)
    }

    /// The first bytes, as many as a verdict about the type needs, or all there are.
    async fn head(&mut self) -> Result<Bytes, CopyError> {
        let mut head = BytesMut::new();
        while head.len() < sniff::HEAD_BYTES {
            match self.next().await? {
                Some(piece) => head.extend_from_slice(&piece),
                None => break,
            }
        }
        Ok(head.freeze())
    }
}

/// Hashes a body and looks through it, one part behind the upload.
struct Examiner {
    idle: Option<Box<Examined>>,
    busy: Option<JoinHandle<Box<Examined>>>,
}

struct Examined {
    hash: Sha256,
    inspector: Inspector,
}

impl Examiner {
    fn new(content_type: &str) -> Self {
        let examined = Examined { hash: Sha256::new(), inspector: Inspector::new(content_type) };
        Self { idle: Some(Box::new(examined)), busy: None }
    }

    async fn feed(&mut self, part: Bytes) -> Result<(), CopyError> {
        let mut examined = self.settled().await?;
        if part.len() <= INLINE_BYTES {
            examined.feed(&part);
            self.idle = Some(examined);
            return Ok(());
        }
        self.busy = Some(tokio::task::spawn_blocking(move || {
            examined.feed(&part);
            examined
        }));
        Ok(())
    }

    /// Hash and facts, or the finding that the file ends early.
    async fn finish(mut self, bytes: u64) -> Result<([u8; 32], Facts), CopyError> {
        let Examined { hash, inspector } = *self.settled().await?;
        let facts = inspector.finish().map_err(|Truncated| CopyError::cut(bytes))?;
        Ok((hash.finalize().into(), facts))
    }

    async fn settled(&mut self) -> Result<Box<Examined>, CopyError> {
        if let Some(idle) = self.idle.take() {
            return Ok(idle);
        }
        #[expect(clippy::expect_used, reason = "an examiner is idle or busy; feed sets one of the two")]
        let busy = self.busy.take().expect("an examiner that is not idle is busy");
        busy.await.map_err(|lost| CopyError::Storage(MediaError::Interrupted(lost)))
    }
}

impl Examined {
    fn feed(&mut self, part: &[u8]) {
        self.hash.update(part);
        self.inspector.feed(part);
    }
}
