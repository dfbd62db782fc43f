//! A paid call is sent exactly once, whatever becomes of it, and its error says what became of it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use kie_client::{
    Call, Client, CreateError, CreateRefusal, CreatedTask, Denied, Limiter, NewTask, RetryPolicy,
};
use serde_json::{Value, json};

use crate::server::{Canned, Habit, KEY, Raw, Reply, url};

const OK: &str = r#"{"code":200,"msg":"success","data":{"taskId":"a1","recordId":"a1"}}"#;

async fn create(client: &Client) -> Result<CreatedTask, CreateError> {
    let input = json!({"prompt": "a red kite"});
    client.create_task(&NewTask::new("wan/2-7-image-to-video", &input)).await
}

fn eager(base: url::Url) -> Client {
    impatient(base, Duration::from_secs(30))
}

fn impatient(base: url::Url, create_timeout: Duration) -> Client {
    let eager = RetryPolicy::new(5, Duration::from_secs(20)).first_delay(Duration::from_millis(1));
    Client::builder(KEY).base_url(base).create_timeout(create_timeout).retry(eager).build().unwrap()
}

#[tokio::test]
async fn whatever_happens_after_connecting_is_unknown_and_sent_once() {
    for habit in [
        Habit::ResetAfterBody,
        Habit::CloseAfterBody,
        Habit::Silence,
        Habit::Write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"code\":200,"),
        Habit::Write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"cod"),
        Habit::WriteAndHold("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"code\":200,"),
        Habit::Write("HTTP/1.1 200"),
        Habit::Write("nonsense\r\n\r\n"),
        Habit::Write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        Habit::Write("HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"code\":200,"),
        Habit::Write("HTTP/1.1 200 OK\r\ncontent-length: 24\r\n\r\n{\"code\":200,\"data\":null}"),
        Habit::Write("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 6\r\n\r\n<html>"),
        Habit::Write("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"),
        Habit::Write("HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"),
        Habit::Write("HTTP/1.1 307 Temporary Redirect\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"),
        Habit::Flood,
    ] {
        let server = Raw::start(habit).await;
        let silent = matches!(habit, Habit::Silence | Habit::WriteAndHold(_));
        let create_timeout = Duration::from_millis(if silent { 700 } else { 30_000 });
        let error = create(&impatient(url(server.address), create_timeout)).await.unwrap_err();
        assert_eq!(error.refusal(), CreateRefusal::Unknown, "{habit:?}: {error}");
        assert!(error.is_outcome_unknown() && !error.is_retryable(), "{habit:?}");
        assert_eq!((server.connections(), server.requests()), (1, 1), "{habit:?}");
    }
}

#[tokio::test]
async fn a_reset_before_reading_is_not_taken_for_unsent() {
    let server = Raw::start(Habit::ResetAtOnce).await;
    let error = create(&eager(url(server.address))).await.unwrap_err();
    assert_eq!(error.refusal(), CreateRefusal::Unknown);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_429_that_breaks_off_is_still_a_429() {
    let server =
        Raw::start(Habit::Write("HTTP/1.1 429 Slow Down\r\nretry-after: 7\r\ncontent-length: 9\r\n\r\n{"))
            .await;
    let error = create(&eager(url(server.address))).await.unwrap_err();
    assert_eq!(error.refusal(), CreateRefusal::Throttled { retry_after: Some(Duration::from_secs(7)) });
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_refusal_in_the_envelope_is_sent_once_too() {
    let server =
        Canned::start([Reply::new(500, r#"{"code":500,"msg":"Server exception","data":null}"#)]).await;
    let error = create(&eager(url(server.address))).await.unwrap_err();
    assert_eq!(
        (error.refusal(), error.code(), error.http_status()),
        (CreateRefusal::ProviderError, Some(500), Some(500))
    );
    assert_eq!(error.message(), "Server exception");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn what_fails_before_the_request_is_written_was_not_sent() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = create(&eager(url(closed))).await.unwrap_err();
    assert_eq!(error.refusal(), CreateRefusal::NotSent);
    assert!(error.is_retryable());

    let unknown_host = eager("http://no-such-host.invalid".parse().unwrap());
    assert_eq!(create(&unknown_host).await.unwrap_err().refusal(), CreateRefusal::NotSent);
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_failed_tls_handshake_was_not_sent() {
    let server = Raw::start(Habit::ResetAtOnce).await;
    let base = format!("https://{}", server.address).parse().unwrap();
    let error = create(&eager(base)).await.unwrap_err();
    assert_eq!(error.refusal(), CreateRefusal::NotSent, "{error}");
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn no_connection_is_used_twice() {
    let answer = "HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 67\r\n\r\n\
                  {\"code\":200,\"msg\":\"success\",\"data\":{\"taskId\":\"a1\",\"recordId\":\"a1\"}}";
    let server = Raw::start(Habit::WriteAndHold(answer)).await;
    let client = eager(url(server.address));
    for expected in 1..=3 {
        assert_eq!(create(&client).await.unwrap().task_id.as_str(), "a1");
        assert_eq!((server.connections(), server.requests()), (expected, expected));
    }
}

#[tokio::test]
async fn the_request_is_the_documented_one() {
    let server = Canned::start([Reply::json(OK)]).await;
    let input = json!({"prompt": "a red kite", "aspect_ratio": "1:1"});
    let callback = "https://app.example/cb?k=1".parse().unwrap();
    let task = NewTask::new("nano-banana-2", &input).callback_url(&callback);
    server.client().create_task(&task).await.unwrap();
    create(&server.client()).await.unwrap();
    let asked = server.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].uri.path()), ("POST", "/api/v1/jobs/createTask"));
    assert_eq!(asked[0].header("authorization"), Some("Bearer test-key-4711"));
    assert_eq!(asked[0].header("content-type"), Some("application/json"));
    assert!(asked[0].header("user-agent").unwrap().starts_with("kie-client/"));
    let body: Value = serde_json::from_slice(&asked[0].body).unwrap();
    assert_eq!(
        body,
        json!({"model": "nano-banana-2", "callBackUrl": "https://app.example/cb?k=1", "input": input})
    );
    let body: Value = serde_json::from_slice(&asked[1].body).unwrap();
    assert_eq!(body, json!({"model": "wan/2-7-image-to-video", "input": {"prompt": "a red kite"}}));
}

#[tokio::test]
async fn unusable_tasks_are_not_sent() {
    let server = Canned::start([Reply::json(OK)]).await;
    for (model, input) in
        [("", json!({})), ("a b", json!({})), ("nano-banana-2", json!([])), ("nano-banana-2", json!(""))]
    {
        let task = NewTask::new(model, &input);
        let error = server.client().create_task(&task).await.unwrap_err();
        assert_eq!(error.refusal(), CreateRefusal::InvalidInput);
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn a_limiter_that_refuses_prevents_the_sending() {
    struct Full;

    #[async_trait]
    impl Limiter for Full {
        async fn acquire(&self, call: Call) -> Result<(), Denied> {
            assert_eq!(call, Call::Create);
            Err(Denied::new(Duration::from_secs(3)))
        }
    }

    let server = Canned::start([Reply::json(OK)]).await;
    let client = Client::builder(KEY).base_url(url(server.address)).limiter(Arc::new(Full)).build().unwrap();
    let error = create(&client).await.unwrap_err();
    assert_eq!(error.refusal(), CreateRefusal::Throttled { retry_after: Some(Duration::from_secs(3)) });
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn what_came_instead_of_a_task_is_kept() {
    let page = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
    for (reply, words, shown) in [
        (
            Reply::new(200, page),
            "502 Bad Gateway\nnginx",
            "an answer without a task id; the answer begins: 502 Bad Gateway",
        ),
        (
            Reply::new(502, page),
            "502 Bad Gateway\nnginx",
            "http status 502 without words; the answer begins: 502 Bad Gateway",
        ),
        (Reply::json("{\"code\":200,\"da"), "{\"code\":200,\"da", "the answer begins: {\"code\":200,\"da"),
        (
            Reply::json("{\"code\":200,\"data\":null}"),
            "{\"code\":200,\"data\":null}",
            "{\"code\":200,\"data\":null}",
        ),
    ] {
        let server = Canned::start([reply]).await;
        let error = create(&server.client()).await.unwrap_err();
        assert!(error.is_outcome_unknown());
        assert_eq!(error.body().unwrap().as_str(), words);
        assert!(error.to_string().ends_with(shown), "{error}");
    }
    let server = Canned::start([Reply::json(&"ё".repeat(100_000))]).await;
    let error = create(&server.client()).await.unwrap_err();
    assert_eq!(error.body().unwrap().as_str().chars().count(), 301);
    assert!(error.to_string().chars().count() < 300, "{error}");
    // A refusal keeps its answer, too, but the words are the provider's.
    let refused = r#"{"code":402,"msg":"Insufficient Credits","data":{"left":1}}"#;
    let error = create(&Canned::start([Reply::json(refused)]).await.client()).await.unwrap_err();
    assert_eq!(error.body().unwrap().as_str(), refused);
    assert!(error.to_string().ends_with("Insufficient Credits"), "{error}");
    let error = create(&Canned::start([Reply::json("")]).await.client()).await.unwrap_err();
    assert!(error.body().is_none() && error.is_outcome_unknown());
}

#[tokio::test]
async fn what_arrived_before_the_answer_broke_off_is_kept() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"code\":200,\"data\":{\"taskId\":\"a1";
    for habit in [Habit::Write(half), Habit::WriteAndHold(half)] {
        let server = Raw::start(habit).await;
        let error = create(&impatient(url(server.address), Duration::from_millis(700))).await.unwrap_err();
        assert!(error.is_outcome_unknown());
        let body = error.body().map(kie_client::Snippet::as_str);
        assert_eq!(body, Some("{\"code\":200,\"data\":{\"taskId\":\"a1"), "{habit:?}: {error}");
    }
    let server = Raw::start(Habit::Silence).await;
    let error = create(&impatient(url(server.address), Duration::from_millis(300))).await.unwrap_err();
    assert!(error.body().is_none());
}
