//! KIE's callbacks: read, kept, answered; nothing in them is believed.

use axum::extract::{MatchedPath, Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use lifecycle::{CALLBACK_BODY_MAX, CallbackOutcome, CallbackRequest};
use store::StoreError;

use crate::body::{Read, read_bounded};
use crate::front::Shared;
use crate::problem::{Kind, Problem, ProblemBody};

/// A hint that wakes a job
///
/// The token names job and attempt. With a genuine token the answer is 200 whatever the body is; 503 asks for the
/// callback again.
#[utoipa::path(
    post, path = "/callbacks/kie/{token}", tag = "callbacks", security(()), params(("token" = String, Path)),
    request_body(content = String, content_type = "application/json"),
    responses(
        (status = 200, description = "Kept, or kept before"),
        (status = 401, description = "The token is not ours, or the signature is wrong", body = ProblemBody<'static>),
        (status = 404, description = "The token is no text", body = ProblemBody<'static>),
        (status = 413, description = "Over 256 KiB; the job is woken all the same", body = ProblemBody<'static>),
        (status = 503, description = "It could not be stored: send it again", body = ProblemBody<'static>),
    ),
)]
pub(crate) async fn receive(
    State(front): State<Shared>,
    Path(token): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    // Nobody without a token makes us read 16 MiB.
    if !front.lifecycle().is_callback_token(&token) {
        tracing::warn!("callback.refused: bad token");
        return Err(bad_token());
    }
    let (parts, body) = request.into_parts();
    // A torn body still wakes its job.
    let body = match read_bounded(body, CALLBACK_BODY_MAX).await {
        Read::Whole(bytes) | Read::Torn(bytes) => Some(bytes),
        Read::TooLarge => None,
    };
    let callback = CallbackRequest {
        token: &token,
        body: body.as_deref(),
        query: parts.uri.query(),
        timestamp: text(&parts.headers, "x-webhook-timestamp"),
        signature: text(&parts.headers, "x-webhook-signature"),
        hmac_key: front.settings().hmac_key.as_ref(),
    };
    match front.lifecycle().receive_callback(&callback).await.map_err(not_stored)? {
        CallbackOutcome::Kept => Ok(kept()),
        CallbackOutcome::BadToken => Err(bad_token()),
        CallbackOutcome::BadSignature => {
            Err(Problem::new(Kind::Unauthorized).detail("the signature is wrong"))
        }
        CallbackOutcome::TooLarge => Err(Problem::new(Kind::TooLarge).fact("limit", CALLBACK_BODY_MAX)),
    }
}

/// An older shop's callback address: it wakes the job whose task it names.
pub(crate) async fn receive_legacy(
    State(front): State<Shared>,
    path: MatchedPath,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    // Its path is no secret, and every task that nobody knows is a row.
    front.limits.check_address(front.proxies.client(&parts))?;
    let body = match read_bounded(body, CALLBACK_BODY_MAX).await {
        Read::Whole(bytes) | Read::Torn(bytes) => bytes,
        Read::TooLarge => axum::body::Bytes::new(),
    };
    let received = front.lifecycle().receive_legacy_callback(path.as_str(), &body, parts.uri.query());
    received.await.map_err(not_stored)?;
    Ok(kept())
}

fn bad_token() -> Problem {
    Problem::new(Kind::Unauthorized).detail("the token is not ours")
}

fn kept() -> Response {
    (StatusCode::OK, axum::Json(serde_json::json!({ "ok": true }))).into_response()
}

/// Whatever keeps us from storing it, the sender shall try again.
fn not_stored(error: StoreError) -> Problem {
    Problem::unavailable(error)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
