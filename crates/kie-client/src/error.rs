//! Why a read, an upload or a download failed, named for what the caller can do about it.

use std::{borrow::Cow, time::Duration};

use crate::{snippet::Snippet, texts};

/// The error of every call but [`create_task`](crate::Client::create_task).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The provider has no such record *now*: too young to be visible, unknown, or gone. Only the age of the
    /// task can tell these apart.
    #[error("the provider has no such record{}", said(*code, message))]
    #[non_exhaustive]
    NotFound {
        /// The provider's code; 200 when it answered success without data.
        code: Option<i64>,
        /// The provider's words, shortened.
        message: String,
    },
    /// Too many requests, or a limiter refused; ask again later.
    #[error("too many requests{}", said(*code, &words(message, body.as_ref())))]
    #[non_exhaustive]
    Throttled {
        /// How long to wait, where somebody said so.
        retry_after: Option<Duration>,
        /// The provider's code; none when the refusal is the limiter's.
        code: Option<i64>,
        /// The provider's words, shortened.
        message: String,
        /// The beginning of an answer that has no envelope.
        body: Option<Snippet>,
    },
    /// The account cannot be used: bad key, no credits, key over its cap. A person must act.
    #[error("the provider refuses the account{}", said(Some(*code), message))]
    #[non_exhaustive]
    Blocked {
        /// 401, 402, 433, or 500 with the words for lack of credits.
        code: i64,
        /// The provider's words, shortened.
        message: String,
    },
    /// The request is refused for good; the same request will be refused again.
    #[error("the provider refuses the request{}", said(Some(*code), message))]
    #[non_exhaustive]
    Rejected {
        /// The provider's code.
        code: i64,
        /// The provider's words, shortened.
        message: String,
    },
    /// The provider is unwell (408, 455, 5xx); ask again later.
    #[error("the provider is unavailable{}", said(Some(*code), &words(message, body.as_ref())))]
    #[non_exhaustive]
    Unavailable {
        /// How long to wait, where somebody said so.
        retry_after: Option<Duration>,
        /// The provider's code, or the HTTP status.
        code: i64,
        /// The provider's words, shortened.
        message: String,
        /// The beginning of an answer that has no envelope.
        body: Option<Snippet>,
    },
    /// No complete answer arrived: no connection, time-out, or an answer that broke off.
    #[error("no complete answer from the provider")]
    #[non_exhaustive]
    Unreachable {
        /// What the transport says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing arrived for too long while a file was read.
    #[error("nothing arrived for {after:?}")]
    #[non_exhaustive]
    Stalled {
        /// How long nothing arrived.
        after: Duration,
    },
    /// The answer is not the provider's: no envelope, or no JSON at all.
    #[error("the answer is not the provider's (http {status}){}", said(None, &words("", Some(body))))]
    #[non_exhaustive]
    Unexpected {
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        body: Snippet,
    },
    /// The envelope is in order but the data is not what this call answers.
    #[error("the answer is malformed: {what}")]
    #[non_exhaustive]
    Malformed {
        /// The place and the fault, without values of the answer.
        what: String,
        /// The beginning of the data.
        body: Snippet,
    },
    /// The answer is longer than the limit and was not read on.
    #[error("the answer is longer than {limit} bytes")]
    #[non_exhaustive]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The request was not sent because its arguments are unusable.
    #[error("the request was not sent: {reason}")]
    #[non_exhaustive]
    InvalidRequest {
        /// What is wrong with the arguments.
        reason: String,
    },
}

impl ReadError {
    /// Whether the record is young, unknown or gone.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the same request may succeed later without anybody acting: throttled, unavailable, unreachable,
    /// and answers that are not the provider's unless their HTTP status refuses the request.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Throttled { .. }
            | Self::Unavailable { .. }
            | Self::Unreachable { .. }
            | Self::Stalled { .. } => true,
            Self::Unexpected { status, .. } => !(300..500).contains(status),
            _ => false,
        }
    }

    /// Whether the account is refused (401, 402, 433, no credits).
    pub fn is_blocked(&self) -> bool {
        matches!(self, Self::Blocked { .. })
    }

    /// The provider's code, where an envelope had one.
    pub fn code(&self) -> Option<i64> {
        match self {
            Self::NotFound { code, .. } | Self::Throttled { code, .. } => *code,
            Self::Blocked { code, .. } | Self::Rejected { code, .. } | Self::Unavailable { code, .. } => {
                Some(*code)
            }
            _ => None,
        }
    }

    /// The provider's words, verbatim and shortened; empty where it said nothing.
    pub fn message(&self) -> &str {
        match self {
            Self::NotFound { message, .. }
            | Self::Throttled { message, .. }
            | Self::Blocked { message, .. }
            | Self::Rejected { message, .. }
            | Self::Unavailable { message, .. } => message,
            _ => "",
        }
    }

    /// The beginning of an answer that is not the provider's or not what was asked for, as far as there was one.
    pub fn body(&self) -> Option<&Snippet> {
        match self {
            Self::Throttled { body, .. } | Self::Unavailable { body, .. } => body.as_ref(),
            Self::Unexpected { body, .. } | Self::Malformed { body, .. } => Some(body),
            _ => None,
        }
        .filter(|body| !body.as_str().is_empty())
    }

    /// Whether the provider's words say that the content is not allowed.
    pub fn is_moderation(&self) -> bool {
        texts::is_moderation(self.message())
    }

    /// How long to wait before the next try, where somebody said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The variant as a word for logs.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::Throttled { .. } => "throttled",
            Self::Blocked { .. } => "blocked",
            Self::Rejected { .. } => "rejected",
            Self::Unavailable { .. } => "unavailable",
            Self::Unreachable { .. } => "unreachable",
            Self::Stalled { .. } => "stalled",
            Self::Unexpected { .. } => "unexpected",
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::InvalidRequest { .. } => "invalid_request",
        }
    }

    pub(crate) fn from_code(code: i64, message: String, retry_after: Option<Duration>) -> Self {
        match code {
            429 | 430 | 550 => Self::Throttled { retry_after, code: Some(code), message, body: None },
            422 if texts::is_high_demand(&message) => {
                Self::Throttled { retry_after, code: Some(code), message, body: None }
            }
            401 | 402 | 433 => Self::Blocked { code, message },
            500 if texts::is_out_of_credits(&message) => Self::Blocked { code, message },
            404 => Self::NotFound { code: Some(code), message },
            400..=499 if texts::is_record_missing(&message) => Self::NotFound { code: Some(code), message },
            501 | 505 => Self::Rejected { code, message },
            500 if texts::is_input_fault(&message) => Self::Rejected { code, message },
            408 | 455 | 500.. => Self::Unavailable { retry_after, code, message, body: None },
            _ => Self::Rejected { code, message },
        }
    }

    /// An answer without an envelope. A plain 404 is a wrong address and must not pass for a missing record.
    pub(crate) fn from_status(status: u16, retry_after: Option<Duration>, text: &str) -> Self {
        let code = i64::from(status);
        match status {
            401 | 402 | 433 => Self::Blocked { code, message: String::new() },
            _ => Self::of_trouble(status, retry_after, Snippet::of(text))
                .unwrap_or_else(|| Self::Unexpected { status, body: Snippet::new(text) }),
        }
    }

    /// What an HTTP status alone says about trouble that passes; `None` when it says something else.
    pub(crate) fn of_trouble(
        status: u16,
        retry_after: Option<Duration>,
        body: Option<Snippet>,
    ) -> Option<Self> {
        let (code, message) = (i64::from(status), String::new());
        match status {
            429 | 430 | 550 => Some(Self::Throttled { retry_after, code: Some(code), message, body }),
            408 | 455 | 500.. => Some(Self::Unavailable { retry_after, code, message, body }),
            _ => None,
        }
    }

    pub(crate) fn malformed(what: impl Into<String>, body: Snippet) -> Self {
        Self::Malformed { what: what.into(), body }
    }

    pub(crate) fn unreachable(source: reqwest::Error) -> Self {
        Self::Unreachable { source: Box::new(source.without_url()) }
    }

    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::InvalidRequest { reason: reason.into() }
    }
}

/// The provider's words, or those of a page that stands in their place.
fn words<'a>(message: &'a str, body: Option<&Snippet>) -> Cow<'a, str> {
    match body.and_then(Snippet::brief_of_page) {
        Some(page) if message.is_empty() => page.into(),
        _ => message.into(),
    }
}

fn said(code: Option<i64>, message: &str) -> String {
    match (code, message) {
        (None, "") => String::new(),
        (None, message) => format!(": {message}"),
        (Some(code), "") => format!(" (code {code})"),
        (Some(code), message) => format!(" (code {code}): {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(code: i64, message: &str) -> ReadError {
        ReadError::from_code(code, message.to_owned(), None)
    }

    #[test]
    fn codes_and_words_of_reads() {
        assert!(read(422, "recordInfo is null").is_not_found());
        assert!(read(404, "Task not found").is_not_found());
        assert!(read(401, "Unauthorized").is_blocked());
        assert!(read(500, "Credits insufficient").is_blocked());
        assert!(read(429, "").is_retryable());
        assert!(read(455, "maintenance").is_retryable());
        assert!(read(408, "").is_retryable());
        assert!(read(500, "Server exception").is_retryable());
        for (code, words) in
            [(400, ""), (422, "url is wrong"), (501, ""), (505, ""), (500, "prompt is required")]
        {
            assert!(matches!(read(code, words), ReadError::Rejected { .. }), "{code} {words}");
        }
    }

    #[test]
    fn a_plain_404_is_not_a_missing_record() {
        let error = ReadError::from_status(404, None, "<html>");
        assert!(!error.is_not_found());
        assert!(!error.is_retryable());
        assert!(ReadError::from_status(200, None, "").is_retryable());
    }

    #[test]
    fn trouble_that_passes_keeps_its_retry_after() {
        let wait = Some(Duration::from_secs(7));
        for status in [408, 429, 430, 455, 500, 502, 503, 550] {
            let error = ReadError::from_status(status, wait, "<html>");
            assert_eq!((error.is_retryable(), error.retry_after()), (true, wait), "{status}");
        }
        for code in [408, 429, 430, 455, 500, 503, 550] {
            let error = ReadError::from_code(code, String::new(), wait);
            assert_eq!((error.is_retryable(), error.retry_after()), (true, wait), "{code}");
        }
        assert_eq!(ReadError::from_status(401, wait, "").retry_after(), None);
    }

    #[test]
    fn an_answer_without_an_envelope_is_kept_and_a_page_shown() {
        let page = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
        for (status, shown) in [
            (429, "too many requests (code 429): 502 Bad Gateway"),
            (502, "the provider is unavailable (code 502): 502 Bad Gateway"),
            (200, "the answer is not the provider's (http 200): 502 Bad Gateway"),
        ] {
            let error = ReadError::from_status(status, None, page);
            assert_eq!(error.to_string(), shown);
            assert_eq!(error.body().unwrap().as_str(), "502 Bad Gateway\nnginx");
            // What broke off may be a piece of a record.
            let error =
                ReadError::from_status(status, None, r#"{"code":200,"data":{"param":"a secret prompt"#);
            assert!(error.body().unwrap().as_str().ends_with("a secret prompt"));
            assert!(!format!("{error:?} {error}").contains("secret"), "{error}");
            assert!(ReadError::from_status(status, None, "").body().is_none());
        }
        assert!(ReadError::from_code(500, "busy".into(), None).body().is_none());
        assert_eq!(
            ReadError::from_code(500, "busy".into(), None).to_string(),
            "the provider is unavailable (code 500): busy"
        );
    }

    #[test]
    fn debug_hides_bodies() {
        let error = ReadError::malformed("data", Snippet::new("a secret prompt"));
        assert!(!format!("{error:?} {error}").contains("secret"));
    }
}
