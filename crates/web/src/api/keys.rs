//! `Idempotency-Key`, and the answer to a request that was made before.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use crate::problem::{Kind, Problem};

const HEADER: &str = "idempotency-key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The header's value: 1 to 255 visible ASCII characters.
pub(crate) struct IdempotencyKey(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let value = parts.headers.get(HEADER).ok_or_else(|| Problem::new(Kind::KeyMissing))?;
        let key = value.as_bytes();
        if !(1..=255).contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) {
            return Err(bad_key());
        }
        value.to_str().map(|key| Self(key.to_owned())).map_err(|_not_ascii| bad_key())
    }
}

pub(crate) fn bad_key() -> Problem {
    Problem::new(Kind::KeyInvalid).detail("it must be 1 to 255 visible ASCII characters")
}

/// 201 for what is new, 200 with `Idempotent-Replayed: true` for what was there.
pub(crate) fn created_or_replayed(body: impl Serialize, replayed: bool) -> Response {
    let body = axum::Json(body);
    if replayed {
        (StatusCode::OK, [(REPLAYED, HeaderValue::from_static("true"))], body).into_response()
    } else {
        (StatusCode::CREATED, body).into_response()
    }
}
