//! Callbacks: signed, repeated, and wrong in every way.

use std::time::{Duration, Instant};

use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::support::{Arrived, Bench, HMAC_KEY, Receiver, quick};
use kie_sim::SimConfig;

pub(crate) fn valid(arrived: &Arrived, id: &str) -> bool {
    let (Some(at), Some(signature)) =
        (arrived.header("x-webhook-timestamp"), arrived.header("x-webhook-signature"))
    else {
        return false;
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(HMAC_KEY.as_bytes()).unwrap();
    mac.update(format!("{id}.{at}").as_bytes());
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes()) == signature
}

/// Orders with these marks and gives the id and the first callbacks.
async fn told(bench: &Bench, marks: &str, count: usize) -> (String, Vec<Arrived>) {
    let receiver = Receiver::start(&[]).await;
    let id = bench.accepted(&format!("kite {marks}"), Some(&receiver.url)).await;
    let arrived = receiver.wait_for(count).await;
    bench.until("told", |sim| sim.find_task(&id).unwrap().told).await;
    assert_eq!(receiver.arrived().len(), count, "{marks}");
    (id, arrived)
}

#[tokio::test]
async fn the_end_is_told_and_signed() {
    let bench = Bench::start().await;
    let (id, arrived) = told(&bench, "", 1).await;
    let body = arrived[0].json();
    assert_eq!(
        (body["code"].as_i64(), body["msg"].as_str()),
        (Some(200), Some("Playground task completed successfully."))
    );
    assert_eq!(
        (&body["data"]["taskId"], &body["data"]["state"]),
        (&Value::from(id.clone()), &Value::from("success"))
    );
    assert_eq!(body["data"]["creditsConsumed"], 0.8);
    assert!(body["data"]["resultJson"].as_str().unwrap().contains("/r/"));
    assert!(valid(&arrived[0], &id));
    assert_eq!(bench.sim.find_task(&id).unwrap().state, "success");
    let (id, arrived) = told(&bench, "[sim:fail=400:too dark]", 1).await;
    let body = arrived[0].json();
    assert_eq!((body["code"].as_i64(), body["data"]["state"].as_str()), (Some(501), Some("fail")));
    assert_eq!((body["data"]["failCode"].as_str(), &body["data"]["resultJson"]), (Some("400"), &Value::Null));
    assert_eq!(body["data"]["creditsConsumed"], 0.0);
    assert!(valid(&arrived[0], &id));
    let unsigned = Bench::with(SimConfig { hmac_key: None, ..quick() }).await;
    let (_, arrived) = told(&unsigned, "", 1).await;
    assert_eq!(arrived[0].header("x-webhook-signature"), None);
}

#[tokio::test]
async fn unanswered_callbacks_are_repeated_three_times_at_most() {
    let bench = Bench::start().await;
    let receiver = Receiver::start(&[503, 202]).await;
    let id = bench.accepted("kite", Some(&receiver.url)).await;
    bench.until("told", |sim| sim.find_task(&id).unwrap().told).await;
    let attempts: Vec<_> = bench.sim.callbacks().iter().map(|sent| (sent.attempt, sent.status)).collect();
    assert_eq!(attempts, [(1, Some(503)), (2, Some(202)), (3, Some(200))]);
    let deaf = Receiver::start(&[500; 10]).await;
    let id = bench.accepted("deaf", Some(&deaf.url)).await;
    bench.until("given up", |sim| sim.find_task(&id).unwrap().told).await;
    assert_eq!(deaf.arrived().len(), 4);
    let id = bench.accepted("nobody", Some("http://127.0.0.1:1/cb")).await;
    bench.until("given up", |sim| sim.find_task(&id).unwrap().told).await;
    let lost = bench.sim.callbacks().into_iter().rfind(|sent| sent.task_id == id).unwrap();
    assert!(lost.status.is_none() && lost.error.is_some());
}

#[tokio::test]
async fn spacing_and_lateness_hold() {
    let config = SimConfig { callback_retry: vec![Duration::from_millis(250)], ..quick() };
    let bench = Bench::with(config).await;
    let receiver = Receiver::start(&[500]).await;
    bench.accepted("kite", Some(&receiver.url)).await;
    let arrived = receiver.wait_for(2).await;
    assert!(arrived[1].at - arrived[0].at >= Duration::from_millis(240));
    let receiver = Receiver::start(&[]).await;
    let ordered = Instant::now();
    bench.accepted("kite [sim:duration=0s] [sim:callback=late:300ms]", Some(&receiver.url)).await;
    assert!(receiver.wait_for(1).await[0].at - ordered >= Duration::from_millis(300));
}

#[tokio::test]
async fn callbacks_can_be_missing_early_before_the_answer_or_many() {
    let bench = Bench::start().await;
    told(&bench, "[sim:callback=none]", 0).await;
    let (_, arrived) = told(&bench, "[sim:callback=duplicate:20]", 20).await;
    assert!(arrived.iter().all(|one| one.body == arrived[0].body));
    let receiver = Receiver::start(&[]).await;
    let id = bench
        .accepted("kite [sim:duration=10m] [sim:callback=early] [sim:duration=2s]", Some(&receiver.url))
        .await;
    receiver.wait_for(1).await;
    assert_eq!(bench.record(&id).await["data"]["state"], "waiting");
    assert_eq!(receiver.arrived()[0].json()["data"]["state"], "success");
    receiver.wait_for(2).await;
    let receiver = Receiver::start(&[]).await;
    let answer =
        bench.order(&crate::support::image("kite [sim:callback=before-answer]", Some(&receiver.url))).await;
    assert_eq!(receiver.arrived().len(), 1);
    assert_eq!(receiver.arrived()[0].json()["data"]["taskId"], answer["data"]["taskId"]);
}

#[tokio::test]
async fn signatures_can_be_wrong() {
    let bench = Bench::start().await;
    let (id, arrived) = told(&bench, "[sim:callback=bad-signature]", 1).await;
    assert!(arrived[0].header("x-webhook-signature").is_some() && !valid(&arrived[0], &id));
    let (_, arrived) = told(&bench, "[sim:callback=no-signature]", 1).await;
    assert!(arrived[0].header("x-webhook-signature").is_none());
    let (id, arrived) = told(&bench, "[sim:callback=stale-timestamp]", 1).await;
    let at: u64 = arrived[0].header("x-webhook-timestamp").unwrap().parse().unwrap();
    let ended = bench.sim.find_task(&id).unwrap().completed_ms.unwrap() / 1000;
    assert!(valid(&arrived[0], &id) && ended - at >= 3599);
    let (id, arrived) = told(&bench, "[sim:callback=foreign-body]", 1).await;
    assert!(valid(&arrived[0], &id) && arrived[0].body.contains("attacker.example"));
    let (id, arrived) = told(&bench, "[sim:callback=unknown-task]", 1).await;
    let other = arrived[0].json()["data"]["taskId"].as_str().unwrap().to_owned();
    assert!(other != id && valid(&arrived[0], &other));
}

#[tokio::test]
async fn bodies_can_be_strange() {
    let bench = Bench::start().await;
    let (_, arrived) = told(&bench, "[sim:callback=array]", 1).await;
    assert!(arrived[0].json().is_array());
    let (_, arrived) = told(&bench, "[sim:callback=text-body]", 1).await;
    assert!(arrived[0].json().is_string());
    let (_, arrived) = told(&bench, "[sim:callback=not-json]", 1).await;
    assert!(serde_json::from_str::<Value>(&arrived[0].body).is_err());
    let (_, arrived) = told(&bench, "[sim:callback=empty]", 1).await;
    assert_eq!(arrived[0].body, "");
    let (id, arrived) = told(&bench, "[sim:callback=conflict]", 1).await;
    let body = arrived[0].json();
    assert!(body["data"]["taskId"] == id && body["taskId"] != id && body["data"]["task_id"] != id);
    let (id, arrived) = told(&bench, "[sim:callback=snake-id]", 1).await;
    assert!(arrived[0].json()["data"]["task_id"] == id && arrived[0].json()["data"].get("taskId").is_none());
    let (id, arrived) = told(&bench, "[sim:callback=top-id]", 1).await;
    assert!(arrived[0].json()["taskId"] == id && arrived[0].json()["data"].get("taskId").is_none());
    let (id, arrived) = told(&bench, "[sim:callback=both-ids]", 1).await;
    assert!(arrived[0].json()["taskId"] == id && arrived[0].json()["data"]["task_id"] == id);
    let (id, arrived) = told(&bench, "[sim:callback=no-id]", 1).await;
    assert!(!arrived[0].body.replace("/r/", "").contains(&format!("\"{id}\"")));
    let (_, arrived) = told(&bench, "[sim:callback=no-result]", 1).await;
    assert!(arrived[0].json()["data"].get("resultJson").is_none());
    let (_, arrived) = told(&bench, "[sim:callback=minimal]", 1).await;
    assert!(arrived[0].json()["data"].get("param").is_none());
    let (_, arrived) = told(&bench, "[sim:callback=legacy]", 1).await;
    assert!(arrived[0].json()["data"]["remainedCredits"].is_number());
    let (_, arrived) = told(&bench, "[sim:callback=huge:300KiB]", 1).await;
    assert!(arrived[0].body.len() >= 300 << 10);
}

#[tokio::test]
async fn callbacks_can_contradict_each_other() {
    let bench = Bench::start().await;
    let states = |arrived: &[Arrived]| {
        arrived.iter().map(|one| one.json()["data"]["state"].clone()).collect::<Vec<_>>()
    };
    let (id, arrived) = told(&bench, "[sim:callback=then-fail]", 2).await;
    assert_eq!(states(&arrived), ["success", "fail"]);
    assert_eq!(bench.record(&id).await["data"]["state"], "success");
    let (_, arrived) = told(&bench, "[sim:callback=fail-first]", 2).await;
    assert_eq!(states(&arrived), ["fail", "success"]);
    let (_, arrived) = told(&bench, "[sim:callback=then-progress]", 2).await;
    assert_eq!(states(&arrived), ["success", "generating"]);
}
