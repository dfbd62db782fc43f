//! Rates and scripted faults.

use std::time::{Duration, Instant};

use kie_sim::{Script, TelegramConfig};
use serde_json::{Value, json};

use crate::telegram::{ANN, bench, with};

fn script(text: &str) -> Script {
    Script::parse(text).unwrap()
}

#[tokio::test]
async fn one_chat_and_all_chats_have_their_rates() {
    let bench = with(TelegramConfig::default()).await;
    for chat in 1..=40 {
        bench.telegram().chat(chat).start(None).unwrap();
    }
    let say = |chat: i64| json!({"chat_id": chat, "text": "x"});
    for _ in 0..3 {
        bench.bot("sendMessage", say(1)).await;
    }
    let answer = bench.http.post(bench.method("sendMessage")).json(&say(1)).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["retry-after"].clone()),
        (429, "1".parse().unwrap())
    );
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["description"], "Too Many Requests: retry after 1");
    assert_eq!(body["parameters"], json!({"retry_after": 1}));
    let mut refused = 0;
    for chat in 2..=40 {
        let (status, _) = bench.asked("sendMessage", say(chat)).await;
        refused += u32::from(status == 429);
    }
    assert!(refused > 0, "forty messages within a moment");
    let shown: usize = bench.telegram().chats().iter().map(|chat| chat.from_bot().count()).sum();
    let carried = bench.telegram().calls_of("sendMessage").iter().filter(|call| call.ok).count();
    assert_eq!(shown, carried);
}

#[tokio::test]
async fn calls_are_refused_by_method_chat_and_count() {
    let bench = bench().await;
    bench.telegram().chat(ANN).start(None).unwrap();
    bench.telegram().chat(43).start(None).unwrap();
    let say = |chat: i64| json!({"chat_id": chat, "text": "x"});
    bench.sim.script(script("tg=429:7").for_method("send*").for_chat(ANN).times(1));
    bench.sim.script(script("tg=403").for_method("sendmessage").for_chat(43).after(1));
    let (status, body) = bench.asked("sendMessage", say(ANN)).await;
    assert_eq!((status, &body["parameters"]["retry_after"]), (429, &json!(7)));
    bench.bot("sendMessage", say(ANN)).await;
    bench.bot("sendMessage", say(43)).await;
    assert_eq!(bench.refused(403, "sendMessage", say(43)).await, "Forbidden: bot was blocked by the user");
    bench.bot("sendChatAction", json!({"chat_id": 43, "action": "typing"})).await;
    bench.sim.clear_scripts();
    for (fault, status, words) in [
        ("tg=500", 500, "Internal Server Error"),
        ("tg=502", 502, "Bad Gateway"),
        ("tg=deactivated", 403, "Forbidden: user is deactivated"),
        ("tg=kicked", 403, "Forbidden: bot was kicked from the group chat"),
        ("tg=not-found", 400, "Bad Request: chat not found"),
        ("tg=blocked", 403, "Forbidden: bot was blocked by the user"),
        ("tg=deleted", 403, "Forbidden: the group chat was deleted"),
        ("tg=400:Bad Request: odd: very", 400, "Bad Request: odd: very"),
    ] {
        bench.telegram().chat(-5).say("x").unwrap();
        bench.sim.script(script(fault).times(1));
        assert_eq!(bench.refused(status, "sendMessage", say(-5)).await, words, "{fault}");
    }
    assert!(bench.telegram().chat(-5).view().unwrap().last_from_bot().is_none());
}

#[tokio::test]
async fn a_lost_answer_leaves_the_message_and_a_reset_does_not() {
    let bench = bench().await;
    let chat = bench.telegram().chat(ANN);
    chat.start(None).unwrap();
    let post = |text: &str| {
        bench.http.post(bench.method("sendMessage")).json(&json!({"chat_id": ANN, "text": text}))
    };
    for fault in ["tg=lost-answer", "tg=lost-answer:cut", "tg=reset", "tg=cut"] {
        bench.sim.script(script(fault).times(1));
        let answer = post(fault).send().await;
        let read = match answer {
            Ok(answer) => answer.bytes().await.map(|_| ()),
            Err(error) => Err(error),
        };
        assert!(read.is_err(), "{fault}");
    }
    bench.sim.script(script("tg=lost-answer:timeout").times(1));
    let silent = post("silent").timeout(Duration::from_millis(300)).send().await.unwrap_err();
    assert!(silent.is_timeout());
    bench.sim.script(script("tg=lost-answer:html").times(1));
    let page = post("page").send().await.unwrap();
    assert_eq!(
        (page.status().as_u16(), page.headers()["content-type"].clone()),
        (502, "text/html".parse().unwrap())
    );
    bench.sim.script(script("tg=html").times(1));
    assert_eq!(post("never").send().await.unwrap().status(), 502);
    bench.sim.script(script("tg=timeout").times(1));
    let silent = post("never").timeout(Duration::from_millis(300)).send().await.unwrap_err();
    assert!(silent.is_timeout());
    for (fault, text) in [("tg=empty", "never"), ("tg=lost-answer:empty", "hollow")] {
        bench.sim.script(script(fault).times(1));
        let hollow = post(text).send().await.unwrap();
        assert_eq!((hollow.status().as_u16(), hollow.text().await.unwrap().as_str()), (200, ""), "{fault}");
    }
    let texts: Vec<_> = chat.view().unwrap().from_bot().filter_map(|message| message.text.clone()).collect();
    assert_eq!(texts, ["tg=lost-answer", "tg=lost-answer:cut", "silent", "page", "hollow"]);
    let calls = bench.telegram().calls_of("sendMessage");
    assert!(calls.iter().all(|call| !call.answered));
    assert_eq!(calls.iter().filter(|call| call.ok).count(), 5);
    assert!(calls[0].message_id.is_some());
}

#[tokio::test]
async fn marks_in_a_text_work_as_scripts_do() {
    let bench = bench().await;
    bench.telegram().chat(ANN).start(None).unwrap();
    let say = json!({"chat_id": ANN, "text": "hello [sim:tg=429:2:times=2]"});
    for _ in 0..2 {
        bench.refused(429, "sendMessage", say.clone()).await;
    }
    bench.bot("sendMessage", say).await;
    let started = Instant::now();
    bench.bot("sendMessage", json!({"chat_id": ANN, "text": "late [sim:tg=slow:200ms]"})).await;
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_scripted_migration_can_be_followed() {
    let bench = bench().await;
    bench.telegram().chat(-9).say("hi").unwrap();
    bench.sim.script(script("tg=chat-migrated:-1009").times(1));
    let say = |chat: i64| json!({"chat_id": chat, "text": "x"});
    for _ in 0..2 {
        let (status, body) = bench.asked("sendMessage", say(-9)).await;
        assert_eq!((status, &body["parameters"]["migrate_to_chat_id"]), (400, &json!(-1009)));
    }
    bench.bot("sendMessage", say(-1009)).await;
}

#[tokio::test]
async fn chance_is_repeatable() {
    let bench = bench().await;
    bench.telegram().chat(ANN).start(None).unwrap();
    let mut runs = Vec::new();
    for _ in 0..2 {
        bench.sim.clear_scripts();
        bench.sim.script(script("tg=500").for_method("sendMessage").with_chance(0.5, 9));
        let mut run = Vec::new();
        for _ in 0..16 {
            run.push(bench.asked("sendMessage", json!({"chat_id": ANN, "text": "x"})).await.0);
        }
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&200) && runs[0].contains(&500));
}
