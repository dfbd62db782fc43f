//! Types by content: what a file is, never what a header or a name says.

use domain::MediaKind;

use crate::error::Flaw;

/// As many first bytes as a verdict may need.
pub(crate) const HEAD_BYTES: usize = 512;

/// The types that we keep: (type, kind, extension).
const KEPT: [(&str, MediaKind, &str); 17] = [
    ("image/png", MediaKind::Image, "png"),
    ("image/jpeg", MediaKind::Image, "jpg"),
    ("image/webp", MediaKind::Image, "webp"),
    ("image/gif", MediaKind::Image, "gif"),
    ("image/avif", MediaKind::Image, "avif"),
    ("video/mp4", MediaKind::Video, "mp4"),
    ("video/webm", MediaKind::Video, "webm"),
    ("video/quicktime", MediaKind::Video, "mov"),
    ("video/x-matroska", MediaKind::Video, "mkv"),
    ("audio/mpeg", MediaKind::Audio, "mp3"),
    ("audio/wav", MediaKind::Audio, "wav"),
    ("audio/ogg", MediaKind::Audio, "ogg"),
    ("audio/flac", MediaKind::Audio, "flac"),
    ("audio/aac", MediaKind::Audio, "aac"),
    ("audio/mp4", MediaKind::Audio, "m4a"),
    ("application/json", MediaKind::Text, "json"),
    ("text/plain", MediaKind::Text, "txt"),
];

/// What a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accept {
    /// A result of this kind.
    Kind(MediaKind),
    /// Any picture, clip or sound.
    AnyMedia,
}

/// The type of a picture, clip or sound by its first bytes (64 are enough); none if it is none that we keep.
pub fn sniff(head: &[u8]) -> Option<&'static str> {
    image_type(head).or_else(|| container_type(head)).or_else(|| sound_type(head))
}

/// The kind of a type that we keep.
pub fn kind_of(content_type: &str) -> Option<MediaKind> {
    KEPT.iter().find(|(known, ..)| *known == content_type).map(|(_, kind, _)| *kind)
}

/// The usual extension for a type that we keep, without dot; `bin` for any other.
pub fn extension_of(content_type: &str) -> &'static str {
    KEPT.iter().find(|(known, ..)| *known == content_type).map_or("bin", |(.., extension)| extension)
}

/// The type of a body if it is acceptable, else what is wrong with it.
pub(crate) fn judge(head: &[u8], accept: Accept) -> Result<&'static str, Flaw> {
    if head.is_empty() {
        return Err(Flaw::Empty);
    }
    if let Some(found) = sniff(head) {
        let fits = match accept {
            Accept::Kind(kind) => kind_of(found) == Some(kind),
            Accept::AnyMedia => true,
        };
        return if fits { Ok(found) } else { Err(Flaw::Type { found }) };
    }
    match (text_type(head), accept) {
        (Some(Text::Markup), _) => Err(Flaw::Html),
        (Some(Text::Json), Accept::Kind(MediaKind::Text)) => Ok("application/json"),
        (Some(Text::Plain), Accept::Kind(MediaKind::Text)) => Ok("text/plain"),
        (Some(_), _) => Err(Flaw::Text),
        (None, _) => {
            Err(infer::get(head).map_or(Flaw::Unknown, |kind| Flaw::Type { found: kind.mime_type() }))
        }
    }
}

fn image_type(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

fn container_type(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        let names_webm =
            head.iter().take(64).copied().collect::<Vec<_>>().windows(4).any(|word| word == b"webm");
        return Some(if names_webm { "video/webm" } else { "video/x-matroska" });
    }
    match (head.get(4..8)?, head.get(8..12)?) {
        (b"ftyp", b"avif" | b"avis") => Some("image/avif"),
        (b"ftyp", b"heic" | b"heix" | b"heim" | b"hevc" | b"mif1" | b"msf1") => None,
        (b"ftyp", b"M4A " | b"M4B ") => Some("audio/mp4"),
        (b"ftyp", b"qt  ") | (b"moov" | b"wide", _) => Some("video/quicktime"),
        (b"ftyp", _) => Some("video/mp4"),
        _ => None,
    }
}

fn sound_type(head: &[u8]) -> Option<&'static str> {
    match head {
        [b'I', b'D', b'3', ..] => Some("audio/mpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some("audio/wav"),
        [b'O', b'g', b'g', b'S', ..] => Some("audio/ogg"),
        [b'f', b'L', b'a', b'C', ..] => Some("audio/flac"),
        // A frame of MPEG layer III: sync, a version, a bit rate and a sampling rate that exist.
        [0xff, b, c, ..] if b & 0xe6 == 0xe2 && b & 0x18 != 0x08 && c >> 4 != 0x0f && c & 0x0c != 0x0c => {
            Some("audio/mpeg")
        }
        [0xff, 0xf0 | 0xf1 | 0xf8 | 0xf9, c, ..] if c & 0x3c <= 0x30 => Some("audio/aac"),
        _ => None,
    }
}

enum Text {
    Markup,
    Json,
    Plain,
}

fn text_type(head: &[u8]) -> Option<Text> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The head may end inside of a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    Some(match text.trim_start_matches('\u{feff}').trim_start().chars().next() {
        Some('<') => Text::Markup,
        Some('{' | '[') => Text::Json,
        _ => Text::Plain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_types_are_known_by_their_first_bytes() {
        let cases: [(&[u8], &str); 18] = [
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
            (b"GIF89a\x01\0\x01\0", "image/gif"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
            (b"\0\0\0\x1cftypavif\0\0\0\0", "image/avif"),
            (b"\0\0\0\x20ftypisom\0\0\x02\0", "video/mp4"),
            (b"\0\0\0\x20ftypmp42\0\0\0\0", "video/mp4"),
            (b"\0\0\0\x20ftypiso8\0\0\0\0", "video/mp4"),
            (b"\0\0\0\x14ftypqt  \0\0\0\0", "video/quicktime"),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "video/webm"),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska", "video/x-matroska"),
            (b"ID3\x04\0\0\0\0", "audio/mpeg"),
            (b"\xff\xfb\x90\x64\0\0", "audio/mpeg"),
            (b"\xff\xf3\x44\xc4\0\0", "audio/mpeg"),
            (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
            (b"OggS\0\x02", "audio/ogg"),
            (b"\xff\xf1\x50\x80\x02", "audio/aac"),
            (b"\0\0\0\x1cftypM4A \0\0\0\0", "audio/mp4"),
        ];
        for (head, expected) in cases {
            assert_eq!(sniff(head), Some(expected), "{head:?}");
            assert!(kind_of(expected).is_some() && extension_of(expected) != "bin");
        }
    }

    #[test]
    fn what_is_no_result_is_named() {
        let image = Accept::Kind(MediaKind::Image);
        let cases: [(&[u8], Flaw); 9] = [
            (b"", Flaw::Empty),
            (b"<!DOCTYPE html><html>", Flaw::Html),
            (b" \n<html lang=\"en\">", Flaw::Html),
            (b"\xef\xbb\xbf<?xml version='1.0'?><Error>", Flaw::Html),
            (b"{\"code\":500}", Flaw::Text),
            (b"Not found", Flaw::Text),
            (b"\0\0\0\x20ftypisom\0\0\x02\0", Flaw::Type { found: "video/mp4" }),
            (b"PK\x03\x04\x14\0\0\0\x08\0", Flaw::Type { found: "application/zip" }),
            (b"\x01\x02\x03\x04", Flaw::Unknown),
        ];
        for (head, flaw) in cases {
            assert_eq!(judge(head, image), Err(flaw), "{head:?}");
        }
        assert_eq!(judge(b"\xff\xfe{\0\"\0", Accept::Kind(MediaKind::Audio)), Err(Flaw::Unknown));
    }

    #[test]
    fn text_is_a_result_of_text_models_alone() {
        let text = Accept::Kind(MediaKind::Text);
        assert_eq!(judge(b"{\"a\":1}", text), Ok("application/json"));
        assert_eq!(judge("слова песни".as_bytes(), text), Ok("text/plain"));
        assert_eq!(judge(&"слова".as_bytes()[..9], text), Ok("text/plain"));
        assert_eq!(judge(b"<html>", text), Err(Flaw::Html));
        assert_eq!(judge(b"{}", Accept::AnyMedia), Err(Flaw::Text));
    }
}
