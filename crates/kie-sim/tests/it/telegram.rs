//! A simulator with a bot's hands, and the first things a bot does.

use std::time::Duration;

use kie_sim::{SimConfig, Telegram, TelegramConfig};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Bench, quick};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const ANN: i64 = 42;

/// A bench whose bot may send as fast as it likes.
pub(crate) async fn bench() -> Bench {
    with(TelegramConfig { limits: false, ..TelegramConfig::default() }).await
}

pub(crate) async fn with(telegram: TelegramConfig) -> Bench {
    Bench::with(SimConfig { telegram, ..quick() }).await
}

impl Bench {
    pub(crate) fn telegram(&self) -> Telegram {
        self.sim.telegram()
    }

    pub(crate) fn method(&self, name: &str) -> String {
        format!("{}/bot{}/{name}", self.telegram().api_url(), self.telegram().token())
    }

    /// Status and body of a call with JSON.
    pub(crate) async fn asked(&self, method: &str, args: Value) -> (u16, Value) {
        let answer = self.http.post(self.method(method)).json(&args).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// The result of a call that must succeed.
    pub(crate) async fn bot(&self, method: &str, args: Value) -> Value {
        let (status, body) = self.asked(method, args.clone()).await;
        assert_eq!((status, &body["ok"]), (200, &json!(true)), "{method} {args} {body}");
        body["result"].clone()
    }

    /// The description of a call that must be refused with this status.
    pub(crate) async fn refused(&self, status: u16, method: &str, args: Value) -> String {
        let (got, body) = self.asked(method, args.clone()).await;
        assert_eq!(
            (got, &body["ok"], &body["error_code"]),
            (status, &json!(false), &json!(status)),
            "{method} {args} {body}"
        );
        body["description"].as_str().unwrap().to_owned()
    }

    /// A text of the bot, which must succeed; gives the id.
    pub(crate) async fn says(&self, chat: i64, text: &str) -> i64 {
        let message = self.bot("sendMessage", json!({"chat_id": chat, "text": text})).await;
        message["message_id"].as_i64().unwrap()
    }
}

#[tokio::test]
async fn tokens_and_methods_are_checked() {
    let bench = bench().await;
    let me = bench.bot("getMe", json!({})).await;
    assert_eq!(
        (&me["id"], &me["is_bot"], &me["username"]),
        (&json!(7_000_000_001_i64), &json!(true), &json!("kie_sim_bot"))
    );
    assert_eq!(bench.bot("GETME", json!({})).await["id"], me["id"]);
    assert_eq!(bench.refused(404, "getNothing", json!({})).await, "Not Found: method not found");
    let get = async |url: String| {
        let answer = bench.http.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let base = bench.telegram().api_url().to_owned();
    let (status, body) = get(format!("{base}/bot1:wrong/getMe")).await;
    assert_eq!((status, body), (401, json!({"ok": false, "error_code": 401, "description": "Unauthorized"})));
    assert_eq!(get(format!("{base}/file/bot1:wrong/x")).await.0, 401);
    let (status, body) = get(format!("{base}/bot{}", bench.telegram().token())).await;
    assert_eq!((status, body["description"].as_str()), (404, Some("Not Found")));
    let (status, body) = get(format!("{base}/nowhere/at-all")).await;
    assert_eq!((status, &body["message"]), (404, &json!("No message available")));
}

#[tokio::test]
async fn a_call_may_come_as_query_form_json_or_multipart() {
    let bench = bench().await;
    bench.telegram().chat(ANN).start(None).unwrap();
    let url = bench.method("sendMessage");
    let id = ANN.to_string();
    let pairs = [("chat_id", id.as_str()), ("text", "a & b")];
    let requests = [
        bench.http.request(Method::GET, &url).query(&pairs),
        bench
            .http
            .post(&url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("chat_id={id}&text=a+%26+b")),
        bench.http.post(&url).json(&json!({"chat_id": ANN, "text": "a & b"})),
        bench.http.post(&url).json(&json!({"chat_id": id, "text": "a & b"})),
        bench
            .http
            .post(&url)
            .multipart(reqwest::multipart::Form::new().text("chat_id", id.clone()).text("text", "a & b")),
    ];
    for request in requests {
        let body: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!((&body["ok"], &body["result"]["text"]), (&json!(true), &json!("a & b")), "{body}");
    }
    let view = bench.telegram().chat(ANN).view().unwrap();
    let ids: Vec<_> = view.messages.iter().map(|message| message.id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
    let broken =
        bench.http.post(&url).header("content-type", "application/json").body("[1").send().await.unwrap();
    assert_eq!(broken.status(), 400);
    assert_eq!(bench.telegram().calls_of("sendmessage").len(), 6);
}

#[tokio::test]
async fn a_bot_says_who_it_is() {
    let bench = bench().await;
    let commands = json!([{"command": "start", "description": "begin"}]);
    bench.bot("setMyCommands", json!({"commands": commands, "language_code": "ru"})).await;
    assert_eq!(bench.bot("getMyCommands", json!({"language_code": "ru"})).await, commands);
    assert_eq!(bench.bot("getMyCommands", json!({})).await, json!([]));
    let bad = json!({"commands": [{"command": "Start!", "description": "x"}]});
    assert_eq!(bench.refused(400, "setMyCommands", bad).await, "Bad Request: BOT_COMMAND_INVALID");
    bench.bot("setMyDescription", json!({"description": "pictures"})).await;
    assert_eq!(bench.bot("getMyDescription", json!({})).await, json!({"description": "pictures"}));
    bench.bot("setMyShortDescription", json!({"short_description": "p"})).await;
    bench.bot("setChatMenuButton", json!({"menu_button": {"type": "commands"}})).await;
    assert_eq!(bench.telegram().profile()["short_description:"], "p");
    bench.sim.reset().unwrap();
    assert_eq!(bench.telegram().profile(), json!({}));
}
