//! Sound: a small embedded clip behind an ID3 tag with the prompt.

use super::blob::Blob;

static CLIP: &[u8] = include_bytes!("../../assets/clip.mp3");

/// The size of a tag is written in 28 bits.
const TAG_BYTES_MAX: u64 = (1 << 28) - 1;
const HEADER_BYTES: u64 = 10;

/// The clip with its caption as title; padded inside the tag, beyond its limit behind the clip.
pub(super) fn sound(caption: &str, bytes: Option<u64>) -> anyhow::Result<Blob> {
    let frame = title_frame(caption)?;
    let least = HEADER_BYTES + frame.len() as u64 + CLIP.len() as u64;
    let missing = bytes.unwrap_or(0).saturating_sub(least);
    let inside = missing.min(TAG_BYTES_MAX - frame.len() as u64);
    let mut blob = Blob::default();
    blob.push(header(frame.len() as u64 + inside));
    blob.push(frame);
    blob.push_zeros(inside);
    blob.push(CLIP);
    blob.push_zeros(missing - inside);
    Ok(blob)
}

fn header(size: u64) -> Vec<u8> {
    let mut header = b"ID3\x03\x00\x00".to_vec();
    let seven_bits = |shift: u32| u8::try_from((size >> shift) & 0x7F).unwrap_or(0);
    header.extend([21, 14, 7, 0].map(seven_bits));
    header
}

/// A `TIT2` frame in UTF-16 with its byte-order mark.
fn title_frame(caption: &str) -> anyhow::Result<Vec<u8>> {
    let text: Vec<u8> = caption.encode_utf16().take(4000).flat_map(u16::to_le_bytes).collect();
    let len = u32::try_from(text.len() + 3)?;
    Ok([&b"TIT2"[..], &len.to_be_bytes(), &[0, 0, 1, 0xFF, 0xFE], &text].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_exact() {
        let plain = sound("a song", None).unwrap().len();
        assert!(plain > CLIP.len() as u64);
        for bytes in [plain, plain + 1, 1 << 20, (1 << 28) + 12_345, 1 << 30] {
            assert_eq!(sound("a song", Some(bytes)).unwrap().len(), bytes);
        }
    }

    #[test]
    fn the_clip_is_an_mpeg_stream() {
        assert_eq!(CLIP[0], 0xFF);
        assert_eq!(CLIP[1] & 0xE0, 0xE0);
    }
}
