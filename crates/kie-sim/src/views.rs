//! What tests can see: tasks, requests and callbacks.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::models::Kind;
use crate::ring::Weight;

/// A task as it stands.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskView {
    /// 32 hex digits.
    pub id: String,
    /// As it was ordered.
    pub model: String,
    /// What it makes.
    pub kind: Kind,
    /// `waiting`, `queuing`, `generating`, `success` or `fail`: the truth, without faults.
    pub state: String,
    /// As it was ordered.
    pub input: Map<String, Value>,
    /// As it was ordered.
    pub callback_url: Option<String>,
    /// Milliseconds since the epoch.
    pub created_ms: u64,
    /// Milliseconds since the epoch; the end that is planned.
    pub due_ms: u64,
    /// Milliseconds since the epoch, once it ended.
    pub completed_ms: Option<u64>,
    /// Millionths of a credit that were charged; 0 for a failure.
    pub charged_micro: u64,
    /// Where the results are, once there are any.
    pub result_urls: Vec<String>,
    /// Marks in its input that say nothing known: misspelt ones, as a rule.
    pub unknown_marks: Vec<String>,
    /// Whether its callback was answered with 200 or given up.
    pub told: bool,
}

/// A request as it was answered.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedRequest {
    /// Milliseconds since the epoch.
    pub at_ms: u64,
    /// Upper case.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Without the question mark.
    pub query: Option<String>,
    /// HTTP status; `None` if no answer was sent.
    pub status: Option<u16>,
    /// Code of the envelope, if the answer is one.
    pub code: Option<i64>,
    /// The task that was made or asked for.
    pub task_id: Option<String>,
    /// Whether the key was right; `None` on public paths.
    pub authorized: Option<bool>,
    /// The user agent.
    pub agent: Option<String>,
    /// The body of the request, shortened to 16,384 bytes; empty for uploads.
    pub body: String,
    /// The range that was asked for.
    pub range: Option<String>,
}

/// One delivery of a callback.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SentCallback {
    /// The task it is about.
    pub task_id: String,
    /// Where it went.
    pub url: String,
    /// 1 for the first delivery of a body.
    pub attempt: u32,
    /// The receiver's HTTP status; `None` without an answer.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// Milliseconds since the epoch when it was sent.
    pub at_ms: u64,
    /// How long the receiver took, in milliseconds.
    pub took_ms: u64,
    /// `X-Webhook-Timestamp`, if it was signed.
    pub timestamp: Option<String>,
    /// `X-Webhook-Signature`, if it was signed.
    pub signature: Option<String>,
    /// As it was sent, shortened to 16,384 bytes.
    pub body: String,
}

impl Weight for LoggedRequest {
    fn bytes(&self) -> usize {
        let texts = [&self.query, &self.task_id, &self.agent, &self.range];
        size_of::<Self>() + self.method.len() + self.path.len() + self.body.len() + lengths(&texts)
    }
}

impl Weight for SentCallback {
    fn bytes(&self) -> usize {
        let texts = [&self.error, &self.timestamp, &self.signature];
        size_of::<Self>() + self.task_id.len() + self.url.len() + self.body.len() + lengths(&texts)
    }
}

/// The bytes of texts that may be missing.
pub(crate) fn lengths(texts: &[&Option<String>]) -> usize {
    texts.iter().filter_map(|text| text.as_ref()).map(String::len).sum()
}

/// Longer texts are cut in the log.
pub(crate) const LOGGED_BYTES_MAX: usize = 16 << 10;

/// A body for the log.
pub(crate) fn logged(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(LOGGED_BYTES_MAX)]).into_owned()
}
