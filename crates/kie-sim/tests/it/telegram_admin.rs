//! The customer's side over HTTP, and what is signed for web pages.

use kie_sim::telegram::{Person, sign_init_data};
use serde_json::{Value, json};

use crate::support::Bench;
use crate::telegram::{ANN, PATIENCE, bench};
use crate::telegram_media::png;

async fn act(bench: &Bench, path: &str, body: Value) -> (u16, Value) {
    let answer = bench.http.post(bench.at(&format!("sim/telegram/{path}"))).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn read(bench: &Bench, path: &str) -> Value {
    bench.http.get(bench.at(&format!("sim/telegram{path}"))).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn another_language_can_play_the_customer() {
    let bench = bench().await;
    let person = json!({"id": ANN, "first_name": "Ann", "language_code": "en"});
    assert_eq!(act(&bench, "people", person).await.0, 204);
    assert_eq!(act(&bench, "chats/42/start", json!({"payload": "p"})).await, (200, json!({"message_id": 1})));
    let buttons = json!({"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]});
    bench.bot("sendMessage", json!({"chat_id": ANN, "text": "hi", "reply_markup": buttons})).await;
    let (status, pressed) = act(&bench, "chats/42/press", json!({"message_id": 2, "data": "go"})).await;
    assert!(status == 200 && pressed["callback_query_id"].is_string());
    assert_eq!(act(&bench, "chats/42/press", json!({"button": "Stop"})).await.0, 409);
    assert_eq!(act(&bench, "chats/42/press", json!({"buton": "Go"})).await.0, 422);
    assert_eq!(act(&bench, "chats/42/dance", json!({})).await.0, 404);
    let photo = bench.http.post(bench.at("sim/telegram/chats/42/photo?caption=blue")).body(png(4, 4));
    assert_eq!(photo.send().await.unwrap().status(), 200);
    let chat = read(&bench, "/chats/42").await;
    assert_eq!((&chat["kind"], &chat["standing"]), (&json!("private"), &json!("open")));
    let kinds: Vec<_> =
        chat["messages"].as_array().unwrap().iter().map(|message| message["kind"].clone()).collect();
    assert_eq!(json!(kinds), json!(["text", "text", "photo"]));
    assert_eq!(chat["messages"][0]["raw"]["from"]["first_name"], "Ann");
    let id = chat["messages"][2]["file"]["file_id"].as_str().unwrap();
    let file = bench.http.get(bench.at(&format!("sim/telegram/files/{id}"))).send().await.unwrap();
    assert_eq!(file.bytes().await.unwrap(), png(4, 4));
    act(&bench, "chats/42/block", json!({})).await;
    bench.refused(403, "sendMessage", json!({"chat_id": ANN, "text": "x"})).await;
    let calls = read(&bench, "/calls?method=sendMessage&chat=42").await;
    let codes: Vec<_> = calls["calls"].as_array().unwrap().iter().map(|call| call["code"].clone()).collect();
    assert_eq!(json!(codes), json!([200, 403]));
    assert_eq!(read(&bench, "/updates").await["updates"].as_array().unwrap().len(), 4);
    assert_eq!(read(&bench, "").await["chats"], 1);
    let missing = bench.http.get(bench.at("sim/telegram/chats/99")).send().await.unwrap();
    assert_eq!(missing.status(), 404);
}

#[tokio::test]
async fn another_language_can_pay_and_script() {
    let bench = bench().await;
    act(&bench, "chats/42/start", json!({})).await;
    let invoice = json!({
        "chat_id": ANN, "title": "t", "description": "d", "payload": "p", "currency": "XTR",
        "prices": [{"label": "l", "amount": 5}],
    });
    bench.bot("sendInvoice", invoice).await;
    let agree = async {
        let waits = |telegram: &kie_sim::Telegram| telegram.pending_updates().len() == 2;
        assert!(bench.telegram().wait_until(PATIENCE, waits).await);
        let id = bench.telegram().pending_updates()[1]["pre_checkout_query"]["id"].clone();
        bench.bot("answerPreCheckoutQuery", json!({"pre_checkout_query_id": id, "ok": true})).await;
    };
    let ((status, paid), ()) = tokio::join!(act(&bench, "chats/42/pay", json!({"message_id": 2})), agree);
    assert_eq!((status, &paid["amount"]), (200, &json!(5)), "{paid}");
    assert_eq!(read(&bench, "/payments").await["stars"], 5);
    assert_eq!(act(&bench, "chats/42/pay", json!({"message_id": 1})).await.0, 409);
    let script = json!({"fault": "tg=429:3", "method": "sendMessage", "chat": ANN, "times": 1});
    bench.http.post(bench.at("sim/script")).json(&script).send().await.unwrap();
    bench.refused(429, "sendMessage", json!({"chat_id": ANN, "text": "x"})).await;
    let shown: Value = bench.get("sim/script").send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&shown[0]["method"], &shown[0]["chat"], &shown[0]["struck"]),
        (&json!("sendMessage"), &json!(ANN), &json!(1))
    );
}

#[tokio::test]
async fn web_pages_get_what_telegram_signs() {
    let bench = bench().await;
    let person = Person::new(ANN);
    let (_, signed) = act(&bench, "signed", json!({"user": person, "auth_date": 1_700_000_000})).await;
    assert_eq!(signed["init_data"], sign_init_data(bench.telegram().token(), &person, 1_700_000_000));
    assert_eq!(signed["login"]["id"], "42");
    assert_eq!(signed["login"]["hash"].as_str().unwrap().len(), 64);
}
