//! Reading JSON bodies: bounded, refused with the place of the fault.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use bytes::BytesMut;
use futures_util::StreamExt;
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::limits::JSON_BODY_MAX;
use crate::problem::{Kind, Problem};

/// What is read and thrown away of a body that is too large, so that its sender hears the answer.
const DRAIN_MAX: usize = 16 * 1024 * 1024;
const READ_WITHIN: Duration = Duration::from_secs(20);

/// A body as it came.
pub(crate) enum Read {
    /// The whole of it.
    Whole(Bytes),
    /// Its sender stopped in the middle, or was too slow; what came.
    Torn(Bytes),
    /// Longer than allowed.
    TooLarge,
}

/// Reads at most `keep_max` bytes.
pub(crate) async fn read_bounded(body: Body, keep_max: usize) -> Read {
    let (mut kept, mut seen) = (BytesMut::new(), 0_usize);
    let mut pieces = body.into_data_stream();
    let reading = async {
        while let Some(piece) = pieces.next().await {
            let Ok(piece) = piece else { return false };
            seen = seen.saturating_add(piece.len());
            if seen <= keep_max {
                kept.extend_from_slice(&piece);
            } else if seen > DRAIN_MAX {
                return true;
            }
        }
        true
    };
    let whole = tokio::time::timeout(READ_WITHIN, reading).await.unwrap_or(false);
    match whole {
        _ if seen > keep_max => Read::TooLarge,
        true => Read::Whole(kept.freeze()),
        false => Read::Torn(kept.freeze()),
    }
}

/// A JSON body of a fixed form; unknown fields are refused by the form itself.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        typed(read_json(request).await?).map(Self)
    }
}

/// A JSON body that may be left out.
pub(crate) struct OptionalJson<T>(pub(crate) Option<T>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read_text(body).await?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        check_content_type(&parts.headers)?;
        typed(parse(&bytes)?).map(Some).map(Self)
    }
}

/// Reads a JSON body of any form.
pub(crate) async fn read_json(request: Request) -> Result<Value, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = read_text(body).await?;
    check_content_type(&parts.headers)?;
    parse(&bytes)
}

/// Gives JSON a form; faults come with their JSON pointer.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut pointer = String::new();
        for segment in error.path() {
            match segment {
                Segment::Seq { index } => push(&mut pointer, &index.to_string()),
                Segment::Map { key } => push(&mut pointer, key),
                Segment::Enum { .. } | Segment::Unknown => {}
            }
        }
        let detail = error.into_inner().to_string();
        // The place of a field that is missing or unknown is the field, not the object around it.
        let field = ["missing field `", "unknown field `"]
            .iter()
            .find_map(|start| detail.strip_prefix(start)?.split('`').next());
        if let Some(field) = field
            && !pointer.ends_with(&format!("/{field}"))
        {
            push(&mut pointer, field);
        }
        Problem::invalid(pointer, detail)
    })
}

fn push(pointer: &mut String, key: &str) {
    pointer.push('/');
    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
}

async fn read_text(body: Body) -> Result<Bytes, Problem> {
    match read_bounded(body, JSON_BODY_MAX).await {
        Read::Whole(bytes) => Ok(bytes),
        Read::Torn(_) => Err(Problem::new(Kind::BadRequest).detail("the body ends early")),
        Read::TooLarge => Err(Problem::new(Kind::TooLarge).fact("limit", JSON_BODY_MAX)),
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    Err(Problem::new(Kind::UnsupportedMediaType).detail("send `Content-Type: application/json`"))
}

/// The parser's words may repeat the body, so only the place of the fault is told.
fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Problem::new(Kind::BadJson).detail(format!("the JSON is broken at line {line}, column {column}"))
    })
}
