//! Updates by asking, the webhook, answers to pressed buttons.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use crate::clock::now_ms;
use crate::telegram::args::Args;
use crate::telegram::bot::{Bot, Poll};
use crate::telegram::refusal::Refusal;
use crate::telegram::updates::Webhook;
use crate::telegram::views::CallbackAnswerView;
use crate::telegram::webhook;

/// The longest wait of getUpdates, in seconds.
const WAIT_MAX: u64 = 50;
const OTHER_POLL: &str =
    "terminated by other getUpdates request; make sure that only one bot instance is running";

/// getUpdates; a second one ends the first.
pub(super) async fn get_updates(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    let limit = usize::try_from(args.integer("limit")).unwrap_or(0);
    let limit = if limit == 0 { 100 } else { limit.min(100) };
    let wait = u64::try_from(args.integer("timeout")).unwrap_or(0).min(WAIT_MAX);
    let mut news = bot.watch();
    let mine = {
        let mut state = bot.lock();
        if state.updates.webhook.is_some() {
            return Err(Refusal::conflict(
                "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
            ));
        }
        choose_kinds(&mut state.updates.allowed, args);
        state.updates.confirm(args.integer("offset"));
        state.updates.generation += 1;
        state.updates.generation
    };
    let _poll = Poll::begin(bot);
    let deadline = Instant::now() + Duration::from_secs(wait);
    loop {
        news.mark_unchanged();
        {
            let state = bot.lock();
            if state.updates.generation != mine {
                let by_webhook = state.updates.webhook.is_some();
                let text = if by_webhook { "terminated by setWebhook request" } else { OTHER_POLL };
                return Err(Refusal::conflict(text));
            }
            let found = state.updates.peek(limit);
            if !found.is_empty() || Instant::now() >= deadline {
                return Ok(Value::Array(found));
            }
        }
        tokio::select! {
            changed = news.changed() => if changed.is_err() { return Ok(json!([])) },
            () = tokio::time::sleep_until(deadline) => {}
            () = bot.around.stop.cancelled() => return Ok(json!([])),
        }
    }
}

/// Which kinds of updates are wanted from now on; an empty list is the default.
fn choose_kinds(allowed: &mut Option<Vec<String>>, args: &Args) {
    if let Some(Value::Array(list)) = args.json("allowed_updates") {
        let kinds: Vec<_> = list.iter().filter_map(|kind| Some(kind.as_str()?.to_owned())).collect();
        *allowed = (!kinds.is_empty()).then_some(kinds);
    }
}

/// setWebhook; plain HTTP is accepted here.
pub(super) fn set_webhook(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    let url = args.text("url");
    if url.is_empty() {
        return Ok(delete_webhook(bot, args));
    }
    let good = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !good {
        return Err(Refusal::bad("invalid webhook URL specified"));
    }
    let secret = args.text("secret_token");
    if secret.len() > 256 {
        return Err(Refusal::bad("secret token is too long"));
    }
    if !secret.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
        return Err(Refusal::bad("secret token contains unallowed characters"));
    }
    let most = usize::try_from(args.integer("max_connections")).unwrap_or(0);
    let hook = Webhook {
        url: url.to_owned(),
        secret: secret.to_owned(),
        max_connections: if most == 0 { 40 } else { most.min(100) },
        ip_address: Some(args.text("ip_address").to_owned()).filter(|address| !address.is_empty()),
    };
    let mut state = bot.lock();
    choose_kinds(&mut state.updates.allowed, args);
    if args.flag("drop_pending_updates") {
        state.updates.clear();
    }
    let generation = state.updates.set_webhook(Some(hook));
    drop(state);
    bot.touch();
    webhook::start(bot, generation);
    Ok(json!(true))
}

/// deleteWebhook
pub(super) fn delete_webhook(bot: &Arc<Bot>, args: &Args) -> Value {
    let mut state = bot.lock();
    if args.flag("drop_pending_updates") {
        state.updates.clear();
    }
    if state.updates.webhook.is_some() {
        state.updates.set_webhook(None);
    }
    drop(state);
    bot.touch();
    json!(true)
}

/// getWebhookInfo
pub(super) fn webhook_info(bot: &Arc<Bot>) -> Value {
    let state = bot.lock();
    let updates = &state.updates;
    let url = updates.webhook.as_ref().map_or("", |hook| hook.url.as_str());
    let mut info = json!({
        "url": url,
        "has_custom_certificate": false,
        "pending_update_count": updates.len(),
    });
    if let Some((ms, error)) = &updates.last_error {
        info["last_error_date"] = json!(ms / 1000);
        info["last_error_message"] = json!(error);
    }
    if let Some(hook) = &updates.webhook {
        info["max_connections"] = json!(hook.max_connections);
        if let Some(address) = &hook.ip_address {
            info["ip_address"] = json!(address);
        }
    }
    if let Some(kinds) = &updates.allowed {
        info["allowed_updates"] = json!(kinds);
    }
    info
}

/// answerCallbackQuery; each query takes one answer, in time.
pub(super) fn answer_callback(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    let text = args.text("text");
    if text.chars().count() > 200 {
        return Err(Refusal::bad("MESSAGE_TOO_LONG"));
    }
    let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let mut state = bot.lock();
    let press = state.presses.get_mut(args.text("callback_query_id")).ok_or_else(Refusal::stale_query)?;
    if press.answer.is_some() || press.until_ms < now_ms() {
        return Err(Refusal::stale_query());
    }
    press.answer = Some(CallbackAnswerView {
        text: filled(text),
        alert: args.flag("show_alert"),
        url: filled(args.text("url")),
    });
    drop(state);
    bot.touch();
    Ok(json!(true))
}
