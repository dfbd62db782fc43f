//! Files of ours, to whoever has a good link, and to their owner.

use std::ops::Range;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use domain::{Asset, AssetId, AssetState, Role, Scope};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use media::{ByteRange, LinkError, MediaError, RangeAnswer, Variant, range_answer};

use crate::auth::find_caller;
use crate::front::{Front, Shared};
use crate::params::Params;
use crate::problem::{Kind, Problem, ProblemBody};

/// A file opens no scripts and no frames, whatever is in it.
const SANDBOX: &str = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'";
const YEAR_S: i64 = 365 * 24 * 60 * 60;

/// A file as it is to be sent.
struct File {
    object: String,
    content_type: String,
    /// As the row says; a thumbnail's row does not.
    bytes: Option<u64>,
    etag: String,
}

/// Read a file
///
/// By a signed link, or with the owner's token. Ranges, `If-None-Match` and `If-Range` work; `?download=1` names the
/// file for saving. The name `thumbnail` is the still picture; `preview` is kept for a short loop, which nothing makes yet.
#[utoipa::path(
    get, path = "/media/{asset}/{name}", tag = "media", security(("bearer" = []), ()),
    params(
        ("asset" = String, Path), ("name" = String, Path),
        ("exp" = Option<i64>, Query, description = "Unix seconds; part of the link"),
        ("sig" = Option<String>, Query, description = "Part of the link"),
        ("download" = Option<String>, Query, description = "`1`: for saving"),
    ),
    responses(
        (status = 200, description = "The file"),
        (status = 206, description = "A part of it"),
        (status = 304, description = "The reader has it"),
        (status = 403, description = "`link-expired`, `link-invalid`", body = ProblemBody<'static>),
        (status = 404, description = "`not-found`", body = ProblemBody<'static>),
        (status = 416, description = "`range-unsatisfiable`", body = ProblemBody<'static>),
    ),
)]
pub(crate) async fn read(
    State(front): State<Shared>,
    Path((asset, name)): Path<(String, String)>,
    parts: Parts,
) -> Result<Response, Problem> {
    let id: AssetId = asset.parse().map_err(|_no_id| Problem::not_found("file"))?;
    let params = Params::read(&parts);
    let variant = Variant::of_path_name(&name);
    let (scope, cache) = admit(&front, id, variant, &params, &parts).await?;
    let asset = front.store().find_asset(id, scope).await?.filter(is_there);
    let asset = asset.ok_or_else(|| Problem::not_found("file"))?;
    let file = find_file(&asset, variant)?;
    let mut response = answer(&front, &file, &parts).await?;
    let headers = response.headers_mut();
    set(headers, header::ETAG, &file.etag);
    set(headers, header::CACHE_CONTROL, &cache);
    if matches!(response.status(), StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
        let headers = response.headers_mut();
        set(headers, header::CONTENT_TYPE, &file.content_type);
        set(headers, header::ACCEPT_RANGES, "bytes");
        set(headers, header::CONTENT_DISPOSITION, &disposition(&name, params.text("download") == Some("1")));
        set(headers, header::CONTENT_SECURITY_POLICY, SANDBOX);
        set(headers, HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
    }
    Ok(response)
}

/// Whose files the request may read, and how long its answer may be kept. An owner's credentials open what a link
/// does not, so that a page that stayed open goes on playing.
async fn admit(
    front: &Front,
    id: AssetId,
    variant: Variant,
    params: &Params,
    parts: &Parts,
) -> Result<(Scope, String), Problem> {
    let now = front.now();
    let link = match (params.one::<i64>("exp"), params.text("sig")) {
        (Ok(Some(exp)), Some(sig)) => front.app.links.verify(id, variant, exp, sig, now).map(|()| exp),
        _ => Err(LinkError::Bad),
    };
    match link {
        Ok(0) => return Ok((Scope::All, format!("public, max-age={YEAR_S}, immutable"))),
        Ok(exp) => {
            let age = exp.saturating_sub(now.as_second()).max(0);
            return Ok((Scope::All, format!("private, max-age={age}, immutable")));
        }
        Err(_) => {}
    }
    let own_cache = "private, no-cache".to_owned();
    match find_caller(parts, front).await {
        Ok(Some(caller)) => match caller.0.role {
            Role::Customer => Ok((Scope::Account(caller.0.account), own_cache)),
            Role::Operator => Ok((Scope::All, own_cache)),
            Role::Payments => Err(Problem::new(Kind::Forbidden)),
        },
        Err(problem) if problem.kind() != Kind::Unauthorized => Err(problem),
        Ok(None) | Err(_) if link == Err(LinkError::Expired) => Err(Problem::new(Kind::LinkExpired)),
        Ok(None) | Err(_) => Err(Problem::new(Kind::LinkInvalid)),
    }
}

fn is_there(asset: &Asset) -> bool {
    asset.state == AssetState::Stored && asset.deleted_at.is_none()
}

fn find_file(asset: &Asset, variant: Variant) -> Result<File, Problem> {
    let hash = asset.sha256.map(hex::encode).unwrap_or_default();
    match (variant, &asset.thumbnail) {
        (Variant::Original, _) => Ok(File {
            object: asset.object.clone(),
            content_type: asset.content_type.clone().unwrap_or_else(|| "application/octet-stream".to_owned()),
            bytes: asset.bytes,
            etag: format!("\"{hash}\""),
        }),
        (Variant::Thumbnail, Some(object)) => Ok(File {
            object: object.clone(),
            content_type: "image/webp".to_owned(),
            bytes: None,
            etag: format!("\"{hash}-thumbnail\""),
        }),
        (Variant::Thumbnail, None) => Err(Problem::not_found("thumbnail")),
        (Variant::Preview, _) => {
            Err(Problem::new(Kind::NotFound).detail("there is no preview of this file: none are made yet"))
        }
    }
}

/// What the reader has is told by the row alone; a whole file is opened once and tells its own length.
async fn answer(front: &Front, file: &File, parts: &Parts) -> Result<Response, Problem> {
    let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|tags| matches_tag(tags, &file.etag)) {
        return Ok(empty(StatusCode::NOT_MODIFIED));
    }
    // A part of another file than the reader began with would be no part.
    let same_file = text(header::IF_RANGE).is_none_or(|tag| tag == file.etag);
    let range = text(header::RANGE).filter(|_| same_file);
    if range.is_none() && parts.method != Method::HEAD {
        return send(front, file, None).await;
    }
    let bytes = match file.bytes {
        Some(bytes) => bytes,
        None => front.app.media.head(&file.object).await.map_err(unreadable)?.bytes,
    };
    match range_answer(range, bytes) {
        RangeAnswer::Unsatisfiable => Ok(outside(bytes)),
        RangeAnswer::Whole if parts.method == Method::HEAD => Ok(announced(0..bytes, None)),
        RangeAnswer::Part(part) if parts.method == Method::HEAD => Ok(announced(part, Some(bytes))),
        RangeAnswer::Whole => send(front, file, None).await,
        RangeAnswer::Part(part) => send(front, file, Some(part)).await,
    }
}

/// The object, or a part of it, as long as the storage says it is.
async fn send(front: &Front, file: &File, part: Option<Range<u64>>) -> Result<Response, Problem> {
    let asked = part.map(|part| ByteRange::Between(part.start, part.end));
    let is_part = asked.is_some();
    let object = match front.app.media.get(&file.object, asked).await {
        Ok(object) => object,
        Err(MediaError::OutOfRange) => {
            tracing::error!(
                object = file.object,
                row = file.bytes,
                "media.length: shorter than its row says"
            );
            return Ok(outside(file.bytes.unwrap_or(0)));
        }
        Err(error) => return Err(unreadable(error)),
    };
    let bytes = object.info.bytes;
    if file.bytes.is_some_and(|row| row != bytes) {
        tracing::error!(object = file.object, row = file.bytes, bytes, "media.length: not as its row says");
    }
    let mut response = announced(object.range, is_part.then_some(bytes));
    *response.body_mut() = Body::from_stream(object.stream);
    Ok(response)
}

/// The head of an answer with these bytes; a part names the length of the whole.
fn announced(part: Range<u64>, whole: Option<u64>) -> Response {
    let mut response = empty(if whole.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK });
    let headers = response.headers_mut();
    set(headers, header::CONTENT_LENGTH, &part.end.saturating_sub(part.start).to_string());
    if let Some(whole) = whole {
        let last = part.end.saturating_sub(1);
        set(headers, header::CONTENT_RANGE, &format!("bytes {}-{last}/{whole}", part.start));
    }
    response
}

fn outside(bytes: u64) -> Response {
    let mut response = Problem::new(Kind::RangeUnsatisfiable).into_response();
    set(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{bytes}"));
    response
}

fn matches_tag(tags: &str, etag: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

fn disposition(name: &str, download: bool) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.chars().take(100).map(plain).collect();
    let kind = if download { "attachment" } else { "inline" };
    format!("{kind}; filename=\"{name}\"")
}

fn unreadable(error: MediaError) -> Problem {
    match error {
        MediaError::NotFound { .. } => {
            tracing::error!("media.missing: a stored row has no object");
            Problem::not_found("file")
        }
        error => Problem::unavailable(error),
    }
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Values are made of plain characters; a content type that is none is left out.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
