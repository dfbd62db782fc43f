//! The API's description: as committed, and true of every route.

use domain::Role;
use reqwest::Method;
use serde_json::Value;

use crate::shop::{open, person, read};

const COMMITTED: &str = include_str!("../../openapi.json");

#[tokio::test]
async fn the_description_is_the_committed_one() {
    let shop = open().await;
    let (status, document) = read(shop.request(Method::GET, "/openapi.json").send().await.unwrap()).await;
    assert_eq!(status, 200);
    let mut document = document;
    document["info"]["version"] = Value::from("0.0.0");
    let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json"), &text).unwrap();
        return;
    }
    assert!(text == COMMITTED, "openapi.json is stale: run the test with BLESS=1 and look at the difference");
}

#[tokio::test]
async fn every_described_operation_answers_and_needs_what_it_says() {
    let shop = open().await;
    let payments = person(&shop.lifecycle, Role::Payments, None).await;
    let document: Value = serde_json::from_str(COMMITTED).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut count = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let id = "0190f3a0-0000-7000-8000-000000000001";
        let place = path
            .replace("{name}", "a.png")
            .replace("{token}", "x")
            .replace("{asset}", id)
            .replace("{id}", id);
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            if operation.get("responses").is_none() {
                continue;
            }
            count += 1;
            let (status, answer) = read(shop.request(method.clone(), &place).send().await.unwrap()).await;
            let open = operation["security"].as_array().is_some();
            let expected: &[u16] = if open { &[200, 401, 403, 404] } else { &[401] };
            assert!(expected.contains(&status), "{method} {path}: {status} {answer}");
            assert_ne!(answer["detail"], "there is no such route", "{method} {path}");
            let bearer =
                shop.request(method.clone(), &place).bearer_auth(&payments.token).send().await.unwrap();
            assert_ne!(bearer.status(), 500, "{method} {path}");
            let told = |status: u16| operation["responses"].get(status.to_string()).is_some();
            assert!(told(status), "{method} {path} does not tell of {status}");
            let refused = bearer.status().as_u16();
            assert!(told(refused) || ![401, 403, 404].contains(&refused), "{method} {path}: {refused}");
        }
    }
    assert!(count >= 30, "{count} operations");
}

#[test]
fn bodies_that_differ_are_told_apart() {
    let document: Value = serde_json::from_str(COMMITTED).unwrap();
    let post = |path: &str| document["paths"][path]["post"].clone();
    let ordered = &post("/v1/jobs")["responses"]["201"]["content"]["application/json"]["schema"];
    assert_eq!(ordered["$ref"], "#/components/schemas/Ordered");
    let choices = document["components"]["schemas"]["Ordered"]["oneOf"].as_array().unwrap().clone();
    let names: Vec<_> = choices.iter().map(|one| one["$ref"].as_str().unwrap()).collect();
    assert_eq!(names, ["#/components/schemas/Job", "#/components/schemas/Batch"]);
    let upload = post("/v1/uploads")["requestBody"]["content"].clone();
    assert!(upload["application/octet-stream"].is_object() && upload["multipart/form-data"].is_object());
    assert_ne!(post("/v1/accounts")["requestBody"]["required"], true);
    let text = document.to_string();
    assert!(!text.contains(r##"{"application/json":{"schema":{"$ref":"#/components/schemas/Problem"}}}"##));
}

#[tokio::test]
async fn the_readable_form_names_every_operation() {
    let shop = open().await;
    let (_, html) = read(shop.request(Method::GET, "/docs").send().await.unwrap()).await;
    let html = html.as_str().unwrap();
    let document: Value = serde_json::from_str(COMMITTED).unwrap();
    for path in document["paths"].as_object().unwrap().keys() {
        assert!(html.contains(&format!("<code>{path}</code>")), "{path}");
    }
    assert!(!html.contains("<script"), "the page works without scripts");
}
