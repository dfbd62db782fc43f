//! Callbacks: composed, signed, delivered, delivered again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::join_all;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::clock::now_ms;
use crate::fault::{CallbackFault, Moment};
use crate::record::{callback_data, credits, param_text};
use crate::task::{Outcome, Progress, Task};
use crate::views::{SentCallback, logged};
use crate::world::World;

/// One body on its way to the receiver.
#[derive(Clone)]
struct Delivery {
    body: Bytes,
    signed_id: String,
    seal: Seal,
}

/// How a delivery is signed, if a key is set.
#[derive(Clone, Copy, PartialEq)]
enum Seal {
    True,
    Wrong,
    Missing,
    Stale,
}

/// Tells the end of a task as its faults want it, with repeats; returns when all is answered or given up.
pub(crate) async fn send_final(world: &Arc<World>, task: &Arc<Task>) {
    let faults = world.callback_faults(task, Moment::Callback);
    let Some(url) = task.order.callback_url.clone().filter(|_| !faults.contains(&CallbackFault::None)) else {
        return world.set_told(task);
    };
    for fault in &faults {
        if let CallbackFault::Late(by) = fault {
            tokio::time::sleep(*by).await;
        }
    }
    for stage in stages(world, task, &faults) {
        join_all(stage.iter().map(|delivery| deliver(world, &task.order.id, &url, delivery))).await;
    }
    world.set_told(task);
}

/// Tells a success that is not one yet.
pub(crate) async fn send_early(world: &Arc<World>, task: &Arc<Task>) {
    let Some(url) = &task.order.callback_url else { return };
    let body = envelope(
        &Outcome::Success,
        &callback_data(world, task, &Progress::ended(Outcome::Success, now_ms())),
    );
    deliver(world, &task.order.id, url, &plain(task, &body)).await;
}

/// Delivers a body that a test gave, signed for its task, with the usual repeats.
pub(crate) async fn send_given(world: &Arc<World>, task_id: &str, url: &str, body: Bytes) {
    let delivery = Delivery { body, signed_id: task_id.to_owned(), seal: Seal::True };
    deliver(world, task_id, url, &delivery).await;
}

/// What is sent, one stage after the other, the deliveries of a stage at once.
fn stages(world: &World, task: &Task, faults: &[CallbackFault]) -> Vec<Vec<Delivery>> {
    let progress = task.progress();
    let outcome = progress.outcome.clone().unwrap_or(Outcome::Success);
    let body = envelope(&outcome, &callback_data(world, task, &progress));
    let mut main = plain(task, &body);
    let mut copies = 1;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for fault in faults {
        match fault {
            CallbackFault::Duplicate(count) => copies = *count as usize,
            CallbackFault::FailFirst => before.push(vec![plain(task, &failure(world, task))]),
            CallbackFault::ThenFail => after.push(vec![plain(task, &failure(world, task))]),
            CallbackFault::ThenProgress => after.push(vec![plain(task, &running(task))]),
            CallbackFault::BadSignature => main.seal = Seal::Wrong,
            CallbackFault::NoSignature => main.seal = Seal::Missing,
            CallbackFault::StaleTimestamp => main.seal = Seal::Stale,
            CallbackFault::UnknownTask => main.signed_id = crate::ids::task_id(!world.seed, task.order.seq),
            _ => {}
        }
    }
    main.body = bent(world, task, body, &main.signed_id, faults);
    before.push(vec![main; copies]);
    before.append(&mut after);
    before
}

fn plain(task: &Task, body: &Value) -> Delivery {
    Delivery { body: body.to_string().into(), signed_id: task.order.id.clone(), seal: Seal::True }
}

fn envelope(outcome: &Outcome, data: &Map<String, Value>) -> Value {
    let (code, msg) = match outcome {
        Outcome::Success => (200, "Playground task completed successfully."),
        Outcome::Fail { .. } => (501, "Playground task failed."),
    };
    json!({"code": code, "msg": msg, "data": data})
}

fn failure(world: &World, task: &Task) -> Value {
    let outcome = Outcome::Fail { code: "500".to_owned(), message: "Internal server error".to_owned() };
    envelope(&outcome, &callback_data(world, task, &Progress::ended(outcome.clone(), now_ms())))
}

fn running(task: &Task) -> Value {
    let data =
        json!({"taskId": task.order.id, "model": task.order.model, "state": "generating", "progress": 50});
    json!({"code": 200, "msg": "success", "data": data})
}

/// The body after the faults that change it.
fn bent(world: &World, task: &Task, mut body: Value, id: &str, faults: &[CallbackFault]) -> Bytes {
    body["data"]["taskId"] = json!(id);
    for fault in faults {
        bend(world, task, &mut body, fault);
    }
    let text = body.to_string();
    let wrapped = faults.iter().find_map(|fault| match fault {
        CallbackFault::Array => Some(format!("[{text}]")),
        CallbackFault::TextBody => Some(Value::String(text.clone()).to_string()),
        CallbackFault::NotJson => Some(format!("taskId={id}&state=success")),
        CallbackFault::Empty => Some(String::new()),
        _ => None,
    });
    wrapped.unwrap_or(text).into()
}

fn bend(world: &World, task: &Task, body: &mut Value, fault: &CallbackFault) {
    let id = body["data"]["taskId"].clone();
    let other = json!(crate::ids::task_id(!world.seed, task.order.seq));
    let without = |body: &mut Value, keys: &[&str]| {
        if let Some(data) = body["data"].as_object_mut() {
            data.retain(|key, _| !keys.contains(&key.as_str()));
        }
    };
    match fault {
        CallbackFault::ForeignBody => {
            body["data"]["resultJson"] = json!("{\"resultUrls\":[\"https://attacker.example/x.png\"]}");
        }
        CallbackFault::Conflict => {
            body["data"]["task_id"] = other.clone();
            body["taskId"] = other;
        }
        CallbackFault::SnakeId => {
            body["data"]["task_id"] = id;
            without(body, &["taskId"]);
        }
        CallbackFault::TopId => {
            body["taskId"] = id;
            without(body, &["taskId"]);
        }
        CallbackFault::BothIds => {
            body["taskId"] = id.clone();
            body["data"]["task_id"] = id;
        }
        CallbackFault::NoId => without(body, &["taskId"]),
        CallbackFault::NoResult => without(body, &["resultJson"]),
        CallbackFault::Minimal => {
            without(
                body,
                &["param", "resultJson", "costTime", "createTime", "updateTime", "creditsConsumed"],
            );
        }
        CallbackFault::Short => {
            let kept = ["taskId", "task_id", "state", "resultJson"];
            if let Some(data) = body["data"].as_object_mut() {
                data.retain(|key, _| kept.contains(&key.as_str()));
            }
        }
        CallbackFault::NoMsg => {
            body.as_object_mut().and_then(|fields| fields.remove("msg"));
        }
        CallbackFault::Nulls => {
            for key in ["failCode", "failMsg"] {
                if body["data"].get(key).is_none() {
                    body["data"][key] = Value::Null;
                }
            }
        }
        CallbackFault::NestedParam => body["data"]["param"] = json!(param_text(task, false)),
        CallbackFault::Documented => {
            let data = json!({"task_id": id, "callbackType": "task_completed"});
            *body = json!({"taskId": id, "code": body["code"], "msg": "Success", "data": data});
        }
        CallbackFault::Legacy => {
            body["data"]["consumeCredits"] = credits(task.order.cost_micro);
            body["data"]["remainedCredits"] = credits(world.balance_micro());
            without(body, &["creditsConsumed"]);
        }
        CallbackFault::Huge(bytes) => {
            let missing = usize::try_from(*bytes).unwrap_or(0).saturating_sub(body.to_string().len());
            body["data"]["padding"] = json!("x".repeat(missing));
        }
        _ => {}
    }
}

/// Sends one body until it is answered with 200 or the repeats are used up.
async fn deliver(world: &Arc<World>, task_id: &str, url: &str, delivery: &Delivery) {
    let waits = std::iter::once(&Duration::ZERO).chain(&world.config.callback_retry);
    for (attempt, wait) in (1u32..).zip(waits) {
        tokio::time::sleep(*wait).await;
        let sent = attempt_once(world, task_id, url, delivery, attempt).await;
        let accepted = sent.status == Some(200);
        tracing::debug!(
            task = sent.task_id,
            attempt,
            status = sent.status,
            error = sent.error,
            "callback.sent"
        );
        world.callbacks.push(sent);
        if accepted {
            return;
        }
    }
    tracing::warn!(task = task_id, "callback.given_up");
}

async fn attempt_once(
    world: &World,
    task_id: &str,
    url: &str,
    delivery: &Delivery,
    attempt: u32,
) -> SentCallback {
    let _slot = world.callback_slots.acquire().await;
    let at_ms = now_ms();
    let seal = sign(world.config.hmac_key.as_deref(), delivery, at_ms / 1000);
    let mut request =
        world.http.post(url).header("content-type", "application/json").body(delivery.body.clone());
    if let Some((timestamp, signature)) = &seal {
        request = request.header("x-webhook-timestamp", timestamp).header("x-webhook-signature", signature);
    }
    let started = Instant::now();
    let answer = request.send().await;
    let (timestamp, signature) = seal.unzip();
    SentCallback {
        task_id: task_id.to_owned(),
        url: url.to_owned(),
        attempt,
        status: answer.as_ref().ok().map(|answer| answer.status().as_u16()),
        error: answer.err().map(|error| error.to_string()),
        at_ms,
        took_ms: crate::clock::whole_ms(started.elapsed()),
        timestamp,
        signature,
        body: logged(&delivery.body),
    }
}

/// Timestamp and signature of a delivery; `None` if it goes unsigned.
fn sign(key: Option<&str>, delivery: &Delivery, now_s: u64) -> Option<(String, String)> {
    let key = key.filter(|_| delivery.seal != Seal::Missing)?;
    let at = if delivery.seal == Seal::Stale { now_s.saturating_sub(3600) } else { now_s };
    let key = if delivery.seal == Seal::Wrong { format!("{key}-wrong") } else { key.to_owned() };
    Some((at.to_string(), signature(&key, &delivery.signed_id, at)))
}

/// `base64(HMAC-SHA256(key, taskId + "." + timestamp))`.
fn signature(key: &str, id: &str, timestamp: u64) -> String {
    // A key of any length is accepted by HMAC, so the empty text is never returned.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return String::new() };
    mac.update(format!("{id}.{timestamp}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_of_the_contract_holds() {
        let made =
            signature("whk_sample_0123456789abcdef", "5e0b7c1d9f2a4836b1c0d2e3f4a59687", 1_769_670_760);
        assert_eq!(made, "XnciktOYSuurEHAEozAeF8xGogDjw4vOCT2VMPhGNHQ=");
    }
}
