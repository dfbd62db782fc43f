//! `/bot<token>/<method>` and `/file/bot<token>/<path>`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::{any, get};
use serde_json::{Value, json};

use super::args::Args;
use super::bot::{Bot, Called};
use super::refusal::Refusal;
use crate::call::Call;
use crate::conn::Grip;
use crate::fault::Loss;
use crate::reply::{GATEWAY_PAGE, SILENCE_MAX, cut_body, sleep_or_stop};
use crate::routes::{grip_of, missing};
use crate::world::World;

pub(crate) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/{bot}", any(nothing))
        .route("/{bot}/{method}", any(call))
        .route("/file/{bot}/{*path}", get(download))
        .layer(DefaultBodyLimit::disable())
}

async fn call(
    State(world): State<Arc<World>>,
    Path((segment, method)): Path<(String, String)>,
    request: Request,
) -> Response {
    let Some(token) = segment.strip_prefix("bot") else { return elsewhere(world, request).await };
    let bot = &world.telegram;
    if token != bot.config.token {
        return answer(&Err(Refusal::new(401, "Unauthorized")));
    }
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return answer(&Err(Refusal::new(404, "Not Found")));
    }
    let grip = grip_of(request.extensions());
    let method = method.to_ascii_lowercase();
    let called = match Args::read(request).await {
        Ok(args) => bot.call(&method, &args).await,
        Err(refusal) => bot.unreadable(&method, refusal),
    };
    deliver(&world, called, grip).await
}

/// A path of one segment: a bot without a method, or nothing at all.
async fn nothing(State(world): State<Arc<World>>, Path(segment): Path<String>, request: Request) -> Response {
    if segment.starts_with("bot") {
        return answer(&Err(Refusal::new(404, "Not Found")));
    }
    elsewhere(world, request).await
}

async fn elsewhere(world: Arc<World>, request: Request) -> Response {
    match Call::from_request(request, &world).await {
        Ok(call) => missing(State(world), call).await,
        Err(response) => response,
    }
}

async fn download(
    State(world): State<Arc<World>>,
    Path((segment, path)): Path<(String, String)>,
) -> Response {
    let bot: &Bot = &world.telegram;
    if segment.strip_prefix("bot") != Some(bot.config.token.as_str()) {
        return answer(&Err(Refusal::new(401, "Unauthorized")));
    }
    let found = bot.lock().files.at_path(&path);
    let Some((bytes, mime)) = found else { return answer(&Err(Refusal::new(404, "Not Found"))) };
    let mut response = Response::new(Body::from(bytes));
    let mime = HeaderValue::from_str(&mime).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(header::CONTENT_TYPE, mime);
    response
}

/// Lets the answer leave, or be lost, as the call ended.
async fn deliver(world: &World, called: Called, grip: Grip) -> Response {
    if !called.delay.is_zero() {
        sleep_or_stop(world, called.delay).await;
    }
    let Some(loss) = called.loss else { return answer(&called.result) };
    let mut response = answer(&called.result);
    match loss {
        Loss::Timeout => {
            sleep_or_stop(world, SILENCE_MAX).await;
            grip.cut();
        }
        Loss::Reset => {
            grip.cut();
            // The cut is seen when the answer is written.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Loss::Cut => {
            let bytes = Bytes::from(body_of(&called.result).to_string());
            response.headers_mut().remove(header::CONTENT_LENGTH);
            *response.body_mut() = cut_body(&bytes, grip);
        }
        Loss::Html => {
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
            *response.body_mut() = Body::from(GATEWAY_PAGE);
        }
        Loss::Empty => {
            *response.status_mut() = StatusCode::OK;
            *response.body_mut() = Body::empty();
        }
    }
    response
}

fn body_of(result: &Result<Value, Refusal>) -> Value {
    match result {
        Ok(value) => json!({"ok": true, "result": value}),
        Err(refusal) => refusal.json(),
    }
}

fn answer(result: &Result<Value, Refusal>) -> Response {
    let mut response = Response::new(Body::from(body_of(result).to_string()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::SERVER, HeaderValue::from_static("nginx"));
    if let Err(refusal) = result {
        if let Some(seconds) = refusal.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        *response.status_mut() = StatusCode::from_u16(refusal.code).unwrap_or(StatusCode::BAD_REQUEST);
    }
    response
}
