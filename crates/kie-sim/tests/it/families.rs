//! The older families: orders that make no task, answers that are given, callbacks that are sent.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Bench, Receiver, quick};
use kie_sim::SimConfig;

#[tokio::test]
async fn an_order_is_answered_with_a_fresh_id_or_as_a_test_wants() {
    let bench = Bench::start().await;
    let veo = async || Bench::envelope(bench.post("api/v1/veo/generate", &json!({"prompt": "kite"}))).await;
    let (first, second) = (veo().await, veo().await);
    assert_eq!((first["code"].as_i64(), second["code"].as_i64()), (Some(200), Some(200)));
    assert_ne!(first["data"]["taskId"], second["data"]["taskId"]);
    let id = first["data"]["taskId"].as_str().unwrap();
    let read = format!("api/v1/veo/record-info?taskId={id}");
    assert_eq!(Bench::envelope(bench.get(&read)).await["data"], Value::Null);
    let answer = json!({"code": 200, "msg": "success", "data": {"taskId": id, "successFlag": 0}});
    bench.sim.put_record("/api/v1/veo/record-info", id, answer.clone()).unwrap();
    assert_eq!(Bench::envelope(bench.get(&read)).await, answer);
    let refusal = json!({"path": "/api/v1/veo/generate", "answer": {"code": 400, "msg": "no", "data": null}});
    assert_eq!(bench.post("sim/records", &refusal).send().await.unwrap().status(), 204);
    assert_eq!(veo().await, refusal["answer"]);
    assert!(bench.sim.tasks().is_empty());
    let request =
        bench.sim.requests().into_iter().find(|entry| entry.path == "/api/v1/veo/generate").unwrap();
    assert_eq!(request.task_id.as_deref(), Some(id));
    bench.sim.reset().unwrap();
    assert_eq!(veo().await["code"], 200);
}

#[tokio::test]
async fn orders_and_links_are_checked_as_the_service_checks_them() {
    let bench = Bench::with(SimConfig { creates_per_10s: 3, ..quick() }).await;
    let keyless = bench.http.post(bench.at("api/v1/generate")).json(&json!({}));
    assert_eq!(Bench::envelope(keyless).await["code"], 401);
    let music = json!({"prompt": "kite", "callBackUrl": "https://app.example/cb"});
    assert_eq!(Bench::envelope(bench.post("api/v1/generate", &music)).await["code"], 200);
    assert_eq!(
        Bench::envelope(bench.post("api/v1/generate", &json!({}))).await["msg"],
        "Please enter callBackUrl."
    );
    let before = bench.sim.credits_micro();
    let style = Bench::envelope(bench.post("api/v1/style/generate", &json!({"content": "Pop"}))).await;
    assert_eq!(
        (&style["data"]["param"], &style["data"]["successFlag"]),
        (&json!("Pop"), &json!("\u{6210}\u{529F}"))
    );
    assert_eq!(before - bench.sim.credits_micro(), 400_000);
    assert_eq!(Bench::envelope(bench.post("api/v1/generate", &music)).await["code"], 429);
    let link = "api/v1/gpt4o-image/download-url";
    assert_eq!(Bench::envelope(bench.post(link, &json!({"url": "https://h/1.png"}))).await["code"], 400);
    assert_eq!(Bench::envelope(bench.post(link, &json!({"taskId": "a1"}))).await["msg"], "record is null");
    assert_eq!(bench.get("api/v1/veo/generate").send().await.unwrap().status(), 404);
    bench.sim.script(kie_sim::Script::parse("answer=455").unwrap().on(kie_sim::Route::DownloadUrl).times(1));
    assert_eq!(Bench::envelope(bench.post(link, &json!({"taskId": "a1"}))).await["code"], 455);
}

#[tokio::test]
async fn a_callback_that_is_ordered_is_signed_and_repeated_until_it_is_answered() {
    let config = SimConfig { callback_retry: vec![Duration::from_millis(250); 3], ..quick() };
    let bench = Bench::with(config).await;
    let receiver = Receiver::start(&[500, 503]).await;
    let body = json!({"code": 200, "msg": "success", "data": {"task_id": "veo_task_1", "info": {"n": 1}}});
    let order = json!({"url": receiver.url, "task": "veo_task_1", "body": body});
    assert_eq!(bench.post("sim/callbacks", &order).send().await.unwrap().status(), 202);
    let arrived = receiver.wait_for(3).await;
    assert!(arrived.iter().all(|one| one.json() == body && crate::callbacks::valid(one, "veo_task_1")));
    assert!(arrived[1].at - arrived[0].at >= Duration::from_millis(240));
    bench.until("all three are in the log", |sim| sim.callbacks().len() == 3).await;
    let log: Value = bench.get("sim/callbacks?task=veo_task_1").send().await.unwrap().json().await.unwrap();
    let statuses: Vec<_> =
        log["callbacks"].as_array().unwrap().iter().map(|sent| sent["status"].clone()).collect();
    assert_eq!(statuses, [500, 503, 200]);
    for (bad, status, words) in [
        (json!({"url": "file:///etc/passwd", "task": "a", "body": {}}), 422, "http"),
        (json!({"url": receiver.url, "task": "", "body": {}}), 422, "task id"),
        (json!({"url": receiver.url, "tsk": "a", "body": {}}), 400, "`tsk`"),
        (json!({"url": receiver.url, "task": "a"}), 400, "`body`"),
    ] {
        let refused = bench.post("sim/callbacks", &bad).send().await.unwrap();
        assert_eq!(refused.status(), status, "{bad}");
        let said = refused.json::<Value>().await.unwrap()["error"].as_str().unwrap().to_owned();
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(receiver.arrived().len(), 3);
}
