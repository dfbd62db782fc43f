//! The provider's envelope: `{code, msg, data}` inside an HTTP answer whose status says little.

use std::{borrow::Cow, time::Duration};

use crate::{error::ReadError, fields::Fields, snippet::Snippet, texts};

/// One HTTP answer, read to its end within the size limit.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as text without a byte order mark; invalid UTF-8 is replaced, never an error.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        body_text(&self.body)
    }
}

/// Reads bytes as text without a byte order mark.
pub(crate) fn body_text(body: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
}

/// What the provider says about the request, as opposed to what HTTP says.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    /// The code, when the body has an integer one.
    pub(crate) code: Option<i64>,
    /// `msg` or `message`, verbatim and shortened; empty when there is none.
    pub(crate) message: String,
    /// The raw `data`; absent and `null` are the same.
    pub(crate) data: Option<&'a str>,
    has_data: bool,
}

impl<'a> Envelope<'a> {
    /// `None` when the body is not a JSON object.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let fields = Fields::parse(text)?;
        let message = fields.text("msg").or_else(|| fields.text("message")).unwrap_or_default();
        Some(Self {
            code: fields.integer("code"),
            message: texts::shorten_message(&message),
            data: fields.raw("data"),
            has_data: fields.has("data"),
        })
    }

    /// Whether this is a success: code 200, or 0 which some pages of the provider name so.
    pub(crate) fn is_success(&self, status: u16) -> bool {
        match self.code {
            Some(200) => true,
            Some(0) => {
                tracing::warn!("the provider answered with code 0, read as success");
                true
            }
            Some(_) => false,
            None => status == 200 && self.has_data,
        }
    }
}

/// Reads the envelope of a successful answer, or says what the answer is instead.
pub(crate) fn open(
    text: &str,
    status: u16,
    retry_after: Option<Duration>,
) -> Result<Envelope<'_>, ReadError> {
    let Some(envelope) = Envelope::parse(text) else {
        return Err(ReadError::from_status(status, retry_after, text));
    };
    if envelope.is_success(status) {
        return Ok(envelope);
    }
    match envelope.code {
        Some(code) => Err(ReadError::from_code(code, envelope.message, retry_after)),
        None => Err(ReadError::from_status(status, retry_after, text)),
    }
}

/// The `data` of an answer that must have one.
pub(crate) fn require_data<'a>(envelope: &Envelope<'a>) -> Result<&'a str, ReadError> {
    envelope
        .data
        .ok_or_else(|| ReadError::NotFound { code: envelope.code, message: envelope.message.clone() })
}

/// The `data` of an answer, as an object.
pub(crate) fn require_object<'a>(envelope: &Envelope<'a>) -> Result<Fields<'a>, ReadError> {
    let data = require_data(envelope)?;
    Fields::parse(data).ok_or_else(|| ReadError::malformed("data: not an object", Snippet::new(data)))
}

/// The `data` of an answer, as a string.
pub(crate) fn require_string(envelope: &Envelope<'_>) -> Result<String, ReadError> {
    let data = require_data(envelope)?;
    serde_json::from_str(data)
        .map_err(|error| ReadError::malformed(format!("data: {error}"), Snippet::new(data)))
}
