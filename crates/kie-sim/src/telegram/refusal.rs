//! Refusals in the words of the service.

use serde_json::{Map, Value, json};

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) description: String,
    pub(crate) retry_after: Option<u32>,
    pub(crate) migrate_to: Option<i64>,
}

impl Refusal {
    pub(crate) fn new(code: u16, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), retry_after: None, migrate_to: None }
    }

    /// Code 400. The first letter becomes small, unless the second one shows that it is a code such as
    /// `BUTTON_DATA_INVALID`.
    pub(crate) fn bad(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        let is_code = text.chars().nth(1).is_some_and(|second| second == '_' || second.is_ascii_uppercase());
        let mut letters = text.chars();
        let text = match letters.next() {
            Some(first) if !is_code => first.to_lowercase().collect::<String>() + letters.as_str(),
            _ => text.to_owned(),
        };
        Self::new(400, format!("Bad Request: {text}"))
    }

    pub(crate) fn conflict(text: &str) -> Self {
        Self::new(409, format!("Conflict: {text}"))
    }

    pub(crate) fn flood(seconds: u32) -> Self {
        let description = format!("Too Many Requests: retry after {seconds}");
        Self { retry_after: Some(seconds), ..Self::new(429, description) }
    }

    pub(crate) fn migrated(to: i64) -> Self {
        let refusal = Self::bad("group chat was upgraded to a supergroup chat");
        Self { migrate_to: Some(to), ..refusal }
    }

    /// An answer to a query that is unknown, answered or too old.
    pub(crate) fn stale_query() -> Self {
        Self::bad("query is too old and response timeout expired or query ID is invalid")
    }

    pub(crate) fn json(&self) -> Value {
        let mut body = json!({"ok": false, "error_code": self.code, "description": self.description});
        let mut parameters = Map::new();
        if let Some(seconds) = self.retry_after {
            parameters.insert("retry_after".to_owned(), json!(seconds));
        }
        if let Some(id) = self.migrate_to {
            parameters.insert("migrate_to_chat_id".to_owned(), json!(id));
        }
        if !parameters.is_empty() {
            body["parameters"] = Value::Object(parameters);
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_small_and_codes_stay() {
        assert_eq!(Refusal::bad("Message text is empty").description, "Bad Request: message text is empty");
        assert_eq!(Refusal::bad("BUTTON_DATA_INVALID").description, "Bad Request: BUTTON_DATA_INVALID");
        assert_eq!(Refusal::flood(3).json()["parameters"]["retry_after"], 3);
    }
}
