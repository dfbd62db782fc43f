//! Callbacks: whatever the body, a genuine token is answered 200 and wakes its job.

use reqwest::Method;
use secrecy::SecretString;
use serde_json::json;

use crate::shop::{Shop, open, open_with, problem, read, settings};

async fn job_with_token(shop: &Shop) -> (domain::JobId, String) {
    let customer = shop.customer(1000).await;
    let job = shop.ordered(&customer, "k").await;
    let id = job["id"].as_str().unwrap().parse().unwrap();
    (id, shop.lifecycle.keys().callback_token(id, 1))
}

async fn wake_seq(shop: &Shop, id: domain::JobId) -> i64 {
    shop.lifecycle.store().find_job(id, domain::Scope::All).await.unwrap().unwrap().wake_seq
}

#[tokio::test]
async fn every_body_with_a_genuine_token_wakes_the_job() {
    let shop = open().await;
    let (id, token) = job_with_token(&shop).await;
    let send = |token: &str, body: Vec<u8>| {
        shop.request(Method::POST, &format!("/callbacks/kie/{token}")).body(body).send()
    };
    for body in [
        &br#"{"code":200,"data":{"taskId":"t-1","state":"success"}}"#[..],
        br#"{"code":200,"data":{"taskId":"t-1","state":"success"}}"#,
        b"[1,2,3]",
        b"not json",
        b"",
        b"{}",
        br#"{"taskId":"a","data":{"task_id":"b"}}"#,
    ] {
        let before = wake_seq(&shop, id).await;
        assert_eq!(read(send(&token, body.to_vec()).await.unwrap()).await, (200, json!({ "ok": true })));
        assert!(wake_seq(&shop, id).await > before, "{body:?}");
    }
    let before = wake_seq(&shop, id).await;
    problem(send(&token, vec![b'x'; 10 * 1024 * 1024]).await.unwrap(), 413, "too-large").await;
    assert!(wake_seq(&shop, id).await > before, "a body that is too large still wakes");
    let before = wake_seq(&shop, id).await;
    for bad in [&token[..token.len() - 1], "x", &token.replace("-1-", "-2-")] {
        problem(send(bad, b"{}".to_vec()).await.unwrap(), 401, "unauthorized").await;
    }
    problem(send("%ff", b"{}".to_vec()).await.unwrap(), 404, "not-found").await;
    assert_eq!(wake_seq(&shop, id).await, before);
    let read_it = shop.request(Method::GET, &format!("/callbacks/kie/{token}")).send().await.unwrap();
    problem(read_it, 405, "method-not-allowed").await;
}

#[tokio::test]
async fn where_a_key_is_set_callbacks_must_be_signed() {
    let key = SecretString::from("callback-key".to_owned());
    let shop = open_with(web::Settings { hmac_key: Some(key.clone()), ..settings() }).await;
    let (_, token) = job_with_token(&shop).await;
    let stamp = shop.lifecycle.ids().now().as_second().to_string();
    let send = |signature: Option<String>| {
        let request = shop.request(Method::POST, &format!("/callbacks/kie/{token}"));
        let request = match signature {
            Some(text) => request.header("X-Webhook-Timestamp", &stamp).header("X-Webhook-Signature", text),
            None => request,
        };
        request.json(&json!({ "code": 200, "data": { "taskId": "t-9" } })).send()
    };
    problem(send(None).await.unwrap(), 401, "unauthorized").await;
    problem(send(Some("bm9wZQ==".to_owned())).await.unwrap(), 401, "unauthorized").await;
    let good = kie_client::callback::sign(&key, "t-9", &stamp);
    assert_eq!(send(Some(good)).await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_old_shops_path_is_answered_and_unknown_tasks_are_counted() {
    let shop = open().await;
    let answer =
        shop.request(Method::POST, "/api/old/callback").json(&json!({ "data": { "taskId": "gone" } }));
    assert_eq!(answer.send().await.unwrap().status(), 200);
    let (_, overview) = read(shop.get(&shop.operator, "/v1/overview").send().await.unwrap()).await;
    assert_eq!(overview["orphans"], 1);
}

#[tokio::test]
async fn a_database_that_is_gone_asks_for_the_callback_again() {
    let shop = open().await;
    let (_, token) = job_with_token(&shop).await;
    shop.lifecycle.store().close().await;
    let answer =
        shop.request(Method::POST, &format!("/callbacks/kie/{token}")).body("{}").send().await.unwrap();
    assert_eq!(answer.headers()["retry-after"], "2");
    problem(answer, 503, "unavailable").await;
    let (status, ready) = read(shop.request(Method::GET, "/readyz").send().await.unwrap()).await;
    assert_eq!((status, &ready["database"], &ready["storage"]), (503, &json!("down"), &json!("ok")));
    assert_eq!(shop.request(Method::GET, "/healthz").send().await.unwrap().status(), 200);
}
