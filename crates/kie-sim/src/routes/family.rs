//! The paths of the older families: what a test put there, or what the service says of its own accord.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Map, Value, json};

use super::guarded;
use crate::call::Call;
use crate::family::{DOORS, Door, Unknown, door};
use crate::fault::Route;
use crate::ids::task_id;
use crate::record::credits;
use crate::reply::Reply;
use crate::world::World;

/// What a boosted style costs, in millionths of a credit, as it was recorded.
const STYLE_MICRO: u64 = 400_000;

pub(super) fn router() -> Router<Arc<World>> {
    DOORS.iter().fold(Router::new(), |router, (path, door)| {
        let how = match door {
            Door::Read(_) => get(read),
            Door::Ask(_) => post(ask),
            Door::Order { .. } | Door::Style => post(order),
        };
        router.route(path, how)
    })
}

async fn read(State(world): State<Arc<World>>, call: Call) -> Response {
    guarded(&world, call, Route::RecordInfo, async |call| about(&world, call, call.parameter("taskId"))).await
}

async fn ask(State(world): State<Arc<World>>, call: Call) -> Response {
    guarded(&world, call, Route::DownloadUrl, async |call| {
        let id = fields(call).get("taskId").and_then(Value::as_str).map(str::to_owned);
        about(&world, call, id)
    })
    .await
}

fn about(world: &World, call: &Call, id: Option<String>) -> Reply {
    let Some(id) = id.filter(|id| !id.is_empty()) else {
        return Reply::bare(400, "taskId parameter is required");
    };
    let reply = match (world.families.find(&call.path, &id), door(&call.path)) {
        (Some(answer), _) => Reply::json(StatusCode::OK, &answer),
        (None, Some(Door::Read(Unknown::Refused(text)) | Door::Ask(Unknown::Refused(text)))) => {
            Reply::refusal(422, text)
        }
        (None, _) => Reply::ok(&Value::Null),
    };
    reply.about(&id)
}

async fn order(State(world): State<Arc<World>>, call: Call) -> Response {
    guarded(&world, call, Route::CreateTask, async |call| take(&world, call)).await
}

/// The checks in the order of the service; what becomes of the task is for `/sim/records` and `/sim/callbacks` to say.
fn take(world: &World, call: &Call) -> Reply {
    if !call.says_json() {
        return Reply::bare(401, "You do not have access permissions");
    }
    if !world.creates.admit(call.at_ms) {
        return Reply::too_many(world);
    }
    if let Some(answer) = world.families.find(&call.path, "") {
        return Reply::json(StatusCode::OK, &answer);
    }
    let (door, body) = (door(&call.path), fields(call));
    let told = body.get("callBackUrl").and_then(Value::as_str).is_some_and(|url| !url.is_empty());
    if door == Some(Door::Order { must_tell: true }) && !told {
        return Reply::refusal(422, "Please enter callBackUrl.");
    }
    let id = task_id(world.seed, world.next_seq());
    if door == Some(Door::Style) {
        return styled(world, call, &id, body.get("content"));
    }
    Reply::ok(&json!({"taskId": id})).about(&id)
}

/// The style as it was recorded, the Chinese word for success included.
fn styled(world: &World, call: &Call, id: &str, content: Option<&Value>) -> Reply {
    if !world.charge(STYLE_MICRO) {
        return Reply::short(world);
    }
    let style = content.and_then(Value::as_str).unwrap_or_default();
    let data = json!({
        "taskId": id,
        "param": style,
        "result": format!("{style}, with a steady beat."),
        "creditsConsumed": credits(STYLE_MICRO),
        "creditsRemaining": credits(world.balance_micro()),
        "successFlag": "\u{6210}\u{529F}",
        "errorCode": null,
        "errorMsg": null,
        "createTime": call.at_ms,
    });
    Reply::ok(&data).about(id)
}

fn fields(call: &Call) -> Map<String, Value> {
    serde_json::from_slice(&call.body).unwrap_or_default()
}
