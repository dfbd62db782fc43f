//! Every recorded exchange is replayed, and must be read as its file says.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use futures_util::stream;
use kie_client::{
    Client, CreateError, CreateRefusal, CreatedTask, Family, ModelFilter, ModelList, NewTask, RatePoint,
    ReadError, Record, TaskId, TaskState, Upload, callback,
};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use crate::server::{Canned, Reply};

const SAMPLE_KEY: &str = "whk_sample_0123456789abcdef";
const SAMPLE_TIME: i64 = 1_769_670_760;
const MODEL: &str = "wan/2-7-image-to-video";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    name: String,
    direction: Direction,
    endpoint: Option<String>,
    status: u16,
    headers: BTreeMap<String, String>,
    body: Box<RawValue>,
    expect: BTreeMap<String, Value>,
    origin: String,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Answer,
    Callback,
}

fn exchanges() -> Vec<Exchange> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../source_of_truth/exchanges");
    let mut exchanges = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let exchange: Exchange =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(path.file_stem().unwrap().to_str(), Some(exchange.name.as_str()));
        assert!(!exchange.expect.is_empty(), "{} expects nothing", exchange.name);
        assert!(!exchange.origin.is_empty(), "{} has no origin", exchange.name);
        exchanges.push(exchange);
    }
    exchanges.sort_by(|a, b| a.name.cmp(&b.name));
    exchanges
}

#[test]
fn the_folder_is_complete() {
    let exchanges = exchanges();
    assert!(exchanges.len() >= 147, "{} exchanges", exchanges.len());
    for exchange in &exchanges {
        let answer = exchange.direction == Direction::Answer;
        assert_eq!(answer, exchange.endpoint.is_some(), "{}", exchange.name);
        assert_eq!(!answer, exchange.expect.contains_key("callback"), "{}", exchange.name);
    }
}

#[tokio::test]
async fn every_answer_is_read_as_expected() {
    let server = Canned::start([]).await;
    let client = server.client();
    let mut faults = Vec::new();
    for exchange in exchanges().into_iter().filter(|exchange| exchange.direction == Direction::Answer) {
        server.say(Reply {
            status: exchange.status,
            headers: exchange.headers.clone().into_iter().collect(),
            body: exchange.body.get().to_owned().into(),
        });
        for (reader, expected) in &exchange.expect {
            let found = read(&client, reader, expected).await;
            if found != *expected {
                faults.push(format!(
                    "{} as {reader}\n  expected {expected}\n  found    {found}",
                    exchange.name
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_callback_is_read_as_expected() {
    let mut faults = Vec::new();
    for exchange in exchanges().into_iter().filter(|exchange| exchange.direction == Direction::Callback) {
        let found = read_callback(&exchange);
        let expected = &exchange.expect["callback"];
        if found != *expected {
            faults.push(format!("{}\n  expected {expected}\n  found    {found}", exchange.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

async fn read(client: &Client, reader: &str, expected: &Value) -> Value {
    let task_id =
        TaskId::new(expected["task_id"].as_str().unwrap_or("5e0b7c1d9f2a4836b1c0d2e3f4a59687")).unwrap();
    match reader {
        "create" => create(client).await,
        "record" => shown(client.record(&task_id).await, |read| record(&read)),
        "family_record" => {
            let family = expected["family"].as_str().unwrap();
            let read = client.family_record(family_of(family), &task_id).await;
            with(shown(read, |read| record(&read)), "family", json!(family))
        }
        "credit" => shown(client.credit().await, |credits| json!({ "credits": credits.to_string() })),
        "download_url" => shown(client.download_url("https://h/1.png").await, |url| json!({ "url": url })),
        "gpt4o_download_url" => {
            shown(client.gpt4o_download_url(&task_id, "https://h/1.png").await, |url| json!({ "url": url }))
        }
        "veo_1080p_url" => shown(client.veo_1080p_url(&task_id, 0).await, |url| json!({ "url": url })),
        "upload_stream" | "upload_base64" | "upload_by_url" => {
            shown(upload(client, reader).await, |upload| uploaded(&upload))
        }
        "models" => shown(client.models(&ModelFilter::default()).await, |list| models(&list)),
        "model_schema" => shown(client.model_schema(MODEL).await, |schema| match schema {
            Some(schema) => {
                json!({ "paths": schema["paths"].as_object().unwrap().keys().collect::<Vec<_>>() })
            }
            None => json!({}),
        }),
        "model_price" => shown(client.model_price(MODEL).await, |price| compact(json!({ "price": price }))),
        "success_rate" => shown(client.success_rate(MODEL).await, |rates| points(&rates)),
        other => panic!("no reader is named {other}"),
    }
}

async fn create(client: &Client) -> Value {
    let input = json!({"prompt": "a red kite"});
    match client.create_task(&NewTask::new("nano-banana-2", &input)).await {
        Ok(CreatedTask { task_id, .. }) => json!({ "task_id": task_id }),
        Err(error) => refusal(&error),
    }
}

fn refusal(error: &CreateError) -> Value {
    assert_eq!(error.is_outcome_unknown(), error.refusal() == CreateRefusal::Unknown);
    let word = match error.refusal() {
        CreateRefusal::Throttled { .. } => "throttled",
        CreateRefusal::ProviderBlocked => "provider_blocked",
        CreateRefusal::ModelUnavailable => "model_unavailable",
        CreateRefusal::InvalidInput => "invalid_input",
        CreateRefusal::Moderation => "moderation",
        CreateRefusal::ProviderError => "provider_error",
        CreateRefusal::NotSent => "not_sent",
        CreateRefusal::Unknown => "unknown",
    };
    compact(json!({ "refusal": word, "code": error.code() }))
}

async fn upload(client: &Client, reader: &str) -> Result<Upload, ReadError> {
    match reader {
        "upload_stream" => {
            let body = stream::iter([Ok::<_, std::io::Error>("abc".into())]);
            client.upload_stream("a.png", "image/png", body, 3, "images").await
        }
        "upload_base64" => client.upload_base64("a.png", "image/png", b"abc", "images").await,
        _ => client.upload_by_url(&"https://h/a.png".parse().unwrap(), "a.png", "images").await,
    }
}

fn shown<T>(result: Result<T, ReadError>, show: impl Fn(T) -> Value) -> Value {
    let error = match result {
        Ok(value) => return show(value),
        Err(error) => error,
    };
    let word = match &error {
        ReadError::NotFound { .. } => "not_found",
        ReadError::Throttled { .. } => "throttled",
        ReadError::Blocked { .. } => "blocked",
        ReadError::Rejected { .. } => "rejected",
        ReadError::Unavailable { .. } => "unavailable",
        ReadError::Unexpected { .. } => "unexpected",
        other => panic!("unexpected kind of error: {other:?}"),
    };
    compact(json!({ "error": word, "code": error.code() }))
}

fn record(record: &Record) -> Value {
    let state = match &record.state {
        TaskState::Waiting => "waiting",
        TaskState::Queuing => "queuing",
        TaskState::Generating => "generating",
        TaskState::Success => "success",
        TaskState::Fail => "fail",
        TaskState::Unknown(_) => "unknown",
    };
    let extras: Vec<_> =
        record.extras.iter().map(|extra| json!({ "kind": extra.kind.as_str(), "url": extra.url })).collect();
    compact(json!({
        "task_id": record.task_id,
        "model": record.model,
        "state": state,
        "raw_state": record.raw_state,
        "moderation": record.is_moderation(),
        "outputs": record.outputs,
        "extras": extras,
        "result_object": record.result_object,
        "fail_code": record.fail_code,
        "fail_message": record.fail_message,
        "credits": record.credits.map(|credits| credits.to_string()),
        "callback_url": record.callback_url,
        "created_at_ms": record.created_at_ms,
        "completed_at_ms": record.completed_at_ms,
        "expired": record.expired,
    }))
}

fn uploaded(upload: &Upload) -> Value {
    compact(json!({
        "url": upload.url,
        "file_name": upload.file_name,
        "file_path": upload.file_path,
        "bytes": upload.bytes,
        "content_type": upload.content_type,
        "uploaded_at": upload.uploaded_at,
    }))
}

fn models(list: &ModelList) -> Value {
    let show = |model: &kie_client::ModelInfo| {
        compact(json!({
            "model": model.model,
            "title": model.title,
            "provider": model.provider,
            "task_type": model.task_type,
            "price": model.pricing_desc,
        }))
    };
    json!({ "total": list.total, "models": list.models.iter().map(show).collect::<Vec<_>>() })
}

fn points(points: &[RatePoint]) -> Value {
    let show = |point: &RatePoint| {
        compact(json!({
            "start": point.start,
            "end": point.end,
            "success_rate": point.success_rate,
            "error_rate": point.error_rate,
            "is_normal": point.is_normal,
        }))
    };
    json!({ "points": points.iter().map(show).collect::<Vec<_>>() })
}

fn read_callback(exchange: &Exchange) -> Value {
    let hint = callback::read(exchange.body.get().as_bytes(), None);
    let signature = exchange.headers.get(callback::SIGNATURE_HEADER).map(|signature| {
        let verified = callback::verify_signature(
            &SAMPLE_KEY.into(),
            hint.task_id.as_ref().unwrap().as_str(),
            &exchange.headers[callback::TIMESTAMP_HEADER],
            signature,
            SAMPLE_TIME + 5,
            Duration::from_mins(5),
        );
        match verified {
            Ok(()) => "valid",
            Err(callback::SignatureError::Mismatch) => "mismatch",
            Err(other) => panic!("{}: {other}", exchange.name),
        }
    });
    assert_eq!(exchange.status == 401, signature == Some("mismatch"), "{}", exchange.name);
    compact(json!({
        "task_id": hint.task_id,
        "conflict": hint.conflict,
        "code": hint.code,
        "word": hint.word,
        "signature": signature,
    }))
}

fn family_of(word: &str) -> Family {
    match word {
        "veo" => Family::Veo,
        "suno" => Family::Suno,
        "suno_lyrics" => Family::SunoLyrics,
        "suno_wav" => Family::SunoWav,
        "suno_vocal" => Family::SunoVocal,
        "suno_mp4" => Family::SunoMp4,
        "suno_midi" => Family::SunoMidi,
        "suno_cover" => Family::SunoCover,
        "gpt4o_image" => Family::Gpt4oImage,
        "kontext" => Family::Kontext,
        "runway" => Family::Runway,
        "aleph" => Family::Aleph,
        "midjourney" => Family::Midjourney,
        other => panic!("no family is named {other}"),
    }
}

/// Leaves out what says nothing, so that an expectation lists exactly what must be there.
fn compact(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let says_something = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(entries) => !entries.is_empty(),
        _ => true,
    };
    Value::Object(members.into_iter().filter(|(_, value)| says_something(value)).collect::<Map<_, _>>())
}

fn with(mut value: Value, key: &str, member: Value) -> Value {
    value[key] = member;
    value
}
