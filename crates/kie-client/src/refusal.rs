//! What an answer to `createTask` means, and what may be done about it.

use std::time::Duration;

use crate::{
    answer::{Answer, Envelope, body_text},
    create::CreatedTask,
    limit::Denied,
    snippet::Snippet,
    task::TaskId,
    texts,
    transport::{Lost, Sent},
};

/// What became of a paid call that did not give a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateRefusal {
    /// Refused, not queued: too many requests, high demand, maintenance, or the own limiter. Nothing was bought;
    /// the same request may be sent again later.
    Throttled {
        /// How long to wait, where somebody said so.
        retry_after: Option<Duration>,
    },
    /// The account is refused: bad key, no credits, key over its cap. Nothing was bought; a person must act.
    ProviderBlocked,
    /// The model is unknown, renamed or switched off. Nothing was bought.
    ModelUnavailable,
    /// The input is refused. Nothing was bought; the same input will be refused again.
    InvalidInput,
    /// The input is refused for what it shows or says. Nothing was bought.
    Moderation,
    /// The provider refused with a complete answer of another code. Should a task exist after all, it is surplus.
    ProviderError,
    /// No connection was made, so nothing was written. The same request may be sent again.
    NotSent,
    /// **A task may exist and be billed**: time-out or reset after sending, an answer that cannot be read, or a
    /// success without a task id. Sending again can buy twice.
    Unknown,
}

/// A paid call that did not give a task.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.summary())]
pub struct CreateError {
    refusal: CreateRefusal,
    code: Option<i64>,
    status: Option<u16>,
    message: String,
    task_id: Option<TaskId>,
    // Boxed to keep the error small.
    body: Option<Box<Snippet>>,
    source: Option<reqwest::Error>,
}

impl CreateError {
    /// Which row of the table of meanings the answer falls into.
    pub fn refusal(&self) -> CreateRefusal {
        self.refusal.clone()
    }

    /// Whether a task may exist and be billed, so that sending again can buy twice.
    pub fn is_outcome_unknown(&self) -> bool {
        self.refusal == CreateRefusal::Unknown
    }

    /// Whether the same request may be sent again later without anybody acting and without buying twice.
    pub fn is_retryable(&self) -> bool {
        matches!(self.refusal, CreateRefusal::Throttled { .. } | CreateRefusal::NotSent)
    }

    /// The provider's code, when its answer had an integer one.
    pub fn code(&self) -> Option<i64> {
        self.code
    }

    /// The HTTP status, when there was an answer.
    pub fn http_status(&self) -> Option<u16> {
        self.status
    }

    /// The provider's words, verbatim and shortened; where it said nothing, ours.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// A task id that came along with the refusal. It is evidence of a task and worth saving.
    pub fn task_id(&self) -> Option<&TaskId> {
        self.task_id.as_ref()
    }

    /// The beginning of the answer, also of one that broke off; none when nothing came. Where the outcome is unknown it
    /// is all that a person has to go by, and the error's own words show a line of it.
    pub fn body(&self) -> Option<&Snippet> {
        self.body.as_deref()
    }

    pub(crate) fn denied(denied: Denied) -> Self {
        let refusal = CreateRefusal::Throttled { retry_after: denied.retry_after };
        Self::local(refusal, "the limiter refuses the request")
    }

    pub(crate) fn invalid(message: &str) -> Self {
        Self::local(CreateRefusal::InvalidInput, message)
    }

    fn local(refusal: CreateRefusal, message: &str) -> Self {
        let message = message.to_owned();
        Self { refusal, code: None, status: None, message, task_id: None, body: None, source: None }
    }

    fn summary(&self) -> String {
        let what = match self.refusal {
            CreateRefusal::Throttled { .. } => "the task was not created: the provider takes no requests now",
            CreateRefusal::ProviderBlocked => "the task was not created: the provider refuses the account",
            CreateRefusal::ModelUnavailable => "the task was not created: the model is not available",
            CreateRefusal::InvalidInput => "the task was not created: the input is refused",
            CreateRefusal::Moderation => "the task was not created: the input is refused by moderation",
            CreateRefusal::ProviderError => "the task was not created: the provider failed",
            CreateRefusal::NotSent => "the task was not created: the provider cannot be reached",
            CreateRefusal::Unknown => "it is unknown whether the task was created",
        };
        let what = match self.code {
            Some(code) => format!("{what} (code {code}): {}", self.message),
            None => format!("{what}: {}", self.message),
        };
        match &self.body {
            Some(body) if self.is_outcome_unknown() => format!("{what}; the answer begins: {}", body.brief()),
            _ => what,
        }
    }
}

impl CreatedTask {
    /// Reads an answer to `createTask` that arrived whole; the same table as [`Client::create_task`] uses.
    ///
    /// ```
    /// use kie_client::{CreateRefusal, CreatedTask};
    ///
    /// let error = CreatedTask::parse(200, br#"{"code":402,"msg":"Insufficient Credits"}"#).unwrap_err();
    /// assert_eq!(error.refusal(), CreateRefusal::ProviderBlocked);
    /// ```
    ///
    /// [`Client::create_task`]: crate::Client::create_task
    pub fn parse(status: u16, body: &[u8]) -> Result<Self, CreateError> {
        judge_answer(&Answer { status, retry_after: None, body: body.to_vec() })
    }
}

/// Reads what came back, or did not come back, from the one sending.
pub(crate) fn judge(sent: Sent) -> Result<CreatedTask, CreateError> {
    match sent {
        Sent::Answered(answer) => judge_answer(&answer),
        Sent::Unconnected(source) => Err(CreateError {
            source: Some(source),
            ..CreateError::local(CreateRefusal::NotSent, "no connection to the provider")
        }),
        Sent::Lost(Lost { status, retry_after, body, source }) => {
            let refused = match status {
                Some(429) => {
                    CreateError::local(CreateRefusal::Throttled { retry_after }, "too many requests")
                }
                _ => CreateError::local(CreateRefusal::Unknown, "no complete answer after sending"),
            };
            Err(CreateError { status, body: Snippet::of(&body_text(&body)).map(Box::new), source, ..refused })
        }
    }
}

fn judge_answer(answer: &Answer) -> Result<CreatedTask, CreateError> {
    let text = answer.text();
    let envelope = Envelope::parse(&text);
    let task_id = envelope.as_ref().and_then(task_id_of);
    let code = envelope.as_ref().and_then(|envelope| envelope.code);
    let succeeded = envelope.as_ref().is_some_and(|envelope| envelope.is_success(answer.status));
    if let (true, Some(task_id)) = (succeeded, task_id.clone()) {
        return Ok(CreatedTask { task_id });
    }
    let message = envelope.map(|envelope| envelope.message).unwrap_or_default();
    let refusal = if succeeded {
        CreateRefusal::Unknown
    } else if code == Some(429) || answer.status == 429 {
        CreateRefusal::Throttled { retry_after: answer.retry_after }
    } else if let Some(code) = code {
        refusal_of_code(code, &message, answer.retry_after)
    } else {
        refusal_of_status(answer, &text, &message)
    };
    let message = if message.is_empty() { own_words(&refusal, answer.status) } else { message };
    let body = Snippet::of(&text).map(Box::new);
    Err(CreateError { refusal, code, status: Some(answer.status), message, task_id, body, source: None })
}

fn task_id_of(envelope: &Envelope<'_>) -> Option<TaskId> {
    let data = crate::fields::Fields::parse(envelope.data?)?;
    data.text("taskId").or_else(|| data.text("task_id")).and_then(|id| TaskId::new(id).ok())
}

/// The table for a complete envelope with an integer code other than success; the first match counts.
fn refusal_of_code(code: i64, message: &str, retry_after: Option<Duration>) -> CreateRefusal {
    match code {
        429 | 430 | 455 | 550 => CreateRefusal::Throttled { retry_after },
        422 if texts::is_high_demand(message) => CreateRefusal::Throttled { retry_after },
        401 | 402 | 433 => CreateRefusal::ProviderBlocked,
        500 if texts::is_out_of_credits(message) => CreateRefusal::ProviderBlocked,
        404 | 505 => CreateRefusal::ModelUnavailable,
        422 if texts::is_unsupported_model(message) => CreateRefusal::ModelUnavailable,
        _ if texts::is_paused(message) => CreateRefusal::ModelUnavailable,
        400 | 405 | 409 | 413 | 422 | 451 => refusal_of_input(message),
        500 if texts::is_input_fault(message) => refusal_of_input(message),
        _ => CreateRefusal::ProviderError,
    }
}

/// Without an envelope only a refusing HTTP status of the table is believed. JSON that broke off could have been
/// any envelope, so its status proves nothing.
fn refusal_of_status(answer: &Answer, text: &str, message: &str) -> CreateRefusal {
    let broken_json = text.trim_start().starts_with(['{', '['])
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_err();
    if broken_json {
        return CreateRefusal::Unknown;
    }
    match answer.status {
        430 | 455 => CreateRefusal::Throttled { retry_after: answer.retry_after },
        401 | 402 | 433 => CreateRefusal::ProviderBlocked,
        404 => CreateRefusal::ModelUnavailable,
        400 | 405 | 409 | 413 | 422 | 451 => refusal_of_input(message),
        _ => CreateRefusal::Unknown,
    }
}

fn refusal_of_input(message: &str) -> CreateRefusal {
    if texts::is_moderation(message) { CreateRefusal::Moderation } else { CreateRefusal::InvalidInput }
}

fn own_words(refusal: &CreateRefusal, status: u16) -> String {
    match refusal {
        CreateRefusal::Unknown if (200..300).contains(&status) => "an answer without a task id".to_owned(),
        _ => format!("http status {status} without words"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<CreatedTask, CreateError> {
        judge(Sent::Answered(Answer { status, retry_after: None, body: body.as_bytes().to_vec() }))
    }

    fn refusal(status: u16, body: &str) -> CreateRefusal {
        answer(status, body).unwrap_err().refusal()
    }

    fn code(code: i64, msg: &str) -> CreateRefusal {
        refusal(200, &serde_json::json!({"code": code, "msg": msg, "data": null}).to_string())
    }

    const THROTTLED: CreateRefusal = CreateRefusal::Throttled { retry_after: None };

    #[test]
    fn row_success() {
        let created = answer(200, r#"{"code":200,"msg":"success","data":{"taskId":"a1"}}"#).unwrap();
        assert_eq!(created.task_id.as_str(), "a1");
        assert!(answer(500, r#"{"code":200,"data":{"taskId":"a1"}}"#).is_ok(), "the body's code comes first");
        assert!(answer(200, r#"{"code":0,"data":{"task_id":"a1"}}"#).is_ok());
    }

    #[test]
    fn row_throttled() {
        for number in [429, 430, 455, 550] {
            assert_eq!(code(number, "x"), THROTTLED, "{number}");
        }
        assert_eq!(code(422, "unavailable due to high demand"), THROTTLED);
        assert_eq!(refusal(429, ""), THROTTLED);
        assert_eq!(refusal(429, r#"{"code":500,"msg":"x"}"#), THROTTLED);
        assert_eq!(refusal(429, r#"{"code":4"#), THROTTLED);
    }

    #[test]
    fn row_blocked() {
        for number in [401, 402, 433] {
            assert_eq!(code(number, "x"), CreateRefusal::ProviderBlocked, "{number}");
        }
        assert_eq!(code(500, "Credits insufficient"), CreateRefusal::ProviderBlocked);
        assert_eq!(refusal(401, "no"), CreateRefusal::ProviderBlocked);
    }

    #[test]
    fn row_model_unavailable() {
        assert_eq!(code(404, "x"), CreateRefusal::ModelUnavailable);
        assert_eq!(code(505, "x"), CreateRefusal::ModelUnavailable);
        assert_eq!(
            code(422, "The model name you specified is not supported."),
            CreateRefusal::ModelUnavailable
        );
        assert_eq!(code(422, "4k is not supported by this model"), CreateRefusal::InvalidInput);
        for number in [400, 422, 500, 501] {
            assert_eq!(
                code(number, "This interface is temporarily paused."),
                CreateRefusal::ModelUnavailable
            );
        }
        assert_eq!(refusal(404, r#"{"status":404,"error":"Not Found"}"#), CreateRefusal::ModelUnavailable);
    }

    #[test]
    fn row_invalid_input() {
        for number in [400, 405, 409, 413, 422, 451] {
            assert_eq!(code(number, "x"), CreateRefusal::InvalidInput, "{number}");
            assert_eq!(code(number, "flagged as sensitive"), CreateRefusal::Moderation, "{number}");
            assert_eq!(code(number, "nsfw_checker is required"), CreateRefusal::InvalidInput, "{number}");
        }
        assert_eq!(code(500, "text is required"), CreateRefusal::InvalidInput);
        assert_eq!(code(500, "nsfw_checker is required"), CreateRefusal::InvalidInput);
        assert_eq!(code(500, "voice does not exist"), CreateRefusal::InvalidInput);
        assert_eq!(refusal(413, "<html>too large</html>"), CreateRefusal::InvalidInput);
    }

    #[test]
    fn row_provider_error() {
        for number in [408, 500, 501, 531, 403, 1, -1] {
            assert_eq!(code(number, "Server exception"), CreateRefusal::ProviderError, "{number}");
        }
    }

    #[test]
    fn row_unknown() {
        for body in ["", "<html>", "{", "[]", "null", r#"{"code":200"#, r#"{"code":200,"data":null}"#] {
            assert_eq!(refusal(200, body), CreateRefusal::Unknown, "{body}");
        }
        assert_eq!(refusal(200, r#"{"code":200,"data":{"taskId":"not an id"}}"#), CreateRefusal::Unknown);
        assert_eq!(refusal(200, r#"{"code":200,"data":{"recordId":"a1"}}"#), CreateRefusal::Unknown);
        for status in [301, 403, 408, 500, 502, 503, 505, 520] {
            assert_eq!(refusal(status, "<html>"), CreateRefusal::Unknown, "{status}");
        }
        assert_eq!(refusal(400, r#"{"code":200,"data":{"ta"#), CreateRefusal::Unknown);
    }

    #[test]
    fn a_task_id_beside_a_refusal_is_kept() {
        let error = answer(200, r#"{"code":500,"msg":"x","data":{"taskId":"a1"}}"#).unwrap_err();
        assert_eq!(error.task_id().unwrap().as_str(), "a1");
        assert!(!error.is_retryable());
    }
}
