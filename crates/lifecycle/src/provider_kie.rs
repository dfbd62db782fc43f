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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use kie_client::RetryPolicy;
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const PAGE: &str = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";

    /// Gives this answer to everybody.
    async fn answering(status: u16, body: String) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a server of one test")]
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                // A connection that is closed over an unread request is reset, and its answer lost.
                while !request.ends_with(if request.starts_with(b"POST") { b"}" } else { b"\r\n\r\n" }) {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                let head =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close", body.len());
                let _ = stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await;
            }
        });
        address
    }

    async fn provider(status: u16, body: &str) -> KieProvider {
        let base: Url = format!("http://{}", answering(status, body.to_owned()).await).parse().unwrap();
        let client = Client::builder("key").base_url(base).retry(RetryPolicy::never()).build().unwrap();
        KieProvider::new(client)
    }

    #[tokio::test]
    async fn the_words_of_an_unclear_attempt_tell_what_came() {
        let broken = r#"{"code":200,"data":{"taskId":"a1"#;
        for (status, body, told) in [
            (502, PAGE, "502 Bad Gateway"),
            (200, PAGE, "502 Bad Gateway"),
            (200, broken, broken),
            (200, r#"{"code":200,"callBackUrl":"https://h/callbacks/secret"}"#, "https://h/…"),
        ] {
            let kie = provider(status, body).await;
            let failure = kie.create_task("z-image", &json!({}), None).await.unwrap_err();
            assert_eq!(failure.answer, Answer::Unknown, "{body}");
            assert!(failure.words.contains(told) && !failure.words.contains("secret"), "{}", failure.words);
        }
        let kie = provider(200, &"x".repeat(100_000)).await;
        let failure = kie.create_task("z-image", &json!({}), None).await.unwrap_err();
        assert!(failure.words.len() < 1000, "{}", failure.words);
    }

    #[tokio::test]
    async fn the_words_of_a_failed_read_tell_of_a_page_and_nothing_of_a_record() {
        let id = "a1";
        let failure = provider(502, PAGE).await.record(id, None).await.unwrap_err();
        assert!(failure.to_string().contains("502 Bad Gateway"), "{failure}");
        let piece = r#"{"code":200,"data":{"param":"a secret prompt"#;
        let failure = provider(200, piece).await.record(id, None).await.unwrap_err();
        assert!(!failure.to_string().contains("secret"), "{failure}");
    }
}
