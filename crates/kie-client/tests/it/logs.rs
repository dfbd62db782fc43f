//! Logs carry task ids and timings, never the key, prompts, callback addresses or the balance.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use kie_client::{NewTask, TaskId};
use serde_json::json;

use crate::server::{Canned, KEY, Reply};

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

#[tokio::test]
async fn secrets_stay_out_of_the_logs() {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("kie_client=trace")
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // While there is but one, the thread that comes to a line first decides for all threads whether it is written.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let guard = tracing::subscriber::set_default(subscriber);
    let input = json!({"prompt": "prompt-in-clear"});
    let callback = "https://app.example/callback-secret".parse().unwrap();
    let server = Canned::start([
        Reply::json(r#"{"code":200,"msg":"success","data":{"taskId":"task-7"}}"#),
        Reply::json(r#"{"code":500,"msg":"Server exception","data":null}"#),
        Reply::json(r#"{"code":200,"data":{"taskId":"task-7","state":"waiting","remainedCredits":51043,"param":"{\"callBackUrl\":\"callback-secret\",\"input\":\"prompt-in-clear\"}"}}"#),
        Reply::json(r#"{"code":200,"data":51043.5}"#),
        Reply::json("prompt-in-clear"),
    ])
    .await;
    let client = server.client();
    let task = NewTask::new("nano-banana-2", &input).callback_url(&callback);
    client.create_task(&task).await.unwrap();
    let refused = client.create_task(&task).await.unwrap_err();
    let record = client.record(&TaskId::new("task-7").unwrap()).await.unwrap();
    client.credit().await.unwrap();
    let unread = client.record(&TaskId::new("task-7").unwrap()).await.unwrap_err();
    drop(guard);
    let logged = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("task-7") && logged.contains("elapsed_ms"), "{logged}");
    let shown = format!("{logged} {refused:?} {refused} {record:?} {unread:?} {unread} {client:?}");
    for secret in [KEY, "prompt-in-clear", "callback-secret", "51043"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
