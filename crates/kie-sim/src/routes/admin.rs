//! `/sim/…`: what tests order and ask from outside the process.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::call::Call;
use crate::record::credits;
use crate::script::{SCRIPTS_MAX, Script, ScriptForm};
use crate::task::Outcome;
use crate::world::World;

/// Entries in an answer unless `limit` says otherwise.
const LIMIT: usize = 1000;

pub(super) fn router(world: Arc<World>) -> Router<Arc<World>> {
    Router::new()
        .route("/sim/health", get(health))
        .route("/sim/script", post(add_scripts).get(list_scripts).delete(clear_scripts))
        .route("/sim/tasks", get(tasks))
        .route("/sim/tasks/{id}", get(task))
        .route("/sim/tasks/{id}/finish", post(finish))
        .route("/sim/tasks/{id}/fail", post(fail))
        .route("/sim/requests", get(requests))
        .route("/sim/callbacks", get(callbacks).post(send_callback))
        .route("/sim/credits", get(balance).post(set_balance))
        .route("/sim/records", post(put_record))
        .route("/sim/reset", post(reset))
        .merge(crate::telegram::admin_router())
        .layer(from_fn_with_state(world, guard))
}

/// On a public address the admin paths want the key.
async fn guard(State(world): State<Arc<World>>, request: axum::extract::Request, next: Next) -> Response {
    let key =
        request.headers().get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if world.config.public && key != Some(world.config.api_key.as_str()) {
        return bad(StatusCode::UNAUTHORIZED, "the API key is missing or wrong");
    }
    next.run(request).await
}

pub(crate) fn bad(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({"error": text}))).into_response()
}

async fn health(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({"status": "ok", "url": world.base, "tasks": world.task_count()}))
}

/// One script or several; the words name the field that is wrong.
fn scripts_in(body: &[u8]) -> Result<Vec<(String, Script)>, String> {
    let body: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
    let forms = match body {
        Value::Array(forms) => forms,
        form => vec![form],
    };
    let read = |form: Value| {
        let form: ScriptForm = serde_json::from_value(form).map_err(|error| {
            format!("{error}; expected {{\"fault\": …}} or a list of such, `kie-sim --help` has the fields")
        })?;
        let script = Script::try_from(form.clone()).map_err(|error| error.to_string())?;
        Ok((form.fault, script))
    };
    forms.into_iter().map(read).collect()
}

async fn add_scripts(State(world): State<Arc<World>>, call: Call) -> Response {
    let scripts = match scripts_in(&call.body) {
        Ok(scripts) => scripts,
        Err(words) => return bad(StatusCode::BAD_REQUEST, &words),
    };
    let Some(ids) = world.scripts.add(scripts) else {
        let text =
            format!("no more than {SCRIPTS_MAX} scripts at once; DELETE /sim/script ends those there are");
        return bad(StatusCode::UNPROCESSABLE_ENTITY, &text);
    };
    Json(json!({"ids": ids})).into_response()
}

async fn list_scripts(State(world): State<Arc<World>>) -> Json<Vec<ScriptForm>> {
    Json(world.scripts.forms())
}

async fn clear_scripts(State(world): State<Arc<World>>) -> StatusCode {
    world.scripts.clear();
    StatusCode::NO_CONTENT
}

async fn tasks(State(world): State<Arc<World>>, call: Call) -> Json<Value> {
    let (model, state) = (call.parameter("model"), call.parameter("state"));
    let views = world.tasks().into_iter().rev().map(|task| world.view(&task));
    let found = views.filter(|view| {
        model.as_ref().is_none_or(|model| *model == view.model)
            && state.as_ref().is_none_or(|state| *state == view.state)
    });
    let mut newest: Vec<_> = found.take(limit(&call)).collect();
    newest.reverse();
    Json(json!({"tasks": newest}))
}

async fn task(State(world): State<Arc<World>>, Path(id): Path<String>) -> Response {
    match world.find(&id) {
        Some(task) => Json(world.view(&task)).into_response(),
        None => bad(StatusCode::NOT_FOUND, "no such task"),
    }
}

async fn finish(State(world): State<Arc<World>>, Path(id): Path<String>) -> Response {
    end(&world, &id, None)
}

/// How a task is to fail.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Failure {
    code: String,
    message: String,
}

impl Default for Failure {
    fn default() -> Self {
        Self { code: "500".to_owned(), message: "Internal server error".to_owned() }
    }
}

async fn fail(State(world): State<Arc<World>>, Path(id): Path<String>, call: Call) -> Response {
    let failure: Failure = if call.body.is_empty() {
        Failure::default()
    } else {
        match read(&call) {
            Ok(failure) => failure,
            Err(refusal) => return *refusal,
        }
    };
    end(&world, &id, Some(Outcome::Fail { code: failure.code, message: failure.message }))
}

fn end(world: &Arc<World>, id: &str, outcome: Option<Outcome>) -> Response {
    let Some(task) = world.find(id) else { return bad(StatusCode::NOT_FOUND, "no such task") };
    let ended = world.end_now(&task, outcome);
    let status = if ended { StatusCode::OK } else { StatusCode::CONFLICT };
    (status, Json(world.view(&task))).into_response()
}

async fn requests(State(world): State<Arc<World>>, call: Call) -> Json<Value> {
    let (path, task) = (call.parameter("path"), call.parameter("task"));
    let since: u64 = call.parameter("since").and_then(|text| text.parse().ok()).unwrap_or(0);
    let found = world.requests.newest(limit(&call), |entry| {
        entry.at_ms >= since
            && path.as_ref().is_none_or(|path| entry.path.starts_with(path.as_str()))
            && task.as_ref().is_none_or(|task| entry.task_id.as_ref() == Some(task))
    });
    Json(json!({"requests": found}))
}

async fn callbacks(State(world): State<Arc<World>>, call: Call) -> Json<Value> {
    let task = call.parameter("task");
    let passes = |entry: &crate::views::SentCallback| task.as_ref().is_none_or(|task| entry.task_id == *task);
    Json(json!({"callbacks": world.callbacks.newest(limit(&call), passes)}))
}

pub(crate) fn limit(call: &Call) -> usize {
    call.parameter("limit").and_then(|text| text.parse().ok()).unwrap_or(LIMIT)
}

async fn balance(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({"credits": credits(world.balance_micro()), "micro": world.balance_micro()}))
}

/// The balance in millionths of a credit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Balance {
    micro: u64,
}

async fn set_balance(State(world): State<Arc<World>>, call: Call) -> Response {
    match read::<Balance>(&call) {
        Ok(Balance { micro }) => {
            world.set_balance_micro(micro);
            Json(json!({"micro": micro})).into_response()
        }
        Err(refusal) => *refusal,
    }
}

/// A body of ours; the words name the field that is wrong.
fn read<T: DeserializeOwned>(call: &Call) -> Result<T, Box<Response>> {
    serde_json::from_slice(&call.body).map_err(|error| {
        let words = format!("{error}; `kie-sim --help` has the fields");
        Box::new(bad(StatusCode::BAD_REQUEST, &words))
    })
}

/// The record of a task of an older family.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FamilyRecord {
    path: String,
    #[serde(default)]
    task: String,
    answer: Value,
}

async fn put_record(State(world): State<Arc<World>>, call: Call) -> Response {
    let record: FamilyRecord = match read(&call) {
        Ok(record) => record,
        Err(refusal) => return *refusal,
    };
    match world.families.put(&record.path, &record.task, record.answer) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => bad(StatusCode::UNPROCESSABLE_ENTITY, &error),
    }
}

/// A callback of an older family.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FamilyCallback {
    url: String,
    task: String,
    body: Value,
}

async fn send_callback(State(world): State<Arc<World>>, call: Call) -> Response {
    let callback: FamilyCallback = match read(&call) {
        Ok(callback) => callback,
        Err(refusal) => return *refusal,
    };
    match crate::dispatch::send(&world, &callback.url, &callback.task, &callback.body) {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(error) => bad(StatusCode::UNPROCESSABLE_ENTITY, &error),
    }
}

async fn reset(State(world): State<Arc<World>>) -> Response {
    match world.reset() {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => bad(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
