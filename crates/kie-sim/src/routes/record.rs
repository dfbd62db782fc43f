//! `GET /api/v1/jobs/recordInfo`: how a task stands.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::guarded;
use crate::call::Call;
use crate::clock::whole_ms;
use crate::fault::{Answer, Fault, Moment, RecordFault, Route, Shape, default_text};
use crate::record::record_data;
use crate::reply::Reply;
use crate::script::Scene;
use crate::task::Task;
use crate::world::World;

pub(super) async fn record_info(State(world): State<Arc<World>>, call: Call) -> Response {
    guarded(&world, call, Route::RecordInfo, async |call| read(&world, call)).await
}

fn read(world: &World, call: &Call) -> Reply {
    let Some(id) = call.parameter("taskId").filter(|id| !id.is_empty()) else {
        return refusal(world, 400, "taskId parameter is required");
    };
    let Some(task) = world.find(&id) else { return unknown(world).about(&id) };
    if !task.admit_read(world.config.reads_per_second, call.at_ms) {
        return too_many(world).about(&id);
    }
    let scene = Scene { route: Some(Route::RecordInfo), ..task.scene() };
    let faults =
        |moment| task.pick(moment).into_iter().chain(world.scripts.pick(moment, &scene)).collect::<Vec<_>>();
    let record_faults = faults(Moment::Record);
    let age_ms = call.at_ms.saturating_sub(task.order.created_ms);
    if age_ms < whole_ms(world.config.young) || record_faults.contains(&Fault::Record(RecordFault::Null)) {
        return unknown(world).about(&id);
    }
    let shape = shape_now(&task, || faults(Moment::Shape));
    let mut data = record_data(world, &task, call.at_ms, shape);
    for fault in &record_faults {
        if let Fault::Record(fault) = fault {
            bend(world, &task, &mut data, fault);
        }
    }
    let reply = Reply::ok(&Value::Object(data)).about(&id);
    record_faults.iter().fold(reply, |reply, fault| match fault {
        Fault::Record(RecordFault::Answer(Answer::Code(code, text))) => {
            refusal(world, *code, text).about(&id)
        }
        Fault::Record(RecordFault::Answer(answer)) => reply.spoilt(answer),
        _ => reply,
    })
}

/// Occasions for a form of the result count only once there is a result.
fn shape_now(task: &Task, faults: impl Fn() -> Vec<Fault>) -> Option<Shape> {
    if !task.is_final() {
        return None;
    }
    faults().into_iter().find_map(|fault| match fault {
        Fault::Shape(shape) => Some(shape),
        _ => None,
    })
}

fn unknown(world: &World) -> Reply {
    if world.config.http_record {
        return refusal(world, 404, default_text(404));
    }
    Reply::refusal(422, "recordInfo is null")
}

fn too_many(world: &World) -> Reply {
    if world.config.http_429 { Reply::too_many(world) } else { refusal(world, 429, "Rate limit exceeded") }
}

/// The page of recordInfo documents 400, 404 and 429 without data, and as HTTP status; the status was never seen.
pub(super) fn refusal(world: &World, code: i64, text: &str) -> Reply {
    let status = match code {
        400 => StatusCode::BAD_REQUEST,
        404 => StatusCode::NOT_FOUND,
        429 => StatusCode::TOO_MANY_REQUESTS,
        _ => return Reply::refusal(code, text),
    };
    let reply = Reply::bare(code, text);
    if world.config.http_record { Reply { status, ..reply } } else { reply }
}

fn bend(world: &World, task: &Task, data: &mut Map<String, Value>, fault: &RecordFault) {
    let mut set = |key: &str, value: Value| data.insert(key.to_owned(), value);
    match fault {
        RecordFault::State(said) => drop(set("state", json!(said))),
        RecordFault::OtherTask => {
            drop(set("taskId", json!(crate::ids::task_id(!world.seed, task.order.seq))));
        }
        RecordFault::OtherModel => drop(set("model", json!("another/model"))),
        RecordFault::BrokenParam => drop(set("param", json!("{\"input\":\"{\\h"))),
        RecordFault::NumericFailCode => {
            let number = data["failCode"].as_str().and_then(|code| code.parse::<i64>().ok());
            if let Some(number) = number {
                data.insert("failCode".to_owned(), json!(number));
            }
        }
        RecordFault::OtherCallback => other_callback(data),
        RecordFault::Huge(bytes) => {
            let padding = "x".repeat(usize::try_from(*bytes).unwrap_or(0));
            drop(set("padding", json!(padding)));
        }
        RecordFault::Answer(_) | RecordFault::Null => {}
    }
}

fn other_callback(data: &mut Map<String, Value>) {
    let param = data["param"].as_str().and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
    if let Some(mut param) = param {
        param.insert("callBackUrl".to_owned(), json!("https://other.example/callback"));
        let text = json!(Value::Object(param).to_string());
        if data.contains_key("paramJson") {
            data.insert("paramJson".to_owned(), text.clone());
        }
        data.insert("param".to_owned(), text);
    }
}
