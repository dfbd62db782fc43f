//! Faults of the answer itself, which any route can have.

use std::time::Duration;

use super::parse::duration;

/// A wrong answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// No answer ever; the connection stays open until the caller leaves.
    Timeout,
    /// The connection is closed before the answer.
    Reset,
    /// The right answer, late.
    Slow(Duration),
    /// An HTML page under HTTP 200.
    Html,
    /// HTTP 200 without a body.
    Empty,
    /// The right answer cut in the middle of its JSON, with a clean end of the body.
    BrokenJson,
    /// The connection is closed in the middle of the right answer.
    Cut,
    /// This HTTP status with an HTML page (502, 503) or without a body.
    Http(u16),
    /// This HTTP status with the envelope of the code.
    HttpCode(u16),
    /// The right answer of discovery, with null where it may be: of one model, or of every other one in a list.
    Nulls,
    /// A complete envelope with this code and text, data null.
    Code(i64, String),
}

impl Answer {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some((word, rest)) = text.split_once(':') {
            return match word {
                "slow" => Some(Self::Slow(duration(rest)?)),
                // Only a code takes a text of its own.
                code => Some(Self::Code(code.parse().ok()?, rest.to_owned())),
            };
        }
        Some(match text {
            "timeout" => Self::Timeout,
            "reset" => Self::Reset,
            "html" => Self::Html,
            "empty" => Self::Empty,
            "broken-json" => Self::BrokenJson,
            "cut" => Self::Cut,
            "nulls" => Self::Nulls,
            "http401" | "http429" | "http455" => Self::HttpCode(text[4..].parse().ok()?),
            word => return Self::parse_code(word),
        })
    }

    fn parse_code(word: &str) -> Option<Self> {
        if let Some(status) = word.strip_prefix("http") {
            let status = status.parse().ok()?;
            return (200..=599).contains(&status).then_some(Self::Http(status));
        }
        let (code, text) = match word {
            "credits" => (500, "Credits insufficient"),
            "busy" => {
                (422, "Service is currently unavailable due to high demand. Please try again later. (E003)")
            }
            "field" => (500, "This field is required"),
            "model" => (422, UNKNOWN_MODEL),
            "callback-url" => (422, "Please enter callBackUrl."),
            "paused" => (500, "This interface is temporarily paused."),
            "ok-but-failed" => (200, "Server exception, please try again later"),
            digits => {
                let code = digits.parse().ok()?;
                (code, default_text(code))
            }
        };
        Some(Self::Code(code, text.to_owned()))
    }
}

/// The answer to a model name that does not exist.
pub(crate) const UNKNOWN_MODEL: &str = "The model name you specified is not supported. Please verify your input and use one of the supported models provided by KIE.";

/// The 401 that was recorded; the dash is U+2013.
pub(crate) const UNAUTHORIZED: &str = "Unauthorized \u{2013} Authentication failed. Please check that your Authorization and Content-Type headers are correctly set.";

/// The text that usually goes with a code.
pub(crate) fn default_text(code: i64) -> &'static str {
    match code {
        0 | 200 => "success",
        400 => "Bad Request",
        401 => UNAUTHORIZED,
        402 => "Insufficient Credits",
        404 => "Task not found",
        408 => "Request Timeout",
        422 => "This field is required",
        429 => "Your call frequency is too high. Please try again later.",
        433 => "Sub-key usage exceeds limit",
        455 => "Service Unavailable - System is currently undergoing maintenance",
        501 => "Generation Failed",
        505 => "Feature Disabled",
        _ => "Server exception, please try again later",
    }
}
