//! A look at a body while it passes by: is it whole, how large is the picture, how long the clip.

mod boxes;
mod jpeg;
mod movie;
mod still;

use boxes::{Blocks, Layout};
use jpeg::JpegWalk;

/// As much of the start as sizes of pictures and sounds need.
const HEAD_BYTES: usize = 64;

/// What the bytes say about themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Width in pixels as coded, before any rotation that a JPEG asks for.
    pub(crate) width: Option<u32>,
    /// Height in pixels, likewise.
    pub(crate) height: Option<u32>,
    /// Length in milliseconds.
    pub(crate) duration_ms: Option<u64>,
}

/// The file ends before its own structure does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truncated;

/// Watches one body in bounded memory.
#[derive(Debug)]
pub(crate) struct Inspector {
    head: Vec<u8>,
    bytes: u64,
    walk: Walk,
}

#[derive(Debug)]
enum Walk {
    Png(Blocks),
    Jpeg(JpegWalk),
    Movie(Blocks),
    Avif(Blocks),
    Riff { sound: bool },
    Gif,
    Unknown,
}

impl Inspector {
    /// A watcher for a body of a type that [`crate::sniff`] named.
    pub(crate) fn new(content_type: &str) -> Self {
        let walk = match content_type {
            "image/png" => Walk::Png(Blocks::new(Layout::Png)),
            "image/jpeg" => Walk::Jpeg(JpegWalk::default()),
            "video/mp4" | "video/quicktime" | "audio/mp4" => Walk::Movie(Blocks::new(Layout::Boxes)),
            "image/avif" => Walk::Avif(Blocks::new(Layout::Boxes)),
            "image/webp" => Walk::Riff { sound: false },
            "audio/wav" => Walk::Riff { sound: true },
            "image/gif" => Walk::Gif,
            _ => Walk::Unknown,
        };
        Self { head: Vec::new(), bytes: 0, walk }
    }

    /// The next piece of the body.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        let missing = HEAD_BYTES.saturating_sub(self.head.len()).min(piece.len());
        self.head.extend_from_slice(&piece[..missing]);
        self.bytes += piece.len() as u64;
        match &mut self.walk {
            Walk::Png(blocks) | Walk::Movie(blocks) | Walk::Avif(blocks) => blocks.feed(piece),
            Walk::Jpeg(walk) => walk.feed(piece),
            Walk::Riff { .. } | Walk::Gif | Walk::Unknown => {}
        }
    }

    /// The verdict after the last piece. A file whose structure cannot be followed is given the benefit of doubt.
    pub(crate) fn finish(self) -> Result<Facts, Truncated> {
        match self.walk {
            Walk::Png(blocks) => whole(blocks.is_whole(), sized(still::png_size(&self.head))),
            Walk::Jpeg(walk) => whole(walk.is_whole(), sized(walk.size())),
            Walk::Movie(blocks) => {
                let facts = blocks.captured().map(movie::facts).unwrap_or_default();
                whole(blocks.is_whole() && blocks.has_captured(), facts)
            }
            Walk::Avif(blocks) => whole(blocks.is_whole(), Facts::default()),
            Walk::Riff { sound } => {
                let facts = if sound {
                    still::wav_facts(&self.head, self.bytes)
                } else {
                    sized(still::webp_size(&self.head))
                };
                whole(still::riff_is_whole(&self.head, self.bytes), facts)
            }
            Walk::Gif => Ok(sized(still::gif_size(&self.head))),
            Walk::Unknown => Ok(Facts::default()),
        }
    }
}

fn whole(is_whole: bool, facts: Facts) -> Result<Facts, Truncated> {
    if is_whole { Ok(facts) } else { Err(Truncated) }
}

fn sized(size: Option<(u32, u32)>) -> Facts {
    Facts { width: size.map(|size| size.0), height: size.map(|size| size.1), duration_ms: None }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "patterns of bytes")]
mod tests {
    use super::*;

    /// Feeds a body in pieces of every small size; all must agree.
    pub(super) fn inspect(content_type: &str, body: &[u8]) -> Result<Facts, Truncated> {
        let verdicts: Vec<_> = [1, 3, 7, 64, body.len().max(1)]
            .into_iter()
            .map(|size| {
                let mut inspector = Inspector::new(content_type);
                body.chunks(size).for_each(|piece| inspector.feed(piece));
                inspector.finish()
            })
            .collect();
        assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{verdicts:?}");
        verdicts[0]
    }

    fn drawn(format: image::ImageFormat) -> Vec<u8> {
        let picture = image::RgbImage::from_fn(37, 21, |x, y| image::Rgb([x as u8 * 5, y as u8 * 9, 77]));
        let mut body = std::io::Cursor::new(Vec::new());
        image::DynamicImage::from(picture).write_to(&mut body, format).unwrap();
        body.into_inner()
    }

    #[test]
    fn pictures_tell_their_size_and_miss_their_ends() {
        let cases = [
            ("image/png", image::ImageFormat::Png),
            ("image/jpeg", image::ImageFormat::Jpeg),
            ("image/webp", image::ImageFormat::WebP),
        ];
        for (content_type, format) in cases {
            let body = drawn(format);
            let facts = inspect(content_type, &body).unwrap();
            assert_eq!((facts.width, facts.height), (Some(37), Some(21)), "{content_type}");
            for cut in [body.len() / 2, body.len() - 8] {
                assert_eq!(
                    inspect(content_type, &body[..cut]),
                    Err(Truncated),
                    "{content_type} cut at {cut}"
                );
            }
            let trailed = [body.as_slice(), b"trailing bytes"].concat();
            assert!(inspect(content_type, &trailed).is_ok(), "{content_type} with a trailer");
        }
        assert_eq!(inspect("image/gif", &drawn(image::ImageFormat::Gif)).unwrap().width, Some(37));
    }

    fn boxed(name: [u8; 4], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 8).unwrap();
        [&length.to_be_bytes()[..], &name, body].concat()
    }

    fn movie(media_first: bool) -> Vec<u8> {
        let mut header = vec![0; 100];
        header[12..16].copy_from_slice(&600_u32.to_be_bytes());
        header[16..20].copy_from_slice(&3_050_u32.to_be_bytes());
        let mut track = vec![0; 84];
        track[40..44].copy_from_slice(&0x0001_0000_u32.to_be_bytes());
        track[76..80].copy_from_slice(&(1280_u32 << 16).to_be_bytes());
        track[80..84].copy_from_slice(&(720_u32 << 16).to_be_bytes());
        let silent = boxed(*b"trak", &boxed(*b"tkhd", &[0; 84]));
        let moov = boxed(
            *b"moov",
            &[boxed(*b"mvhd", &header), silent, boxed(*b"trak", &boxed(*b"tkhd", &track))].concat(),
        );
        let mdat = boxed(*b"mdat", &[7; 500]);
        let rest = if media_first { [mdat, moov] } else { [moov, mdat] };
        [boxed(*b"ftyp", b"isom\0\0\x02\0isommp41"), rest.concat()].concat()
    }

    #[test]
    fn movies_tell_length_and_size_wherever_their_index_lies() {
        for media_first in [true, false] {
            let body = movie(media_first);
            let facts = inspect("video/mp4", &body).unwrap();
            let expected = Facts { width: Some(1280), height: Some(720), duration_ms: Some(5083) };
            assert_eq!(facts, expected, "media first: {media_first}");
            assert_eq!(inspect("video/mp4", &body[..body.len() - 1]), Err(Truncated));
            assert_eq!(inspect("video/mp4", &body[..body.len() / 3]), Err(Truncated));
        }
        for media_first in [true, false] {
            for trailer in [&b"trailing bytes"[..], b"\0\0", b"\x7f\0\0\0free", b"\0\0\0\x20uuid1234"] {
                let trailed = [&movie(media_first)[..], trailer].concat();
                assert!(inspect("video/mp4", &trailed).is_ok(), "{trailer:?}, media first: {media_first}");
            }
            for part in [b"moof", b"mdat"] {
                let cut = [&movie(media_first)[..], b"\0\0\x01\0", part, b"1234"].concat();
                assert_eq!(inspect("video/mp4", &cut), Err(Truncated), "a fragment is cut");
            }
        }
        let body = movie(true);
        let index = body.windows(4).position(|word| word == b"moov").unwrap() - 4;
        assert_eq!(inspect("video/mp4", &body[..index]), Err(Truncated), "cut right before the index");
    }

    #[test]
    fn a_wave_tells_its_length() {
        let mut body = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        body.extend(8000_u32.to_le_bytes());
        body.extend(16_000_u32.to_le_bytes());
        body.extend(b"\x02\0\x10\0data");
        body.extend(32_000_u32.to_le_bytes());
        body.resize(44 + 32_000, 0);
        let riff = u32::try_from(body.len() - 8).unwrap();
        body[4..8].copy_from_slice(&riff.to_le_bytes());
        assert_eq!(inspect("audio/wav", &body).unwrap().duration_ms, Some(2000));
        assert_eq!(inspect("audio/wav", &body[..20_000]), Err(Truncated));
        body[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(inspect("audio/wav", &body[..20_000]).is_ok(), "a streamed wave does not know its length");
    }

    #[test]
    fn nonsense_neither_panics_nor_condemns_without_reason() {
        for content_type in
            ["image/png", "image/jpeg", "image/webp", "video/mp4", "audio/wav", "image/gif", "x"]
        {
            for seed in 0..200_u32 {
                let noise: Vec<u8> = (0..seed)
                    .map(|i| (i.wrapping_mul(2_654_435_761).rotate_left(seed) >> 13) as u8)
                    .collect();
                let _verdict = inspect(content_type, &noise);
            }
        }
    }
}
