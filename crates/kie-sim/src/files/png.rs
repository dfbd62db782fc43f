//! PNG chunks: the prompt as text, and padding that stays valid.

use bytes::Bytes;

use super::blob::Blob;
use super::crc::crc32;

/// Length, type and CRC around the data of a chunk.
const FRAME_BYTES: u64 = 12;
const PAD_DATA_BYTES: u64 = 1 << 20;
/// Signature and IHDR, which must come first.
const HEAD_BYTES: usize = 33;
const END_BYTES: usize = 12;

/// The encoded picture with its caption as a text chunk, padded before its end chunk.
pub(super) fn annotate(encoded: Vec<u8>, caption: &str, bytes: Option<u64>) -> Blob {
    let mut blob = Blob::default();
    if encoded.len() < HEAD_BYTES + END_BYTES {
        blob.push(encoded);
        return blob;
    }
    let encoded = Bytes::from(encoded);
    let end = encoded.len() - END_BYTES;
    blob.push(encoded.slice(..HEAD_BYTES));
    blob.push(chunk(*b"iTXt", &[&b"Description\0\0\0\0\0"[..], caption.as_bytes()].concat()));
    blob.push(encoded.slice(HEAD_BYTES..end));
    let missing = bytes.unwrap_or(0).saturating_sub(blob.len() + END_BYTES as u64);
    pad(&mut blob, missing);
    blob.push(encoded.slice(end..));
    blob
}

/// Private ancillary chunks of zeros; fewer bytes than a frame cannot be padded.
fn pad(blob: &mut Blob, missing: u64) {
    if missing < FRAME_BYTES {
        return;
    }
    let whole = PAD_DATA_BYTES + FRAME_BYTES;
    let count = (missing / whole).saturating_sub(1);
    if count > 0 {
        blob.push_repeated(zeros_chunk(PAD_DATA_BYTES), count * whole);
    }
    blob.push(zeros_chunk(missing - count * whole - FRAME_BYTES));
}

fn zeros_chunk(len: u64) -> Bytes {
    // Never asked for more than two padding units.
    chunk(*b"paDd", &vec![0; usize::try_from(len).unwrap_or(0)])
}

fn chunk(kind: [u8; 4], data: &[u8]) -> Bytes {
    let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
    [&len.to_be_bytes()[..], &kind, data, &crc32(&[&kind, data]).to_be_bytes()].concat().into()
}
