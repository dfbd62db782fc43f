//! Result files: real, decodable, as long as asked for, and never held in memory whole.

mod blob;
mod crc;
mod font;
mod letters;
mod mp3;
mod mp4;
mod picture;
mod png;

use serde_json::{Map, Value};

pub(crate) use blob::Blob;

/// The formats that results come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Png,
    Jpeg,
    Webp,
    Mp4,
    Mp3,
}

impl Format {
    /// What `output_format` asks for, else PNG.
    pub(crate) fn of_image(input: &Map<String, Value>) -> Self {
        match input.get("output_format").and_then(Value::as_str) {
            Some("jpg" | "jpeg") => Self::Jpeg,
            Some("webp") => Self::Webp,
            _ => Self::Png,
        }
    }

    pub(crate) fn from_extension(extension: &str) -> Option<Self> {
        let all = [Self::Png, Self::Jpeg, Self::Webp, Self::Mp4, Self::Mp3];
        all.into_iter().find(|format| format.extension() == extension)
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
            Self::Mp4 => "mp4",
            Self::Mp3 => "mp3",
        }
    }

    pub(crate) fn mime(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
            Self::Mp4 => "video/mp4",
            Self::Mp3 => "audio/mpeg",
        }
    }
}

/// What a file shows and how long it must be.
#[derive(Debug, Clone)]
pub(crate) struct Wish<'a> {
    pub(crate) format: Format,
    pub(crate) caption: &'a str,
    /// Tells apart the files of one task.
    pub(crate) variant: u64,
    pub(crate) input: &'a Map<String, Value>,
    pub(crate) bytes: Option<u64>,
}

/// Makes a file; a wish for fewer bytes than the file needs gives the file unpadded.
pub(crate) fn make(wish: &Wish<'_>) -> anyhow::Result<Blob> {
    match wish.format {
        Format::Mp4 => mp4::film(wish.caption, wish.bytes),
        Format::Mp3 => mp3::sound(wish.caption, wish.bytes),
        Format::Png | Format::Jpeg | Format::Webp => picture::still(wish),
    }
}
