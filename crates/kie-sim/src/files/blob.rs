//! A file as a list of segments, so that a gigabyte of padding costs nothing.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream;

/// Sent at once; larger pieces would only wait in buffers.
const PIECE_BYTES: u64 = 128 << 10;
const ZEROS: &[u8] = &[0; 64 << 10];

enum Segment {
    Once(Bytes),
    /// `unit` over and over, `len` bytes in all.
    Repeat {
        unit: Bytes,
        len: u64,
    },
}

/// Bytes that are made while they are read.
#[derive(Default)]
pub(crate) struct Blob {
    segments: Vec<Segment>,
    len: u64,
}

impl Blob {
    pub(crate) fn push(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        self.len += bytes.len() as u64;
        self.segments.push(Segment::Once(bytes));
    }

    pub(crate) fn push_zeros(&mut self, len: u64) {
        self.push_repeated(Bytes::from_static(ZEROS), len);
    }

    /// `unit` over and over, cut after `len` bytes.
    pub(crate) fn push_repeated(&mut self, unit: Bytes, len: u64) {
        self.len += len;
        self.segments.push(Segment::Repeat { unit, len });
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The bytes from `start` to before `end`, in pieces.
    pub(crate) fn stream(
        self: Arc<Self>,
        start: u64,
        end: u64,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send {
        let end = end.min(self.len);
        stream::unfold((self, start), move |(blob, at)| async move {
            let piece = if at < end { blob.piece(at, end - at) } else { None }?;
            let next = at + piece.len() as u64;
            Some((Ok(piece), (blob, next)))
        })
    }

    /// Up to `limit` bytes at `at`, as many as lie in one run.
    fn piece(&self, at: u64, limit: u64) -> Option<Bytes> {
        let limit = limit.min(PIECE_BYTES);
        let mut before = 0;
        for segment in &self.segments {
            let len = segment.len();
            if at < before + len {
                return segment.piece(at - before, limit.min(before + len - at));
            }
            before += len;
        }
        None
    }
}

impl Segment {
    fn len(&self) -> u64 {
        match self {
            Self::Once(bytes) => bytes.len() as u64,
            Self::Repeat { len, .. } => *len,
        }
    }

    fn piece(&self, at: u64, limit: u64) -> Option<Bytes> {
        let (unit, at) = match self {
            Self::Once(bytes) => (bytes, at),
            Self::Repeat { unit, .. } => (unit, at % unit.len() as u64),
        };
        let start = usize::try_from(at).ok()?;
        let end = usize::try_from((at + limit).min(unit.len() as u64)).ok()?;
        Some(unit.slice(start..end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;

    #[tokio::test]
    async fn any_range_gives_exactly_its_bytes() {
        let mut blob = Blob::default();
        blob.push(&b"head"[..]);
        blob.push_repeated(Bytes::from_static(b"abc"), 10);
        blob.push_zeros(3);
        blob.push(&b"tail"[..]);
        let whole = b"headabcabcabca\0\0\0tail";
        let blob = Arc::new(blob);
        assert_eq!(blob.len(), whole.len() as u64);
        for start in 0..whole.len() {
            for end in start..=whole.len() {
                let parts: Vec<Bytes> =
                    Arc::clone(&blob).stream(start as u64, end as u64).try_collect().await.unwrap();
                assert_eq!(parts.concat(), &whole[start..end]);
            }
        }
    }
}
