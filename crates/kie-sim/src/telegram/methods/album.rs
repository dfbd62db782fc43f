//! sendMediaGroup: several media as one album, all or none.

use std::sync::Arc;

use serde_json::Value;

use super::send::admit;
use crate::clock::now_ms;
use crate::telegram::args::Args;
use crate::telegram::bot::Bot;
use crate::telegram::files::FileKind;
use crate::telegram::media;
use crate::telegram::message::Draft;
use crate::telegram::refusal::Refusal;

const ITEMS_MAX: usize = 10;

pub(super) async fn send(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    bot.lock().reachable(args.text("chat_id"))?;
    let list = args.json("media").ok_or_else(|| Refusal::bad("Can't parse media JSON object"))?;
    let list = list.as_array().ok_or_else(|| Refusal::bad("Expected an Array of InputMedia"))?;
    if list.is_empty() {
        return Err(Refusal::bad("There are no messages to send"));
    }
    if list.len() > ITEMS_MAX {
        return Err(Refusal::bad("Too many messages to send as an album"));
    }
    let mut drafts = Vec::new();
    for (number, item) in (1..).zip(list) {
        drafts.push(one(bot, args, item).await.map_err(|refusal| failed(number, &refusal))?);
    }
    mixed(&drafts)?;
    let mut state = bot.lock();
    let chat = state.reachable(args.text("chat_id"))?;
    let reply_to = state.replied(chat, args)?;
    admit(bot, &mut state, chat, u32::try_from(drafts.len()).unwrap_or(u32::MAX))?;
    let album = (drafts.len() > 1).then(|| state.number());
    let mut ids = Vec::new();
    for draft in drafts {
        let draft = Draft { reply_to, album: album.clone(), ..draft };
        ids.push(state.add_from_bot(chat, draft, now_ms()));
    }
    let shown = ids.into_iter().map(|id| state.message_json(chat, id)).collect();
    drop(state);
    bot.touch();
    Ok(Value::Array(shown))
}

/// The message of one `InputMedia`.
pub(super) async fn one(bot: &Bot, args: &Args, item: &Value) -> Result<Draft, Refusal> {
    let complaint = |text: &str| Refusal::bad(format!("Can't parse InputMedia: {text}"));
    let object = item.as_object().ok_or_else(|| complaint("expected an Object"))?;
    let kind = object.get("type").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let kind = FileKind::of(&kind)
        .filter(|kind| *kind != FileKind::Voice)
        .ok_or_else(|| complaint(&format!("type \"{kind}\" is unsupported")))?;
    if object.get("media").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(complaint("media not found"));
    }
    media::draft(bot, &args.inner(object), kind, "media").await
}

/// How the service tells which message of an album failed, by the code behind the words.
fn failed(number: usize, refusal: &Refusal) -> Refusal {
    let text = refusal.description.strip_prefix("Bad Request: ").unwrap_or(&refusal.description);
    let code = match text {
        "failed to get HTTP URL content" => "WEBPAGE_CURL_FAILED",
        "wrong type of the web page content" => "WEBPAGE_MEDIA_EMPTY",
        _ if text.starts_with("can't parse InputMedia") => return refusal.clone(),
        other => other,
    };
    Refusal::bad(format!("failed to send message #{number} with the error message \"{code}\""))
}

/// Sound and documents stand among their like.
fn mixed(drafts: &[Draft]) -> Result<(), Refusal> {
    for kind in ["audio", "document"] {
        let count = drafts.iter().filter(|draft| draft.kind == kind).count();
        if count > 0 && count < drafts.len() {
            return Err(Refusal::bad(format!("{kind} can't be mixed with other media types")));
        }
    }
    if drafts.len() > 1 && drafts.iter().any(|draft| draft.kind == "animation") {
        return Err(Refusal::bad("can't use the media of the specified type in the album"));
    }
    Ok(())
}
