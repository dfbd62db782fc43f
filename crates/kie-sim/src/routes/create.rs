//! `POST /api/v1/jobs/createTask`: takes an order, or answers as if it had not.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::fault::{CallbackFault, CreateAnswer, CreateFault, Fault, Moment, Route, UNKNOWN_MODEL, pick};
use crate::models::Kind;
use crate::record::usual_ms;
use crate::reply::Reply;
use crate::script::{Scene, Words};
use crate::task::{Task, marks_of, music_tracks};
use crate::world::{Draft, World};

pub(super) async fn create_task(State(world): State<Arc<World>>, call: Call) -> Response {
    let reply = match admit(&world, &call) {
        Ok(request) => accept(&world, &call, request).await,
        Err(refusal) => refusal,
    };
    call.answer(&world, reply).await
}

/// A request that may become a task.
struct Request {
    model: String,
    kind: Kind,
    input: Map<String, Value>,
    callback_url: Option<String>,
    fault: Option<CreateFault>,
    wishes: Vec<Fault>,
}

/// The checks in the order of the service: key, rate, body, faults, model, fields.
fn admit(world: &World, call: &Call) -> Result<Request, Reply> {
    if !call.authorized(world) {
        return Err(Reply::unauthorized());
    }
    if !call.says_json() {
        return Err(Reply::bare(401, "You do not have access permissions"));
    }
    if !world.creates.admit(call.at_ms) {
        return Err(Reply::too_many(world));
    }
    let body: Map<String, Value> =
        serde_json::from_slice(&call.body).map_err(|_ignored| Reply::refusal(400, "Invalid request body"))?;
    let text =
        |key: &str| body.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let model = text("model").ok_or_else(|| Reply::refusal(422, UNKNOWN_MODEL))?;
    let callback_url = text("callBackUrl");
    let Some(Value::Object(input)) = body.get("input").cloned() else {
        return Err(Reply::refusal(500, "This field is required"));
    };
    let kind = world.models.kind(&model).ok_or_else(|| Reply::refusal(422, UNKNOWN_MODEL))?;
    if let Some(field) = world.models.missing_field(&model, &input) {
        return Err(Reply::refusal(500, &format!("{field} is required")));
    }
    let (fault, wishes) = faults(world, &model, &input);
    Ok(Request { model, kind, input, callback_url, fault, wishes })
}

/// The fault of the answer, and the wishes about the task.
fn faults(world: &World, model: &str, input: &Map<String, Value>) -> (Option<CreateFault>, Vec<Fault>) {
    let input_text = Value::Object(input.clone()).to_string();
    let marks = world.mark_memory.marks(model, &input_text, || marks_of(input));
    let scene = Scene {
        route: Some(Route::CreateTask),
        model: Some(model),
        words: Some(Words::Text(&input_text)),
        ..Scene::default()
    };
    let all = |moment| pick(marks.iter(), moment).into_iter().chain(world.scripts.pick(moment, &scene));
    let fault = all(Moment::Create).find_map(|fault| match fault {
        Fault::Create(fault) => Some(fault),
        _ => None,
    });
    let other = all(Moment::Other).find_map(|fault| match fault {
        Fault::Answer(answer) => Some(CreateFault::from(CreateAnswer::Answer(answer))),
        _ => None,
    });
    (fault.or(other), all(Moment::Plan).collect())
}

async fn accept(world: &Arc<World>, call: &Call, request: Request) -> Reply {
    let fault = request.fault.clone();
    if let Some(CreateFault { answer, task: false }) = &fault {
        return misanswered(Reply::ok(&json!({})), answer);
    }
    let draft = draft(world, call, request);
    if !world.charge(draft.cost_micro) {
        return Reply::short(world);
    }
    let documented = matches!(&fault, Some(CreateFault { answer: CreateAnswer::DocumentedId, .. }));
    let task = world.add(draft, documented);
    tracing::info!(task = task.order.id, model = task.order.model, "task.created");
    if world.callback_faults(&task, Moment::Start).contains(&CallbackFault::BeforeAnswer) {
        end_before_answer(world, &task).await;
    } else {
        world.run(Arc::clone(&task));
    }
    let id = &task.order.id;
    let data = if documented { json!({"taskId": id}) } else { json!({"taskId": id, "recordId": id}) };
    let reply = Reply::ok(&data).about(id);
    match fault {
        Some(fault) => misanswered(reply, &fault.answer).about(id),
        None => reply,
    }
}

fn draft(world: &World, call: &Call, request: Request) -> Draft {
    let quote = world.models.quote(&request.model, &request.input);
    let outputs = music_tracks(&request.model).unwrap_or(quote.outputs);
    let mut draft = Draft {
        runs: Duration::from_millis(usual_ms(world, request.kind)),
        model: request.model,
        kind: request.kind,
        input: request.input,
        callback_url: request.callback_url,
        created_ms: call.at_ms,
        cost_micro: quote.micro,
        count: outputs.clamp(1, 100),
        bytes: world.config.result_bytes,
    };
    for wish in request.wishes {
        match wish {
            Fault::Duration(runs) => draft.runs = runs,
            Fault::Count(count) => draft.count = count,
            Fault::Cost(micro) => draft.cost_micro = micro,
            Fault::Size(bytes) => draft.bytes = Some(bytes),
            _ => {}
        }
    }
    draft
}

fn misanswered(reply: Reply, answer: &CreateAnswer) -> Reply {
    match answer {
        CreateAnswer::Answer(answer) => reply.spoilt(answer),
        CreateAnswer::NoId => Reply::ok(&json!({})),
        CreateAnswer::DocumentedId => reply,
        CreateAnswer::MessageKey => {
            let data = json!({"taskId": reply.task_id});
            Reply::json(StatusCode::OK, &json!({"code": 200, "message": "success", "data": data}))
        }
    }
}

/// The task is over and told, or nearly so, when its order is answered.
async fn end_before_answer(world: &Arc<World>, task: &Arc<Task>) {
    if world.end(task, None) {
        let told = world.tell(Arc::clone(task));
        if tokio::time::timeout(world.config.callback_timeout, told).await.is_err() {
            tracing::debug!(task = task.order.id, "the callback before the answer was not accepted in time");
        }
    }
}
