//! Delivery of updates to a webhook: in order within a chat, repeated until it is accepted.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::args::Args;
use super::bot::Bot;
use super::updates::{Held, Next, Update, Webhook};
use super::views::DeliveryView;
use crate::clock::{now_ms, whole_ms};

/// The most that a receiver's `Retry-After` can ask for.
const RETRY_AFTER_MAX: u64 = 3600;
/// An answer that is longer is not looked into.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Delivers until another webhook, or none, is set.
pub(crate) fn start(bot: &Arc<Bot>, generation: u64) {
    let worker = Arc::clone(bot);
    bot.around.running.spawn(async move {
        let stop = worker.around.stop.clone();
        stop.run_until_cancelled(deliver_all(&worker, generation)).await;
    });
}

async fn deliver_all(bot: &Arc<Bot>, generation: u64) {
    let mut news = bot.watch();
    loop {
        news.mark_unchanged();
        let next = {
            let mut state = bot.lock();
            let Some(hook) = state.updates.webhook.clone() else { return };
            if state.updates.generation != generation {
                return;
            }
            (state.updates.next(now_ms()), hook)
        };
        let until = match next {
            (Next::Deliver(update, attempts), hook) => {
                let courier = Arc::clone(bot);
                bot.around.running.spawn(async move {
                    let stop = courier.around.stop.clone();
                    stop.run_until_cancelled(deliver(&courier, generation, &hook, update, attempts)).await;
                });
                continue;
            }
            (Next::Wait(until), _) => Some(until),
            (Next::Idle, _) => None,
        };
        let pause = async {
            match until {
                Some(ms) => tokio::time::sleep(Duration::from_millis(ms.saturating_sub(now_ms()))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = news.changed() => if changed.is_err() { return },
            () = pause => {}
        }
    }
}

async fn deliver(bot: &Arc<Bot>, generation: u64, hook: &Webhook, update: Update, attempts: u32) {
    let at_ms = now_ms();
    let mut request = bot.http.post(&hook.url).json(&update.json());
    if !hook.secret.is_empty() {
        request = request.header("x-telegram-bot-api-secret-token", &hook.secret);
    }
    let (status, outcome) = match request.send().await {
        Ok(answer) if answer.status().is_success() => {
            (Some(answer.status().as_u16()), Ok(reply_in(answer).await))
        }
        Ok(answer) => {
            let wait =
                answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            let error = format!("Wrong response from the webhook: {}", answer.status());
            (Some(answer.status().as_u16()), Err((error, wait)))
        }
        Err(error) if error.is_timeout() => (None, Err(("Read timeout expired".to_owned(), None))),
        Err(error) if error.is_connect() => (None, Err(("Connection refused".to_owned(), None))),
        Err(_) => (None, Err(("Webhook connection closed".to_owned(), None))),
    };
    bot.deliveries.push(DeliveryView {
        at_ms,
        update_id: update.id,
        attempt: attempts + 1,
        status,
        error: outcome.as_ref().err().map(|(error, _)| error.clone()),
    });
    let call = {
        let mut state = bot.lock();
        let current = state.updates.generation == generation;
        match outcome {
            Ok(call) => {
                state.updates.delivered(&update);
                call
            }
            Err((error, wait)) if current => {
                let until_ms = now_ms()
                    + wait.map_or_else(|| pause(bot, attempts), |s: u64| s.min(RETRY_AFTER_MAX) * 1000);
                state.updates.refused(&update, Held { attempts: attempts + 1, until_ms }, error, now_ms());
                None
            }
            Err(_) => None,
        }
    };
    bot.touch();
    if let Some((method, args)) = call {
        bot.call(&method, &args).await;
    }
}

/// Milliseconds before the next delivery, after so many before this one.
fn pause(bot: &Bot, attempts: u32) -> u64 {
    let waits = &bot.config.webhook_retry;
    let at = usize::try_from(attempts).unwrap_or(usize::MAX);
    waits.get(at).or(waits.last()).map_or(0, |wait| whole_ms(*wait))
}

/// A receiver may answer with a call, of which it hears nothing more.
async fn reply_in(mut answer: reqwest::Response) -> Option<(String, Args)> {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_BYTES_MAX {
            return None;
        }
    }
    let object: Value = serde_json::from_slice(&body).ok()?;
    let object = object.as_object()?;
    let method = object.get("method")?.as_str()?.to_ascii_lowercase();
    let refused = matches!(method.as_str(), "setwebhook" | "deletewebhook" | "close" | "logout");
    (!refused && !method.starts_with("get")).then(|| (method, Args::of_object(object)))
}
