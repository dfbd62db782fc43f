//! The port to the provider: what the life of a job needs of it.

use async_trait::async_trait;
use bytes::Bytes;
use domain::{Answer, Decimal, Job, PriceBasis, Timestamp};
use futures_util::stream::BoxStream;
use serde_json::Value;
use thiserror::Error;
use url::Url;

/// A paid call that gave no task: what it means, and the provider's words for operators.
#[derive(Debug, Clone, Error)]
#[error("{words}")]
pub struct CreateFailure {
    /// Never [`Answer::Accepted`].
    pub answer: Answer,
    /// The provider's words, shortened.
    pub words: String,
    /// A task id that came with the refusal all the same: evidence.
    pub task_id: Option<String>,
}

/// Why a record could not be read.
#[derive(Debug, Clone, Error)]
pub enum ReadFailure {
    /// The provider knows no such record: the task is young, unknown, or gone.
    #[error("the provider does not know the record")]
    NotFound,
    /// What was asked for is refused, and will be again.
    #[error("the provider refuses the request: {0}")]
    Rejected(String),
    /// The key or the account is refused.
    #[error("the provider refuses the account: {0}")]
    Blocked(String),
    /// Anything else; a later read may succeed.
    #[error("the record could not be read: {0}")]
    Trouble(String),
}

impl ReadFailure {
    /// Whether asking again gives the same.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::NotFound | Self::Rejected(_))
    }
}

/// What a record says of its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskWord {
    /// Not finished, by any word the provider uses for that.
    Working,
    /// Finished.
    Success,
    /// Refused or broken.
    Fail {
        /// Whether the text says that the content is not allowed.
        moderation: bool,
        /// The provider's code and words.
        words: String,
    },
    /// A word that is in no list: neither success nor failure.
    Unknown,
}

/// A record, freshly read with our key: the only truth about a task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRecord {
    /// The model as the provider repeats it.
    pub model: Option<String>,
    /// What it says.
    pub word: TaskWord,
    /// The provider's own word.
    pub raw_word: String,
    /// Result addresses, in order, without duplicates, at most 32.
    pub outputs: Vec<String>,
    /// Covers, frames, watermarked copies.
    pub extras: Vec<String>,
    /// The answer of a text model.
    pub object: Option<Value>,
    /// Credits consumed, as reported.
    pub credits: Option<Decimal>,
    /// The callback address of the create request, where shown.
    pub callback_url: Option<String>,
    /// When the provider made the task.
    pub created_at: Option<Timestamp>,
}

/// What an old shop called the model of a job that was taken over from it.
pub fn old_model(job: &Job) -> Option<&str> {
    matches!(job.basis, PriceBasis::Imported { .. }).then_some(job.model.as_str())
}

/// A file of ours on its way to the provider.
pub struct SourceFile {
    /// A unique file name.
    pub name: String,
    /// Its type.
    pub content_type: String,
    /// Its length.
    pub bytes: u64,
    /// Its bytes.
    pub stream: BoxStream<'static, std::io::Result<Bytes>>,
}

/// The provider.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Buys one task; sent once, never repeated here. Gives the provider's id of it.
    async fn create_task(
        &self,
        model: &str,
        input: &Value,
        callback_url: Option<&Url>,
    ) -> Result<String, CreateFailure>;
    /// Reads a task's record. What an old shop bought may be another kind of task: its model's old name tells which.
    async fn record(&self, task_id: &str, old_model: Option<&str>) -> Result<TaskRecord, ReadFailure>;
    /// A fresh link to a result whose own link is dead.
    async fn download_url(&self, result_url: &str) -> Result<String, ReadFailure>;
    /// What our account at the provider has left, in its credits.
    async fn credits(&self) -> Result<Decimal, ReadFailure>;
    /// Uploads an input file; gives an address that the provider can read for a day.
    async fn upload(&self, file: SourceFile) -> Result<String, ReadFailure>;
}
