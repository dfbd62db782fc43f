//! How a task is told: the data of recordInfo and of callbacks.

use serde_json::{Map, Value, json};

use crate::clock::whole_ms;
use crate::config::FieldSet;
use crate::fault::{Fault, Moment, ResultFault, Shape};
use crate::ids::{SplitMix, fnv};
use crate::models::Kind;
use crate::task::{Outcome, Progress, Task, music_tracks};
use crate::world::World;

/// Millionths of a credit as the fractional number of the wire.
#[expect(clippy::cast_precision_loss, reason = "the wire has doubles; balances are far below 2^53")]
pub(crate) fn credits(micro: u64) -> Value {
    json!(micro as f64 / 1e6)
}

/// The data of recordInfo.
pub(crate) fn record_data(
    world: &World,
    task: &Task,
    now_ms: u64,
    shape: Option<Shape>,
) -> Map<String, Value> {
    let progress = task.progress();
    let state = task.state(&progress, world.config.stages, now_ms);
    let documented = shape == Some(Shape::Documented) && state == "success";
    let param = param_text(task, documented);
    let result = if state == "success" { result_value(world, task, shape) } else { json!("") };
    let mut data = fields(json!({
        "taskId": task.order.id,
        "model": task.order.model,
        "state": state,
        "param": param,
        "resultJson": result,
        "failCode": null,
        "failMsg": null,
        "costTime": null,
        "completeTime": null,
        "createTime": task.order.created_ms,
    }));
    if let Some(outcome) = &progress.outcome {
        data.insert("costTime".to_owned(), json!(cost_seconds(task, &progress)));
        data.insert("completeTime".to_owned(), json!(progress.done_ms));
        data.extend(fail_fields(outcome));
    }
    add_later_fields(&mut data, world.config.fields, task, state);
    if shape == Some(Shape::Watermark) && state == "success" {
        // Only the pages of sora 2 show both.
        data.insert("progress".to_owned(), json!(100));
    }
    if documented {
        let took_ms = progress.done_ms.saturating_sub(task.order.created_ms);
        let oddities =
            json!({"failCode": "", "failMsg": "", "costTime": took_ms, "updateTime": progress.done_ms});
        data.extend(fields(oddities));
    }
    data
}

/// The data of the callback at the end of a task.
pub(crate) fn callback_data(world: &World, task: &Task, progress: &Progress) -> Map<String, Value> {
    let outcome = progress.outcome.clone().unwrap_or(Outcome::Success);
    let success = outcome == Outcome::Success;
    let result = if success { result_value(world, task, task.lasting_shape()) } else { Value::Null };
    let mut data = fields(json!({
        "taskId": task.order.id,
        "model": task.order.model,
        "state": if success { "success" } else { "fail" },
        "param": param_text(task, true),
        "resultJson": result,
        "costTime": cost_seconds(task, progress),
        "completeTime": progress.done_ms,
        "createTime": task.order.created_ms,
        "updateTime": progress.done_ms,
        "creditsConsumed": credits(if success { task.order.cost_micro } else { 0 }),
    }));
    data.extend(fail_fields(&outcome));
    data
}

/// Where the main files of a task are.
pub(crate) fn file_urls(world: &World, task: &Task) -> Vec<String> {
    let extension = task.format().extension();
    (0..task.order.count).map(|n| world.file_url(task, &format!("{n}.{extension}"))).collect()
}

/// Where the record says they are.
fn told_urls(world: &World, task: &Task) -> Vec<String> {
    let link =
        task.pick(Moment::Link).into_iter().chain(world.scripts.pick(Moment::Link, &task.scene())).next();
    if let Some(Fault::Result(ResultFault::Private(url))) = link {
        return vec![url];
    }
    file_urls(world, task)
}

fn fail_fields(outcome: &Outcome) -> Map<String, Value> {
    match outcome {
        Outcome::Success => Map::new(),
        Outcome::Fail { code, message } => fields(json!({"failCode": code, "failMsg": message})),
    }
}

fn add_later_fields(data: &mut Map<String, Value>, set: FieldSet, task: &Task, state: &str) {
    if set < FieldSet::August {
        return;
    }
    let shown = match state {
        "waiting" | "queuing" | "success" => task.order.cost_micro,
        _ => 0,
    };
    data.insert("creditsConsumed".to_owned(), credits(shown));
    if set < FieldSet::October {
        return;
    }
    let flag = match state {
        "success" => 1,
        "fail" => 3,
        _ => 0,
    };
    data.insert("operationType".to_owned(), json!(task.order.model));
    data.insert("successFlag".to_owned(), json!(flag));
    if state == "success" {
        let parsed = match &data["resultJson"] {
            Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
            other => other.clone(),
        };
        data.insert("response".to_owned(), parsed);
    }
    let param = data["param"].clone();
    data.insert("paramJson".to_owned(), param);
}

/// The whole create request as a JSON text; its `input` is a JSON text again, or an object as documented.
pub(crate) fn param_text(task: &Task, input_as_object: bool) -> String {
    let mut input = task.order.input.clone();
    if task.order.kind == Kind::Image {
        input.entry("nsfw_checker").or_insert(Value::Bool(false));
    }
    let input = Value::Object(input);
    let mut param = Map::new();
    let shown = if input_as_object { input } else { Value::String(input.to_string()) };
    param.insert("input".to_owned(), shown);
    if let Some(url) = &task.order.callback_url {
        param.insert("callBackUrl".to_owned(), json!(url));
    }
    param.insert("model".to_owned(), json!(task.order.model));
    Value::Object(param).to_string()
}

/// Whole seconds, now and then one more: recordings differ from the times by up to one.
fn cost_seconds(task: &Task, progress: &Progress) -> u64 {
    let took_ms = progress.done_ms.saturating_sub(task.order.created_ms);
    took_ms / 1000 + u64::from(took_ms >= 1000 && fnv(&task.order.id).is_multiple_of(4))
}

/// `resultJson` of a success: normally a text.
fn result_value(world: &World, task: &Task, shape: Option<Shape>) -> Value {
    let urls = told_urls(world, task);
    let plain = || plain_result(world, task, &urls);
    let first = urls.first().cloned().unwrap_or_default();
    let text = |value: Value| Value::String(value.to_string());
    match shape {
        None | Some(Shape::Documented) => text(plain()),
        Some(Shape::NoUrls) => text(json!({"resultUrls": []})),
        Some(Shape::EmptyText) => json!(""),
        Some(Shape::Null) => Value::Null,
        Some(Shape::NotJson) => json!("the result is ready"),
        Some(Shape::Truncated) => {
            let whole = plain().to_string();
            json!(whole[..whole.floor_char_boundary(whole.len() / 2)])
        }
        Some(Shape::Object) => plain(),
        Some(Shape::ObjectUrlText) => json!({"resultUrls": first}),
        Some(Shape::UrlText) => text(json!({"resultUrls": first})),
        Some(Shape::UrlObjects) => {
            text(json!({"resultUrls": urls.iter().map(|url| json!({"url": url})).collect::<Vec<_>>()}))
        }
        Some(Shape::Array) => text(json!(urls)),
        Some(Shape::BareUrl) => json!(first),
        Some(Shape::Outputs) => text(json!({"outputs": urls})),
        Some(Shape::Watermark) => text(
            json!({"resultUrls": urls, "resultWaterMarkUrls": [world.file_url(task, "watermark-0.mp4")]}),
        ),
        Some(Shape::Frames) => text(with_frames(world, task, &urls)),
    }
}

fn plain_result(world: &World, task: &Task, urls: &[String]) -> Value {
    if task.order.kind == Kind::Text {
        return json!({"resultObject": text_result(world, task)});
    }
    if music_tracks(&task.order.model).is_some() {
        return json!({"data": tracks(world, task, urls)});
    }
    if task.order.input.get("return_last_frame") == Some(&Value::Bool(true)) {
        return with_frames(world, task, urls);
    }
    json!({"resultUrls": urls})
}

fn with_frames(world: &World, task: &Task, urls: &[String]) -> Value {
    json!({
        "resultUrls": urls,
        "firstFrameUrl": [world.file_url(task, "first-0.png")],
        "lastFrameUrl": [world.file_url(task, "last-0.png")],
    })
}

/// Suno's tracks, each with a cover of its own.
fn tracks(world: &World, task: &Task, urls: &[String]) -> Vec<Value> {
    let mut mix = SplitMix::new(fnv(&task.order.id));
    let describe = |(n, url): (usize, &String)| {
        let (a, b) = (mix.next(), mix.next());
        json!({
            "id": format!("{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}", a >> 32, (a >> 16) & 0xFFFF, a & 0xFFF, b >> 52, b & 0xFFFF_FFFF_FFFF),
            "audio_url": url,
            "stream_audio_url": world.file_url(task, &format!("stream-{n}.mp3")),
            "image_url": world.file_url(task, &format!("cover-{n}.png")),
            "prompt": task.caption(),
            "model_name": "chirp-v5",
            "title": task.order.input.get("title").and_then(Value::as_str).unwrap_or("Untitled"),
            "tags": task.order.input.get("style").and_then(Value::as_str).unwrap_or("pop"),
            "createTime": task.order.created_ms,
            "duration": 3.03,
        })
    };
    urls.iter().enumerate().map(describe).collect()
}

fn text_result(world: &World, task: &Task) -> Value {
    let (model, caption) = (task.order.model.as_str(), task.caption());
    if model.contains("timeStamped") {
        return json!({"alignedWords": [{"word": caption, "success": true, "startS": 0.0, "endS": 3.0, "palign": 0}]});
    }
    if model.contains("lyrics") {
        let verse = |n: u32| json!({"text": format!("[Verse {n}]\n{caption}"), "title": format!("Song {n}"), "status": "complete", "errorMessage": ""});
        return json!({"lyricsData": [verse(1), verse(2)]});
    }
    if model.contains("segment-map") || model.contains("detection") {
        return json!({"mask_urls": [world.file_url(task, "mask-0.png")]});
    }
    if model.contains("speech-to-text") {
        return json!({"text": caption, "language_code": "en", "language_probability": 0.98});
    }
    if model.contains("midi") {
        let notes = json!([{"pitch": 60, "start": 0, "end": "0.5", "velocity": 0.8}]);
        return json!({"state": "complete", "instruments": [{"name": "Piano", "notes": notes}]});
    }
    json!({"text": caption})
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// How long a task of this kind runs, in milliseconds.
pub(crate) fn usual_ms(world: &World, kind: Kind) -> u64 {
    let durations = &world.config.duration;
    whole_ms(match kind {
        Kind::Image => durations.image,
        Kind::Video => durations.video,
        Kind::Audio => durations.audio,
        Kind::Text => durations.text,
    })
}
