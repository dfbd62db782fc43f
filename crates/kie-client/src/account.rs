//! The account's balance, and fresh links to results.

use tracing::Span;

use crate::{
    answer::{self, Answer},
    client::{Client, ReadRequest},
    credits::Credits,
    error::ReadError,
    limit::Call,
    snippet::Snippet,
    task::TaskId,
    trace,
};

const CREDIT_PATH: &str = "/api/v1/chat/credit";
const DOWNLOAD_PATH: &str = "/api/v1/common/download-url";
const GPT4O_DOWNLOAD_PATH: &str = "/api/v1/gpt4o-image/download-url";
const VEO_1080P_PATH: &str = "/api/v1/veo/get-1080p-video";

impl Client {
    /// The account's balance. An overdrawn account reads as no credits. It also serves to test the key.
    pub async fn credit(&self) -> Result<Credits, ReadError> {
        let request = ReadRequest { path: CREDIT_PATH, ..ReadRequest::default() };
        let span = trace::span("credit", None, None);
        self.read(Call::Read, &span, request, read_credit).await
    }

    /// A fresh link to a result of the provider's own, valid for 20 minutes. A foreign address is
    /// [rejected](ReadError::Rejected).
    pub async fn download_url(&self, result_url: &str) -> Result<String, ReadError> {
        let span = trace::span("download_url", None, None);
        self.link(&span, DOWNLOAD_PATH, &serde_json::json!({ "url": result_url })).await
    }

    /// A fresh link to a result of the 4o image family, valid for 20 minutes.
    pub async fn gpt4o_download_url(&self, task_id: &TaskId, result_url: &str) -> Result<String, ReadError> {
        let span = trace::span("gpt4o_download_url", Some(task_id), None);
        let body = serde_json::json!({ "taskId": task_id, "url": result_url });
        self.link(&span, GPT4O_DOWNLOAD_PATH, &body).await
    }

    /// The address of the 1080p version of a Veo video. While it is being made the provider rejects with code 400.
    pub async fn veo_1080p_url(&self, task_id: &TaskId, index: u32) -> Result<String, ReadError> {
        let index = index.to_string();
        let query = [("taskId", task_id.as_str()), ("index", index.as_str())];
        let request = ReadRequest { path: VEO_1080P_PATH, query: &query, body: None };
        let span = trace::span("veo_1080p_url", Some(task_id), None);
        self.read(Call::Read, &span, request, read_result_url).await
    }

    async fn link(&self, span: &Span, path: &str, body: &serde_json::Value) -> Result<String, ReadError> {
        let body = body.to_string();
        let request = ReadRequest { path, query: &[], body: Some(body.as_bytes()) };
        self.read(Call::Read, span, request, read_link).await
    }
}

fn read_credit(answer: &Answer) -> Result<Credits, ReadError> {
    let text = answer.text();
    let envelope = answer::open(&text, answer.status, answer.retry_after)?;
    let data = answer::require_data(&envelope)?;
    match data.strip_prefix('-') {
        Some(overdraft) => Credits::from_json(overdraft).map(|_| Credits::ZERO),
        None => Credits::from_json(data),
    }
    .map_err(|error| ReadError::malformed(format!("data: {error}"), Snippet::new("")))
}

fn read_link(answer: &Answer) -> Result<String, ReadError> {
    let text = answer.text();
    let envelope = answer::open(&text, answer.status, answer.retry_after)?;
    checked_link(answer::require_string(&envelope)?)
}

fn read_result_url(answer: &Answer) -> Result<String, ReadError> {
    let text = answer.text();
    let envelope = answer::open(&text, answer.status, answer.retry_after)?;
    let url = answer::require_object(&envelope)?.text("resultUrl");
    checked_link(url.ok_or_else(|| ReadError::malformed("data.resultUrl: missing", Snippet::new(&text)))?)
}

fn checked_link(link: String) -> Result<String, ReadError> {
    if link.starts_with("https://") || link.starts_with("http://") {
        return Ok(link);
    }
    Err(ReadError::malformed("data: not an address", Snippet::new(&link)))
}
