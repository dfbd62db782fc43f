//! Uploads: three forms, their errors, their death.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::{Bench, KEY, quick};
use kie_sim::SimConfig;

async fn fetched(bench: &Bench, answer: &Value) -> (String, Vec<u8>) {
    let file = bench.http.get(answer["data"]["downloadUrl"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(file.status(), 200);
    let kind = file.headers()["content-type"].to_str().unwrap().to_owned();
    (kind, file.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn a_stream_is_stored_and_served() {
    let bench = Bench::start().await;
    let bytes = vec![7u8; 3 << 20];
    let part = Part::bytes(bytes.clone()).file_name("in.png").mime_str("image/png").unwrap();
    let form = Form::new().text("uploadPath", "images").part("file", part);
    let request = bench.http.post(bench.at("api/file-stream-upload")).bearer_auth(KEY).multipart(form);
    let answer = Bench::envelope(request).await;
    assert_eq!((&answer["success"], &answer["code"]), (&json!(true), &json!(200)));
    let data = &answer["data"];
    assert_eq!(
        (&data["success"], &data["fileSize"], &data["mimeType"]),
        (&json!(true), &json!(3 << 20), &json!("image/png"))
    );
    assert!(data["filePath"].as_str().unwrap().starts_with("kieai/100001/images/"));
    assert!(data["uploadedAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(fetched(&bench, &answer).await, ("image/png".to_owned(), bytes));
    let form = Form::new()
        .text("uploadPath", "images")
        .text("fileName", "mine.png")
        .part("file", Part::bytes(vec![1]));
    let request = bench.http.post(bench.at("api/file-stream-upload")).bearer_auth(KEY).multipart(form);
    assert_eq!(Bench::envelope(request).await["data"]["fileName"], "mine.png");
}

#[tokio::test]
async fn the_fields_of_a_form_may_come_in_any_order() {
    let bench = Bench::start().await;
    let send = async |form: Form| {
        let request = bench.http.post(bench.at("api/file-stream-upload")).bearer_auth(KEY).multipart(form);
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    let file = || Part::bytes(vec![7; 9]).file_name("in.png").mime_str("image/png").unwrap();
    let form =
        Form::new().part("file", file()).text("fileName", "mine.png").text("uploadPath", "images/mine");
    let last = send(form).await;
    assert_eq!(last["data"]["filePath"], "kieai/100001/images/mine/mine.png");
    assert_eq!(fetched(&bench, &last).await, ("image/png".to_owned(), vec![7; 9]));
    let unnamed = send(Form::new().part("file", file()).text("uploadPath", "images")).await;
    let path = unnamed["data"]["filePath"].as_str().unwrap();
    let named = path.strip_prefix("kieai/100001/images/").and_then(|name| name.rsplit_once('.'));
    assert_eq!(named.unwrap().1, "png", "{path}");
    assert_eq!(send(Form::new().part("file", file())).await["msg"], "Missing required parameter: uploadPath");
    let pathless = send(Form::new().text("uploadPath", "images")).await;
    assert_eq!(pathless["msg"], "Missing required parameter: file");
}

#[tokio::test]
async fn base64_and_urls_are_stored() {
    let bench = Bench::start().await;
    for data in ["aGVsbG8=", "data:text/plain;base64,aGVsbG8="] {
        let body = json!({"base64Data": data, "uploadPath": "../texts", "fileName": "a.txt"});
        let answer = Bench::envelope(bench.post("api/file-base64-upload", &body)).await;
        assert_eq!(answer["data"]["filePath"], "kieai/100001/texts/a.txt");
        assert_eq!(fetched(&bench, &answer).await.1, b"hello");
    }
    let url = bench.urls("a kite").await.remove(0);
    let body = json!({"fileUrl": url, "uploadPath": "images"});
    let answer = Bench::envelope(bench.post("api/file-url-upload", &body)).await;
    let (kind, bytes) = fetched(&bench, &answer).await;
    assert_eq!(kind, "image/png");
    assert!(image::load_from_memory(&bytes).is_ok());
}

#[tokio::test]
async fn wrong_uploads_are_refused() {
    let bench = Bench::start().await;
    let refusal = async |path: &str, body: Value| {
        let answer = bench.post(path, &body).send().await.unwrap();
        assert_eq!(answer.status(), 400);
        let body: Value = answer.json().await.unwrap();
        assert_eq!((&body["success"], &body["code"]), (&json!(false), &json!(400)));
        body["msg"].as_str().unwrap().to_owned()
    };
    let missing = refusal("api/file-base64-upload", json!({"base64Data": "aGVsbG8="})).await;
    assert_eq!(missing, "Missing required parameter: uploadPath");
    let broken = refusal("api/file-base64-upload", json!({"base64Data": "%%", "uploadPath": "x"})).await;
    assert_eq!(broken, "Base64 decoding failed: Invalid Base64 format");
    refusal("api/file-url-upload", json!({"fileUrl": "http://127.0.0.1:1/x.png", "uploadPath": "x"})).await;
    let keyless = bench.http.post(bench.at("api/file-base64-upload")).json(&json!({})).send().await.unwrap();
    assert_eq!(keyless.status(), 401);
    assert_eq!(keyless.json::<Value>().await.unwrap()["msg"], "Authentication failed: Invalid API Key");
}

#[tokio::test]
async fn uploads_expire() {
    let bench = Bench::with(SimConfig { upload_life: Duration::from_millis(1), ..quick() }).await;
    let body = json!({"base64Data": "aGVsbG8=", "uploadPath": "texts"});
    let answer = Bench::envelope(bench.post("api/file-base64-upload", &body)).await;
    bench.until_status(answer["data"]["downloadUrl"].as_str().unwrap(), 404).await;
}
