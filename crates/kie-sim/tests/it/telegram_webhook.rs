//! Updates pushed to a webhook.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use kie_sim::{Script, Telegram, TelegramConfig};
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use crate::support::{Bench, until};
use crate::telegram::{ANN, PATIENCE, with};

/// Takes updates and answers in turn with the given statuses, then with 200 and the given body.
#[derive(Clone)]
struct Hook {
    url: String,
    arrived: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    statuses: Arc<Mutex<Vec<u16>>>,
    reply: Value,
}

impl Hook {
    async fn start(statuses: &[u16], reply: Value) -> Self {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let statuses = Arc::new(Mutex::new(statuses.iter().rev().copied().collect()));
        let hook = Self { url, arrived: Arc::default(), statuses, reply };
        let app = Router::new().route("/hook", post(take)).with_state(hook.clone());
        TaskTracker::new().spawn(async move { axum::serve(listener, app).await.unwrap() });
        hook
    }

    fn texts(&self) -> Vec<String> {
        let arrived = self.arrived.lock().unwrap();
        arrived
            .iter()
            .map(|(_, update)| update["message"]["text"].as_str().unwrap_or("-").to_owned())
            .collect()
    }
}

async fn take(State(hook): State<Hook>, headers: HeaderMap, body: Bytes) -> Response {
    let update = serde_json::from_slice(&body).unwrap();
    hook.arrived.lock().unwrap().push((headers, update));
    let status = hook.statuses.lock().unwrap().pop();
    match status {
        Some(status) => StatusCode::from_u16(status).unwrap().into_response(),
        None => axum::Json(hook.reply).into_response(),
    }
}

async fn hasty() -> Bench {
    let webhook_retry = vec![Duration::ZERO, Duration::from_millis(30)];
    with(TelegramConfig { webhook_retry, limits: false, ..TelegramConfig::default() }).await
}

#[tokio::test]
async fn updates_come_in_order_with_the_secret_and_are_repeated() {
    let bench = hasty().await;
    let hook = Hook::start(&[500, 404], json!({})).await;
    let chat = bench.telegram().chat(ANN);
    chat.say("before").unwrap();
    let set = json!({"url": hook.url, "secret_token": "s3cret_-", "max_connections": 4, "allowed_updates": ["message"]});
    assert_eq!(bench.bot("setWebhook", set).await, true);
    chat.say("one").unwrap();
    chat.say("two").unwrap();
    until("all have come", || hook.texts().len() >= 5).await;
    assert_eq!(hook.texts(), ["before", "before", "before", "one", "two"]);
    let secret = hook.arrived.lock().unwrap()[0].0["x-telegram-bot-api-secret-token"].clone();
    assert_eq!(secret, "s3cret_-");
    until("all are confirmed", || bench.telegram().pending_updates().is_empty()).await;
    let info = bench.bot("getWebhookInfo", json!({})).await;
    assert_eq!((&info["url"], &info["max_connections"]), (&json!(hook.url), &json!(4)));
    assert_eq!(info["last_error_message"], "Wrong response from the webhook: 404 Not Found");
    let seen: Vec<_> = bench.telegram().deliveries().iter().map(|one| (one.attempt, one.status)).collect();
    assert_eq!(seen[..3], [(1, Some(500)), (2, Some(404)), (3, Some(200))]);
}

#[tokio::test]
async fn asking_and_pushing_exclude_each_other() {
    let bench = hasty().await;
    let hook = Hook::start(&[], json!({})).await;
    let poll = bench.asked("getUpdates", json!({"timeout": 50}));
    let set = async {
        assert!(bench.telegram().wait_until(PATIENCE, Telegram::is_polled).await);
        bench.bot("setWebhook", json!({"url": hook.url})).await
    };
    let ((status, body), _) = tokio::join!(poll, set);
    assert_eq!((status, &body["description"]), (409, &json!("Conflict: terminated by setWebhook request")));
    let words = bench.refused(409, "getUpdates", json!({})).await;
    assert!(words.starts_with("Conflict: can't use getUpdates method while webhook is active"), "{words}");
    bench.bot("deleteWebhook", json!({})).await;
    bench.telegram().chat(ANN).say("kept").unwrap();
    assert_eq!(bench.bot("getWebhookInfo", json!({})).await["pending_update_count"], 1);
    bench.bot("deleteWebhook", json!({"drop_pending_updates": true})).await;
    assert_eq!(bench.bot("getUpdates", json!({})).await, json!([]));
    for (args, words) in [
        (json!({"url": "nonsense"}), "Bad Request: invalid webhook URL specified"),
        (
            json!({"url": hook.url, "secret_token": "a b"}),
            "Bad Request: secret token contains unallowed characters",
        ),
        (json!({"url": hook.url, "secret_token": "a".repeat(257)}), "Bad Request: secret token is too long"),
    ] {
        assert_eq!(bench.refused(400, "setWebhook", args).await, words);
    }
}

#[tokio::test]
async fn one_stuck_chat_does_not_hold_up_another() {
    let bench =
        with(TelegramConfig { webhook_retry: vec![Duration::from_mins(5)], ..TelegramConfig::default() })
            .await;
    let hook = Hook::start(&[503], json!({})).await;
    bench.telegram().chat(ANN).say("stuck").unwrap();
    bench.bot("setWebhook", json!({"url": hook.url})).await;
    until("the first is refused", || bench.telegram().deliveries().len() == 1).await;
    bench.telegram().chat(ANN).say("behind it").unwrap();
    bench.telegram().chat(7).say("free").unwrap();
    until("the other chat is served", || hook.texts() == ["stuck", "free"]).await;
    until("it is confirmed", || bench.telegram().pending_updates().len() == 2).await;
}

#[tokio::test]
async fn the_answer_may_be_a_call() {
    let bench = hasty().await;
    let reply = json!({"method": "sendMessage", "chat_id": ANN, "text": "by the way"});
    let hook = Hook::start(&[], reply).await;
    bench.bot("setWebhook", json!({"url": hook.url})).await;
    let chat = bench.telegram().chat(ANN);
    chat.say("hello").unwrap();
    let view = chat.wait_for(PATIENCE, |view| view.last_from_bot().is_some()).await.unwrap();
    assert_eq!(view.last_from_bot().unwrap().text.as_deref(), Some("by the way"));
}

#[tokio::test]
async fn updates_can_be_doubled_delayed_and_lost() {
    let bench = hasty().await;
    let chat = bench.telegram().chat(ANN);
    bench.sim.script(Script::parse("tg-update=duplicate").unwrap().for_method("message").for_prompt("twice"));
    bench.sim.script(Script::parse("tg-update=lost:times=1").unwrap().for_prompt("never"));
    bench.sim.script(Script::parse("tg-update=late:50ms:times=1").unwrap().for_prompt("later"));
    for text in ["twice", "never", "later", "now"] {
        chat.say(text).unwrap();
    }
    until("the late one has come", || bench.telegram().pending_updates().len() == 4).await;
    let pending = bench.telegram().pending_updates();
    let texts: Vec<_> = pending.iter().map(|update| update["message"]["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["twice", "twice", "now", "later"]);
    assert_eq!(pending[0]["update_id"], pending[1]["update_id"]);
    assert!(pending[3]["update_id"].as_i64() > pending[2]["update_id"].as_i64());
}
