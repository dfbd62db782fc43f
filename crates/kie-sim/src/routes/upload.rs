//! Uploads in their three forms, and their download.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use super::{grip_of, route_fault};
use crate::call::Call;
use crate::clock::{iso_utc, now_ms};
use crate::fault::Route;
use crate::ids::SplitMix;
use crate::mime::{extension_of, mime_of};
use crate::reply::Reply;
use crate::world::World;

/// An upload of any form.
const UPLOAD_BYTES_MAX: u64 = 100 << 20;
/// How long a file is fetched from its URL.
const FETCH_WAIT: Duration = Duration::from_secs(30);

/// `POST /api/file-base64-upload`
pub(super) async fn base64(State(world): State<Arc<World>>, call: Call) -> Response {
    let reply = match refused(&world, &call) {
        Some(refusal) => refusal,
        None => store_base64(&world, &call.body).await.unwrap_or_else(|refusal| refusal),
    };
    answer(&world, call, reply).await
}

/// `POST /api/file-url-upload`
pub(super) async fn by_url(State(world): State<Arc<World>>, call: Call) -> Response {
    let reply = match refused(&world, &call) {
        Some(refusal) => refusal,
        None => store_from_url(&world, &call.body).await.unwrap_or_else(|refusal| refusal),
    };
    answer(&world, call, reply).await
}

/// `POST /api/file-stream-upload`; the file goes to disk piece by piece.
pub(super) async fn stream(State(world): State<Arc<World>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let call = Call::new(parts.clone(), Bytes::new(), grip_of(&parts.extensions));
    let reply = match refused(&world, &call) {
        Some(refusal) => refusal,
        None => {
            store_multipart(&world, Request::from_parts(parts, body)).await.unwrap_or_else(|refusal| refusal)
        }
    };
    answer(&world, call, reply).await
}

/// `GET /kieai/…`: what was uploaded, until it expires.
pub(super) async fn download(
    State(world): State<Arc<World>>,
    Path(path): Path<String>,
    call: Call,
) -> Response {
    let found = world.uploads.find(&format!("kieai/{path}")).await;
    let mut response = match found {
        Some((file, len)) => {
            let mut response = Response::new(Body::from_stream(ReaderStream::new(file)));
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(len));
            response
        }
        None => Response::new(Body::empty()),
    };
    if response.headers().is_empty() {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(mime_of(&path)));
    }
    world.requests.push(call.line(Some(response.status().as_u16()), None, None));
    response
}

fn refused(world: &World, call: &Call) -> Option<Reply> {
    if call.authorized(world) {
        return None;
    }
    Some(failure(StatusCode::UNAUTHORIZED, 401, "Authentication failed: Invalid API Key"))
}

async fn answer(world: &Arc<World>, call: Call, reply: Reply) -> Response {
    // Upload bodies are large and not worth keeping in the log.
    let call = Call { body: Bytes::new(), ..call };
    let reply = match route_fault(world, Route::Upload) {
        Some(fault) => reply.spoilt(&fault),
        None => reply,
    };
    let mut response = call.answer(world, Reply { content_type: "application/json", ..reply }).await;
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

async fn store_base64(world: &World, body: &[u8]) -> Result<Reply, Reply> {
    let body = json_body(body)?;
    let data = required(&body, "base64Data")?;
    let folder = required(&body, "uploadPath")?;
    let (mime, encoded) = match data.strip_prefix("data:").and_then(|data| data.split_once(";base64,")) {
        Some((mime, encoded)) => (Some(mime), encoded),
        None => (None, data),
    };
    let bytes = STANDARD.decode(encoded.trim()).map_err(|_ignored| {
        failure(StatusCode::BAD_REQUEST, 400, "Base64 decoding failed: Invalid Base64 format")
    })?;
    store_bytes(world, folder, name_in(&body), mime, &bytes).await
}

async fn store_from_url(world: &World, body: &[u8]) -> Result<Reply, Reply> {
    let body = json_body(body)?;
    let url = required(&body, "fileUrl")?;
    let folder = required(&body, "uploadPath")?;
    let unreachable = || failure(StatusCode::BAD_REQUEST, 400, "Failed to download file from the URL");
    let mut fetched =
        world.http.get(url).timeout(FETCH_WAIT).send().await.map_err(|_ignored| unreachable())?;
    if !fetched.status().is_success() {
        return Err(unreachable());
    }
    let name = name_in(&body).map(str::to_owned).or_else(|| last_segment(url));
    let mut sink = Sink::open(world, folder, name.as_deref(), None).await?;
    while let Some(piece) = fetched.chunk().await.map_err(|_ignored| unreachable())? {
        sink.write(world, &piece).await?;
    }
    sink.close().await.map(|stored| stored.reply(world))
}

async fn store_multipart(world: &World, request: Request) -> Result<Reply, Reply> {
    let mut staged = None;
    let stored = match read_form(world, request, &mut staged).await {
        Ok(place) => settle(world, staged.take(), place).await,
        Err(refusal) => Err(refusal),
    };
    if let (Err(_), Some(left)) = (&stored, staged) {
        world.uploads.remove(&left.stored.path).await;
    }
    stored.map(|stored| stored.reply(world))
}

/// Where a file shall lie; fields may come in any order.
#[derive(Default)]
struct Place {
    folder: Option<String>,
    name: Option<String>,
}

async fn read_form(world: &World, request: Request, staged: &mut Option<Staged>) -> Result<Place, Reply> {
    let bad = || failure(StatusCode::BAD_REQUEST, 400, "Missing required parameter: file");
    let mut form = Multipart::from_request(request, &()).await.map_err(|_ignored| bad())?;
    let mut place = Place::default();
    while let Some(field) = form.next_field().await.map_err(|_ignored| bad())? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" && staged.is_none() {
            *staged = Some(stage(world, field).await?);
            continue;
        }
        let text = field.text().await.map_err(|_ignored| bad())?;
        match name.as_str() {
            "uploadPath" => place.folder = Some(text).filter(|text| !text.is_empty()),
            "fileName" => place.name = Some(text).filter(|text| !text.is_empty()),
            _ => {}
        }
    }
    if staged.is_none() {
        return Err(bad());
    }
    if place.folder.is_none() {
        return Err(missing("uploadPath"));
    }
    Ok(place)
}

/// A file whose place is not known yet.
struct Staged {
    stored: Stored,
    extension: Option<String>,
}

async fn stage(world: &World, mut field: Field<'_>) -> Result<Staged, Reply> {
    let mime = field.content_type().map(str::to_owned);
    let own_name = field.file_name().and_then(|name| name.rsplit_once('.'));
    let extension = own_name.map(|(_, extension)| extension.to_owned());
    let name = fresh_name(extension.as_deref(), mime.as_deref());
    let mut sink = Sink::open(world, "incoming", Some(&name), mime.as_deref()).await?;
    while let Some(piece) = field.chunk().await.transpose() {
        let written = match piece {
            Ok(piece) => sink.write(world, &piece).await,
            Err(_cut) => Err(failure(StatusCode::BAD_REQUEST, 400, "The upload was cut")),
        };
        if let Err(refusal) = written {
            world.uploads.remove(&sink.stored.path).await;
            return Err(refusal);
        }
    }
    Ok(Staged { stored: sink.close().await?, extension })
}

async fn settle(world: &World, staged: Option<Staged>, place: Place) -> Result<Stored, Reply> {
    let (Some(staged), Some(folder)) = (staged, place.folder) else { return Err(missing("uploadPath")) };
    let mut stored = staged.stored;
    let name = place.name.unwrap_or_else(|| fresh_name(staged.extension.as_deref(), Some(&stored.mime)));
    stored.path =
        world.uploads.settle(&stored.path, &folder, &name).await.map_err(|error| disk_failure(&error))?;
    Ok(stored)
}

async fn store_bytes(
    world: &World,
    folder: &str,
    name: Option<&str>,
    mime: Option<&str>,
    bytes: &[u8],
) -> Result<Reply, Reply> {
    let mut sink = Sink::open(world, folder, name, mime).await?;
    sink.write(world, bytes).await?;
    Ok(sink.close().await?.reply(world))
}

/// A file that is being written.
struct Sink {
    file: File,
    stored: Stored,
}

/// A file that was written.
struct Stored {
    path: String,
    mime: String,
    bytes: u64,
}

impl Sink {
    async fn open(
        world: &World,
        folder: &str,
        name: Option<&str>,
        mime: Option<&str>,
    ) -> Result<Self, Reply> {
        let name = name.map_or_else(|| fresh_name(None, mime), str::to_owned);
        let (file, path) = world.uploads.create(folder, &name).await.map_err(|error| disk_failure(&error))?;
        let mime = mime.unwrap_or_else(|| mime_of(&path)).to_owned();
        Ok(Self { file, stored: Stored { path, mime, bytes: 0 } })
    }

    async fn write(&mut self, world: &World, piece: &[u8]) -> Result<(), Reply> {
        self.stored.bytes += piece.len() as u64;
        if self.stored.bytes > UPLOAD_BYTES_MAX {
            world.uploads.remove(&self.stored.path).await;
            return Err(failure(StatusCode::BAD_REQUEST, 400, "File size exceeds the limit"));
        }
        self.file.write_all(piece).await.map_err(|error| disk_failure(&error))
    }

    async fn close(mut self) -> Result<Stored, Reply> {
        self.file.flush().await.map_err(|error| disk_failure(&error))?;
        Ok(self.stored)
    }
}

impl Stored {
    fn reply(&self, world: &World) -> Reply {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let data = json!({
            "success": true,
            "fileName": name,
            "filePath": self.path,
            "downloadUrl": format!("{}/{}", world.base, self.path),
            "fileSize": self.bytes,
            "mimeType": self.mime,
            "uploadedAt": iso_utc(now_ms()),
        });
        let body = json!({"success": true, "code": 200, "msg": "File uploaded successfully", "data": data});
        Reply::json(StatusCode::OK, &body)
    }
}

fn disk_failure(error: &std::io::Error) -> Reply {
    tracing::error!(%error, "an upload could not be stored");
    failure(StatusCode::INTERNAL_SERVER_ERROR, 500, "Server exception, please try again later")
}

fn failure(status: StatusCode, code: i64, text: &str) -> Reply {
    Reply::json(status, &json!({"success": false, "code": code, "msg": text}))
}

fn missing(name: &str) -> Reply {
    failure(StatusCode::BAD_REQUEST, 400, &format!("Missing required parameter: {name}"))
}

fn json_body(body: &[u8]) -> Result<Map<String, Value>, Reply> {
    serde_json::from_slice(body)
        .map_err(|_ignored| failure(StatusCode::BAD_REQUEST, 400, "Invalid request body"))
}

fn required<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a str, Reply> {
    body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
}

fn name_in(body: &Map<String, Value>) -> Option<&str> {
    body.get("fileName").and_then(Value::as_str).filter(|name| !name.is_empty())
}

fn last_segment(url: &str) -> Option<String> {
    let path = url::Url::parse(url).ok()?.path().to_owned();
    path.rsplit('/').next().filter(|name| name.contains('.')).map(str::to_owned)
}

/// `<ms>-<random>.<ext>`
fn fresh_name(extension: Option<&str>, mime: Option<&str>) -> String {
    let extension = extension.or_else(|| mime.and_then(extension_of)).unwrap_or("bin");
    let random = SplitMix::new(rand::random()).next();
    format!("{}-{:06x}.{extension}", now_ms(), random & 0xFF_FFFF)
}
