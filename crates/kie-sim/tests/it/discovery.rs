//! Models, schemas, prices, success rates.

use serde_json::{Value, json};

use crate::support::{Bench, quick};
use kie_sim::SimConfig;

#[tokio::test]
async fn models_are_listed_and_filtered() {
    let bench = Bench::start().await;
    let list = async |query: &str| {
        Bench::envelope(bench.get(&format!("api/v1/models{query}"))).await["data"].clone()
    };
    let all = list("").await;
    assert!(all["total"].as_u64().unwrap() > 100);
    assert_eq!(all["total"], json!(all["models"].as_array().unwrap().len()));
    let films = list("?taskType=Text%20to%20Video").await;
    assert!(films["total"].as_u64().unwrap() > 5 && films["total"].as_u64() < all["total"].as_u64());
    let found = list("?q=kling-2.6").await;
    assert!(
        found["models"].as_array().unwrap().iter().any(|model| model["model"] == "kling-2.6/text-to-video")
    );
    assert_eq!(list("?q=nothing-like-this").await, json!({"total": 0, "models": []}));
}

#[tokio::test]
async fn one_model_is_described() {
    let bench = Bench::start().await;
    let get = async |path: &str| Bench::envelope(bench.get(&format!("api/v1/models/{path}"))).await;
    let schema = get("kling-2.6/text-to-video/schema").await;
    let post = &schema["data"]["openapi"]["paths"]["/api/v1/jobs/createTask"]["post"];
    let body = &post["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["properties"]["model"]["enum"], json!(["kling-2.6/text-to-video"]));
    assert!(body["properties"]["input"]["properties"]["prompt"].is_object());
    assert_eq!(get("z-image/price").await["data"]["pricingDesc"], "0.8 credits per request");
    let rate = get("z-image/success-rate").await;
    let points = rate["data"]["points"].as_array().unwrap();
    assert_eq!(points.len(), 144);
    assert!(points[0]["start"].as_str().unwrap().ends_with('Z') && points[0].get("successRate").is_some());
    let unknown = get("nothing/like-this/price").await;
    assert_eq!((unknown["code"].as_i64(), &unknown["data"]), (Some(404), &Value::Null));
}

#[tokio::test]
async fn discovery_is_limited_to_one_call_a_second() {
    let bench = Bench::with(SimConfig { models_per_second: 1, ..quick() }).await;
    let price = "api/v1/models/z-image/price";
    assert_eq!(Bench::envelope(bench.get(price)).await["code"], 200);
    bench.until_code(price, 429, true).await;
    bench.until_code(price, 429, false).await;
}
