//! Sizes that stand at fixed places near the start of a file.

use super::Facts;

/// Announced lengths from here on are placeholders of streaming encoders.
const PLACEHOLDER: u64 = 0x7fff_0000;
/// Encoders disagree about padding at the end.
const PADDING_BYTES: u64 = 16;

pub(super) fn png_size(head: &[u8]) -> Option<(u32, u32)> {
    Some((big(head, 16)?, big(head, 20)?))
}

pub(super) fn gif_size(head: &[u8]) -> Option<(u32, u32)> {
    Some((little16(head, 6)?, little16(head, 8)?))
}

pub(super) fn webp_size(head: &[u8]) -> Option<(u32, u32)> {
    match head.get(12..16)? {
        b"VP8X" => Some(((little(head, 24)? & 0x00ff_ffff) + 1, (little(head, 26)? >> 8) + 1)),
        b"VP8L" => {
            let bits = little(head, 21)?;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => Some((little16(head, 26)? & 0x3fff, little16(head, 28)? & 0x3fff)),
        _ => None,
    }
}

/// The length of a wave with a plain header; its data rate stands at a fixed place.
pub(super) fn wav_facts(head: &[u8], bytes: u64) -> Facts {
    let rate = (head.get(12..16) == Some(b"fmt ")).then(|| little(head, 28)).flatten().map(u64::from);
    let duration_ms = rate.and_then(|rate| bytes.saturating_sub(44).checked_mul(1000)?.checked_div(rate));
    Facts { duration_ms, ..Facts::default() }
}

/// Whether a RIFF file (WebP, wave) has the length that it announces.
pub(super) fn riff_is_whole(head: &[u8], bytes: u64) -> bool {
    let announced = little(head, 4).map_or(0, u64::from);
    announced >= PLACEHOLDER || bytes.saturating_add(padding(head)) >= announced + 8
}

fn padding(head: &[u8]) -> u64 {
    if head.get(8..12) == Some(b"WEBP") { 1 } else { PADDING_BYTES }
}

fn big(head: &[u8], at: usize) -> Option<u32> {
    head.get(at..at + 4)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn little(head: &[u8], at: usize) -> Option<u32> {
    head.get(at..at + 4)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn little16(head: &[u8], at: usize) -> Option<u32> {
    head.get(at..at + 2)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes).into())
}
