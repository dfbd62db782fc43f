//! Film: a small embedded clip with the prompt as its comment.

use anyhow::Context;

use super::blob::Blob;

static CLIP: &[u8] = include_bytes!("../../assets/clip.mp4");

/// A box header with a 32-bit length.
const BOX_BYTES: u64 = 8;
const CAPTION_BYTES_MAX: usize = 8000;

/// The clip with its caption in the metadata, padded by a `free` box at the end.
pub(super) fn film(caption: &str, bytes: Option<u64>) -> anyhow::Result<Blob> {
    let (start, end) = find_box(CLIP, *b"moov").context("the embedded clip has no moov box")?;
    let comment = comment_box(caption)?;
    let mut moov = [&CLIP[start..end], &comment].concat();
    let moov_len = u32::try_from(moov.len())?;
    moov[..4].copy_from_slice(&moov_len.to_be_bytes());
    shift_chunks(&mut moov, u32::try_from(comment.len())?)?;
    let mut blob = Blob::default();
    blob.push(&CLIP[..start]);
    blob.push(moov);
    blob.push(&CLIP[end..]);
    pad(&mut blob, bytes);
    Ok(blob)
}

/// Fewer than eight missing bytes cannot be a box; they stay zeros, which players ignore at the end.
fn pad(blob: &mut Blob, bytes: Option<u64>) {
    let missing = bytes.unwrap_or(0).saturating_sub(blob.len());
    let header = match u32::try_from(missing) {
        Ok(short) if missing >= BOX_BYTES => [&short.to_be_bytes()[..], b"free"].concat(),
        Ok(_) => Vec::new(),
        Err(_) => [&1u32.to_be_bytes()[..], b"free", &missing.to_be_bytes()].concat(),
    };
    let zeros = missing - header.len() as u64;
    blob.push(header);
    blob.push_zeros(zeros);
}

/// Start and end of the first box of this kind at the top level.
fn find_box(file: &[u8], kind: [u8; 4]) -> Option<(usize, usize)> {
    let mut at = 0;
    while let Some(header) = file.get(at..at + 8) {
        let len = u32::from_be_bytes(header[..4].try_into().ok()?) as usize;
        if header[4..8] == kind {
            return Some((at, at + len));
        }
        at += len.max(8);
    }
    None
}

/// The tables in `stco` count from the start of the file, so what is inserted before the data moves them.
fn shift_chunks(moov: &mut [u8], by: u32) -> anyhow::Result<()> {
    let mut from = 0;
    while let Some(found) = moov[from..].windows(4).position(|window| window == b"stco") {
        let count_at = from + found + 8;
        let count = read_u32(moov, count_at)?;
        for entry in 0..count as usize {
            let at = count_at + 4 + entry * 4;
            let moved = read_u32(moov, at)? + by;
            moov[at..at + 4].copy_from_slice(&moved.to_be_bytes());
        }
        from = count_at;
    }
    Ok(())
}

fn read_u32(bytes: &[u8], at: usize) -> anyhow::Result<u32> {
    let word = bytes.get(at..at + 4).context("the embedded clip is cut")?;
    Ok(u32::from_be_bytes(word.try_into()?))
}

/// `udta/meta/ilst/©cmt`, the place where players look for a comment.
fn comment_box(caption: &str) -> anyhow::Result<Vec<u8>> {
    let mut text = caption.to_owned();
    text.truncate(text.floor_char_boundary(CAPTION_BYTES_MAX));
    let data = boxed(*b"data", &[&[0, 0, 0, 1, 0, 0, 0, 0][..], text.as_bytes()].concat())?;
    let list = boxed(*b"ilst", &boxed(*b"\xA9cmt", &data)?)?;
    let handler = boxed(*b"hdlr", b"\0\0\0\0\0\0\0\0mdirappl\0\0\0\0\0\0\0\0\0")?;
    let meta = boxed(*b"meta", &[&[0, 0, 0, 0][..], &handler, &list].concat())?;
    boxed(*b"udta", &meta)
}

fn boxed(kind: [u8; 4], content: &[u8]) -> anyhow::Result<Vec<u8>> {
    let len = u32::try_from(content.len() + 8)?;
    Ok([&len.to_be_bytes()[..], &kind, content].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_exact() {
        let plain = film("a kite", None).unwrap().len();
        for bytes in [plain, plain + 8, 1 << 20, 1 << 30, 5 << 30] {
            assert_eq!(film("a kite", Some(bytes)).unwrap().len(), bytes);
        }
    }

    #[test]
    fn boxes_are_found_and_long_captions_are_cut_between_letters() {
        assert!(find_box(CLIP, *b"mdat").is_some());
        assert!(find_box(CLIP, *b"nope").is_none());
        assert!(comment_box(&"é".repeat(10_000)).unwrap().len() < 8200);
    }
}
