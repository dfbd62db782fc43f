//! The provider's callbacks: **hints that wake a job, never believed**.
//!
//! Even a valid signature covers the task id and the time alone, not the body. Take the id from the hint, answer 200
//! at once, and read the record with your own key before you act.
//!
//! ```
//! use kie_client::callback;
//!
//! let body = br#"{"code":200,"msg":"success","data":{"taskId":"5e0b7c1d","state":"success"}}"#;
//! let hint = callback::read(body, None);
//! assert_eq!(hint.task_id.unwrap().as_str(), "5e0b7c1d");
//! ```

mod signature;

pub use self::signature::{SIGNATURE_HEADER, SignatureError, TIMESTAMP_HEADER, sign, verify_signature};
use crate::{answer::body_text, fields::Fields, task::TaskId, texts};

/// The longest body that is looked into, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;

const MAX_WRAPPING: usize = 3;
const MAX_WORD: usize = 64;
const BODY_KEYS: [&str; 3] = ["taskId", "task_id", "recordId"];
const NESTED_KEYS: [&str; 3] = ["data", "result", "payload"];
const QUERY_KEYS: [&str; 5] = ["taskId", "task_id", "task", "id", "recordId"];

/// What a callback seems to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hint {
    /// The task it names; `None` when it names none, several, or something that is no task id.
    pub task_id: Option<TaskId>,
    /// Whether it names different tasks in different places. Such a callback names none.
    pub conflict: bool,
    /// The code of the envelope, for logs.
    pub code: Option<i64>,
    /// The word for the state or the kind of callback (`success`, `first`, `complete`…), for logs.
    pub word: Option<String>,
}

/// Finds the task id in every place where the provider is known to put it. Never fails: what cannot be read is a hint
/// without an id. The query of the callback's own address is looked at only when the body names no task.
pub fn read(body: &[u8], query: Option<&str>) -> Hint {
    let mut hint = if body.len() > MAX_BODY { Hint::default() } else { read_text(&body_text(body), 0) };
    if hint.task_id.is_none() && !hint.conflict {
        let named = query.map(ids_of_query).unwrap_or_default();
        settle(&mut hint, named);
    }
    hint
}

fn read_text(text: &str, depth: usize) -> Hint {
    if let Some(fields) = Fields::parse(text) {
        return read_object(&fields);
    }
    if depth >= MAX_WRAPPING {
        return Hint::default();
    }
    let inner = match text.trim_start().chars().next() {
        Some('"') => serde_json::from_str::<String>(text).ok(),
        Some('[') => only_entry(text),
        _ => None,
    };
    inner.map(|inner| read_text(&inner, depth + 1)).unwrap_or_default()
}

fn only_entry(text: &str) -> Option<String> {
    let [entry] = serde_json::from_str::<[&serde_json::value::RawValue; 1]>(text).ok()?;
    Some(entry.get().to_owned())
}

fn read_object(fields: &Fields<'_>) -> Hint {
    let nested: Vec<_> = NESTED_KEYS.iter().filter_map(|key| fields.object(key)).collect();
    let mut named = Vec::new();
    for holder in nested.iter().chain(std::iter::once(fields)) {
        named.extend(BODY_KEYS.iter().filter_map(|key| holder.text(key)));
    }
    let words = ["callbackType", "state", "status"];
    let word = nested.iter().find_map(|holder| words.iter().find_map(|key| holder.text(key)));
    let mut hint = Hint {
        code: fields.integer("code"),
        word: word.map(|word| texts::shorten(&word, MAX_WORD)),
        ..Hint::default()
    };
    settle(&mut hint, named);
    hint
}

/// Sets the id when every place that names a task names the same one.
fn settle(hint: &mut Hint, named: Vec<String>) {
    let mut named = named.into_iter();
    let Some(first) = named.next() else { return };
    if named.any(|other| other.trim() != first.trim()) {
        hint.conflict = true;
        return;
    }
    hint.task_id = TaskId::new(first.trim()).ok();
}

/// The ids under the first name that is there; other names may carry a shop's own ids.
fn ids_of_query(query: &str) -> Vec<String> {
    let query = query.get(..query.len().min(MAX_BODY)).unwrap_or_default();
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    QUERY_KEYS
        .iter()
        .map(|key| {
            let values = pairs.iter().filter(|(name, value)| name == key && !value.trim().is_empty());
            values.map(|(_, value)| value.to_string()).collect::<Vec<_>>()
        })
        .find(|values| !values.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(body: &str) -> Option<String> {
        read(body.as_bytes(), None).task_id.map(String::from)
    }

    #[test]
    fn every_place_of_the_id() {
        for body in [
            r#"{"data":{"taskId":"a1"}}"#,
            r#"{"data":{"task_id":"a1"}}"#,
            r#"{"taskId":"a1","data":null}"#,
            r#"{"task_id":"a1"}"#,
            r#"{"recordId":"a1"}"#,
            r#"{"data":{"recordId":"a1"}}"#,
            r#"{"result":{"taskId":"a1"}}"#,
            r#"{"payload":{"task_id":"a1"}}"#,
            r#"[{"data":{"taskId":"a1"}}]"#,
            r#""{\"data\":{\"taskId\":\"a1\"}}""#,
            r#"["{\"taskId\":\"a1\"}"]"#,
            r#"{"taskId":"a1","data":{"task_id":"a1","recordId":"a1","taskId":""}}"#,
            "\u{feff}{\"taskId\":\"a1\"}",
        ] {
            assert_eq!(id(body).as_deref(), Some("a1"), "{body}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_a_hint_without_an_id() {
        for body in [
            "",
            "null",
            "1",
            "<html>",
            "{",
            "[]",
            "[{},{}]",
            "{\"data\":[]}",
            r#"{"taskId":7}"#,
            r#"{"taskId":"a b"}"#,
        ] {
            assert_eq!(read(body.as_bytes(), None).task_id, None, "{body}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read(deep.as_bytes(), None), Hint::default());
        let long = format!(r#"{{"taskId":"a1","x":"{}"}}"#, "x".repeat(MAX_BODY));
        assert_eq!(read(long.as_bytes(), None), Hint::default());
    }

    #[test]
    fn different_ids_are_a_conflict() {
        let hint = read(br#"{"taskId":"a1","data":{"task_id":"b2"}}"#, Some("taskId=c3"));
        assert!(hint.conflict);
        assert_eq!(hint.task_id, None);
    }

    #[test]
    fn the_query_helps_only_when_the_body_names_nothing() {
        assert_eq!(read(b"", Some("k=1&task_id=a1")).task_id.unwrap().as_str(), "a1");
        assert_eq!(read(b"", Some("id=shop-7&taskId=a1")).task_id.unwrap().as_str(), "a1");
        assert_eq!(read(br#"{"taskId":"a1"}"#, Some("id=shop-7")).task_id.unwrap().as_str(), "a1");
        assert!(read(b"", Some("taskId=a1&taskId=b2")).conflict);
        assert_eq!(read(b"", Some("taskId=%00%ff")).task_id, None);
    }

    proptest! {
        #[test]
        fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..512), query in "\\PC{0,64}") {
            let _ = read(&body, Some(&query));
        }

        #[test]
        fn an_id_never_comes_from_a_conflict(a in "[a-z0-9]{1,8}", b in "[a-z0-9]{1,8}") {
            let body = serde_json::json!({"taskId": a, "data": {"taskId": b}}).to_string();
            let hint = read(body.as_bytes(), None);
            prop_assert_eq!(hint.conflict, a != b);
            prop_assert_eq!(hint.task_id.is_some(), a == b);
        }
    }
}
