//! Texts, buttons, edits and deletions.

use kie_sim::telegram::{ChatStanding, CustomerError};
use serde_json::{Value, json};

use crate::telegram::{ANN, bench};

#[tokio::test]
async fn the_customer_sees_the_text_with_its_markup() {
    let bench = bench().await;
    let chat = bench.telegram().chat(ANN);
    chat.start(Some("ref7")).unwrap();
    let sent = bench
        .bot("sendMessage", json!({
            "chat_id": ANN,
            "text": " <b>Ready</b> &amp; paid ",
            "parse_mode": "HTML",
            "reply_parameters": {"message_id": 1},
            "reply_markup": {"inline_keyboard": [[{"text": "Again", "callback_data": "again:1"}, {"text": "Web", "url": "https://a.example/x"}]]},
        }))
        .await;
    assert_eq!(
        sent["chat"],
        json!({"id": 42, "type": "private", "first_name": "User 42", "username": "user42"})
    );
    assert_eq!(sent["reply_to_message"]["text"], "/start ref7");
    assert_eq!(sent["from"]["is_bot"], true);
    let view = chat.view().unwrap();
    let message = view.last_from_bot().unwrap();
    assert_eq!((message.text.as_deref(), message.reply_to), (Some("Ready & paid"), Some(1)));
    assert_eq!(json!(message.entities), json!([{"type": "bold", "offset": 0, "length": 5}]));
    assert_eq!(message.button("Again").unwrap().data.as_deref(), Some("again:1"));
    assert_eq!(message.button("Web").unwrap().url.as_deref(), Some("https://a.example/x"));
    assert_eq!(view.messages[0].raw["entities"][0]["type"], "bot_command");
    bench.bot("sendChatAction", json!({"chat_id": ANN, "action": "upload_photo"})).await;
    assert_eq!(chat.view().unwrap().actions, ["upload_photo"]);
}

#[tokio::test]
async fn refusals_are_in_the_words_of_the_service() {
    let bench = bench().await;
    bench.telegram().chat(ANN).start(None).unwrap();
    let cases: [(&str, Value, &str); 10] = [
        ("sendMessage", json!({"text": "x"}), "chat_id is empty"),
        ("sendMessage", json!({"chat_id": 777, "text": "x"}), "chat not found"),
        ("sendMessage", json!({"chat_id": ANN}), "message text is empty"),
        ("sendMessage", json!({"chat_id": ANN, "text": "x".repeat(4097)}), "message is too long"),
        (
            "sendMessage",
            json!({"chat_id": ANN, "text": "<b>x", "parse_mode": "HTML"}),
            "can't parse entities: Can't find end tag corresponding to start tag \"b\"",
        ),
        (
            "sendMessage",
            json!({"chat_id": ANN, "text": "1.", "parse_mode": "MarkdownV2"}),
            "can't parse entities: Character '.' is reserved and must be escaped with the preceding '\\'",
        ),
        ("sendMessage", json!({"chat_id": ANN, "text": "x", "parse_mode": "TeX"}), "unsupported parse_mode"),
        (
            "sendMessage",
            json!({"chat_id": ANN, "text": "x", "reply_parameters": {"message_id": 99}}),
            "message to be replied not found",
        ),
        (
            "sendMessage",
            json!({"chat_id": ANN, "text": "x", "reply_markup": {"inline_keyboard": [[{"text": "a", "callback_data": "x".repeat(65)}]]}}),
            "BUTTON_DATA_INVALID",
        ),
        ("sendChatAction", json!({"chat_id": ANN, "action": "sleep"}), "wrong parameter action in request"),
    ];
    for (method, args, words) in cases {
        assert_eq!(bench.refused(400, method, args).await, format!("Bad Request: {words}"));
    }
    assert_eq!(bench.telegram().chat(ANN).messages().len(), 1);
}

#[tokio::test]
async fn edits_change_the_message_in_place() {
    let bench = bench().await;
    let chat = bench.telegram().chat(ANN);
    let own = chat.start(None).unwrap();
    let id = bench.says(ANN, "drawing").await;
    let edit = |text: &str| json!({"chat_id": ANN, "message_id": id, "text": text});
    let edited = bench.bot("editMessageText", edit("done")).await;
    assert!(edited["edit_date"].is_u64());
    assert!(
        bench
            .refused(400, "editMessageText", edit("done"))
            .await
            .starts_with("Bad Request: message is not modified")
    );
    assert_eq!(
        bench.refused(400, "editMessageText", edit(&"x".repeat(4097))).await,
        "Bad Request: MESSAGE_TOO_LONG"
    );
    let buttons = json!({"chat_id": ANN, "message_id": id, "reply_markup": {"inline_keyboard": [[{"text": "a", "callback_data": "b"}]]}});
    bench.bot("editMessageReplyMarkup", buttons.clone()).await;
    assert!(bench.refused(400, "editMessageReplyMarkup", buttons).await.contains("not modified"));
    let message = chat.view().unwrap().find(id).cloned().unwrap();
    assert_eq!((message.text.as_deref(), message.edits, message.buttons.len()), (Some("done"), 2, 1));
    bench.bot("editMessageText", edit("bare")).await;
    assert!(chat.view().unwrap().find(id).unwrap().buttons.is_empty());
    let no_caption = json!({"chat_id": ANN, "message_id": id, "caption": "x"});
    assert_eq!(
        bench.refused(400, "editMessageCaption", no_caption).await,
        "Bad Request: there is no caption in the message to edit"
    );
    let foreign = json!({"chat_id": ANN, "message_id": own, "text": "x"});
    assert_eq!(bench.refused(400, "editMessageText", foreign).await, "Bad Request: message can't be edited");
    bench.bot("deleteMessage", json!({"chat_id": ANN, "message_id": id})).await;
    assert_eq!(chat.view().unwrap().deleted, [id]);
    assert_eq!(
        bench.refused(400, "editMessageText", edit("late")).await,
        "Bad Request: message to edit not found"
    );
    assert_eq!(
        bench.refused(400, "deleteMessage", json!({"chat_id": ANN, "message_id": id})).await,
        "Bad Request: message to delete not found"
    );
}

#[tokio::test]
async fn a_customer_can_leave_and_come_back() {
    let bench = bench().await;
    let telegram = bench.telegram();
    let chat = telegram.chat(ANN);
    chat.start(None).unwrap();
    let say = json!({"chat_id": ANN, "text": "x"});
    chat.block();
    assert_eq!(
        bench.refused(403, "sendMessage", say.clone()).await,
        "Forbidden: bot was blocked by the user"
    );
    assert_eq!(chat.say("hm"), Err(CustomerError::Closed));
    chat.start(None).unwrap();
    bench.bot("sendMessage", say.clone()).await;
    let kinds: Vec<_> = telegram
        .pending_updates()
        .iter()
        .filter_map(|update| {
            update["my_chat_member"]["new_chat_member"]["status"].as_str().map(str::to_owned)
        })
        .collect();
    assert_eq!(kinds, ["kicked", "member"]);
    chat.delete();
    assert!(chat.messages().is_empty());
    chat.deactivate();
    assert_eq!(bench.refused(403, "sendMessage", say).await, "Forbidden: user is deactivated");
}

#[tokio::test]
async fn groups_kick_vanish_and_grow() {
    let bench = bench().await;
    let telegram = bench.telegram();
    let group = telegram.chat(-77).by(ANN);
    group.say("/draw@kie_sim_bot a kite").unwrap();
    let sent = bench.bot("sendMessage", json!({"chat_id": -77, "text": "x"})).await;
    assert_eq!(sent["chat"]["type"], "group");
    let new = group.upgrade().unwrap();
    let (status, body) = bench.asked("sendMessage", json!({"chat_id": -77, "text": "x"})).await;
    assert_eq!((status, &body["parameters"]), (400, &json!({"migrate_to_chat_id": new})));
    assert_eq!(body["description"], "Bad Request: group chat was upgraded to a supergroup chat");
    assert_eq!(
        bench.bot("sendMessage", json!({"chat_id": new, "text": "x"})).await["chat"]["type"],
        "supergroup"
    );
    let told = telegram.pending_updates();
    assert!(told.iter().any(|update| update["message"]["migrate_to_chat_id"] == new));
    assert!(told.iter().any(|update| update["message"]["migrate_from_chat_id"] == -77));
    assert_eq!(telegram.chat(-77).view().unwrap().standing, ChatStanding::Upgraded(new));
    telegram.chat(new).block();
    assert_eq!(
        bench.refused(403, "sendMessage", json!({"chat_id": new, "text": "x"})).await,
        "Forbidden: bot was kicked from the supergroup chat"
    );
    telegram.chat(-78).say("hi").unwrap();
    telegram.chat(-78).delete();
    assert_eq!(
        bench.refused(403, "sendMessage", json!({"chat_id": -78, "text": "x"})).await,
        "Forbidden: the group chat was deleted"
    );
    assert_eq!(telegram.chat(ANN).upgrade(), Err(CustomerError::NotAGroup));
}
