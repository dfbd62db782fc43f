//! Length and picture size from the index (`moov`) of an MP4 or `QuickTime` file.

use super::Facts;

/// Children of one box that are looked at, at most; an index has a handful.
const CHILDREN_MAX: usize = 64;

/// Reads the body of `moov`, which may be cut after its first part.
pub(super) fn facts(moov: &[u8]) -> Facts {
    let duration_ms =
        children(moov).find(|(name, _)| name == b"mvhd").and_then(|(_, body)| duration_ms(body));
    let size = children(moov)
        .filter(|(name, _)| name == b"trak")
        .filter_map(|(_, trak)| children(trak).find(|(name, _)| name == b"tkhd"))
        .find_map(|(_, body)| size(body));
    Facts { width: size.map(|size| size.0), height: size.map(|size| size.1), duration_ms }
}

/// The boxes inside of a box; the last one may be cut.
fn children(mut body: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::try_from(number(body, 0)?).ok()?;
        let name = *body.get(4..8)?.first_chunk()?;
        if length < 8 {
            return None;
        }
        let end = length.min(body.len());
        let child = &body[8..end];
        body = &body[end..];
        Some((name, child))
    })
    .take(CHILDREN_MAX)
}

fn duration_ms(mvhd: &[u8]) -> Option<u64> {
    let (scale, duration) = if *mvhd.first()? == 1 {
        (number(mvhd, 20)?, u64::from(number(mvhd, 24)?) << 32 | u64::from(number(mvhd, 28)?))
    } else {
        (number(mvhd, 12)?, u64::from(number(mvhd, 16)?))
    };
    // Zero and all ones mean "unknown", as fragmented files have it.
    let unknown = duration == 0 || duration == u64::from(u32::MAX) || duration == u64::MAX;
    if unknown { None } else { duration.checked_mul(1000)?.checked_div(scale.into()) }
}

/// Width and height as shown: a quarter turn of the matrix swaps them. Tracks without a picture have none.
fn size(tkhd: &[u8]) -> Option<(u32, u32)> {
    let matrix = if *tkhd.first()? == 1 { 52 } else { 40 };
    let turned = number(tkhd, matrix)? == 0 && number(tkhd, matrix + 4)? != 0;
    let (width, height) = (number(tkhd, matrix + 36)? >> 16, number(tkhd, matrix + 40)? >> 16);
    if width == 0 || height == 0 {
        return None;
    }
    Some(if turned { (height, width) } else { (width, height) })
}

fn number(body: &[u8], at: usize) -> Option<u32> {
    body.get(at..at + 4)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}
