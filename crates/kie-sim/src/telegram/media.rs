//! Media on their way into a message: where they come from, whether they are acceptable, how they are shown.

use std::io::Cursor;
use std::sync::Arc;

use image::ImageReader;
use serde_json::{Map, Value, json};

use super::args::{Args, Upload};
use super::bot::Bot;
use super::fetch::fetch;
use super::files::{FileKind, NewFile, StoredFile};
use super::message::Draft;
use super::refusal::Refusal;
use super::text::Formatted;

const PHOTO_BYTES_MAX: usize = 10 << 20;
/// Width and height of a photo together, in pixels.
const PHOTO_EDGES_MAX: u32 = 10_000;
const PHOTO_RATIO_MAX: u32 = 20;

/// Where a file comes from.
enum Given {
    Upload(Upload),
    Url(String),
    Id(String),
}

/// The message that sends the medium in `field`, of the kind that the bytes allow.
pub(crate) async fn draft(bot: &Bot, args: &Args, kind: FileKind, field: &str) -> Result<Draft, Refusal> {
    let given = given(args, field)
        .ok_or_else(|| Refusal::bad(format!("There is no {} in the request", kind.field())))?;
    let caption = Formatted::caption(args)?;
    let file = match given {
        Given::Id(id) => find(bot, &id, kind)?,
        Given::Upload(upload) => store(bot, inspect(kind, upload, args)?),
        Given::Url(url) => store(bot, inspect(kind, fetch(bot, &url, kind).await?, args)?),
    };
    let mut draft = shown(&file, args);
    caption.write(&mut draft.fields, "caption", "caption_entities");
    for flag in ["show_caption_above_media", "has_spoiler"] {
        if args.flag(flag) {
            let name = if flag == "has_spoiler" { "has_media_spoiler" } else { flag };
            draft.fields.insert(name.to_owned(), json!(true));
        }
    }
    Ok(draft)
}

/// The message that shows a stored file.
pub(crate) fn shown(file: &Arc<StoredFile>, args: &Args) -> Draft {
    let view = file.view();
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("file_id", json!(view.file_id));
    put("file_unique_id", json!(view.file_unique_id));
    put("file_size", json!(view.bytes));
    if matches!(file.kind, FileKind::Photo | FileKind::Video | FileKind::Animation) {
        put("width", json!(view.width.unwrap_or(0)));
        put("height", json!(view.height.unwrap_or(0)));
    }
    if matches!(file.kind, FileKind::Video | FileKind::Animation | FileKind::Audio | FileKind::Voice) {
        put("duration", json!(view.duration.unwrap_or(0)));
    }
    if file.kind != FileKind::Photo {
        put("mime_type", json!(view.mime));
        if let Some(name) = &view.name {
            put("file_name", json!(name));
        }
    }
    if file.kind == FileKind::Audio {
        for name in ["performer", "title"] {
            if !args.text(name).is_empty() {
                put(name, json!(args.text(name)));
            }
        }
    }
    let object = Value::Object(object);
    let field = file.kind.field();
    let mut draft = match file.kind {
        FileKind::Photo => Draft::new(field).with(field, json!([object])),
        FileKind::Animation => Draft::new(field).with(field, object.clone()).with("document", object),
        _ => Draft::new(field).with(field, object),
    };
    draft.file = Some(view.file_id);
    draft
}

/// What a customer or the bot uploads, as the service takes it.
pub(crate) fn inspect(kind: FileKind, upload: Upload, args: &Args) -> Result<NewFile, Refusal> {
    let Upload { name, mime, bytes } = upload;
    if bytes.is_empty() {
        return Err(Refusal::bad("file must be non-empty"));
    }
    let seen = look(&bytes);
    if kind == FileKind::Photo {
        if bytes.len() > PHOTO_BYTES_MAX {
            return Err(Refusal::bad(format!(
                "file of size {} bytes is too big for a photo; the maximum size is {PHOTO_BYTES_MAX} bytes",
                bytes.len()
            )));
        }
        let (width, height) = dimensions(&bytes).ok_or_else(|| Refusal::bad("IMAGE_PROCESS_FAILED"))?;
        let (short, long) = (width.min(height).max(1), width.max(height));
        if width.saturating_add(height) > PHOTO_EDGES_MAX || long > short.saturating_mul(PHOTO_RATIO_MAX) {
            return Err(Refusal::bad("PHOTO_INVALID_DIMENSIONS"));
        }
    }
    let kind = fitting(kind, seen);
    let declared = mime.filter(|mime| !mime.is_empty() && mime != "application/octet-stream");
    let number = |name: &str| u32::try_from(args.integer(name)).ok().filter(|number| *number > 0);
    let size = match kind {
        FileKind::Photo => dimensions(&bytes),
        FileKind::Video | FileKind::Animation => {
            number("width").zip(number("height")).or_else(|| dimensions(&bytes))
        }
        _ => None,
    };
    let by_name =
        name.as_deref().map(crate::mime::mime_of).filter(|mime| *mime != "application/octet-stream");
    let mime = seen
        .map(|(mime, _)| mime.to_owned())
        .or(declared)
        .or(by_name.map(str::to_owned))
        .unwrap_or_else(|| "application/octet-stream".to_owned());
    let extension = seen.map(|(_, extension)| extension).or_else(|| crate::mime::extension_of(&mime));
    Ok(NewFile {
        kind,
        bytes,
        name,
        mime,
        extension: extension.unwrap_or("bin"),
        size,
        duration: number("duration"),
    })
}

/// What is no film becomes a document, as the service does it.
fn fitting(kind: FileKind, seen: Option<(&str, &str)>) -> FileKind {
    let mime = seen.map_or("", |(mime, _)| mime);
    let good = match kind {
        FileKind::Photo | FileKind::Document => true,
        FileKind::Video => mime == "video/mp4",
        FileKind::Audio => matches!(mime, "audio/mpeg" | "video/mp4"),
        FileKind::Voice => matches!(mime, "audio/ogg" | "audio/mpeg" | "video/mp4"),
        FileKind::Animation => matches!(mime, "image/gif" | "video/mp4"),
    };
    if good { kind } else { FileKind::Document }
}

/// Media type and extension by the first bytes.
fn look(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    Some(match bytes {
        _ if starts(b"\x89PNG") => ("image/png", "png"),
        _ if starts(b"\xFF\xD8\xFF") => ("image/jpeg", "jpg"),
        _ if starts(b"GIF8") => ("image/gif", "gif"),
        _ if starts(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => ("image/webp", "webp"),
        _ if bytes.get(4..8) == Some(b"ftyp") => ("video/mp4", "mp4"),
        _ if starts(b"ID3") || starts(b"\xFF\xFB") || starts(b"\xFF\xF3") => ("audio/mpeg", "mp3"),
        _ if starts(b"OggS") => ("audio/ogg", "oga"),
        _ if starts(b"%PDF") => ("application/pdf", "pdf"),
        _ if starts(b"PK\x03\x04") => ("application/zip", "zip"),
        _ => return None,
    })
}

fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?.into_dimensions().ok()
}

fn given(args: &Args, field: &str) -> Option<Given> {
    let value = args.text(field);
    if let Some(name) = value.strip_prefix("attach://") {
        return args.file(name).cloned().map(Given::Upload);
    }
    if value.is_empty() {
        return args.file(field).cloned().map(Given::Upload);
    }
    let is_url = value.contains("://");
    Some(if is_url { Given::Url(value.to_owned()) } else { Given::Id(value.to_owned()) })
}

fn store(bot: &Bot, new: NewFile) -> Arc<StoredFile> {
    bot.lock().files.store(new)
}

fn find(bot: &Bot, id: &str, kind: FileKind) -> Result<Arc<StoredFile>, Refusal> {
    let found = bot.lock().files.find(id).cloned();
    let Some(file) = found else {
        let readable = id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        return Err(Refusal::bad(if readable {
            "Wrong file identifier/HTTP URL specified"
        } else {
            "Wrong remote file identifier specified: Wrong character in the string"
        }));
    };
    if file.kind != kind {
        let (from, to) = (file.kind.name(), kind.name());
        return Err(Refusal::bad(format!("Can't use file of type {from} as {to}")));
    }
    Ok(file)
}
