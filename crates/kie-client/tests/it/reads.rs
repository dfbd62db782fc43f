//! Reads are repeated within attempts and time, and answers are bounded.

use std::time::{Duration, Instant};

use kie_client::{Client, Family, ModelFilter, ReadError, RetryPolicy, TaskId, TaskState};

use crate::server::{Canned, Habit, KEY, Raw, Reply, client, url};

const BUSY: &str = r#"{"code":500,"msg":"Server exception, please try again later","data":null}"#;
const WAITING: &str = r#"{"code":200,"msg":"success","data":{"taskId":"a1","state":"waiting"}}"#;

fn task_id() -> TaskId {
    TaskId::new("a1").unwrap()
}

fn quick(attempts: u32) -> RetryPolicy {
    RetryPolicy {
        first_delay: Duration::from_millis(1),
        ..RetryPolicy::new(attempts, Duration::from_secs(20))
    }
}

#[tokio::test]
async fn passing_faults_are_read_through() {
    let throttled = Reply::new(429, r#"{"code":429,"msg":"Rate limit exceeded"}"#);
    let broken = Reply::json(r#"{"code":200,"#);
    let replies = [Reply::json(BUSY), throttled, broken, Reply::new(502, "<html>"), Reply::json(WAITING)];
    let server = Canned::start(replies).await;
    let record = client(server.address, quick(5)).record(&task_id()).await.unwrap();
    assert_eq!(record.state, TaskState::Waiting);
    assert_eq!(server.asked().len(), 5);
}

#[tokio::test]
async fn attempts_are_bounded() {
    let server = Canned::start([Reply::json(BUSY)]).await;
    let error = client(server.address, quick(3)).record(&task_id()).await.unwrap_err();
    assert!(matches!(error, ReadError::Unavailable { code: 500, .. }), "{error}");
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn time_is_bounded_even_when_nobody_answers() {
    let server = Raw::start(Habit::Silence).await;
    let policy = RetryPolicy {
        first_delay: Duration::from_millis(1),
        ..RetryPolicy::new(100, Duration::from_millis(500))
    };
    let client = Client::builder(KEY).base_url(url(server.address)).retry(policy);
    let client = client.read_timeout(Duration::from_millis(150)).build().unwrap();
    let start = Instant::now();
    let error = client.record(&task_id()).await.unwrap_err();
    assert!(matches!(error, ReadError::Unreachable { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!((1..=5).contains(&server.connections()), "{}", server.connections());
}

#[tokio::test]
async fn refusals_are_not_repeated() {
    for body in [
        r#"{"code":401,"msg":"Unauthorized"}"#,
        r#"{"code":422,"msg":"recordInfo is null","data":null}"#,
        r#"{"code":505,"msg":"Feature Disabled"}"#,
        r#"{"code":200,"data":{"taskId":"b2","state":"success"}}"#,
        r#"{"code":200,"data":"text"}"#,
    ] {
        let server = Canned::start([Reply::json(body)]).await;
        let error = client(server.address, quick(5)).record(&task_id()).await.unwrap_err();
        assert!(!error.is_retryable(), "{body}");
        assert_eq!(server.asked().len(), 1, "{body}");
    }
}

#[tokio::test]
async fn long_answers_are_cut() {
    let server = Raw::start(Habit::Flood).await;
    let error = client(server.address, quick(5)).record(&task_id()).await.unwrap_err();
    assert!(matches!(error, ReadError::TooLarge { .. }), "{error}");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let server = Canned::start([Reply::new(302, "").header("location", "/elsewhere")]).await;
    let error = client(server.address, quick(5)).record(&task_id()).await.unwrap_err();
    assert!(matches!(error, ReadError::Unexpected { status: 302, .. }), "{error}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn requests_are_the_documented_ones() {
    let server = Canned::start([Reply::json(r#"{"code":200,"data":null}"#)]).await;
    let client = server.client();
    let _ = client.record(&task_id()).await;
    for family in Family::ALL {
        let _ = client.family_record(family, &task_id()).await;
    }
    let _ = client
        .models(&ModelFilter { task_type: Some("Text to Video"), provider: None, query: Some("a&b") })
        .await;
    let _ = client.model_price("wan/2-7-image-to-video").await;
    let _ = client.download_url("https://tempfile.aiquickdraw.com/r/1.png").await;
    let asked = server.asked();
    assert_eq!(asked[0].uri.to_string(), "/api/v1/jobs/recordInfo?taskId=a1");
    assert_eq!(asked[0].header("authorization"), Some("Bearer test-key-4711"));
    assert_eq!(asked[0].header("content-type"), Some("application/json"));
    assert_eq!(asked[1].uri.to_string(), "/api/v1/veo/record-info?taskId=a1");
    let rest: Vec<_> = asked[15..].iter().map(|asked| format!("{} {}", asked.method, asked.uri)).collect();
    assert_eq!(
        rest,
        [
            "GET /api/v1/models?taskType=Text+to+Video&q=a%26b",
            "GET /api/v1/models/wan/2-7-image-to-video/price",
            "POST /api/v1/common/download-url",
        ]
    );
    assert_eq!(asked[17].body, r#"{"url":"https://tempfile.aiquickdraw.com/r/1.png"}"#);
}

#[tokio::test]
async fn model_ids_cannot_leave_their_path() {
    let server = Canned::start([Reply::json(BUSY)]).await;
    for model in ["", "../../chat/credit", "a//b", "/a", "a/", "a?b", "a%2fb", "a b"] {
        let error = server.client().model_price(model).await.unwrap_err();
        assert!(matches!(error, ReadError::InvalidRequest { .. }), "{model}");
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn balances_keep_their_digits() {
    for (data, shown) in [("5916.25", "5916.25"), ("0", "0"), ("-3.5", "0"), ("1e3", "1000")] {
        let server =
            Canned::start([Reply::json(&format!(r#"{{"code":200,"msg":"success","data":{data}}}"#))]).await;
        assert_eq!(server.client().credit().await.unwrap().to_string(), shown);
    }
    let server = Canned::start([Reply::json(r#"{"code":200,"data":{"credits":1}}"#)]).await;
    assert!(matches!(server.client().credit().await, Err(ReadError::Malformed { .. })));
}
