//! Top-ups, refunds, accounts and tokens.

use domain::Role;
use serde_json::json;

use crate::shop::{open, person, problem, read};

#[tokio::test]
async fn a_top_up_is_credited_once() {
    let shop = open().await;
    let customer = shop.customer(0).await;
    let payments = person(&shop.lifecycle, Role::Payments, None).await;
    let path = format!("/v1/accounts/{}/topups", customer.account);
    let send = |who: &crate::shop::Person, key: &str, body: serde_json::Value| {
        shop.post(who, &path, &body).header("Idempotency-Key", key).send()
    };
    let body = || json!({ "amount": 500, "currency": "RUB", "reason": "card" });
    let (status, first) = read(send(&payments, "p1", body()).await.unwrap()).await;
    assert_eq!((status, &first["change"], &first["kind"]), (201, &json!(500), &json!("topup")));
    let again = send(&payments, "p1", body()).await.unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(read(again).await, (200, first.clone()));
    let other = send(&payments, "p1", json!({ "amount": 501, "currency": "RUB" })).await.unwrap();
    problem(other, 409, "idempotency-key-reused").await;
    problem(send(&customer, "p2", body()).await.unwrap(), 403, "forbidden").await;
    problem(shop.post(&payments, &path, &body()).send().await.unwrap(), 400, "idempotency-key-missing").await;
    for (pointer, amount, currency) in [
        ("/amount", json!(0), "RUB"),
        ("/amount", json!(-5), "RUB"),
        ("/amount", json!(1.5), "RUB"),
        ("/amount", json!("5"), "RUB"),
        ("/amount", json!(i64::MAX), "RUB"),
        ("/amount", json!(u64::MAX), "RUB"),
        ("/amount", json!(1e30), "RUB"),
        ("/currency", json!(5), "USD"),
    ] {
        let answer = send(&payments, "p3", json!({ "amount": amount, "currency": currency })).await.unwrap();
        assert_eq!(problem(answer, 422, "invalid").await["errors"][0]["pointer"], pointer, "{amount}");
    }
    let nobody = "/v1/accounts/0190f3a0-0000-7000-8000-000000000001/topups";
    let answer = shop.post(&payments, nobody, &body()).header("Idempotency-Key", "p4").send().await.unwrap();
    problem(answer, 404, "not-found").await;
    let (_, balance) = read(shop.get(&customer, "/v1/balance").send().await.unwrap()).await;
    assert_eq!(balance["available"], 500);
    let receipt = format!("/v1/transfers/{}/receipt", first["id"].as_str().unwrap());
    assert_eq!(read(shop.get(&customer, &receipt).send().await.unwrap()).await, (200, first));
    problem(shop.get(&shop.customer(0).await, &receipt).send().await.unwrap(), 404, "not-found").await;
    let (_, page) = read(shop.get(&customer, "/v1/transfers").send().await.unwrap()).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn accounts_are_opened_once_and_get_tokens() {
    let shop = open().await;
    let body = json!({ "external_id": "user-1", "name": "Ann", "telegram_id": 77 });
    let send = |body: &serde_json::Value| shop.post(&shop.operator, "/v1/accounts", body).send();
    let (status, account) = read(send(&body).await.unwrap()).await;
    assert_eq!((status, &account["external_id"]), (201, &json!("user-1")));
    assert_eq!(read(send(&body).await.unwrap()).await, (200, account.clone()));
    let other_chat = json!({ "external_id": "user-2", "telegram_id": 77 });
    problem(send(&other_chat).await.unwrap(), 409, "taken").await;
    problem(send(&json!({ "external_id": "" })).await.unwrap(), 422, "invalid").await;
    let path = format!("/v1/accounts/{}/tokens", account["id"].as_str().unwrap());
    let (status, token) =
        read(shop.post(&shop.operator, &path, &json!({ "role": "customer" })).send().await.unwrap()).await;
    assert_eq!(status, 201);
    let token = token["token"].as_str().unwrap();
    let secret =
        shop.request(reqwest::Method::GET, "/v1/webhook-secret").bearer_auth(token).send().await.unwrap();
    assert_eq!(secret.headers()["cache-control"], "no-store");
    assert!(read(secret).await.1["secret"].as_str().unwrap().starts_with("whsec_"));
    let bad = shop.post(&shop.operator, &path, &json!({ "role": "king" })).send().await.unwrap();
    problem(bad, 422, "invalid").await;
    let ordered = json!({ "model": "qwen/text-to-image", "input": { "prompt": "x" }, "deliver": [{ "channel": "telegram", "chat_id": 77 }] });
    let person = crate::shop::Person {
        account: account["id"].as_str().unwrap().parse().unwrap(),
        token: token.to_owned(),
    };
    assert_eq!(shop.order(&person, "own-chat", &ordered).await.0, 201);
}
