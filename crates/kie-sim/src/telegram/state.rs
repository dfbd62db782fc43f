//! Everything the messenger remembers, under one lock.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::args::Args;
use super::chat::Chat;
use super::config::TelegramConfig;
use super::files::Files;
use super::flood::{Flood, Wish};
use super::message::{Draft, Message};
use super::refusal::Refusal;
use super::stars::Stars;
use super::updates::Updates;
use super::views::{CallbackAnswerView, ChatStanding, ChatView, Person};
use crate::fault::CHAT_NOT_FOUND;
use crate::ids::SplitMix;

/// Queries kept; when there are more, those that are over are forgotten.
const QUERIES_MAX: usize = 10_000;

/// A pressed button.
#[derive(Debug, Clone)]
pub(crate) struct Press {
    pub(crate) until_ms: u64,
    pub(crate) answer: Option<CallbackAnswerView>,
}

/// A customer who is about to pay.
#[derive(Debug, Clone)]
pub(crate) struct Checkout {
    pub(crate) until_ms: u64,
    /// Whether the bot agrees, or why it does not.
    pub(crate) answer: Option<Result<(), String>>,
}

/// Chats, files, updates, money.
pub(crate) struct State {
    pub(crate) chats: BTreeMap<i64, Chat>,
    pub(crate) people: HashMap<i64, Person>,
    pub(crate) files: Files,
    pub(crate) updates: Updates,
    pub(crate) stars: Stars,
    pub(crate) presses: HashMap<String, Press>,
    pub(crate) checkouts: HashMap<String, Checkout>,
    /// Name, descriptions, commands and menu buttons as they were set.
    pub(crate) profile: Map<String, Value>,
    /// The bot as the Bot API shows it.
    pub(crate) me: Value,
    flood: Flood,
    mix: SplitMix,
}

impl State {
    pub(crate) fn new(config: &TelegramConfig, seed: u64) -> Self {
        let me = json!({
            "id": config.bot_id(),
            "is_bot": true,
            "first_name": "Simulated bot",
            "username": config.username,
        });
        Self {
            chats: BTreeMap::new(),
            people: HashMap::new(),
            files: Files::new(config.media_bytes_max, seed ^ 1),
            updates: Updates::new(seed),
            stars: Stars::new(config.stars),
            presses: HashMap::new(),
            checkouts: HashMap::new(),
            profile: Map::new(),
            me,
            flood: Flood::default(),
            mix: SplitMix::new(seed ^ 2),
        }
    }

    /// A number that is an id of a query.
    pub(crate) fn number(&mut self) -> String {
        (self.mix.next() >> 1).max(1).to_string()
    }

    /// A random text of so many times eight bytes.
    pub(crate) fn noise(&mut self, words: usize) -> String {
        let bytes: Vec<u8> = (0..words).flat_map(|_| self.mix.next().to_be_bytes()).collect();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(crate) fn person(&self, id: i64) -> Person {
        self.people.get(&id).cloned().unwrap_or_else(|| Person::new(id))
    }

    /// A customer as the Bot API shows it.
    pub(crate) fn user(&self, id: i64) -> Value {
        let mut user = json!(self.person(id));
        user["is_bot"] = json!(false);
        user
    }

    pub(crate) fn chat_json(&self, id: i64) -> Value {
        let person = (id > 0).then(|| self.person(id));
        self.chats
            .get(&id)
            .map_or_else(|| json!({"id": id, "type": "private"}), |chat| chat.json(person.as_ref()))
    }

    /// The chat a call names, if the bot may write there.
    pub(crate) fn reachable(&self, chat_id: &str) -> Result<i64, Refusal> {
        let chat = self.known(chat_id)?;
        chat.open()?;
        Ok(chat.id)
    }

    /// The chat a call names.
    pub(crate) fn known(&self, chat_id: &str) -> Result<&Chat, Refusal> {
        if chat_id.is_empty() {
            return Err(Refusal::bad("chat_id is empty"));
        }
        let missing = || Refusal::new(400, CHAT_NOT_FOUND);
        let id: i64 = chat_id.trim().parse().map_err(|_ignored| missing())?;
        self.chats.get(&id).ok_or_else(missing)
    }

    /// Counts a call against the limits.
    pub(crate) fn admit(&mut self, wish: Wish, config: &TelegramConfig, now_ms: u64) -> Result<(), Refusal> {
        if !config.limits {
            return Ok(());
        }
        self.flood.admit(wish, config.chat_burst, now_ms).map_err(Refusal::flood)
    }

    pub(crate) fn is_group(&self, chat: i64) -> bool {
        self.chats.get(&chat).is_some_and(Chat::is_group)
    }

    /// The message a call replies to.
    pub(crate) fn replied(&self, chat: i64, args: &Args) -> Result<Option<i64>, Refusal> {
        let (id, lenient) = match args.json("reply_parameters") {
            Some(parameters) => {
                let lenient = parameters["allow_sending_without_reply"].as_bool().unwrap_or(false);
                (parameters["message_id"].as_i64().unwrap_or(0), lenient)
            }
            None if args.has("reply_parameters") => {
                return Err(Refusal::bad("Can't parse reply parameters JSON object"));
            }
            None => (args.integer("reply_to_message_id"), args.flag("allow_sending_without_reply")),
        };
        if id == 0 {
            return Ok(None);
        }
        match self.message(chat, id) {
            Some(_) => Ok(Some(id)),
            None if lenient => Ok(None),
            None => Err(Refusal::bad("message to be replied not found")),
        }
    }

    pub(crate) fn message(&self, chat: i64, id: i64) -> Option<&Message> {
        self.chats.get(&chat)?.messages.get(&id)
    }

    /// A message as the Bot API shows it.
    pub(crate) fn message_json(&self, chat: i64, id: i64) -> Value {
        let Some(message) = self.message(chat, id) else { return Value::Null };
        let replied = message.draft.reply_to.and_then(|id| self.message(chat, id));
        message.json(&self.chat_json(chat), replied)
    }

    /// Adds a message of the bot.
    pub(crate) fn add_from_bot(&mut self, chat: i64, draft: Draft, now_ms: u64) -> i64 {
        let me = self.me.clone();
        self.add(chat, draft, me, now_ms)
    }

    /// Adds a message; makes the chat if there is none.
    pub(crate) fn add(&mut self, chat: i64, draft: Draft, from: Value, now_ms: u64) -> i64 {
        self.chats.entry(chat).or_insert_with(|| Chat::new(chat)).add(draft, from, now_ms)
    }

    /// The chat with its messages as the customer sees them.
    pub(crate) fn view(&self, id: i64) -> Option<ChatView> {
        let chat = self.chats.get(&id)?;
        let json = self.chat_json(id);
        let view = |message: &Message| {
            let replied = message.draft.reply_to.and_then(|id| chat.messages.get(&id));
            let invoice = message.draft.invoice.and_then(|number| self.stars.invoice(number)).cloned();
            message.view(&json, replied, &self.files, invoice)
        };
        Some(ChatView {
            id,
            kind: chat.kind,
            standing: chat.standing,
            title: chat.title.clone(),
            messages: chat.messages.values().map(view).collect(),
            deleted: chat.deleted.iter().copied().collect(),
            actions: chat.actions.iter().cloned().collect(),
        })
    }

    /// A supergroup that a group became.
    pub(crate) fn upgrade(&mut self, from: i64, to: i64) {
        let title = self.chats.get(&from).and_then(|chat| chat.title.clone());
        let chat = self.chats.entry(to).or_insert_with(|| Chat::new(to));
        chat.title = title.or_else(|| chat.title.take());
        if let Some(old) = self.chats.get_mut(&from) {
            old.standing = ChatStanding::Upgraded(to);
        }
    }

    /// Remembers a pressed button.
    pub(crate) fn pressed(&mut self, id: String, press: Press, now_ms: u64) {
        if self.presses.len() >= QUERIES_MAX {
            self.presses.retain(|_, press| press.until_ms > now_ms);
        }
        self.presses.insert(id, press);
    }

    /// Remembers a checkout.
    pub(crate) fn checking_out(&mut self, id: String, checkout: Checkout, now_ms: u64) {
        if self.checkouts.len() >= QUERIES_MAX {
            self.checkouts.retain(|_, checkout| checkout.until_ms > now_ms);
        }
        self.checkouts.insert(id, checkout);
    }
}
