//! Files by URL: the simulator really fetches them, within the limits of the service.

use bytes::{Bytes, BytesMut};
use url::Url;

use super::args::Upload;
use super::bot::Bot;
use super::files::FileKind;
use super::refusal::Refusal;

const PHOTO_BYTES_MAX: usize = 5 << 20;
const OTHER_BYTES_MAX: usize = 20 << 20;

/// Fetches a file that is to be sent as `kind`.
pub(crate) async fn fetch(bot: &Bot, address: &str, kind: FileKind) -> Result<Upload, Refusal> {
    let url = Url::parse(address).map_err(|_ignored| Refusal::bad("Wrong HTTP URL specified"))?;
    let failed = || Refusal::bad("Failed to get HTTP URL content");
    let mut answer = bot.fetcher.get(url.clone()).send().await.map_err(|_ignored| failed())?;
    let header = answer.headers().get(reqwest::header::CONTENT_TYPE);
    let mime = header.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mime = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !answer.status().is_success() || !suits(kind, &mime) {
        return Err(Refusal::bad("Wrong type of the web page content"));
    }
    let most = if kind == FileKind::Photo { PHOTO_BYTES_MAX } else { OTHER_BYTES_MAX };
    let mut bytes = BytesMut::new();
    while let Some(piece) = answer.chunk().await.map_err(|_ignored| failed())? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > most {
            return Err(failed());
        }
    }
    let bytes: Bytes = bytes.freeze();
    let name = url.path_segments().and_then(|mut parts| parts.next_back()).filter(|name| !name.is_empty());
    Ok(Upload { name: name.map(str::to_owned), mime: Some(mime), bytes })
}

/// By URL a file needs the right type, and a document must be a GIF, a PDF or a ZIP.
fn suits(kind: FileKind, mime: &str) -> bool {
    match kind {
        FileKind::Photo => mime.starts_with("image/"),
        FileKind::Video => mime == "video/mp4",
        FileKind::Audio => matches!(mime, "audio/mpeg" | "audio/mp3" | "audio/mp4" | "audio/x-m4a"),
        FileKind::Voice => matches!(mime, "audio/ogg" | "audio/mpeg" | "audio/mp4"),
        FileKind::Animation => matches!(mime, "image/gif" | "video/mp4"),
        FileKind::Document => matches!(mime, "image/gif" | "application/pdf" | "application/zip"),
    }
}
