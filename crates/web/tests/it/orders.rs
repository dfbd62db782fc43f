//! Orders: good ones, replays, and every bad one.

use domain::{Recipient, Role, Scope};
use reqwest::Method;
use serde_json::{Value, json};

use crate::shop::{Shop, open, order_body, person, problem, read};

/// The first pointer of a refused order.
async fn refused_at(shop: &Shop, who: &crate::shop::Person, body: &Value) -> String {
    let answer = shop.post(who, "/v1/jobs", body).header("Idempotency-Key", "refused").send().await.unwrap();
    let body = problem(answer, 422, "invalid").await;
    assert!(!body["errors"][0]["detail"].as_str().unwrap().is_empty());
    body["errors"][0]["pointer"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_order_is_placed_once_whatever_is_repeated() {
    let shop = open().await;
    let customer = shop.customer(10_000).await;
    let send = || shop.post(&customer, "/v1/jobs", &order_body()).header("Idempotency-Key", "k1").send();
    let first = send().await.unwrap();
    assert!(first.headers().get("idempotent-replayed").is_none());
    let (status, job) = read(first).await;
    assert_eq!(status, 201);
    assert_eq!((&job["state"], &job["status"]), (&json!("pending"), &json!("queued")));
    assert_eq!(job["money"]["price"], 63);
    assert_eq!(job["money"]["basis"]["basis"], "cost");
    assert_eq!(job["money"]["basis"].get("markup"), None, "the mark-up is the shop's own");
    assert_eq!(job["failure"], Value::Null);
    assert_eq!(job.get("task_id"), None);
    let second = send().await.unwrap();
    assert_eq!(second.headers()["idempotent-replayed"], "true");
    let (status, replayed) = read(second).await;
    assert_eq!((status, &replayed["id"]), (200, &job["id"]));
    let mut other = order_body();
    other["input"]["prompt"] = json!("a hare");
    let answer =
        shop.post(&customer, "/v1/jobs", &other).header("Idempotency-Key", "k1").send().await.unwrap();
    problem(answer, 409, "idempotency-key-reused").await;
    let (_, balance) = read(shop.get(&customer, "/v1/balance").send().await.unwrap()).await;
    assert_eq!(balance, json!({ "available": 9937, "held": 63, "currency": "RUB" }));
}

#[tokio::test]
async fn a_batch_is_one_order() {
    let shop = open().await;
    let customer = shop.customer(1000).await;
    let mut body = order_body();
    body["count"] = json!(3);
    let (status, batch) = shop.order(&customer, "b", &body).await;
    assert_eq!((status, batch["items"].as_array().unwrap().len()), (201, 3));
    let (status, again) = shop.order(&customer, "b", &body).await;
    assert_eq!((status, &again["batch_id"]), (200, &batch["batch_id"]));
    let path = format!("/v1/jobs?batch={}", batch["batch_id"].as_str().unwrap());
    let (_, page) = read(shop.get(&customer, &path).send().await.unwrap()).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn keys_are_required_and_plain() {
    let shop = open().await;
    let customer = shop.customer(1000).await;
    let send = |key: Option<&str>| {
        let request = shop.post(&customer, "/v1/jobs", &order_body());
        key.map_or(request.try_clone().unwrap(), |key| request.header("Idempotency-Key", key)).send()
    };
    problem(send(None).await.unwrap(), 400, "idempotency-key-missing").await;
    for bad in ["", "a b", &"x".repeat(256)] {
        problem(send(Some(bad)).await.unwrap(), 400, "idempotency-key-invalid").await;
    }
}

#[tokio::test]
async fn bad_bodies_are_refused_at_their_place() {
    let shop = open().await;
    let customer = shop.customer(10_000).await;
    let with = |pointer: &str, value: Value| {
        let mut body = order_body();
        match pointer.strip_prefix("/input/") {
            Some(field) => body["input"][field] = value,
            None => body[&pointer[1..]] = value,
        }
        body
    };
    for (pointer, value) in [
        ("/modle", json!("x")),
        ("/model", json!(7)),
        ("/draft", json!("yes")),
        ("/count", json!(-1)),
        ("/count", json!(0)),
        ("/count", json!(17)),
        ("/input/aspect_ratio", json!("7:5")),
        ("/input/prompt", json!(5)),
        ("/input/prompt", json!("x".repeat(1001))),
        ("/input/promt", json!("x")),
    ] {
        assert_eq!(refused_at(&shop, &customer, &with(pointer, value.clone())).await, pointer, "{value}");
    }
    assert_eq!(refused_at(&shop, &customer, &json!({ "model": "z-image" })).await, "/input");
    let deliver = |recipient: Value| with("/deliver", json!([recipient]));
    for (recipient, pointer) in [
        (json!({ "channel": "pigeon" }), "/deliver/0/channel"),
        (json!({ "channel": "webhook" }), "/deliver/0/url"),
        (json!({ "channel": "webhook", "url": "https://a.example", "extra": 1 }), "/deliver/0/extra"),
        (json!({ "channel": "webhook", "url": "http://a.example/" }), "/deliver/0/url"),
        (json!({ "channel": "webhook", "url": "https://10.0.0.1/" }), "/deliver/0/url"),
        (json!({ "channel": "webhook", "url": "https://169.254.169.254/" }), "/deliver/0/url"),
        (json!({ "channel": "telegram", "chat_id": 5 }), "/deliver/0/chat_id"),
    ] {
        assert_eq!(refused_at(&shop, &customer, &deliver(recipient.clone())).await, pointer, "{recipient}");
    }
    let (_, page) = read(shop.get(&customer, "/v1/jobs").send().await.unwrap()).await;
    assert_eq!(page["items"], json!([]), "a refused order leaves no trace");
}

#[tokio::test]
async fn what_is_no_json_or_too_large_is_refused() {
    let shop = open().await;
    let customer = shop.customer(10_000).await;
    let send = |body: Vec<u8>, content_type: &'static str| {
        let request = shop.request(Method::POST, "/v1/jobs").bearer_auth(&customer.token);
        request.header("Idempotency-Key", "k").header("Content-Type", content_type).body(body).send()
    };
    let json = "application/json";
    problem(send(b"{\"model\": ".to_vec(), json).await.unwrap(), 400, "bad-json").await;
    problem(send("[".repeat(10_000).into_bytes(), json).await.unwrap(), 400, "bad-json").await;
    problem(send(b"[]".to_vec(), json).await.unwrap(), 422, "invalid").await;
    problem(send(vec![b' '; 3 * 1024 * 1024], json).await.unwrap(), 413, "too-large").await;
    problem(
        send(b"model=z".to_vec(), "application/x-www-form-urlencoded").await.unwrap(),
        415,
        "unsupported-media-type",
    )
    .await;
}

#[tokio::test]
async fn unknown_models_short_money_and_too_much_are_told_apart() {
    let shop = open().await;
    let customer = shop.customer(62).await;
    let mut body = order_body();
    body["model"] = json!("z-imgae");
    let answer = shop.post(&customer, "/v1/jobs", &body).header("Idempotency-Key", "a").send().await.unwrap();
    assert_eq!(problem(answer, 404, "unknown-model").await["nearest"], "z-image");
    let send = || shop.post(&customer, "/v1/jobs", &order_body()).header("Idempotency-Key", "b").send();
    let short = problem(send().await.unwrap(), 402, "balance-short").await;
    assert_eq!((&short["required"], &short["available"]), (&json!(63), &json!(62)));
    let mut draft = order_body();
    draft["draft"] = json!(true);
    let (status, job) = shop.order(&customer, "c", &draft).await;
    assert_eq!((status, &job["state"]), (201, &json!("draft")));
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let act = |act: &str| shop.post(&customer, &format!("{path}/{act}"), &json!({})).send();
    problem(act("confirm").await.unwrap(), 402, "balance-short").await;
    let (status, canceled) = read(act("cancel").await.unwrap()).await;
    assert_eq!((status, &canceled["state"]), (200, &json!("canceled")));
    let refused = problem(act("confirm").await.unwrap(), 409, "wrong-state").await;
    assert_eq!(refused["state"], "canceled");
}

#[tokio::test]
async fn free_generations_have_a_daily_limit() {
    let shop = open().await;
    let customer = shop.customer(0).await;
    let input = json!({ "prompt": "a fox" });
    let body = json!({ "model": "qwen/text-to-image", "input": input, "count": 10 });
    let (status, batch) = shop.order(&customer, "f1", &body).await;
    assert_eq!(status, 201, "{batch}");
    assert_eq!(batch["items"][0]["money"]["basis"], json!({ "basis": "free" }));
    let one = json!({ "model": "qwen/text-to-image", "input": input });
    let answer = shop.post(&customer, "/v1/jobs", &one).header("Idempotency-Key", "f2").send().await.unwrap();
    assert_eq!(problem(answer, 429, "free-used-up").await["limit"], 10);
}

#[tokio::test]
async fn roles_and_owners_are_kept_apart() {
    let shop = open().await;
    let (customer, stranger) = (shop.customer(1000).await, shop.customer(1000).await);
    let payments = person(&shop.lifecycle, Role::Payments, None).await;
    let job = shop.ordered(&customer, "k").await;
    let id = job["id"].as_str().unwrap();
    let path = format!("/v1/jobs/{id}");
    for act in ["", "/timeline", "/receipt"] {
        let answer = shop.get(&stranger, &format!("{path}{act}")).send().await.unwrap();
        problem(answer, 404, "not-found").await;
    }
    for act in ["confirm", "cancel", "sync", "redeliver", "restore"] {
        let answer = shop.post(&stranger, &format!("{path}/{act}"), &json!({})).send().await.unwrap();
        problem(answer, 404, "not-found").await;
    }
    problem(shop.get(&payments, &path).send().await.unwrap(), 403, "forbidden").await;
    let by_operator =
        shop.post(&shop.operator, "/v1/jobs", &order_body()).header("Idempotency-Key", "k").send();
    problem(by_operator.await.unwrap(), 403, "forbidden").await;
    for path in ["/v1/overview", "/v1/deliveries?state=dead", "/metrics"] {
        problem(shop.get(&customer, path).send().await.unwrap(), 403, "forbidden").await;
    }
    problem(shop.request(Method::GET, &path).send().await.unwrap(), 401, "unauthorized").await;
    let unknown = shop.request(Method::GET, &path).bearer_auth("kie_0000").send().await.unwrap();
    problem(unknown, 401, "unauthorized").await;
    let basic = shop.request(Method::GET, &path).basic_auth("a", Some("b")).send().await.unwrap();
    problem(basic, 401, "unauthorized").await;
    let (status, seen) = read(shop.get(&shop.operator, &path).send().await.unwrap()).await;
    assert_eq!((status, &seen["id"]), (200, &job["id"]));
    assert!(seen["money"]["basis"]["markup"].is_string());
    let of_stranger = format!("{path}?account={}", stranger.account);
    problem(shop.get(&shop.operator, &of_stranger).send().await.unwrap(), 404, "not-found").await;
    let foreign =
        shop.get(&customer, &format!("/v1/balance?account={}", stranger.account)).send().await.unwrap();
    problem(foreign, 403, "forbidden").await;
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let shop = open().await;
    let customer = shop.customer(1000).await;
    for key in ["a", "b", "c"] {
        shop.ordered(&customer, key).await;
    }
    let list = async |query: &str| {
        read(shop.get(&customer, &format!("/v1/jobs?{query}")).send().await.unwrap()).await.1
    };
    let first = list("limit=2").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = list(&format!("limit=2&cursor={cursor}")).await;
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    assert_eq!((second["items"].as_array().unwrap().len(), &second["next_cursor"]), (1, &Value::Null));
    assert_eq!(list("state=pending&state=done&kind=image&q=FOX").await["items"].as_array().unwrap().len(), 3);
    assert_eq!(list("state=done").await["items"], json!([]));
    for (query, pointer) in [
        ("limit=0", "/query/limit"),
        ("limit=101", "/query/limit"),
        ("limit=x", "/query/limit"),
        ("cursor=x", "/query/cursor"),
        ("state=nope", "/query/state"),
        ("kind=nope", "/query/kind"),
        ("favourite=maybe", "/query/favourite"),
        ("stat=done", "/query/stat"),
    ] {
        let answer = shop.get(&customer, &format!("/v1/jobs?{query}")).send().await.unwrap();
        assert_eq!(problem(answer, 422, "invalid").await["errors"][0]["pointer"], pointer);
    }
}

#[tokio::test]
async fn marks_hide_and_restore() {
    let shop = open().await;
    let customer = shop.customer(1000).await;
    let job = shop.ordered(&customer, "k").await;
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let mark =
        |body: Value| shop.request(Method::PATCH, &path).bearer_auth(&customer.token).json(&body).send();
    let (status, marked) = read(mark(json!({ "favourite": true })).await.unwrap()).await;
    assert_eq!((status, &marked["favourite"]), (200, &json!(true)));
    problem(mark(json!({ "favorite": true })).await.unwrap(), 422, "invalid").await;
    let hidden = shop.request(Method::DELETE, &path).bearer_auth(&customer.token).send().await.unwrap();
    assert_eq!(hidden.status(), 204);
    let (_, page) = read(shop.get(&customer, "/v1/jobs").send().await.unwrap()).await;
    assert_eq!(page["items"], json!([]));
    let (_, back) =
        read(shop.post(&customer, &format!("{path}/restore"), &json!({})).send().await.unwrap()).await;
    assert_eq!(back["hidden"], false);
}

#[tokio::test]
async fn the_catalogue_has_prices_and_quotes() {
    let shop = open().await;
    let customer = shop.customer(100).await;
    let (_, page) = read(shop.get(&customer, "/v1/models?kind=image&q=z-image").send().await.unwrap()).await;
    let model = page["items"].as_array().unwrap().iter().find(|model| model["id"] == "z-image").unwrap();
    assert_eq!((&model["price"], &model["for_sale"]), (&json!(63), &json!(true)));
    let (status, detail) =
        read(shop.get(&customer, "/v1/models/qwen/text-to-image").send().await.unwrap()).await;
    assert_eq!((status, &detail["price"], &detail["schema"]["type"]), (200, &json!(0), &json!("object")));
    problem(shop.get(&customer, "/v1/models/qwen/none").send().await.unwrap(), 404, "unknown-model").await;
    let mut body = order_body();
    body["count"] = json!(2);
    let (status, quote) = read(shop.post(&customer, "/v1/quote", &body).send().await.unwrap()).await;
    assert_eq!(status, 200);
    assert_eq!(quote, json!({ "price": 126, "available": 100, "affordable": false, "currency": "RUB" }));
}

#[tokio::test]
async fn texts_that_no_database_holds_are_cleaned_or_refused() {
    let shop = open().await;
    let customer = shop.customer(1000).await;
    shop.ordered(&customer, "k").await;
    for filter in ["model=%00", "q=%00fox", "model=z-image%00"] {
        let (status, page) =
            read(shop.get(&customer, &format!("/v1/jobs?{filter}")).send().await.unwrap()).await;
        assert_eq!((status, &page["items"]), (200, &json!([])), "{filter}");
    }
    let task = shop.get(&shop.operator, "/v1/jobs?task=%00").send().await.unwrap();
    assert_eq!(task.status(), 200);
    let body = json!({ "external_id": "a\0b" });
    let answer = shop.post(&shop.operator, "/v1/accounts", &body).send().await.unwrap();
    assert_eq!(problem(answer, 422, "invalid").await["errors"][0]["pointer"], "/external_id");
    let mut order = order_body();
    order["deliver"] = json!([{ "channel": "webhook", "url": " HTTPS://Shop.Example:443/a b\0?\tc " }]);
    let (status, job) = shop.order(&customer, "hook", &order).await;
    assert_eq!(status, 201, "{job}");
    let id = job["id"].as_str().unwrap().parse().unwrap();
    let kept = shop.lifecycle.store().find_job(id, Scope::All).await.unwrap().unwrap();
    let url = "https://shop.example/a%20b%00?c".to_owned();
    assert_eq!(kept.recipients, [Recipient::Webhook { url }]);
}
