//! `/sim/telegram/…`: the customer's side for tests in other languages.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::customer::{CustomerError, PayError, Telegram, TelegramChat};
use super::sign::{sign_init_data, sign_login};
use super::views::{CallView, Person};
use crate::call::Call;
use crate::clock::now_ms;
use crate::routes::{bad, limit};
use crate::world::World;

pub(crate) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/sim/telegram", get(overview))
        .route("/sim/telegram/chats", get(chats))
        .route("/sim/telegram/chats/{id}", get(chat))
        .route("/sim/telegram/chats/{id}/{act}", post(act))
        .route("/sim/telegram/people", post(introduce))
        .route("/sim/telegram/files/{id}", get(file))
        .route("/sim/telegram/calls", get(calls))
        .route("/sim/telegram/updates", get(updates))
        .route("/sim/telegram/deliveries", get(deliveries))
        .route("/sim/telegram/payments", get(payments))
        .route("/sim/telegram/profile", get(profile))
        .route("/sim/telegram/signed", post(signed))
        .layer(DefaultBodyLimit::disable())
}

fn telegram(world: &World) -> Telegram {
    Telegram(Arc::clone(&world.telegram))
}

async fn overview(State(world): State<Arc<World>>) -> Json<Value> {
    let telegram = telegram(&world);
    let state = world.telegram.lock();
    Json(json!({
        "bot_id": telegram.bot_id(),
        "username": world.config.telegram.username,
        "chats": state.chats.len(),
        "pending_updates": state.updates.len(),
        "webhook": state.updates.webhook.as_ref().map(|hook| hook.url.clone()),
        "stars": state.stars.balance,
    }))
}

async fn chats(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({"chats": telegram(&world).chats()}))
}

async fn chat(State(world): State<Arc<World>>, Path(id): Path<i64>) -> Response {
    match telegram(&world).chat(id).view() {
        Some(view) => Json(view).into_response(),
        None => bad(StatusCode::NOT_FOUND, "nobody has written into this chat"),
    }
}

/// What a customer does; each act reads the fields it needs.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Act {
    /// Who acts in a group.
    by: Option<i64>,
    text: String,
    payload: Option<String>,
    reply_to: Option<i64>,
    message_id: Option<i64>,
    data: Option<String>,
    button: Option<String>,
    forged: bool,
    phone: String,
    link: Option<String>,
}

async fn act(State(world): State<Arc<World>>, Path((id, act)): Path<(i64, String)>, call: Call) -> Response {
    let chat = telegram(&world).chat(id);
    if matches!(act.as_str(), "photo" | "document" | "video" | "audio") {
        return answer(send_bytes(&chat, &act, &call).map(|id| json!({"message_id": id})));
    }
    let form = if call.body.is_empty() { Ok(Act::default()) } else { serde_json::from_slice(&call.body) };
    let form: Act = match form {
        Ok(form) => form,
        Err(error) => return bad(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    };
    let chat = match form.by {
        Some(person) => chat.by(person),
        None => chat,
    };
    if act == "pay" {
        return pay(&chat, &form).await;
    }
    match perform(&chat, &act, &form) {
        Some(result) => answer(result),
        None => bad(StatusCode::NOT_FOUND, "no such act; see --help"),
    }
}

/// Photos and documents come as the raw body, with `caption` and `name` in the query.
fn send_bytes(chat: &TelegramChat, act: &str, call: &Call) -> Result<i64, CustomerError> {
    let caption = call.parameter("caption").unwrap_or_default();
    let name = call.parameter("name").unwrap_or_else(|| "file.bin".to_owned());
    let chat = match call.parameter("by").and_then(|by| by.parse().ok()) {
        Some(person) => chat.clone().by(person),
        None => chat.clone(),
    };
    let bytes = call.body.clone();
    match act {
        "photo" => chat.send_photo(bytes, &caption),
        "video" => chat.send_video(bytes, &caption),
        "audio" => chat.send_audio(bytes, &caption),
        _ => chat.send_document(&name, bytes, &caption),
    }
}

/// `None` if there is no such act.
fn perform(chat: &TelegramChat, act: &str, form: &Act) -> Option<Result<Value, CustomerError>> {
    let sent = |result: Result<i64, CustomerError>| result.map(|id| json!({"message_id": id}));
    let message = form.message_id.ok_or(CustomerError::NoMessage);
    let done = json!({});
    Some(match act {
        "start" => sent(chat.start(form.payload.as_deref())),
        "say" => sent(match form.reply_to {
            Some(to) => chat.reply(to, &form.text),
            None => chat.say(&form.text),
        }),
        "edit" => message.and_then(|id| chat.edit(id, &form.text)).map(|()| done),
        "press" => press(chat, form).map(|id| json!({"callback_query_id": id})),
        "contact" => sent(chat.send_contact(&form.phone)),
        "upgrade" => chat.upgrade().map(|id| json!({"chat_id": id})),
        "delete-message" => message.and_then(|id| chat.delete_message(id)).map(|()| done),
        "block" | "unblock" | "deactivate" | "delete" => {
            match act {
                "block" => chat.block(),
                "unblock" => chat.unblock(),
                "deactivate" => chat.deactivate(),
                _ => chat.delete(),
            }
            Ok(done)
        }
        _ => return None,
    })
}

fn press(chat: &TelegramChat, form: &Act) -> Result<String, CustomerError> {
    if let Some(text) = &form.button {
        return chat.press_text(text);
    }
    let id = form.message_id.ok_or(CustomerError::NoMessage)?;
    let data = form.data.as_deref().ok_or(CustomerError::NoButton)?;
    if form.forged { chat.press_forged(id, data) } else { chat.press(id, data) }
}

async fn pay(chat: &TelegramChat, form: &Act) -> Response {
    let paid = match (&form.link, form.message_id) {
        (Some(link), _) => chat.pay_link(link).await,
        (None, Some(id)) => chat.pay(id).await,
        (None, None) => Err(PayError::NoInvoice),
    };
    match paid {
        Ok(payment) => Json(payment).into_response(),
        Err(error) => bad(StatusCode::CONFLICT, &error.to_string()),
    }
}

fn answer(result: Result<Value, CustomerError>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error) => bad(StatusCode::CONFLICT, &error.to_string()),
    }
}

async fn introduce(State(world): State<Arc<World>>, Json(person): Json<Person>) -> StatusCode {
    telegram(&world).introduce(person);
    StatusCode::NO_CONTENT
}

async fn file(State(world): State<Arc<World>>, Path(id): Path<String>) -> Response {
    let state = world.telegram.lock();
    let found = state.files.find(&id).zip(state.files.bytes(&id));
    let Some((file, bytes)) = found else { return bad(StatusCode::NOT_FOUND, "no such file") };
    let mime = HeaderValue::from_str(&file.view().mime);
    let mut response = bytes.into_response();
    let mime = mime.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(header::CONTENT_TYPE, mime);
    response
}

async fn calls(State(world): State<Arc<World>>, call: Call) -> Json<Value> {
    let method = call.parameter("method");
    let number = |name: &str| call.parameter(name).and_then(|text| text.parse().ok());
    let (chat, since) = (number("chat"), number("since").unwrap_or(0));
    let passes = |line: &CallView| {
        method.as_ref().is_none_or(|method| line.method.eq_ignore_ascii_case(method))
            && chat.is_none_or(|chat| line.chat == Some(chat))
            && i64::try_from(line.at_ms).unwrap_or(i64::MAX) >= since
    };
    Json(json!({"calls": world.telegram.calls.newest(limit(&call), passes)}))
}

async fn updates(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({"updates": telegram(&world).pending_updates()}))
}

async fn deliveries(State(world): State<Arc<World>>, call: Call) -> Json<Value> {
    Json(json!({"deliveries": world.telegram.deliveries.newest(limit(&call), |_| true)}))
}

async fn payments(State(world): State<Arc<World>>) -> Json<Value> {
    let telegram = telegram(&world);
    Json(json!({"stars": telegram.stars(), "payments": telegram.payments()}))
}

async fn profile(State(world): State<Arc<World>>) -> Json<Value> {
    Json(telegram(&world).profile())
}

/// Who opens a web page from the messenger, and when (seconds since the epoch; now, if it is left out).
#[derive(Deserialize)]
struct Opening {
    user: Person,
    auth_date: Option<u64>,
}

async fn signed(State(world): State<Arc<World>>, Json(opening): Json<Opening>) -> Json<Value> {
    let at = opening.auth_date.unwrap_or_else(|| now_ms() / 1000);
    let token = &world.config.telegram.token;
    let login: serde_json::Map<_, _> =
        sign_login(token, &opening.user, at).into_iter().map(|(name, value)| (name, json!(value))).collect();
    Json(json!({"init_data": sign_init_data(token, &opening.user, at), "login": login}))
}
