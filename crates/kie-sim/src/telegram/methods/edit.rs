//! Changes to messages that stand in a chat.

use std::sync::Arc;

use serde_json::{Value, json};

use super::album;
use crate::clock::now_ms;
use crate::telegram::args::Args;
use crate::telegram::bot::Bot;
use crate::telegram::flood::Wish;
use crate::telegram::keyboard::{self, Place};
use crate::telegram::message::{Draft, Message};
use crate::telegram::refusal::Refusal;
use crate::telegram::state::State;
use crate::telegram::text::Formatted;

const NOT_MODIFIED: &str = "message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message";

/// editMessageText
pub(super) fn text(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    let text = Formatted::message(args, "MESSAGE_TOO_LONG")?;
    change(bot, args, |old| {
        if old.draft.kind != "text" {
            return Err(Refusal::bad("there is no text in the message to edit"));
        }
        let mut draft = Draft::new("text");
        text.write(&mut draft.fields, "text", "entities");
        Ok(draft)
    })
}

/// editMessageCaption
pub(super) fn caption(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    let caption = Formatted::caption(args)?;
    change(bot, args, |old| {
        if old.draft.file.is_none() {
            return Err(Refusal::bad("there is no caption in the message to edit"));
        }
        let mut draft = old.draft.clone();
        draft.fields.remove("caption");
        draft.fields.remove("caption_entities");
        caption.write(&mut draft.fields, "caption", "caption_entities");
        Ok(draft)
    })
}

/// editMessageMedia
pub(super) async fn media(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    target(&bot.lock(), args)?;
    args.required("media").map_err(|_ignored| Refusal::bad("Input media is not specified"))?;
    let item = args.json("media").ok_or_else(|| Refusal::bad("Can't parse input media JSON object"))?;
    let draft = album::one(bot, args, &item).await?;
    change(bot, args, |old| match old.draft.invoice {
        Some(_) => Err(Refusal::bad("message can't be edited")),
        None => Ok(draft),
    })
}

/// editMessageReplyMarkup
pub(super) fn reply_markup(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    change(bot, args, |old| Ok(old.draft.clone()))
}

/// deleteMessage
pub(super) fn delete(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    if args.text("chat_id").is_empty() {
        return Err(Refusal::bad("Chat identifier is not specified"));
    }
    if args.integer("message_id") == 0 {
        return Err(Refusal::bad("Message identifier is not specified"));
    }
    let mut state = bot.lock();
    let chat = state.reachable(args.text("chat_id"))?;
    let removed = state.chats.get_mut(&chat).is_some_and(|chat| chat.remove(args.integer("message_id")));
    drop(state);
    bot.touch();
    if removed { Ok(json!(true)) } else { Err(Refusal::bad("message to delete not found")) }
}

/// deleteMessages; those that are not there are passed over.
pub(super) fn delete_several(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    let list = args.json("message_ids");
    let list = list.as_ref().and_then(Value::as_array).filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| Refusal::bad("Message identifiers are not specified"))?;
    if list.len() > 100 {
        return Err(Refusal::bad("Too many message identifiers specified"));
    }
    let mut state = bot.lock();
    let chat = state.reachable(args.text("chat_id"))?;
    if let Some(chat) = state.chats.get_mut(&chat) {
        for id in list.iter().filter_map(Value::as_i64) {
            chat.remove(id);
        }
    }
    drop(state);
    bot.touch();
    Ok(json!(true))
}

/// The chat and the message that a call wants to change.
fn target(state: &State, args: &Args) -> Result<(i64, i64), Refusal> {
    if args.text("chat_id").is_empty() && args.integer("message_id") == 0 {
        return Err(Refusal::bad("Message identifier is not specified"));
    }
    let chat = state.reachable(args.text("chat_id"))?;
    let id = args.integer("message_id");
    let message = state.message(chat, id).ok_or_else(|| Refusal::bad("message to edit not found"))?;
    if message.from_bot { Ok((chat, id)) } else { Err(Refusal::bad("message can't be edited")) }
}

/// Replaces the content by what `make` gives; without a keyboard in the call the message loses its own.
fn change(
    bot: &Arc<Bot>,
    args: &Args,
    make: impl FnOnce(&Message) -> Result<Draft, Refusal>,
) -> Result<Value, Refusal> {
    let mut state = bot.lock();
    let (chat, id) = target(&state, args)?;
    let old = state.message(chat, id).ok_or_else(|| Refusal::bad("message to edit not found"))?;
    let place = Place { private: chat > 0, invoice: old.draft.invoice.is_some() };
    let markup = keyboard::read(args, place)?;
    let content = make(old)?;
    let draft = Draft {
        markup,
        reply_to: old.draft.reply_to,
        album: old.draft.album.clone(),
        invoice: old.draft.invoice,
        ..content
    };
    if draft.fields == old.draft.fields && draft.markup.as_ref() == old.inline_markup() {
        return Err(Refusal::bad(NOT_MODIFIED));
    }
    let wish = Wish { chat, group: state.is_group(chat), edit: true, messages: 1 };
    let now = now_ms();
    state.admit(wish, &bot.config, now)?;
    if let Some(message) = state.chats.get_mut(&chat).and_then(|chat| chat.messages.get_mut(&id)) {
        message.draft = draft;
        message.edited_ms = Some(now);
        message.edits += 1;
    }
    let shown = state.message_json(chat, id);
    drop(state);
    bot.touch();
    Ok(shown)
}
