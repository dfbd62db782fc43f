//! The status paths of the older families: what a test put there, or that the task is unknown.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::guarded;
use crate::call::Call;
use crate::family::{FAMILIES, Unknown};
use crate::fault::Route;
use crate::reply::Reply;
use crate::world::World;

pub(super) fn router() -> Router<Arc<World>> {
    FAMILIES.iter().fold(Router::new(), |router, (path, _)| router.route(path, get(record)))
}

async fn record(State(world): State<Arc<World>>, call: Call) -> Response {
    guarded(&world, call, Route::RecordInfo, async |call| read(&world, call)).await
}

fn read(world: &World, call: &Call) -> Reply {
    let Some(id) = call.parameter("taskId").filter(|id| !id.is_empty()) else {
        let body = json!({"code": 400, "msg": "taskId parameter is required"});
        return Reply::json(StatusCode::OK, &body);
    };
    let reply = match world.families.find(&call.path, &id) {
        Some(answer) => Reply::json(StatusCode::OK, &answer),
        None => unknown(&call.path),
    };
    reply.about(&id)
}

fn unknown(path: &str) -> Reply {
    match FAMILIES.iter().find(|(known, _)| *known == path) {
        Some((_, Unknown::Refused(text))) => Reply::refusal(422, text),
        _ => Reply::ok(&Value::Null),
    }
}
