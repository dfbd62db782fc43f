//! Where mutation starts: what the provider was seen to say, and the model files.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// The seeds of a target; `source` is the folder `source_of_truth`.
pub(crate) fn seeds(source: &Path, target: &str) -> Vec<Vec<u8>> {
    let exchanges = || json_files(&source.join("exchanges")).into_iter();
    let models = || json_files(&source.join("models")).into_iter();
    let bodies = |callbacks: bool| {
        let fits = move |file: &Value| (file["direction"] == "callback") == callbacks;
        exchanges().filter(fits).map(|file| file["body"].clone())
    };
    let values: Vec<Value> = match target {
        "callback" => bodies(true).collect(),
        "record" => bodies(false).collect(),
        "result-json" => bodies(false).chain(bodies(true)).filter_map(|body| result(&body)).collect(),
        "model-file" => models().collect(),
        _ => models().flat_map(|file| inputs(&file)).collect(),
    };
    values.iter().map(|value| value.to_string().into_bytes()).collect()
}

/// The result in a record, taken out of its text.
fn result(body: &Value) -> Option<Value> {
    let result = body.pointer("/data/resultJson").or_else(|| body.pointer("/data/response"))?;
    match result.as_str() {
        Some(text) => serde_json::from_str(text).ok(),
        None => Some(result.clone()),
    }
}

fn inputs(file: &Value) -> Vec<Value> {
    let input = |name: &str| json!({"model": file["id"], "input": file[name]});
    vec![input("example"), input("bad_example")]
}

fn json_files(folder: &Path) -> Vec<Value> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(json_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            files.push(
                serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            );
        }
    }
    files
}
