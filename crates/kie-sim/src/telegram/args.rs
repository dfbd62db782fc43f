//! The parameters of a call, from the query, a form, JSON or multipart alike.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde_json::{Map, Value};

use super::refusal::Refusal;

/// Files and fields of one call together.
pub(crate) const UPLOAD_BYTES_MAX: usize = 50 << 20;
/// What goes beyond is read and forgotten up to this size, so that the caller sees the refusal.
const DRAINED_BYTES_MAX: usize = 256 << 20;
const BODY_BYTES_MAX: usize = 4 << 20;

/// A file in the body of a call.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) name: Option<String>,
    pub(crate) mime: Option<String>,
    pub(crate) bytes: Bytes,
}

/// Parameters by name; what is not a text is kept as its JSON.
#[derive(Debug, Clone, Default)]
pub(crate) struct Args {
    values: BTreeMap<String, String>,
    files: BTreeMap<String, Upload>,
}

impl Args {
    /// Reads the query and the body; refused when they are too large or not what they say.
    pub(crate) async fn read(request: Request) -> Result<Self, Refusal> {
        let mut args = Self::default();
        if let Some(query) = request.uri().query() {
            args.add_form(query.as_bytes());
        }
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().to_ascii_lowercase();
        if kind.starts_with("multipart/form-data") {
            args.add_multipart(request).await?;
            return Ok(args);
        }
        let body = gather(request).await?;
        if kind.starts_with("application/json") {
            if !body.is_empty() {
                let object: Map<String, Value> = serde_json::from_slice(&body)
                    .map_err(|_ignored| Refusal::bad("Can't parse request: object expected"))?;
                args.add_object(&object);
            }
        } else {
            args.add_form(&body);
        }
        Ok(args)
    }

    /// The parameters of an object inside a call, with the files of the whole call.
    pub(crate) fn inner(&self, object: &Map<String, Value>) -> Self {
        let mut args = Self { values: BTreeMap::new(), files: self.files.clone() };
        args.add_object(object);
        args
    }

    /// Parameters without files.
    pub(crate) fn of_object(object: &Map<String, Value>) -> Self {
        let mut args = Self::default();
        args.add_object(object);
        args
    }

    /// A parameter; the empty text if it is absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        let text = self.text(name);
        if text.is_empty() {
            return Err(Refusal::bad(format!("Parameter \"{name}\" is required")));
        }
        Ok(text)
    }

    /// A whole number; 0 if it is absent or not one.
    pub(crate) fn integer(&self, name: &str) -> i64 {
        self.text(name).trim().parse().unwrap_or(0)
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name).trim().to_ascii_lowercase().as_str(), "true" | "yes" | "1")
    }

    /// A parameter as JSON; `None` if it is absent or broken.
    pub(crate) fn json(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.text(name)).ok()
    }

    pub(crate) fn file(&self, name: &str) -> Option<&Upload> {
        self.files.get(name)
    }

    /// All of it for the log: values shortened, files by their size.
    pub(crate) fn logged(&self) -> Map<String, Value> {
        let mut logged = Map::new();
        for (name, value) in &self.values {
            logged.insert(name.clone(), Value::String(value.chars().take(4096).collect()));
        }
        for (name, file) in &self.files {
            let label = file.name.as_deref().unwrap_or("file");
            logged.insert(name.clone(), Value::String(format!("<{label}, {} bytes>", file.bytes.len())));
        }
        logged
    }

    fn add_form(&mut self, body: &[u8]) {
        let pairs = url::form_urlencoded::parse(body).into_owned();
        self.values.extend(pairs);
    }

    fn add_object(&mut self, object: &Map<String, Value>) {
        for (name, value) in object {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            self.values.insert(name.clone(), text);
        }
    }

    async fn add_multipart(&mut self, request: Request) -> Result<(), Refusal> {
        let broken = || Refusal::bad("Can't parse multipart form data");
        let mut form = Multipart::from_request(request, &()).await.map_err(|_ignored| broken())?;
        let mut total = 0_usize;
        while let Some(mut field) = form.next_field().await.map_err(|_ignored| broken())? {
            let name = field.name().unwrap_or_default().to_owned();
            let file = field.file_name().map(str::to_owned);
            let mime = field.content_type().map(str::to_owned);
            let mut bytes = BytesMut::new();
            while let Some(piece) = field.chunk().await.map_err(|_ignored| broken())? {
                total += piece.len();
                if total > DRAINED_BYTES_MAX {
                    return Err(too_large());
                }
                if total <= UPLOAD_BYTES_MAX {
                    bytes.extend_from_slice(&piece);
                } else {
                    bytes = BytesMut::new();
                }
            }
            if file.is_some() {
                self.files.insert(name, Upload { name: file, mime, bytes: bytes.freeze() });
            } else {
                self.values.insert(name, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        if total > UPLOAD_BYTES_MAX { Err(too_large()) } else { Ok(()) }
    }
}

async fn gather(request: Request) -> Result<Bytes, Refusal> {
    let mut body = request.into_body().into_data_stream();
    let mut bytes = BytesMut::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece.map_err(|_ignored| Refusal::bad("the request was cut"))?);
        if bytes.len() > BODY_BYTES_MAX {
            return Err(too_large());
        }
    }
    Ok(bytes.freeze())
}

fn too_large() -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE.as_u16(), "Request Entity Too Large")
}
