//! Paths that do not exist: the answer of the server's framework, not the envelope.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::call::Call;
use crate::reply::Reply;
use crate::world::World;

pub(crate) async fn missing(State(world): State<Arc<World>>, call: Call) -> Response {
    let body = json!({
        "timestamp": call.at_ms,
        "status": 404,
        "error": "Not Found",
        "message": "No message available",
        "path": call.path,
    });
    call.answer(&world, Reply::json(StatusCode::NOT_FOUND, &body)).await
}
