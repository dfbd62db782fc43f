//! Files in and out: uploads go to the upload host with the key, downloads go without it.

use std::time::Duration;

use futures_util::stream;
use kie_client::{Client, ReadError};
use serde_json::{Value, json};

use crate::server::{Canned, Habit, KEY, Raw, Reply, url};

const UPLOADED: &str =
    r#"{"success":true,"code":200,"msg":"ok","data":{"downloadUrl":"https://h/kieai/1/a.png"}}"#;

#[tokio::test]
async fn a_stream_is_sent_as_a_form() {
    let api = Canned::start([Reply::new(500, "")]).await;
    let host = Canned::start([Reply::json(UPLOADED)]).await;
    let client =
        Client::builder(KEY).base_url(url(api.address)).upload_url(url(host.address)).build().unwrap();
    let body = stream::iter(["ab", "cde"].map(|piece| Ok::<_, std::io::Error>(piece.into())));
    let upload = client.upload_stream("a.png", "image/png", body, 5, "/images/").await.unwrap();
    assert_eq!(upload.url, "https://h/kieai/1/a.png");
    assert!(api.asked().is_empty());
    let asked = host.asked().remove(0);
    assert_eq!(asked.uri.path(), "/api/file-stream-upload");
    assert_eq!(asked.header("authorization"), Some("Bearer test-key-4711"));
    assert!(asked.header("content-type").unwrap().starts_with("multipart/form-data; boundary="));
    let form = String::from_utf8(asked.body.to_vec()).unwrap();
    for part in [
        "name=\"uploadPath\"\r\n\r\nimages\r\n",
        "name=\"fileName\"\r\n\r\na.png\r\n",
        "Content-Type: image/png",
        "abcde",
    ] {
        assert!(form.contains(part), "{part} in {form}");
    }
}

#[tokio::test]
async fn bytes_and_addresses_are_sent_as_json() {
    let host = Canned::start([Reply::json(UPLOADED)]).await;
    let client = host.client();
    client.upload_base64("a.png", "image/png", b"abc", "images").await.unwrap();
    client.upload_by_url(&"https://h/a.png".parse().unwrap(), "b.png", "images").await.unwrap();
    let asked = host.asked();
    let body = |index: usize| serde_json::from_slice::<Value>(&asked[index].body).unwrap();
    let data = "data:image/png;base64,YWJj";
    assert_eq!(body(0), json!({"base64Data": data, "uploadPath": "images", "fileName": "a.png"}));
    assert_eq!(body(1), json!({"fileUrl": "https://h/a.png", "uploadPath": "images", "fileName": "b.png"}));
}

#[tokio::test]
async fn uploads_are_sent_once_and_unusable_ones_not_at_all() {
    let host = Canned::start([Reply::new(503, "")]).await;
    let error = host.client().upload_base64("a.png", "image/png", b"abc", "images").await.unwrap_err();
    assert!(error.is_retryable());
    assert_eq!(host.asked().len(), 1);
    let error = host.client().upload_base64("a/b.png", "image/png", b"abc", "images").await.unwrap_err();
    assert!(matches!(error, ReadError::InvalidRequest { .. }));
    let error = host.client().upload_base64("a.png", "image/png", b"abc", "../x").await.unwrap_err();
    assert!(matches!(error, ReadError::InvalidRequest { .. }));
    assert_eq!(host.asked().len(), 1);
}

#[tokio::test]
async fn an_upload_without_an_address_is_malformed() {
    let host =
        Canned::start([Reply::json(r#"{"success":true,"code":200,"data":{"fileUrl":"https://h/a"}}"#)]).await;
    let error = host.client().upload_base64("a.png", "image/png", b"abc", "images").await.unwrap_err();
    assert!(matches!(error, ReadError::Malformed { .. }), "{error}");
}

#[tokio::test]
async fn a_download_never_carries_the_key() {
    let last = Canned::start([Reply::json("picture")]).await;
    let first =
        Canned::start([Reply::new(302, "").header("location", &format!("{}1.png", url(last.address)))]).await;
    let mut download = first.client().download(&format!("{}x", url(first.address))).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = download.chunk().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    assert_eq!(bytes, b"picture");
    for asked in first.asked().iter().chain(&last.asked()) {
        assert_eq!(asked.header("authorization"), None);
        assert!(asked.header("user-agent").is_some());
    }
    assert_eq!(last.asked()[0].uri.path(), "/1.png");
}

#[tokio::test]
async fn dead_and_endless_downloads_are_errors() {
    let gone = Canned::start([Reply::new(410, "")]).await;
    assert!(gone.client().download(url(gone.address).as_str()).await.unwrap_err().is_not_found());
    let circle = Canned::start([Reply::new(302, "").header("location", "/again")]).await;
    let error = circle.client().download(url(circle.address).as_str()).await.unwrap_err();
    assert!(matches!(error, ReadError::InvalidRequest { .. }), "{error}");
    assert_eq!(circle.asked().len(), 4);
    for address in ["ftp://h/1", "file:///etc/passwd", "no address"] {
        assert!(
            matches!(gone.client().download(address).await, Err(ReadError::InvalidRequest { .. })),
            "{address}"
        );
    }
}

#[tokio::test]
async fn a_download_that_may_come_later_says_when() {
    for status in [408, 429, 430, 455, 500, 503] {
        let server = Canned::start([Reply::new(status, "").header("retry-after", "7")]).await;
        let error = server.client().download(url(server.address).as_str()).await.unwrap_err();
        assert!(error.is_retryable(), "{status}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)), "{status}");
    }
    let server = Canned::start([Reply::new(403, "").header("retry-after", "7")]).await;
    let error = server.client().download(url(server.address).as_str()).await.unwrap_err();
    assert!(!error.is_retryable() && error.retry_after().is_none(), "{error}");
}

#[tokio::test]
async fn a_download_that_stalls_or_breaks_off_is_an_error() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc";
    for (habit, stalled) in [(Habit::WriteAndHold(head), true), (Habit::Write(head), false)] {
        let server = Raw::start(habit).await;
        let client = Client::builder(KEY).read_timeout(Duration::from_millis(200)).build().unwrap();
        let mut download = client.download(url(server.address).as_str()).await.unwrap();
        assert_eq!(download.content_length(), Some(100));
        let error = loop {
            match download.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a file that broke off was taken for a whole one"),
                Err(error) => break error,
            }
        };
        assert_eq!(matches!(error, ReadError::Stalled { .. }), stalled, "{error}");
    }
}
