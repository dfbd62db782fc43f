//! Photos, films and files: by upload, by URL, by id, and their limits.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::Bench;
use crate::telegram::{ANN, bench};

pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::new_luma8(width, height).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A picture with zeros behind it, which decoders ignore.
fn padded(bytes: usize) -> Vec<u8> {
    let mut made = png(16, 16);
    made.resize(bytes, 0);
    made
}

async fn upload(bench: &Bench, method: &str, field: &str, name: &str, bytes: Vec<u8>) -> (u16, Value) {
    let part = Part::bytes(bytes).file_name(name.to_owned());
    let form =
        Form::new().text("chat_id", ANN.to_string()).text("caption", "look").part(field.to_owned(), part);
    let answer = bench.http.post(bench.method(method)).multipart(form).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn started() -> Bench {
    let bench = bench().await;
    bench.telegram().chat(ANN).start(None).unwrap();
    bench
}

#[tokio::test]
async fn an_uploaded_photo_is_shown_downloaded_and_sent_again() {
    let bench = started().await;
    let bytes = png(64, 32);
    let (status, body) = upload(&bench, "sendPhoto", "photo", "a.png", bytes.clone()).await;
    assert_eq!(status, 200, "{body}");
    let photo = body["result"]["photo"][0].clone();
    assert_eq!(
        (&photo["width"], &photo["height"], &photo["file_size"]),
        (&json!(64), &json!(32), &json!(bytes.len()))
    );
    let view = bench.telegram().chat(ANN).view().unwrap();
    let message = view.last_from_bot().unwrap().clone();
    let file = message.file.unwrap();
    assert_eq!(
        (message.kind.as_str(), message.text.as_deref(), file.mime.as_str()),
        ("photo", Some("look"), "image/png")
    );
    assert_eq!(bench.telegram().file(&file.file_id).unwrap(), bytes);
    let info = bench.bot("getFile", json!({"file_id": file.file_id})).await;
    let (base, token) = (bench.telegram().api_url().to_owned(), bench.telegram().token().to_owned());
    let url = format!("{base}/file/bot{token}/{}", info["file_path"].as_str().unwrap());
    let got = bench.http.get(url).send().await.unwrap();
    assert_eq!(got.bytes().await.unwrap(), bytes);
    let again = bench.bot("sendPhoto", json!({"chat_id": ANN, "photo": file.file_id})).await;
    assert_eq!(again["photo"][0]["file_unique_id"], photo["file_unique_id"]);
    assert_eq!(
        bench.refused(400, "sendDocument", json!({"chat_id": ANN, "document": file.file_id})).await,
        "Bad Request: can't use file of type Photo as Document"
    );
    for (id, words) in [
        ("AgACAgIAAxkUnknown", "wrong file identifier/HTTP URL specified"),
        ("photo.jpg", "wrong remote file identifier specified: Wrong character in the string"),
    ] {
        let args = json!({"chat_id": ANN, "photo": id});
        assert_eq!(bench.refused(400, "sendPhoto", args).await, format!("Bad Request: {words}"));
    }
    assert_eq!(
        bench.refused(400, "getFile", json!({"file_id": "nothing"})).await,
        "Bad Request: invalid file_id"
    );
    assert_eq!(
        bench.refused(400, "sendPhoto", json!({"chat_id": ANN})).await,
        "Bad Request: there is no photo in the request"
    );
}

#[tokio::test]
async fn odd_and_heavy_photos_are_refused_and_go_as_documents() {
    let bench = started().await;
    let heavy = (10 << 20) + 1;
    for (bytes, words) in [
        (png(2100, 100), "PHOTO_INVALID_DIMENSIONS"),
        (png(5001, 5000), "PHOTO_INVALID_DIMENSIONS"),
        (b"no picture at all".to_vec(), "IMAGE_PROCESS_FAILED"),
        (
            padded(heavy),
            "file of size 10485761 bytes is too big for a photo; the maximum size is 10485760 bytes",
        ),
    ] {
        let (status, body) = upload(&bench, "sendPhoto", "photo", "a.png", bytes).await;
        assert_eq!(
            (status, body["description"].as_str().unwrap()),
            (400, format!("Bad Request: {words}").as_str())
        );
    }
    let (status, body) = upload(&bench, "sendPhoto", "photo", "a.png", padded(10 << 20)).await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = upload(&bench, "sendDocument", "document", "big.png", padded(heavy)).await;
    assert_eq!((status, &body["result"]["document"]["file_name"]), (200, &json!("big.png")));
    assert_eq!(body["result"]["document"]["mime_type"], "image/png");
}

#[tokio::test]
async fn uploads_end_at_50_mb_and_downloads_at_20_mb() {
    let bench = started().await;
    let (status, body) = upload(&bench, "sendDocument", "document", "a.bin", vec![7; 50 << 20]).await;
    assert_eq!(
        (status, &body),
        (413, &json!({"ok": false, "error_code": 413, "description": "Request Entity Too Large"}))
    );
    let (status, body) = upload(&bench, "sendDocument", "document", "a.bin", vec![7; (20 << 20) + 1]).await;
    assert_eq!(status, 200);
    let id = body["result"]["document"]["file_id"].as_str().unwrap();
    assert_eq!(bench.refused(400, "getFile", json!({"file_id": id})).await, "Bad Request: file is too big");
}

#[tokio::test]
async fn what_is_no_film_becomes_a_document() {
    let bench = started().await;
    let (status, body) = upload(&bench, "sendVideo", "video", "a.avi", b"RIFF....AVI ".to_vec()).await;
    assert_eq!(status, 200);
    assert!(
        body["result"].get("video").is_none() && body["result"]["document"]["file_name"] == "a.avi",
        "{body}"
    );
    let film = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/clip.mp4")).unwrap();
    let (_, body) = upload(&bench, "sendVideo", "video", "a.mp4", film.clone()).await;
    assert_eq!(body["result"]["video"]["mime_type"], "video/mp4");
    let (_, body) = upload(&bench, "sendAnimation", "animation", "a.mp4", film).await;
    assert_eq!(body["result"]["animation"]["file_id"], body["result"]["document"]["file_id"]);
    let sound = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/clip.mp3")).unwrap();
    let (_, body) = upload(&bench, "sendAudio", "audio", "a.mp3", sound).await;
    assert_eq!(body["result"]["audio"]["mime_type"], "audio/mpeg");
    let kinds: Vec<_> =
        bench.telegram().chat(ANN).messages().into_iter().map(|message| message.kind).collect();
    assert_eq!(kinds, ["text", "document", "video", "animation", "audio"]);
}

#[tokio::test]
async fn files_by_url_are_really_fetched() {
    let bench = started().await;
    let url = bench.urls("a kite").await.remove(0);
    let sent = bench.bot("sendPhoto", json!({"chat_id": ANN, "photo": url})).await;
    assert!(sent["photo"][0]["width"].as_u64().unwrap() > 100);
    let file = bench.telegram().chat(ANN).view().unwrap().last_from_bot().unwrap().file.clone().unwrap();
    let straight = bench.http.get(&url).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(bench.telegram().file(&file.file_id).unwrap(), straight);
    let heavy = bench.urls("a kite [sim:size=6MiB]").await.remove(0);
    let lost = bench.urls("a kite [sim:result=404]").await.remove(0);
    let page = bench.urls("a kite [sim:result=html]").await.remove(0);
    for (method, field, url, words) in [
        ("sendPhoto", "photo", heavy.as_str(), "failed to get HTTP URL content"),
        ("sendPhoto", "photo", lost.as_str(), "wrong type of the web page content"),
        ("sendPhoto", "photo", page.as_str(), "wrong type of the web page content"),
        ("sendDocument", "document", url.as_str(), "wrong type of the web page content"),
        ("sendVideo", "video", url.as_str(), "wrong type of the web page content"),
        ("sendPhoto", "photo", "http://127.0.0.1:1/x.png", "failed to get HTTP URL content"),
        ("sendPhoto", "photo", "http://", "wrong HTTP URL specified"),
    ] {
        let said = bench.refused(400, method, json!({"chat_id": ANN, field: url})).await;
        assert_eq!(said, format!("Bad Request: {words}"), "{method} {url}");
    }
}

#[tokio::test]
async fn albums_are_sent_whole_or_not_at_all() {
    let bench = started().await;
    let form = |second: Vec<u8>| {
        let media = json!([
            {"type": "photo", "media": "attach://one", "caption": "<b>both</b>", "parse_mode": "HTML"},
            {"type": "photo", "media": "attach://two"},
        ]);
        Form::new()
            .text("chat_id", ANN.to_string())
            .text("media", media.to_string())
            .part("one", Part::bytes(png(8, 8)).file_name("1.png"))
            .part("two", Part::bytes(second).file_name("2.png"))
    };
    let ask = async |form: Form| -> Value {
        bench
            .http
            .post(bench.method("sendMediaGroup"))
            .multipart(form)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    };
    let refused = ask(form(b"broken".to_vec())).await;
    assert_eq!(
        refused["description"],
        "Bad Request: failed to send message #2 with the error message \"IMAGE_PROCESS_FAILED\""
    );
    assert_eq!(bench.telegram().chat(ANN).messages().len(), 1);
    let sent = ask(form(png(9, 9))).await;
    let messages = bench.telegram().chat(ANN).messages();
    assert_eq!((sent["result"].as_array().unwrap().len(), messages.len()), (2, 3));
    assert!(messages[1].media_group_id.is_some() && messages[1].media_group_id == messages[2].media_group_id);
    let many: Vec<_> = (0..11).map(|_| json!({"type": "photo", "media": "x"})).collect();
    for (media, words) in [
        (json!(many), "too many messages to send as an album"),
        (json!([]), "there are no messages to send"),
        (json!([{"type": "photo"}]), "can't parse InputMedia: media not found"),
    ] {
        let said = bench.refused(400, "sendMediaGroup", json!({"chat_id": ANN, "media": media})).await;
        assert_eq!(said, format!("Bad Request: {words}"));
    }
}

#[tokio::test]
async fn a_progress_message_becomes_the_result() {
    let bench = started().await;
    let id = bench.says(ANN, "drawing").await;
    let media = json!({"type": "photo", "media": "attach://it", "caption": "ready"});
    let form = Form::new()
        .text("chat_id", ANN.to_string())
        .text("message_id", id.to_string())
        .text("media", media.to_string())
        .part("it", Part::bytes(png(20, 10)).file_name("it.png"));
    let answer = bench.http.post(bench.method("editMessageMedia")).multipart(form).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(
        (&body["result"]["message_id"], &body["result"]["caption"]),
        (&json!(id), &json!("ready")),
        "{body}"
    );
    bench.bot("editMessageCaption", json!({"chat_id": ANN, "message_id": id, "caption": "look"})).await;
    let long = json!({"chat_id": ANN, "message_id": id, "caption": "x".repeat(1025)});
    assert_eq!(
        bench.refused(400, "editMessageCaption", long).await,
        "Bad Request: message caption is too long"
    );
    assert_eq!(
        bench.refused(400, "editMessageText", json!({"chat_id": ANN, "message_id": id, "text": "x"})).await,
        "Bad Request: there is no text in the message to edit"
    );
    let message = bench.telegram().chat(ANN).view().unwrap().find(id).cloned().unwrap();
    assert_eq!((message.kind.as_str(), message.text.as_deref(), message.edits), ("photo", Some("look"), 2));
}

#[tokio::test]
async fn a_customer_sends_files() {
    let bench = started().await;
    let chat = bench.telegram().chat(ANN);
    chat.send_photo(png(30, 20), "make it blue").unwrap();
    chat.send_document("a.pdf", &b"%PDF-1.7"[..], "").unwrap();
    assert!(chat.send_photo(&b"x"[..], "").is_err());
    let updates = bench.bot("getUpdates", json!({"offset": -2})).await;
    let photo = &updates[0]["message"];
    assert_eq!((&photo["caption"], &photo["photo"][0]["width"]), (&json!("make it blue"), &json!(30)));
    assert_eq!(updates[1]["message"]["document"]["mime_type"], "application/pdf");
    let info = bench.bot("getFile", json!({"file_id": photo["photo"][0]["file_id"]})).await;
    assert!(info["file_path"].as_str().unwrap().starts_with("photos/"));
}
