//! getUpdates, and buttons with their answers.

use std::time::{Duration, Instant};

use kie_sim::telegram::CustomerError;
use kie_sim::{Telegram, TelegramConfig};
use serde_json::{Value, json};

use crate::support::until;
use crate::telegram::{ANN, PATIENCE, bench, with};

fn texts(updates: &Value) -> Vec<String> {
    let list = updates.as_array().unwrap().iter();
    list.filter_map(|update| Some(update["message"]["text"].as_str()?.to_owned())).collect()
}

#[tokio::test]
async fn updates_stay_until_the_offset_confirms_them() {
    let bench = bench().await;
    let chat = bench.telegram().chat(ANN);
    chat.start(None).unwrap();
    chat.say("one").unwrap();
    chat.say("two").unwrap();
    let all = bench.bot("getUpdates", json!({})).await;
    assert_eq!(texts(&all), ["/start", "one", "two"]);
    assert_eq!(bench.bot("getUpdates", json!({})).await, all);
    let ids: Vec<_> =
        all.as_array().unwrap().iter().map(|update| update["update_id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [ids[0], ids[0] + 1, ids[0] + 2]);
    let rest = bench.bot("getUpdates", json!({"offset": ids[0] + 1, "limit": 1})).await;
    assert_eq!(texts(&rest), ["one"]);
    assert_eq!(texts(&bench.bot("getUpdates", json!({"offset": -1})).await), ["two"]);
    assert_eq!(bench.bot("getUpdates", json!({"offset": ids[2] + 1})).await, json!([]));
    assert_eq!(bench.bot("getWebhookInfo", json!({})).await["pending_update_count"], 0);
}

#[tokio::test]
async fn a_long_poll_returns_as_soon_as_there_is_something() {
    let bench = bench().await;
    let telegram = bench.telegram();
    let started = Instant::now();
    let poll = bench.bot("getUpdates", json!({"timeout": 30}));
    let speak = async {
        assert!(telegram.wait_until(PATIENCE, Telegram::is_polled).await);
        telegram.chat(ANN).say("hello").unwrap();
    };
    let (found, ()) = tokio::join!(poll, speak);
    assert_eq!(texts(&found), ["hello"]);
    assert!(started.elapsed() < Duration::from_secs(20));
    let offset = found[0]["update_id"].as_i64().unwrap() + 1;
    let started = Instant::now();
    assert_eq!(bench.bot("getUpdates", json!({"offset": offset, "timeout": 1})).await, json!([]));
    assert!(started.elapsed() >= Duration::from_millis(990));
}

#[tokio::test]
async fn a_second_reader_ends_the_first() {
    let bench = bench().await;
    let telegram = bench.telegram();
    let first = bench.asked("getUpdates", json!({"timeout": 50}));
    let second = async {
        assert!(telegram.wait_until(PATIENCE, Telegram::is_polled).await);
        bench.bot("getUpdates", json!({"timeout": 0})).await
    };
    let ((status, body), empty) = tokio::join!(first, second);
    assert_eq!(
        (status, body["description"].as_str().unwrap()),
        (
            409,
            "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
        )
    );
    assert_eq!(empty, json!([]));
    telegram.chat(ANN).say("not lost").unwrap();
    assert_eq!(texts(&bench.bot("getUpdates", json!({})).await), ["not lost"]);
}

#[tokio::test]
async fn only_the_wanted_kinds_are_queued() {
    let bench = bench().await;
    let chat = bench.telegram().chat(ANN);
    bench.bot("getUpdates", json!({"allowed_updates": ["callback_query"]})).await;
    chat.start(None).unwrap();
    let buttons = json!({"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]});
    bench.bot("sendMessage", json!({"chat_id": ANN, "text": "x", "reply_markup": buttons})).await;
    chat.press_text("Go").unwrap();
    let found = bench.bot("getUpdates", json!({})).await;
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["callback_query"]["data"], "go");
    assert_eq!(bench.bot("getWebhookInfo", json!({})).await["allowed_updates"], json!(["callback_query"]));
}

#[tokio::test]
async fn a_button_is_pressed_and_answered_once() {
    let bench = bench().await;
    let chat = bench.telegram().chat(ANN);
    chat.start(None).unwrap();
    let buttons = json!({"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]});
    let sent = bench.bot("sendMessage", json!({"chat_id": ANN, "text": "x", "reply_markup": buttons})).await;
    let id = sent["message_id"].as_i64().unwrap();
    assert_eq!(chat.press(id, "other"), Err(CustomerError::NoButton));
    assert_eq!(chat.press(99, "go"), Err(CustomerError::NoMessage));
    let query = chat.press(id, "go").unwrap();
    let updates = bench.bot("getUpdates", json!({"offset": -1})).await;
    let told = &updates[0]["callback_query"];
    assert_eq!(
        (&told["id"], &told["from"]["id"], &told["message"]["message_id"]),
        (&json!(query), &json!(ANN), &json!(id))
    );
    assert!(chat.answer(&query).is_none());
    let answer = json!({"callback_query_id": query, "text": "queued", "show_alert": true});
    bench.bot("answerCallbackQuery", answer.clone()).await;
    let seen = chat.answer(&query).unwrap();
    assert_eq!((seen.text.as_deref(), seen.alert), (Some("queued"), true));
    let stale = "Bad Request: query is too old and response timeout expired or query ID is invalid";
    assert_eq!(bench.refused(400, "answerCallbackQuery", answer).await, stale);
    assert_eq!(bench.refused(400, "answerCallbackQuery", json!({"callback_query_id": "5"})).await, stale);
    chat.press_forged(id, "job:someone-else").unwrap();
    let updates = bench.bot("getUpdates", json!({"offset": -1})).await;
    assert_eq!(updates[0]["callback_query"]["data"], "job:someone-else");
}

#[tokio::test]
async fn an_answer_to_a_button_can_come_too_late() {
    let life = Duration::from_millis(1);
    let bench = with(TelegramConfig { callback_query_life: life, ..TelegramConfig::default() }).await;
    let chat = bench.telegram().chat(ANN);
    chat.start(None).unwrap();
    let query = chat.press_forged(1, "x").unwrap();
    let pressed = Instant::now();
    until("its time is over", || pressed.elapsed() > life * 4).await;
    let words = bench.refused(400, "answerCallbackQuery", json!({"callback_query_id": query})).await;
    assert!(words.contains("query is too old"));
}

#[tokio::test]
async fn people_write_edit_and_share() {
    let bench = bench().await;
    let chat = bench.telegram().chat(ANN);
    let id = chat.say("a kit").unwrap();
    chat.edit(id, "a kite").unwrap();
    chat.reply(id, "please").unwrap();
    chat.send_contact("+79990000000").unwrap();
    let updates = bench.bot("getUpdates", json!({})).await;
    assert_eq!(updates[1]["edited_message"]["text"], "a kite");
    assert_eq!(updates[2]["message"]["reply_to_message"]["message_id"], id);
    assert_eq!(updates[3]["message"]["contact"]["phone_number"], "+79990000000");
    assert_eq!(updates[0]["message"]["from"]["language_code"], "ru");
}
