//! New messages of the bot.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock::now_ms;
use crate::telegram::args::Args;
use crate::telegram::bot::Bot;
use crate::telegram::files::FileKind;
use crate::telegram::flood::Wish;
use crate::telegram::keyboard::{self, Place};
use crate::telegram::media;
use crate::telegram::message::Draft;
use crate::telegram::refusal::Refusal;
use crate::telegram::state::State;
use crate::telegram::text::Formatted;

const ACTIONS: [&str; 11] = [
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
];

/// sendMessage
pub(super) fn message(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    let text = Formatted::message(args, "Message is too long")?;
    let mut draft = Draft::new("text");
    text.write(&mut draft.fields, "text", "entities");
    post(bot, args, draft)
}

/// sendPhoto, sendVideo, sendAudio, sendDocument, sendAnimation, sendVoice
pub(super) async fn media(bot: &Arc<Bot>, args: &Args, kind: FileKind) -> Result<Value, Refusal> {
    bot.lock().reachable(args.text("chat_id"))?;
    let draft = media::draft(bot, args, kind, kind.field()).await?;
    post(bot, args, draft)
}

/// Puts a message into the chat that the call names.
pub(super) fn post(bot: &Arc<Bot>, args: &Args, mut draft: Draft) -> Result<Value, Refusal> {
    let mut state = bot.lock();
    let chat = state.reachable(args.text("chat_id"))?;
    let place = Place { private: chat > 0, invoice: draft.invoice.is_some() };
    draft.markup = keyboard::read(args, place)?.or(draft.markup);
    draft.reply_to = state.replied(chat, args)?;
    admit(bot, &mut state, chat, 1)?;
    let id = state.add_from_bot(chat, draft, now_ms());
    let shown = state.message_json(chat, id);
    drop(state);
    bot.touch();
    Ok(shown)
}

/// Counts so many messages against the limits.
pub(super) fn admit(bot: &Bot, state: &mut State, chat: i64, messages: u32) -> Result<(), Refusal> {
    let wish = Wish { chat, group: state.is_group(chat), edit: false, messages };
    state.admit(wish, &bot.config, now_ms())
}

/// sendChatAction
pub(super) fn chat_action(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    let action = args.text("action").to_ascii_lowercase();
    if !ACTIONS.contains(&action.as_str()) {
        return Err(Refusal::bad("Wrong parameter action in request"));
    }
    let mut state = bot.lock();
    let chat = state.reachable(args.text("chat_id"))?;
    if let Some(chat) = state.chats.get_mut(&chat) {
        chat.acted(&action);
    }
    drop(state);
    bot.touch();
    Ok(json!(true))
}

/// setMessageReaction
pub(super) fn reaction(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    let mut state = bot.lock();
    let chat = state.reachable(args.text("chat_id"))?;
    let emoji = match args.json("reaction") {
        Some(Value::Array(list)) => {
            list.iter().filter_map(|one| Some(one["emoji"].as_str()?.to_owned())).collect()
        }
        _ => Vec::new(),
    };
    let messages = state.chats.get_mut(&chat).map(|chat| &mut chat.messages);
    let message = messages.and_then(|messages| messages.get_mut(&args.integer("message_id")));
    message.ok_or_else(|| Refusal::bad("message to react not found"))?.reactions = emoji;
    drop(state);
    bot.touch();
    Ok(json!(true))
}
