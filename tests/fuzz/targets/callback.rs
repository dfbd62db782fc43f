//! A callback's body, and a query when the bytes hold a line break.

use kie_client::callback;

pub(crate) fn run(data: &[u8]) {
    let hint = callback::read(data, None);
    assert!(!(hint.conflict && hint.task_id.is_some()), "a contradiction names a task");
    if let Some(id) = &hint.task_id {
        assert!((1..=128).contains(&id.as_str().len()), "{}", id.as_str().len());
        // Whoever posts the id alone is understood the same way.
        let plain = serde_json::json!({ "taskId": id.as_str() }).to_string();
        assert_eq!(callback::read(plain.as_bytes(), None).task_id.as_ref(), Some(id));
    }
    assert!(hint.word.as_ref().is_none_or(|word| word.chars().count() <= 65));
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    if let Ok(query) = std::str::from_utf8(&data[..end]) {
        let hint = callback::read(&data[end + 1..], Some(query));
        assert!(!(hint.conflict && hint.task_id.is_some()));
    }
}
