//! Logs carry task ids and timings, never the key, prompts, callback addresses, links or the balance.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::stream;
use kie_client::{Family, ModelFilter, NewTask, RetryPolicy, TaskId};
use serde_json::json;
use tracing::subscriber::DefaultGuard;

use crate::server::{Canned, KEY, Reply, client, url};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    /// A buffer that this thread logs into until the guard is dropped.
    fn listen() -> (Self, DefaultGuard, tracing::Dispatch) {
        let buffer = Self::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter("kie_client=trace")
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        // While there is but one, the thread that comes to a line first decides for all threads whether it is written.
        let second = tracing::Dispatch::new(tracing_subscriber::registry());
        (buffer, tracing::subscriber::set_default(subscriber), second)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The only line about the end of this call.
    fn end_of(&self, operation: &str) -> String {
        let (text, named) = (self.text(), format!("kie{{operation=\"{operation}\""));
        let ends = |line: &&str| line.contains(&named) && line.contains("elapsed_ms=");
        let found: Vec<_> = text.lines().filter(ends).collect();
        assert_eq!(found.len(), 1, "{operation} in {text}");
        found[0].to_owned()
    }
}

fn task_7() -> TaskId {
    TaskId::new("task-7").unwrap()
}

#[tokio::test]
async fn secrets_stay_out_of_the_logs() {
    let (buffer, guard, _second) = Buffer::listen();
    let input = json!({"prompt": "prompt-in-clear"});
    let callback = "https://app.example/callback-secret".parse().unwrap();
    let server = Canned::start([
        Reply::json(r#"{"code":200,"msg":"success","data":{"taskId":"task-7"}}"#),
        Reply::json(r#"{"code":500,"msg":"Server exception","data":null}"#),
        Reply::json(r#"{"code":200,"data":{"taskId":"task-7","state":"waiting","remainedCredits":51043,"param":"{\"callBackUrl\":\"callback-secret\",\"input\":\"{\\\"prompt\\\":\\\"prompt-in-clear\\\"}\"}"}}"#),
        Reply::json(r#"{"code":200,"data":51043.5}"#),
        Reply::json("prompt-in-clear"),
        Reply::json(r#"{"code":200,"data":"https://r2.example/1.png?signature=link-secret"}"#),
        Reply::new(502, r#"{"code":200,"data":{"param":"prompt-in-clear"#),
    ])
    .await;
    let client = server.client();
    let task = NewTask::new("nano-banana-2", &input).callback_url(&callback);
    client.create_task(&task).await.unwrap();
    let refused = client.create_task(&task).await.unwrap_err();
    let record = client.record(&task_7()).await.unwrap();
    assert_eq!(record.input(), Some(input));
    client.credit().await.unwrap();
    let unread = client.record(&task_7()).await.unwrap_err();
    client.download_url("https://h/1.png?signature=link-secret").await.unwrap();
    let broken = client.record(&task_7()).await.unwrap_err();
    let file = client.download(&format!("{}1.png?signature=link-secret", url(server.address))).await;
    let file = file.unwrap_err();
    drop(guard);
    let logged = buffer.text();
    assert!(logged.contains("task-7") && logged.contains("elapsed_ms"), "{logged}");
    let errors = format!("{refused:?} {refused} {unread:?} {unread} {broken:?} {broken} {file:?} {file}");
    let shown = format!("{logged} {errors} {record:?} {client:?}");
    for secret in [KEY, "prompt-in-clear", "callback-secret", "51043", "link-secret"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[tokio::test]
async fn every_call_has_one_span_and_one_end() {
    let (buffer, guard, _second) = Buffer::listen();
    let created = r#"{"code":200,"msg":"success","data":{"taskId":"task-7","state":"success","successFlag":1,"downloadUrl":"https://h/1","fileSize":3,"models":[{}]}}"#;
    let busy = Reply::json(r#"{"code":500,"msg":"Server exception","data":null}"#);
    let server = Canned::start([busy, Reply::json(created)]).await;
    let eager = RetryPolicy::new(2, Duration::from_secs(20)).first_delay(Duration::from_millis(1));
    let client = client(server.address, eager);
    client.record(&task_7()).await.unwrap();
    client.family_record(Family::Veo, &task_7()).await.unwrap();
    client.create_task(&NewTask::new("wan/2-7", &json!({}))).await.unwrap();
    let body = stream::iter([Ok::<_, io::Error>("abc".into())]);
    client.upload_stream("a.png", "image/png", body, 3, "images").await.unwrap();
    client.upload_base64("a.png", "image/png", b"abc", "images").await.unwrap();
    client.models(&ModelFilter::default()).await.unwrap();
    client.model_price("wan/2-7").await.unwrap();
    client.gpt4o_download_url(&task_7(), "https://h/1").await.unwrap_err();
    client.veo_1080p_url(&task_7(), 0).await.unwrap_err();
    let mut download = client.download(url(server.address).as_str()).await.unwrap();
    while download.chunk().await.unwrap().is_some() {}
    drop(download);
    drop(guard);
    for (operation, parts) in [
        ("record", vec!["task_id=task-7", "state=\"success\"", "call done"]),
        ("family_record", vec!["task_id=task-7", "state=\"1\"", "call done"]),
        ("create_task", vec!["task_id=task-7", "model=\"wan/2-7\"", "call done"]),
        ("upload_stream", vec!["bytes=3", "call done"]),
        ("upload_base64", vec!["bytes=3", "call done"]),
        ("models", vec!["call done"]),
        ("model_price", vec!["model=\"wan/2-7\"", "call done"]),
        ("gpt4o_download_url", vec!["task_id=task-7", "call failed", "fault=\"malformed\""]),
        ("veo_1080p_url", vec!["task_id=task-7", "call failed"]),
        ("download", vec!["call done", "bytes="]),
    ] {
        let line = buffer.end_of(operation);
        assert!(parts.iter().all(|part| line.contains(part)), "{parts:?} in {line}");
    }
    let text = buffer.text();
    let again: Vec<_> = text.lines().filter(|line| line.contains("reading again")).collect();
    assert!(again.len() == 1 && again[0].contains("task_id=task-7"), "{again:?}");
    let skipped = text.lines().find(|line| line.contains("left out")).unwrap();
    assert!(skipped.contains("WARN") && skipped.contains("operation=\"models\""), "{skipped}");
}

#[tokio::test]
async fn a_download_that_nobody_reads_on_ends_too() {
    let (buffer, guard, _second) = Buffer::listen();
    let server = Canned::start([Reply::json("abc")]).await;
    let download = server.client().download(url(server.address).as_str()).await.unwrap();
    assert!(!format!("{download:?}").contains("127.0.0.1"), "{download:?}");
    drop(download);
    server.say(Reply::new(404, ""));
    server.client().download(url(server.address).as_str()).await.unwrap_err();
    drop(guard);
    let text = buffer.text();
    assert!(text.contains("call dropped") && text.contains("fault=\"not_found\""), "{text}");
    assert_eq!(text.matches("elapsed_ms=").count(), 2, "{text}");
}
