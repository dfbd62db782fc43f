//! Media types by file extension.

const TYPES: [(&str, &str); 10] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("mp4", "video/mp4"),
    ("mp3", "audio/mpeg"),
    ("wav", "audio/wav"),
    ("txt", "text/plain"),
    ("json", "application/json"),
];

/// The extension of a media type.
pub(crate) fn extension_of(mime: &str) -> Option<&'static str> {
    TYPES.iter().find(|(_, kind)| *kind == mime).map(|(extension, _)| *extension)
}

/// The media type of a path, by its extension.
pub(crate) fn mime_of(path: &str) -> &'static str {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    TYPES.iter().find(|(known, _)| *known == extension).map_or("application/octet-stream", |(_, kind)| kind)
}
