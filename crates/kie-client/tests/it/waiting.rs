//! Waiting for a task through its record.

use std::time::Duration;

use kie_client::{TaskId, TaskState, WaitError, WaitPolicy};

use crate::server::{Canned, Reply};

const NULL: &str = r#"{"code":422,"msg":"recordInfo is null","data":null}"#;
const WAITING: &str = r#"{"code":200,"data":{"taskId":"a1","state":"waiting","resultJson":""}}"#;
const EMPTY: &str = r#"{"code":200,"data":{"taskId":"a1","state":"success","resultJson":""}}"#;
const DONE: &str = r#"{"code":200,"data":{"taskId":"a1","state":"success","resultJson":"{\"resultUrls\":[\"https://h/1.png\"]}"}}"#;
const FAILED: &str = r#"{"code":200,"data":{"taskId":"a1","state":"fail","failCode":"500"}}"#;

const PATIENT: WaitPolicy = WaitPolicy::new()
    .first_pause(Duration::from_millis(5))
    .max_pause(Duration::from_millis(10))
    .grace(Duration::from_secs(30))
    .timeout(Duration::from_secs(30));
const HASTY: WaitPolicy = PATIENT.grace(Duration::from_millis(100));
const BRIEF: WaitPolicy = PATIENT.timeout(Duration::from_millis(500));

async fn wait(replies: &[&str], policy: &WaitPolicy) -> Result<kie_client::Record, WaitError> {
    let server = Canned::start(replies.iter().map(|body| Reply::json(body))).await;
    server.client().wait(&TaskId::new("a1").unwrap(), policy).await
}

#[tokio::test]
async fn young_slow_and_unwell_answers_are_waited_for() {
    let busy = r#"{"code":500,"msg":"Server exception"}"#;
    let record = wait(&[NULL, NULL, WAITING, busy, EMPTY, DONE], &PATIENT).await.unwrap();
    assert_eq!(record.outputs, ["https://h/1.png"]);
}

#[tokio::test]
async fn a_failure_is_an_end() {
    assert_eq!(wait(&[WAITING, FAILED], &PATIENT).await.unwrap().state, TaskState::Fail);
}

#[tokio::test]
async fn every_other_end_is_an_error_of_its_own() {
    assert!(matches!(wait(&[NULL], &HASTY).await, Err(WaitError::Read(error)) if error.is_not_found()));
    assert!(matches!(wait(&[WAITING], &BRIEF).await, Err(WaitError::TimedOut(Some(_)))));
    assert!(matches!(wait(&[EMPTY], &HASTY).await, Err(WaitError::NoResult(_))));
    let blocked = r#"{"code":401,"msg":"Unauthorized"}"#;
    assert!(matches!(wait(&[blocked], &PATIENT).await, Err(WaitError::Read(error)) if error.is_blocked()));
}

#[tokio::test]
async fn no_pause_is_too_long() {
    let endless = BRIEF.first_pause(Duration::MAX).max_pause(Duration::MAX);
    assert!(matches!(wait(&[WAITING], &endless).await, Err(WaitError::TimedOut(Some(_)))));
}
