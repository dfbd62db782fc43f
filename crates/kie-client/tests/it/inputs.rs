//! The input of a task is found in its record, in every recorded exchange that repeats it.

use std::{collections::BTreeMap, fs, path::PathBuf};

use kie_client::{Family, Record};
use serde_json::{Value, json};

/// Every recorded answer that is a record, by its name.
fn records() -> BTreeMap<String, (Record, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../source_of_truth/exchanges");
    let mut records = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let exchange: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let endpoint = exchange["endpoint"].as_str().unwrap_or_default();
        let (body, data) = (exchange["body"].to_string(), exchange["body"]["data"].to_string());
        let family = Family::ALL.into_iter().find(|family| endpoint.ends_with(family.record_path()));
        let read = match family {
            Some(family) => Record::parse_family(family, body.as_bytes()),
            None if endpoint.ends_with("/jobs/recordInfo") => Record::parse(body.as_bytes()),
            None => continue,
        };
        if let Ok(record) = read {
            records.insert(exchange["name"].as_str().unwrap().to_owned(), (record, data));
        }
    }
    records
}

#[test]
fn recorded_inputs_are_found() {
    let records = records();
    let kite = json!({"aspect_ratio": "1:1", "prompt": "a red kite over a dune", "nsfw_checker": false});
    for (name, input) in [
        ("record-info-success-image", kite.clone()),
        ("record-info-fail", kite),
        ("record-info-success-documented", json!({"prompt": "portrait", "aspect_ratio": "3:2"})),
        ("record-info-success-resultobject", json!({"image_url": "https://app.example/i.png"})),
        (
            "record-info-success-2026-10",
            json!({
                "speakers": [{"speaker_id": "Speaker 1", "voice_name": "Fola"}],
                "model": "gemini-3.8-flash-tts",
                "dialogue_turns": [{"speaker_id": "Speaker 1", "text": "hello"}],
                "dialogue_mode": "single",
            }),
        ),
        ("veo-record-success", json!({"prompt": "cat", "waterMark": "KieAI"})),
        ("kontext-record-fail", json!({"prompt": "mountains", "aspectRatio": "16:9"})),
        (
            "runway-record-wait",
            json!({"prompt": "a cat dancing", "imageUrl": "https://app.example/i.jpg", "expandPrompt": true}),
        ),
    ] {
        assert_eq!(records[name].0.input(), Some(input), "{name}");
    }
}

#[test]
fn an_input_is_found_wherever_a_record_repeats_one() {
    let records = records();
    let mut found = 0;
    for (name, (record, data)) in &records {
        let repeats = ["\"param\":\"{", "\"paramJson\":\"{", "\"generateParam\":{"];
        let repeats = repeats.iter().any(|member| data.contains(member));
        assert_eq!(record.input().is_some(), repeats, "{name}");
        let shown = format!("{record:?}");
        for hidden in ["a red kite", "a cat dancing", "app.example"] {
            assert!(!shown.contains(hidden), "{hidden} of {name} in {shown}");
        }
        found += usize::from(repeats);
    }
    assert!(found >= 30, "{found} of {}", records.len());
}
