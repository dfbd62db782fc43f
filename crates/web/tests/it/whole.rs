//! From order to file, through the worker and the simulator.

use reqwest::Method;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::shop::{open, order_body, problem, read};

#[tokio::test]
async fn an_order_becomes_a_file_a_receipt_and_a_history() {
    let shop = open().await;
    let customer = shop.customer(1000).await;
    shop.work();
    let job = shop.ordered(&customer, "k").await;
    let id = job["id"].as_str().unwrap();
    let done = shop.until(&customer, id, "done").await;
    assert_eq!((&done["status"], &done["money"]["captured"]), (&json!("success"), &json!(63)));
    assert_eq!(done.get("task_id"), None);
    let output = &done["outputs"][0];
    assert_eq!(output["state"], "stored");
    let url = output["url"].as_str().unwrap();
    assert!(url.starts_with(&shop.url), "{url}");
    let bytes = reqwest::get(url).await.unwrap().bytes().await.unwrap();
    let hash = hex::encode(Sha256::digest(&bytes));
    assert_eq!(output["sha256"], hash);
    let thumbnail = reqwest::get(output["thumbnail_url"].as_str().unwrap()).await.unwrap();
    assert_eq!(thumbnail.headers()["content-type"], "image/webp");
    let path = format!("/v1/jobs/{id}");
    let (_, receipt) = read(shop.get(&customer, &format!("{path}/receipt")).send().await.unwrap()).await;
    let kinds: Vec<_> =
        receipt["transfers"].as_array().unwrap().iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(kinds, [json!("hold"), json!("capture")]);
    assert_eq!(receipt["basis"].get("markup"), None);
    let (_, short) = read(shop.get(&customer, &format!("{path}/timeline")).send().await.unwrap()).await;
    let (_, whole) = read(shop.get(&shop.operator, &format!("{path}/timeline")).send().await.unwrap()).await;
    let count = |timeline: &serde_json::Value| timeline["items"].as_array().unwrap().len();
    assert!(count(&short) >= 4 && count(&short) < count(&whole), "{short} {whole}");
    let (_, seen) = read(shop.get(&shop.operator, &path).send().await.unwrap()).await;
    let task = seen["task_id"].as_str().unwrap();
    assert!(!short.to_string().contains(task) && !done.to_string().contains(task), "task ids stay inside");
    let (_, found) =
        read(shop.get(&shop.operator, &format!("/v1/jobs?task={task}")).send().await.unwrap()).await;
    assert_eq!(found["items"][0]["id"], job["id"]);
    problem(shop.get(&customer, &format!("/v1/jobs?task={task}")).send().await.unwrap(), 403, "forbidden")
        .await;
    let cookie = format!("kie={}", customer.token);
    let page = shop.request(Method::GET, &format!("/g/{id}")).header("Cookie", cookie).send().await.unwrap();
    let html = page.text().await.unwrap();
    assert!(html.contains("<img src=\"/media/") && html.contains("download=1"), "{html}");
    let refused = shop.post(&customer, &format!("{path}/cancel"), &json!({})).send().await.unwrap();
    assert_eq!(problem(refused, 409, "wrong-state").await["state"], "done");
    let (status, synced) =
        read(shop.post(&customer, &format!("{path}/sync"), &json!({})).send().await.unwrap()).await;
    assert_eq!((status, &synced["state"]), (200, &json!("done")));
}

#[tokio::test]
async fn operators_refund_what_was_captured_and_decide_what_is_unclear_only() {
    let shop = open().await;
    let customer = shop.customer(1000).await;
    shop.work();
    let job = shop.ordered(&customer, "k").await;
    let id = job["id"].as_str().unwrap();
    shop.until(&customer, id, "done").await;
    let path = format!("/v1/jobs/{id}");
    let refund = |key: &str, body: serde_json::Value| {
        shop.post(&shop.operator, &format!("{path}/refund"), &body).header("Idempotency-Key", key).send()
    };
    for amount in [0, -1] {
        problem(refund("r0", json!({ "amount": amount, "reason": "x" })).await.unwrap(), 422, "invalid")
            .await;
    }
    let (status, part) = read(refund("r1", json!({ "amount": 13, "reason": "sorry" })).await.unwrap()).await;
    assert_eq!((status, &part["change"]), (201, &json!(13)));
    assert_eq!(read(refund("r1", json!({ "amount": 13, "reason": "sorry" })).await.unwrap()).await.0, 200);
    let refused = refund("r2", json!({ "amount": 51, "reason": "x" })).await.unwrap();
    assert_eq!(problem(refused, 409, "refund-too-large").await["refundable"], 50);
    let rest = json!({ "reason": "rest" });
    for expected in [201, 200] {
        let (status, movement) = read(refund("r3", rest.clone()).await.unwrap()).await;
        assert_eq!((status, &movement["change"]), (expected, &json!(50)), "a repeat gives the first answer");
    }
    let (_, balance) = read(shop.get(&customer, "/v1/balance").send().await.unwrap()).await;
    assert_eq!((&balance["available"], &balance["held"]), (&json!(1000), &json!(0)));
    let resolve =
        |body: serde_json::Value| shop.post(&shop.operator, &format!("{path}/resolve"), &body).send();
    let refused = resolve(json!({ "action": "release", "reason": "x" })).await.unwrap();
    assert_eq!(problem(refused, 409, "wrong-state").await["state"], "done");
    problem(resolve(json!({ "action": "adopt", "reason": "x" })).await.unwrap(), 422, "invalid").await;
    problem(resolve(json!({ "action": "burn", "reason": "x" })).await.unwrap(), 422, "invalid").await;
    let retry = shop.post(&shop.operator, &format!("{path}/retry"), &json!({})).send().await.unwrap();
    problem(retry, 409, "wrong-state").await;
    let by_customer = shop.post(&customer, &format!("{path}/refund"), &json!({ "reason": "x" }));
    problem(by_customer.header("Idempotency-Key", "r4").send().await.unwrap(), 403, "forbidden").await;
    let (_, overview) = read(shop.get(&shop.operator, "/v1/overview?window=1h").send().await.unwrap()).await;
    assert_eq!((&overview["states"]["done"], &overview["success_rate"]), (&json!(1), &json!(1.0)));
    problem(shop.get(&shop.operator, "/v1/overview?window=1y").send().await.unwrap(), 422, "invalid").await;
    let (status, dead) =
        read(shop.get(&shop.operator, "/v1/deliveries?state=dead").send().await.unwrap()).await;
    assert_eq!((status, &dead["items"]), (200, &json!([])));
}

#[tokio::test]
async fn a_failure_is_told_in_our_words_and_the_money_is_back() {
    let shop = open().await;
    let customer = shop.customer(1000).await;
    shop.sim.script(kie_sim::Script::parse("fail=500:provider-canary").unwrap());
    shop.work();
    let mut body = order_body();
    body["input"]["prompt"] = json!("refuse me");
    let (_, job) = shop.order(&customer, "k", &body).await;
    let failed = shop.until(&customer, job["id"].as_str().unwrap(), "failed").await;
    assert_eq!(failed["failure"]["money"], "released");
    assert!(!failed.to_string().contains("provider-canary"));
}
