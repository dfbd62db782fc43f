//! Reads are repeated within attempts and time, and answers are bounded.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use kie_client::{
    Call, Client, Denied, Family, Limiter, ModelFilter, ReadError, RetryPolicy, TaskId, TaskState,
};

use crate::server::{Canned, Habit, KEY, Raw, Reply, client, url};

const BUSY: &str = r#"{"code":500,"msg":"Server exception, please try again later","data":null}"#;
const WAITING: &str = r#"{"code":200,"msg":"success","data":{"taskId":"a1","state":"waiting"}}"#;

fn task_id() -> TaskId {
    TaskId::new("a1").unwrap()
}

fn quick(attempts: u32) -> RetryPolicy {
    RetryPolicy::new(attempts, Duration::from_secs(20)).first_delay(Duration::from_millis(1))
}

#[tokio::test]
async fn passing_faults_are_read_through() {
    let throttled = Reply::new(429, r#"{"code":429,"msg":"Rate limit exceeded"}"#);
    let broken = Reply::json(r#"{"code":200,"#);
    let pages = [502, 455, 430].map(|status| Reply::new(status, "<html>"));
    let replies = [Reply::json(BUSY), throttled, broken].into_iter().chain(pages);
    let server = Canned::start(replies.chain([Reply::json(WAITING)])).await;
    let record = client(server.address, quick(7)).record(&task_id()).await.unwrap();
    assert_eq!(record.state, TaskState::Waiting);
    assert_eq!(server.asked().len(), 7);
}

#[tokio::test]
async fn every_passing_fault_says_when_to_come_again() {
    for (status, body) in [
        (429, "<html>"),
        (430, "<html>"),
        (455, "<html>"),
        (503, "<html>"),
        (200, r#"{"code":429,"msg":"Rate limit exceeded"}"#),
        (200, r#"{"code":455,"msg":"maintenance"}"#),
        (200, BUSY),
    ] {
        let server = Canned::start([Reply::new(status, body).header("retry-after", "7")]).await;
        // Seven seconds are longer than the time in all, so that nobody waits here.
        let hasty = client(server.address, RetryPolicy::new(5, Duration::from_secs(6)));
        let error = hasty.record(&task_id()).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)), "{status} {body}");
        assert_eq!(server.asked().len(), 1, "{status} {body}");
    }
}

#[tokio::test]
async fn the_limiters_wait_is_part_of_the_time() {
    struct Slow(Duration);

    #[async_trait]
    impl Limiter for Slow {
        async fn acquire(&self, _call: Call) -> Result<(), Denied> {
            tokio::time::sleep(self.0).await;
            Ok(())
        }
    }

    let server = Raw::start(Habit::Silence).await;
    let client = |wait, total| {
        let policy = RetryPolicy::new(1, total);
        let builder = Client::builder(KEY).base_url(url(server.address)).retry(policy);
        builder.limiter(Arc::new(Slow(wait))).build().unwrap()
    };
    // Most of the time goes to the limiter, and only the rest to the silent server.
    let (wait, total) = (Duration::from_millis(1500), Duration::from_secs(2));
    let start = Instant::now();
    let error = client(wait, total).record(&task_id()).await.unwrap_err();
    assert!(matches!(error, ReadError::Unreachable { .. }), "{error}");
    assert!(start.elapsed() < wait + total, "{:?}", start.elapsed());
    assert_eq!(server.connections(), 1);
    // A limiter that has no place in time ends the read, and nothing is sent.
    let error =
        client(Duration::from_hours(1), Duration::from_millis(100)).record(&task_id()).await.unwrap_err();
    assert!(matches!(error, ReadError::Throttled { code: None, .. }), "{error}");
    assert_eq!(server.connections(), 1);
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
    let policy = RetryPolicy::new(100, Duration::from_millis(500)).first_delay(Duration::from_millis(1));
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
    let _ = client.models(&ModelFilter::default().task_type("Text to Video").query("a&b")).await;
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
