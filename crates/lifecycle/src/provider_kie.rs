//! The provider port over `kie-client`.

use async_trait::async_trait;
use domain::{Answer, Cause, Decimal, Timestamp, to_micros};
use kie_client::{Client, CreateRefusal, Family, NewTask, ReadError, Record, TaskId, TaskState};
use serde_json::Value;
use url::Url;

use crate::{CreateFailure, Provider, ReadFailure, SourceFile, TaskRecord, TaskWord};

/// The folder of our uploads at the provider.
const UPLOAD_FOLDER: &str = "inputs";

/// KIE.ai over its HTTP API.
#[derive(Debug, Clone)]
pub struct KieProvider(Client);

impl KieProvider {
    /// The provider behind this client.
    pub const fn new(client: Client) -> Self {
        Self(client)
    }
}

#[async_trait]
impl Provider for KieProvider {
    async fn create_task(
        &self,
        model: &str,
        input: &Value,
        callback_url: Option<&Url>,
    ) -> Result<String, CreateFailure> {
        let mut task = NewTask::new(model, input);
        task.callback_url = callback_url;
        match self.0.create_task(&task).await {
            Ok(created) => Ok(created.task_id.as_str().to_owned()),
            Err(error) => {
                let answer = match error.refusal() {
                    CreateRefusal::Throttled { .. } => Answer::Throttled,
                    CreateRefusal::ProviderBlocked => Answer::Blocked,
                    CreateRefusal::ModelUnavailable => Answer::Refused(Cause::ModelUnavailable),
                    CreateRefusal::InvalidInput => Answer::Refused(Cause::InvalidInput),
                    CreateRefusal::Moderation => Answer::Refused(Cause::Moderation),
                    CreateRefusal::ProviderError => Answer::Refused(Cause::ProviderError),
                    CreateRefusal::NotSent => Answer::NotSent,
                    CreateRefusal::Unknown => Answer::Unknown,
                };
                let task_id = error.task_id().map(|id| id.as_str().to_owned());
                Err(CreateFailure { answer, words: error.to_string(), task_id })
            }
        }
    }

    async fn record(&self, task_id: &str, old_model: Option<&str>) -> Result<TaskRecord, ReadFailure> {
        let id = TaskId::new(task_id).map_err(|error| ReadFailure::Trouble(error.to_string()))?;
        let mut read = self.0.record(&id).await;
        if let (Err(error), Some(family)) = (&read, old_model.and_then(Family::of_model))
            && error.is_not_found()
        {
            read = self.0.family_record(family, &id).await;
            if let Err(error @ ReadError::Rejected { code: code @ (400 | 422 | 501), .. }) = &read {
                // A family may refuse to show what it failed to make.
                return Ok(failed_record(*code, error));
            }
        }
        let record = read.map_err(|error| read_failure(&error))?;
        if record.task_id != id {
            return Err(ReadFailure::Trouble("the record is of another task".to_owned()));
        }
        Ok(task_record(record))
    }

    async fn download_url(&self, result_url: &str) -> Result<String, ReadFailure> {
        self.0.download_url(result_url).await.map_err(|error| read_failure(&error))
    }

    async fn credits(&self) -> Result<Decimal, ReadFailure> {
        let credits = self.0.credit().await.map_err(|error| read_failure(&error))?;
        Ok(Decimal::from_micro(credits.micro()))
    }

    async fn upload(&self, file: SourceFile) -> Result<String, ReadFailure> {
        let SourceFile { name, content_type, bytes, stream } = file;
        let upload = self.0.upload_stream(&name, &content_type, stream, bytes, UPLOAD_FOLDER).await;
        upload.map(|upload| upload.url).map_err(|error| read_failure(&error))
    }
}

fn read_failure(error: &ReadError) -> ReadFailure {
    if error.is_not_found() {
        ReadFailure::NotFound
    } else if error.is_blocked() {
        ReadFailure::Blocked(error.to_string())
    } else if matches!(error, ReadError::Rejected { .. }) {
        ReadFailure::Rejected(error.to_string())
    } else {
        ReadFailure::Trouble(error.to_string())
    }
}

fn task_record(record: Record) -> TaskRecord {
    let word = match &record.state {
        TaskState::Waiting | TaskState::Queuing | TaskState::Generating => TaskWord::Working,
        TaskState::Success => TaskWord::Success,
        TaskState::Fail => TaskWord::Fail { moderation: record.is_moderation(), words: fail_words(&record) },
        TaskState::Unknown(_) => TaskWord::Unknown,
    };
    TaskRecord {
        word,
        model: record.model,
        raw_word: record.raw_state,
        outputs: record.outputs,
        extras: record.extras.into_iter().map(|extra| extra.url).collect(),
        object: record.result_object,
        credits: record.credits.map(|credits| Decimal::from_micro(credits.micro())),
        callback_url: record.callback_url,
        created_at: record.created_at_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()).map(to_micros),
    }
}

/// Of a failure that is told instead of its record.
fn failed_record(code: i64, error: &ReadError) -> TaskRecord {
    TaskRecord {
        model: None,
        word: TaskWord::Fail { moderation: error.is_moderation(), words: error.to_string() },
        raw_word: code.to_string(),
        outputs: Vec::new(),
        extras: Vec::new(),
        object: None,
        credits: None,
        callback_url: None,
        created_at: None,
    }
}

fn fail_words(record: &Record) -> String {
    let parts: Vec<&str> =
        [&record.fail_code, &record.fail_message].into_iter().flatten().map(String::as_str).collect();
    if parts.is_empty() { "the provider gave no reason".to_owned() } else { parts.join(": ") }
}
