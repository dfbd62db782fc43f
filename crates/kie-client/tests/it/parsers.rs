//! No bytes make a parser panic, whatever they are.

use kie_client::{CreatedTask, Family, Record, callback};
use proptest::prelude::*;
use serde_json::{Value, json};

/// JSON that looks like an answer here and there, so that deep code is reached.
fn answers() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "taskId",
        "task_id",
        "state",
        "status",
        "successFlag",
        "resultJson",
        "resultUrls",
        "response",
        "data",
        "param",
        "input",
        "createTime",
        "creditsConsumed",
        "info",
        "videoInfo",
        "sunoData",
        "audio_url",
        "outputs",
        "resultObject",
        "code",
        "failCode",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9]{0,8}".prop_map(Value::from),
        prop::sample::select(vec![
            "success",
            "fail",
            "2026-01-29T07:12:40Z",
            "{\"input\":\"{\\\"prompt\\\":1}\"}",
            "https://h/1.png",
            "[https://h/1]",
            "{\"resultUrls\":",
            "\"\\\"x\\\"\""
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((words.clone(), inner.clone()), 0..8).prop_map(|members| members
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
            inner.prop_map(|value| Value::from(value.to_string())),
        ]
    })
}

fn read_all(body: &[u8]) {
    let _ = callback::read(body, None);
    if let Ok(record) = Record::parse(body) {
        assert!(record.input().is_none_or(|input| input.is_object()));
    }
    for status in [200, 400, 429, 500] {
        if let Err(error) = CreatedTask::parse(status, body) {
            assert!(!(error.is_outcome_unknown() && error.is_retryable()));
        }
    }
    for family in Family::ALL {
        if let Ok(record) = Record::parse_family(family, body) {
            assert!(record.outputs.len() <= 32 && record.extras.len() <= 32);
            assert!(record.input().is_none_or(|input| input.is_object()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes(body in prop::collection::vec(any::<u8>(), 0..1024)) {
        read_all(&body);
    }

    #[test]
    fn anything_like_an_answer(mut data in answers()) {
        if let Value::Object(members) = &mut data {
            members.entry("taskId").or_insert(json!("a1"));
        }
        read_all(data.to_string().as_bytes());
        read_all(json!({"code": 200, "data": data}).to_string().as_bytes());
    }

    #[test]
    fn any_truncation(end in 0usize..2000) {
        let body = include_bytes!("../../../../source_of_truth/exchanges/record-info-success-2026-10.json");
        read_all(&body[..end.min(body.len())]);
    }
}
