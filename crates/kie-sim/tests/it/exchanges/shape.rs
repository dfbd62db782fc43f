//! The shape of a JSON body: its keys and types at every path, also inside texts that hold JSON.

use std::collections::BTreeSet;

use serde_json::Value;

/// Every path with every type that is found there; the elements of an array share one path.
pub(crate) fn shape(body: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(body, "", &mut found);
    found
}

fn walk(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    found.insert(format!("{path}: {kind}"));
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, &format!("{path}[]"), found)),
        Value::Object(fields) => {
            fields.iter().for_each(|(key, field)| walk(field, &format!("{path}.{key}"), found));
        }
        Value::String(text) if text.starts_with(['{', '[']) => {
            if let Ok(inner) = serde_json::from_str::<Value>(text) {
                walk(&inner, &format!("{path}=>"), found);
            }
        }
        _ => {}
    }
}

/// What differs, one line each; paths below `open` may differ as they like.
pub(crate) fn differences(made: &Value, sample: &Value, open: &[&str]) -> Vec<String> {
    let below = |line: &&String| !open.iter().any(|path| line.starts_with(path));
    let (made, sample) = (shape(made), shape(sample));
    let missing = sample.difference(&made).filter(below).map(|line| format!("  missing {line}"));
    let extra = made.difference(&sample).filter(below).map(|line| format!("  not in the sample {line}"));
    missing.chain(extra).collect()
}

#[test]
fn keys_types_and_inner_texts_count_and_values_do_not() {
    let sample =
        serde_json::json!({"a": 1, "list": [{"x": null}, {"x": "t"}], "text": "{\"in\":{\"k\":true}}"});
    let same =
        serde_json::json!({"a": 2.5, "list": [{"x": "u"}, {"x": null}], "text": "{\"in\":{\"k\":false}}"});
    assert!(differences(&same, &sample, &[]).is_empty());
    let other = serde_json::json!({"a": "1", "list": [{"x": "u"}], "text": "{\"in\":{\"k\":1}}"});
    assert_eq!(
        differences(&other, &sample, &[".text"]),
        ["  missing .a: number", "  missing .list[].x: null", "  not in the sample .a: text"]
    );
}
