//! The simulator against the recorded exchanges: same texts, same codes, same sets of fields.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Bench, Receiver, image, quick};
use kie_sim::{FieldSet, SimConfig};

fn recorded(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../source_of_truth/exchanges");
    serde_json::from_slice(&std::fs::read(folder.join(format!("{name}.json"))).unwrap()).unwrap()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

/// Same fields in the envelope and in its data.
fn assert_same_fields(answer: &Value, name: &str) {
    let body = recorded(name)["body"].clone();
    assert_eq!(keys(answer), keys(&body), "{name}");
    assert_eq!(keys(&answer["data"]), keys(&body["data"]), "{name}");
}

#[tokio::test]
async fn refusals_have_the_recorded_words() {
    let bench = Bench::start().await;
    let cases = [
        ("create-task-402", "402"),
        ("create-task-422-busy", "busy"),
        ("create-task-422-model", "model"),
        ("create-task-422-no-cb-url", "callback-url"),
        ("create-task-429-body", "429"),
        ("create-task-433", "433"),
        ("create-task-455", "455"),
        ("create-task-500-credits", "credits"),
        ("create-task-500-server", "500"),
        ("create-task-500-validation", "field"),
        ("create-task-505", "505"),
        ("create-task-429-http", "http429"),
    ];
    for (name, fault) in cases {
        let prompt = format!("kite [sim:create={fault}]");
        let answer = bench.post("api/v1/jobs/createTask", &image(&prompt, None)).send().await.unwrap();
        let exchange = recorded(name);
        assert_eq!(json!(answer.status().as_u16()), exchange["status"], "{name}");
        assert_eq!(answer.json::<Value>().await.unwrap(), exchange["body"], "{name}");
    }
    let unknown = bench.order(&json!({"model": "no/such", "input": {"prompt": "x"}})).await;
    assert_eq!(unknown, recorded("create-task-422-model")["body"]);
    let null = bench.record("5e0b7c1d9f2a4836b1c0d2e3f4a59687").await;
    assert_eq!(null, recorded("record-info-null-422")["body"]);
    let keyless = Bench::envelope(bench.http.get(bench.at("api/v1/chat/credit"))).await;
    assert_eq!(keyless, recorded("auth-401")["body"]);
    let typeless =
        bench.http.post(bench.at("api/v1/jobs/createTask")).bearer_auth(crate::support::KEY).body("{}");
    assert_eq!(Bench::envelope(typeless).await, recorded("auth-401-documented")["body"]);
    let foreign = bench.post("api/v1/common/download-url", &json!({"url": "https://elsewhere.example/x"}));
    assert_eq!(Bench::envelope(foreign).await, recorded("download-url-422")["body"]);
    let missing = bench.get("api/v1/jobs/create").send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(keys(&missing), keys(&recorded("unknown-path-404")["body"]));
}

#[tokio::test]
async fn records_have_the_fields_of_their_month() {
    let prompt = "kite [sim:duration=1h]";
    for (fields, name) in
        [(FieldSet::April, "record-info-waiting"), (FieldSet::August, "record-info-waiting-credits")]
    {
        let bench = Bench::with(SimConfig { fields, ..quick() }).await;
        let id = bench.accepted(prompt, None).await;
        assert_same_fields(&bench.record(&id).await, name);
    }
    let april = Bench::with(SimConfig { fields: FieldSet::April, ..quick() }).await;
    let id = april.accepted("kite", None).await;
    april.finished(&id).await;
    assert_same_fields(&april.record(&id).await, "record-info-success-image");
    let october = Bench::start().await;
    let answer = october.picture(prompt).await;
    assert_same_fields(&answer, "create-task-ok");
    let id = answer["data"]["taskId"].as_str().unwrap();
    assert_same_fields(&october.record(id).await, "record-info-generating-2026-10");
    october.sim.finish_now(id);
    assert_same_fields(&october.record(id).await, "record-info-success-2026-10");
    let august = Bench::with(SimConfig { fields: FieldSet::August, ..quick() }).await;
    let id = august.accepted("kite [sim:fail=500:Internal server error]", None).await;
    august.finished(&id).await;
    let failed = august.record(&id).await;
    assert_same_fields(&failed, "record-info-fail");
    for field in ["failCode", "failMsg", "resultJson", "state"] {
        assert_eq!(failed["data"][field], recorded("record-info-fail")["body"]["data"][field], "{field}");
    }
}

#[tokio::test]
async fn callbacks_have_the_recorded_fields() {
    let bench = Bench::start().await;
    let cases = [
        ("", "market-callback-success"),
        ("[sim:fail=500:Internal server error]", "market-callback-fail"),
        ("[sim:fail=500:x] [sim:callback=no-result]", "market-callback-fail-no-resultjson"),
        ("[sim:fail=500:x] [sim:callback=minimal]", "market-callback-fail-minimal"),
        ("[sim:callback=legacy]", "market-callback-success-legacy"),
    ];
    for (marks, name) in cases {
        let receiver = Receiver::start(&[]).await;
        bench.accepted(&format!("kite {marks}"), Some(&receiver.url)).await;
        let body = receiver.wait_for(1).await[0].json();
        assert_same_fields(&body, name);
        let sample = recorded(name);
        assert_eq!(
            (&body["code"], &body["msg"]),
            (&sample["body"]["code"], &sample["body"]["msg"]),
            "{name}"
        );
        let param: Value = serde_json::from_str(body["data"]["param"].as_str().unwrap_or("{}")).unwrap();
        assert!(param.get("input").is_none_or(Value::is_object), "{name}");
    }
}

#[tokio::test]
async fn uploads_and_discovery_have_the_recorded_fields() {
    let bench = Bench::start().await;
    let good = json!({"base64Data": "aGVsbG8=", "uploadPath": "texts"});
    assert_same_fields(&Bench::envelope(bench.post("api/file-base64-upload", &good)).await, "upload-ok");
    let cases = [
        ("upload-400-missing", json!({"base64Data": "aGVsbG8="})),
        ("upload-400-base64", json!({"base64Data": "%", "uploadPath": "x"})),
    ];
    for (name, body) in cases {
        let answer = bench.post("api/file-base64-upload", &body).send().await.unwrap();
        assert_eq!(json!(answer.status().as_u16()), recorded(name)["status"]);
        assert_eq!(answer.json::<Value>().await.unwrap(), recorded(name)["body"]);
    }
    let get = async |path: &str| Bench::envelope(bench.get(path)).await;
    let list = get("api/v1/models").await;
    assert_same_fields(&list, "models-list");
    assert_eq!(keys(&list["data"]["models"][0]), keys(&recorded("models-list")["body"]["data"]["models"][0]));
    let slow = Bench::with(SimConfig { models_per_second: 1, ..quick() }).await;
    let refused = slow.until_code("api/v1/models/z-image/price", 429, true).await;
    assert_eq!(refused, recorded("models-429")["body"]);
    assert_same_fields(&get("api/v1/models/z-image/schema").await, "model-schema");
    assert_same_fields(&get("api/v1/models/z-image/price").await, "model-price");
    let rate = get("api/v1/models/z-image/success-rate").await;
    assert_same_fields(&rate, "model-success-rate");
    let point = &recorded("model-success-rate")["body"]["data"]["points"][0];
    assert_eq!(keys(&rate["data"]["points"][0]), keys(point));
    assert_eq!(get("api/v1/models/no/such/price").await, recorded("models-404")["body"]);
    assert_eq!(get("api/v1/models?q=nothing-like-this").await, recorded("models-empty")["body"]);
}
