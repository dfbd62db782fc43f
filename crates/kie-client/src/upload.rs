//! Files for use as input, put on the provider's upload host for about a day.

use std::error::Error;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::Stream;
use reqwest::{
    Body,
    multipart::{Form, Part},
};

use crate::{
    answer::{self, Answer},
    client::Client,
    error::ReadError,
    limit::Call,
    snippet::Snippet,
    trace,
    transport::UploadBody,
};

const STREAM_PATH: &str = "/api/file-stream-upload";
const BASE64_PATH: &str = "/api/file-base64-upload";
const URL_PATH: &str = "/api/file-url-upload";
const MAX_NAME: usize = 255;

/// A file on the provider's upload host. Plan for it to be gone after 24 hours.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upload {
    /// The address to put into an input.
    pub url: String,
    /// The name the provider gave or kept.
    pub file_name: Option<String>,
    /// The path on the host; it holds the account's number.
    pub file_path: Option<String>,
    /// The size in bytes.
    pub bytes: Option<u64>,
    /// The type the provider found.
    pub content_type: Option<String>,
    /// When it was uploaded, RFC 3339 in UTC.
    pub uploaded_at: Option<String>,
}

impl Client {
    /// Uploads a stream of `len` bytes; the way for files over 10 MB. Sent once. `path` is a folder such as
    /// `images`. A file of the same path and name is overwritten, with a delay: use unique names.
    pub async fn upload_stream<S, E>(
        &self,
        name: &str,
        content_type: &str,
        body: S,
        len: u64,
        path: &str,
    ) -> Result<Upload, ReadError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        let (name, path) = (checked_name(name)?, checked_path(path)?);
        let part = Part::stream_with_length(Body::wrap_stream(body), len)
            .file_name(name.to_owned())
            .mime_str(content_type)
            .map_err(|_error| ReadError::invalid("not a content type"))?;
        let form = Form::new()
            .text("uploadPath", path.to_owned())
            .text("fileName", name.to_owned())
            .part("file", part);
        self.upload("upload_stream", STREAM_PATH, UploadBody::Form(form)).await
    }

    /// Uploads bytes that are in memory, up to about 10 MB. Sent once; see [`upload_stream`](Self::upload_stream).
    pub async fn upload_base64(
        &self,
        name: &str,
        content_type: &str,
        bytes: &[u8],
        path: &str,
    ) -> Result<Upload, ReadError> {
        let data = format!("data:{content_type};base64,{}", BASE64_STANDARD.encode(bytes));
        let (name, path) = (checked_name(name)?, checked_path(path)?);
        let body = serde_json::json!({ "base64Data": data, "uploadPath": path, "fileName": name });
        self.upload("upload_base64", BASE64_PATH, UploadBody::Json(body.to_string().into_bytes())).await
    }

    /// Lets the provider fetch a public address, within 30 seconds and up to 100 MB. Sent once; see
    /// [`upload_stream`](Self::upload_stream).
    pub async fn upload_by_url(&self, url: &url::Url, name: &str, path: &str) -> Result<Upload, ReadError> {
        let (name, path) = (checked_name(name)?, checked_path(path)?);
        let body = serde_json::json!({ "fileUrl": url.as_str(), "uploadPath": path, "fileName": name });
        self.upload("upload_by_url", URL_PATH, UploadBody::Json(body.to_string().into_bytes())).await
    }

    async fn upload(
        &self,
        operation: &'static str,
        endpoint: &str,
        body: UploadBody,
    ) -> Result<Upload, ReadError> {
        let span = trace::span(operation, None, None);
        let sent = async {
            self.acquire(Call::Upload).await?;
            let upload = read_upload(&self.transport().send_upload(endpoint, body).await?)?;
            span.record("bytes", upload.bytes);
            Ok(upload)
        };
        trace::traced(&span, sent).await
    }
}

fn read_upload(answer: &Answer) -> Result<Upload, ReadError> {
    let text = answer.text();
    let envelope = answer::open(&text, answer.status, answer.retry_after)?;
    let data = answer::require_object(&envelope)?;
    let url = data
        .text("downloadUrl")
        .filter(|url| url.starts_with("https://") || url.starts_with("http://"))
        .ok_or_else(|| {
            ReadError::malformed("data.downloadUrl: missing or not an address", Snippet::new(&text))
        })?;
    Ok(Upload {
        url,
        file_name: data.text("fileName"),
        file_path: data.text("filePath"),
        bytes: data.integer("fileSize").and_then(|bytes| u64::try_from(bytes).ok()),
        content_type: data.text("mimeType"),
        uploaded_at: data.text("uploadedAt"),
    })
}

fn checked_name(name: &str) -> Result<&str, ReadError> {
    if name.is_empty()
        || name.len() > MAX_NAME
        || name.contains(|c: char| c == '/' || c == '\\' || c.is_control())
    {
        return Err(ReadError::invalid("the file name is empty, too long or has characters no name has"));
    }
    Ok(name)
}

fn checked_path(path: &str) -> Result<&str, ReadError> {
    let path = path.trim_matches('/');
    let plain = path.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
    if !plain || path.len() > MAX_NAME || path.contains(char::is_control) {
        return Err(ReadError::invalid("the upload path is empty, too long or not a plain folder"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_plain() {
        assert_eq!(checked_path("/images/user/").unwrap(), "images/user");
        for path in ["", "/", "a//b", "../x", "a/./b"] {
            assert!(checked_path(path).is_err(), "{path}");
        }
        for name in ["", "a/b", "a\\b", "a\nb"] {
            assert!(checked_name(name).is_err(), "{name}");
        }
    }
}
