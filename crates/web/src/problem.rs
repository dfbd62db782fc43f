//! Errors as RFC 9457 `application/problem+json`; the closed list of their types.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use domain::Money;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};
use store::StoreError;
use utoipa::ToSchema;

use crate::request_id;

macro_rules! kinds {
    ($($(#[$meta:meta])* $variant:ident = $slug:literal, $status:literal, $title:literal, $advice:literal;)+) => {
        /// What went wrong; each has a documented `type`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind { $($(#[$meta])* $variant),+ }

        impl Kind {
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The `type` of the problem.
            pub(crate) const fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug),+ }
            }

            const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }

            /// The `detail` where nothing more is known of the case: what to do.
            const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice),+ }
            }
        }
    };
}

kinds! {
    BadJson = "bad-json", 400, "The body is not JSON",
        "send one JSON value in UTF-8";
    BadRequest = "bad-request", 400, "The request cannot be read",
        "send it again; the body broke off, or is not what this call takes";
    KeyMissing = "idempotency-key-missing", 400, "The Idempotency-Key header is missing",
        "send a header Idempotency-Key that is new for each order and the same when you repeat one";
    KeyInvalid = "idempotency-key-invalid", 400, "The Idempotency-Key header cannot be used",
        "it must be 1 to 255 visible ASCII characters";
    Unauthorized = "unauthorized", 401, "The request carries no valid credentials",
        "send `Authorization: Bearer <token>` with a token that is still valid";
    BalanceShort = "balance-short", 402, "The balance does not suffice",
        "top the account up and send it again; nothing was taken";
    Forbidden = "forbidden", 403, "This token may not do that",
        "use a token of the role that may";
    LinkExpired = "link-expired", 403, "The link has expired",
        "read the job again: it names a fresh link";
    LinkInvalid = "link-invalid", 403, "The link is not valid",
        "take the whole link as the job names it, or send a token";
    NotFound = "not-found", 404, "There is no such thing",
        "check the address and the account of your token";
    UnknownModel = "unknown-model", 404, "There is no such model",
        "`GET /v1/models` lists them; `nearest` may be what was meant";
    MethodNotAllowed = "method-not-allowed", 405, "This method does not work here",
        "/docs tells the methods of each path";
    KeyReused = "idempotency-key-reused", 409, "The Idempotency-Key was used for another request",
        "use a new key, or send the first request unchanged";
    WrongState = "wrong-state", 409, "The state does not allow it",
        "read the job again and look at its state";
    DraftExpired = "draft-expired", 409, "The draft cannot be bought any more",
        "order it anew; its price may have changed";
    NotForSale = "not-for-sale", 409, "The model is not for sale",
        "`GET /v1/models` lists what can be ordered now";
    Taken = "taken", 409, "The value belongs to another row",
        "use another value, or the row that has it";
    RefundTooLarge = "refund-too-large", 409, "More than was captured cannot be refunded",
        "refund at most `refundable`";
    RecordDisagrees = "record-disagrees", 409, "The task's record does not belong to the job",
        "look for the task of this job's model, time and callback";
    TooLarge = "too-large", 413, "The body is too large",
        "send at most `limit` bytes";
    UnsupportedMediaType = "unsupported-media-type", 415, "The content type is not accepted",
        "send `Content-Type: application/json`";
    RangeUnsatisfiable = "range-unsatisfiable", 416, "The range lies outside of the file",
        "`Content-Range` tells the file's length";
    Invalid = "invalid", 422, "The request has faults",
        "mend what `errors` names and send it again";
    RateLimited = "rate-limited", 429, "Too many requests",
        "wait as many seconds as `Retry-After` says";
    TooManyOpen = "too-many-open", 429, "Too many generations are open",
        "wait until some have ended; at most `limit` may be open at once";
    FreeUsedUp = "free-used-up", 429, "Today's free generations are used up",
        "wait for the next day in UTC, or order a model that has a price";
    Internal = "internal", 500, "Something went wrong on our side",
        "tell the shop this answer's `request_id`";
    ProviderUnreadable = "provider-unreadable", 502, "The provider's record could not be read",
        "try again in a minute";
    Unavailable = "unavailable", 503, "The service cannot do it at the moment",
        "send it again, with the same Idempotency-Key, after `Retry-After` seconds";
}

/// One fault of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// JSON pointer into the body; `/query/{name}` for parameters.
    pub(crate) pointer: String,
    /// What was expected.
    pub(crate) detail: String,
}

/// The body of every error.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// From the documented list.
    #[serde(rename = "type")]
    slug: &'static str,
    /// The type in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// This case in words, or what to do.
    detail: &'a str,
    /// The request's id, as in our logs.
    request_id: &'a str,
    /// The faults, where the request has some.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
    /// Further facts of the type, such as `required` and `available`.
    #[serde(flatten)]
    #[schema(ignore)]
    facts: &'a Map<String, Value>,
}

/// An error on its way to the caller. Causes are logged once, here, and never shown.
#[derive(Debug)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    detail: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    facts: Map<String, Value>,
    retry_after_s: Option<u64>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Problem {
    pub(crate) fn new(kind: Kind) -> Self {
        let (errors, facts) = (Vec::new(), Map::new());
        Self(Box::new(Inner { kind, detail: None, errors, facts, retry_after_s: None, source: None }))
    }

    pub(crate) fn not_found(what: &'static str) -> Self {
        Self::new(Kind::NotFound).detail(format!("there is no such {what}"))
    }

    /// One fault at a pointer.
    pub(crate) fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::faults(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    pub(crate) fn faults(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(Kind::Invalid);
        problem.0.errors = errors;
        problem
    }

    pub(crate) fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(Kind::Internal).source(source)
    }

    /// For now; worth another try in a moment.
    pub(crate) fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(Kind::Unavailable).retry_after(2).source(source)
    }

    pub(crate) fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    pub(crate) fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.facts.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.0.kind
    }

    fn source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }
}

/// The account lacks money for what was asked.
pub(crate) fn short(required: Money, available: Money) -> Problem {
    Problem::new(Kind::BalanceShort).fact("required", required.minor()).fact("available", available.minor())
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable(error),
            StoreError::NotFound { what } => Self::not_found(what),
            StoreError::Taken { what } => {
                Self::new(Kind::Taken).detail(format!("this {what} belongs to another row"))
            }
            other => Self::internal(other),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let inner = *self.0;
        let status = StatusCode::from_u16(inner.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(source) = &inner.source {
            let slug = inner.kind.slug();
            tracing::error!(problem = slug, error = error_chain(&**source), "http.failed");
        }
        let request_id = request_id::current();
        let body = ProblemBody {
            slug: inner.kind.slug(),
            title: inner.kind.title(),
            status: status.as_u16(),
            detail: inner.detail.as_deref().unwrap_or(inner.kind.advice()),
            request_id: &request_id,
            errors: &inner.errors,
            facts: &inner.facts,
        };
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let content_type = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, content_type)], json).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = inner.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// `error: cause: cause of the cause`.
pub(crate) fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_in_the_api_document_with_its_status() {
        let document = include_str!("../../../docs/api.md");
        for kind in Kind::ALL {
            let row = format!("| `{}` | {} |", kind.slug(), kind.status());
            assert!(document.contains(&row), "docs/api.md lacks {row}");
        }
        let rows = document.lines().filter(|line| {
            let cell = line.trim_start_matches("| `");
            cell != *line && cell.split('|').nth(1).is_some_and(|status| status.trim().len() == 3)
        });
        assert_eq!(rows.count(), Kind::ALL.len(), "docs/api.md has a type that the code has not");
    }

    #[test]
    fn every_type_says_what_to_do() {
        for kind in Kind::ALL {
            let (title, advice) = (kind.title(), kind.advice());
            assert!(advice.len() > 20 && !title.contains(advice) && !advice.ends_with('.'), "{kind:?}");
        }
    }

    #[test]
    fn an_internal_error_says_nothing_of_its_cause() {
        let problem = Problem::internal("a secret cause");
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = futures_util::FutureExt::now_or_never(axum::body::to_bytes(response.into_body(), 10_000));
        let text = String::from_utf8(body.unwrap().unwrap().to_vec()).unwrap();
        assert!(!text.contains("secret"), "{text}");
        assert!(text.contains("\"type\":\"internal\""), "{text}");
    }
}
