//! The customer's side: what people do in chats with the bot, and what they see there.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use thiserror::Error;

use super::args::{Args, Upload};
use super::bot::Bot;
use super::chat::{Chat, kind_of};
use super::checkout;
use super::files::FileKind;
use super::media;
use super::message::Draft;
use super::state::{Press, State};
use super::text::Formatted;
use super::views::{
    CallView, CallbackAnswerView, ChatKind, ChatStanding, ChatView, DeliveryView, MessageView, PaymentView,
    Person,
};
use crate::clock::{now_ms, whole_ms};

/// The member of a group who speaks unless another is named.
const SOMEBODY: i64 = 5001;
/// Chats that can exist.
const CHATS_MAX: usize = 100_000;

/// Why a customer cannot do something.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CustomerError {
    /// The chat is blocked, deleted, upgraded or without the bot.
    #[error("nothing can be written into this chat as it stands")]
    Closed,
    /// There is no such message in the chat.
    #[error("there is no such message in the chat")]
    NoMessage,
    /// The message has no such button.
    #[error("the message has no such button")]
    NoButton,
    /// The file is not acceptable, in the words of the service.
    #[error("the file is refused: {0}")]
    BadFile(String),
    /// Only small groups become supergroups.
    #[error("only a small group can become a supergroup")]
    NotAGroup,
    /// There are too many chats.
    #[error("there are too many chats")]
    TooManyChats,
}

/// Why a payment came to nothing, or seems to have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PayError {
    /// The message or the link asks for no payment.
    #[error("there is no invoice")]
    NoInvoice,
    /// The bot declined, in these words.
    #[error("the bot declined: {0}")]
    Refused(String),
    /// The bot did not answer in time; nothing is charged.
    #[error("the bot did not answer in time")]
    TimedOut,
    /// The customer is told that it failed, and is charged (a script wants it so).
    #[error("the payment is said to have failed, but it was charged")]
    SaidFailed,
}

/// The messenger of a running simulator.
#[derive(Clone)]
pub struct Telegram(pub(crate) Arc<Bot>);

impl Telegram {
    /// The token that is accepted.
    pub fn token(&self) -> &str {
        &self.0.config.token
    }

    /// The bot's number.
    pub fn bot_id(&self) -> i64 {
        self.0.config.bot_id()
    }

    /// Base of the Bot API, without token and trailing slash: `<base>/bot<token>/<method>`.
    pub fn api_url(&self) -> &str {
        &self.0.around.base
    }

    /// A chat by its id: positive ids are customers, negative ones groups, those from -1000000000001 downwards
    /// supergroups. It exists for the bot once somebody has written into it.
    pub fn chat(&self, id: i64) -> TelegramChat {
        TelegramChat { bot: Arc::clone(&self.0), id, person: if id > 0 { id } else { SOMEBODY } }
    }

    /// All chats, by id.
    pub fn chats(&self) -> Vec<ChatView> {
        let state = self.0.lock();
        state.chats.keys().filter_map(|id| state.view(*id)).collect()
    }

    /// The newest calls, oldest first.
    pub fn calls(&self) -> Vec<CallView> {
        self.0.calls.all()
    }

    /// The newest calls of one method, oldest first.
    pub fn calls_of(&self, method: &str) -> Vec<CallView> {
        self.0.calls.newest(usize::MAX, |call| call.method.eq_ignore_ascii_case(method))
    }

    /// The newest deliveries to the webhook, oldest first.
    pub fn deliveries(&self) -> Vec<DeliveryView> {
        self.0.deliveries.all()
    }

    /// Whether a getUpdates is waiting.
    pub fn is_polled(&self) -> bool {
        self.0.polls.load(Ordering::Acquire) > 0
    }

    /// Updates that the bot has not taken yet, as they will be delivered.
    pub fn pending_updates(&self) -> Vec<Value> {
        self.0.lock().updates.all()
    }

    /// All charges, oldest first.
    pub fn payments(&self) -> Vec<PaymentView> {
        self.0.lock().stars.payments().to_vec()
    }

    /// The bot's Stars.
    pub fn stars(&self) -> u64 {
        self.0.lock().stars.balance
    }

    /// The bytes of a file, unless they were forgotten to keep within `media_bytes_max`.
    pub fn file(&self, file_id: &str) -> Option<Bytes> {
        self.0.lock().files.bytes(file_id)
    }

    /// Commands, names, descriptions and menu buttons, under `<what>:<scope and language>`.
    pub fn profile(&self) -> Value {
        Value::Object(self.0.lock().profile.clone())
    }

    /// Makes known how a customer is called; before, people are [`Person::new`].
    pub fn introduce(&self, person: Person) {
        self.0.lock().people.insert(person.id, person);
    }

    /// Waits until something is true of the messenger; `false` after `patience`.
    pub async fn wait_until(&self, patience: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let mut news = self.0.watch();
        let waiting = async {
            loop {
                news.mark_unchanged();
                if done(self) || news.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(patience, waiting).await.is_ok() || done(self)
    }
}

impl std::fmt::Debug for Telegram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telegram").field("bot", &self.bot_id()).finish_non_exhaustive()
    }
}

/// One chat, seen by a customer in it.
#[derive(Clone)]
pub struct TelegramChat {
    bot: Arc<Bot>,
    id: i64,
    person: i64,
}

impl TelegramChat {
    /// Its id.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The same group, with this person acting.
    #[must_use]
    pub fn by(self, person: i64) -> Self {
        Self { person, ..self }
    }

    /// Presses Start, or follows a link with this payload; a blocked bot is unblocked.
    pub fn start(&self, payload: Option<&str>) -> Result<i64, CustomerError> {
        self.unblock();
        self.say(&payload.map_or_else(|| "/start".to_owned(), |payload| format!("/start {payload}")))
    }

    /// Writes a text and gives the message's id.
    pub fn say(&self, text: &str) -> Result<i64, CustomerError> {
        self.send(typed(text))
    }

    /// Writes a text in reply to a message.
    pub fn reply(&self, to: i64, text: &str) -> Result<i64, CustomerError> {
        self.send(Draft { reply_to: Some(to), ..typed(text) })
    }

    /// Changes an own text.
    pub fn edit(&self, message_id: i64, text: &str) -> Result<(), CustomerError> {
        let draft = typed(text);
        let mut state = self.bot.lock();
        let messages = state.chats.get_mut(&self.id).map(|chat| &mut chat.messages);
        let message = messages.and_then(|messages| messages.get_mut(&message_id));
        let message = message.filter(|message| !message.from_bot).ok_or(CustomerError::NoMessage)?;
        message.draft.fields = draft.fields;
        message.edited_ms = Some(now_ms());
        message.edits += 1;
        let shown = state.message_json(self.id, message_id);
        self.bot.tell(&mut state, "edited_message", shown, self.id);
        Ok(())
    }

    /// Presses the button with this data and gives the query's id.
    pub fn press(&self, message_id: i64, data: &str) -> Result<String, CustomerError> {
        let mut state = self.bot.lock();
        let message = state.message(self.id, message_id).ok_or(CustomerError::NoMessage)?;
        if !message.has_data(data) {
            return Err(CustomerError::NoButton);
        }
        Ok(self.query(&mut state, message_id, data))
    }

    /// Sends any data in the name of a message's button, as a tampered client can.
    pub fn press_forged(&self, message_id: i64, data: &str) -> Result<String, CustomerError> {
        let mut state = self.bot.lock();
        state.message(self.id, message_id).ok_or(CustomerError::NoMessage)?;
        Ok(self.query(&mut state, message_id, data))
    }

    /// Presses the button with this text on the newest message that has one.
    pub fn press_text(&self, text: &str) -> Result<String, CustomerError> {
        let messages = self.messages();
        let found = messages.iter().rev().find_map(|message| Some((message.id, message.button(text)?)));
        let (id, button) = found.ok_or(CustomerError::NoButton)?;
        self.press(id, button.data.as_deref().ok_or(CustomerError::NoButton)?)
    }

    /// What the bot answered to a pressed button.
    pub fn answer(&self, query_id: &str) -> Option<CallbackAnswerView> {
        self.bot.lock().presses.get(query_id)?.answer.clone()
    }

    /// Sends a picture.
    pub fn send_photo(&self, bytes: impl Into<Bytes>, caption: &str) -> Result<i64, CustomerError> {
        self.send_file(FileKind::Photo, None, bytes.into(), caption)
    }

    /// Sends a file as it is.
    pub fn send_document(
        &self,
        name: &str,
        bytes: impl Into<Bytes>,
        caption: &str,
    ) -> Result<i64, CustomerError> {
        self.send_file(FileKind::Document, Some(name), bytes.into(), caption)
    }

    /// Sends a film.
    pub fn send_video(&self, bytes: impl Into<Bytes>, caption: &str) -> Result<i64, CustomerError> {
        self.send_file(FileKind::Video, None, bytes.into(), caption)
    }

    /// Sends a sound.
    pub fn send_audio(&self, bytes: impl Into<Bytes>, caption: &str) -> Result<i64, CustomerError> {
        self.send_file(FileKind::Audio, None, bytes.into(), caption)
    }

    /// Shares the own telephone number.
    pub fn send_contact(&self, phone: &str) -> Result<i64, CustomerError> {
        let person = self.bot.lock().person(self.person);
        let contact = json!({"phone_number": phone, "first_name": person.first_name, "user_id": person.id});
        self.send(Draft::new("contact").with("contact", contact))
    }

    /// Blocks the bot; in a group puts it out.
    pub fn block(&self) {
        self.change_standing(if self.id > 0 { ChatStanding::Blocked } else { ChatStanding::Kicked });
    }

    /// Lets the bot in again.
    pub fn unblock(&self) {
        self.change_standing(ChatStanding::Open);
    }

    /// The customer's account is gone; the bot is not told.
    pub fn deactivate(&self) {
        self.stand(ChatStanding::Deactivated);
    }

    /// A group is gone for good; a private chat loses its messages and stays open.
    pub fn delete(&self) {
        if self.id < 0 {
            return self.stand(ChatStanding::Deleted);
        }
        let mut state = self.bot.lock();
        if let Some(chat) = state.chats.get_mut(&self.id) {
            let ids: Vec<_> = chat.messages.keys().copied().collect();
            for id in ids {
                chat.remove(id);
            }
        }
        drop(state);
        self.bot.touch();
    }

    /// The customer deletes one message of the chat.
    pub fn delete_message(&self, message_id: i64) -> Result<(), CustomerError> {
        let mut state = self.bot.lock();
        let removed = state.chats.get_mut(&self.id).is_some_and(|chat| chat.remove(message_id));
        drop(state);
        self.bot.touch();
        if removed { Ok(()) } else { Err(CustomerError::NoMessage) }
    }

    /// A small group becomes a supergroup, whose id is given; both chats tell the bot.
    pub fn upgrade(&self) -> Result<i64, CustomerError> {
        if kind_of(self.id) != ChatKind::Group {
            return Err(CustomerError::NotAGroup);
        }
        let to = -1_000_000_000_000 + self.id;
        let mut state = self.bot.lock();
        self.writable(&mut state)?;
        let notices = [(self.id, "migrate_to_chat_id", to), (to, "migrate_from_chat_id", self.id)];
        state.upgrade(self.id, to);
        for (chat, name, other) in notices {
            let from = state.user(self.person);
            let id = state.add(chat, Draft::new(name).with(name, json!(other)), from, now_ms());
            let shown = state.message_json(chat, id);
            self.bot.tell(&mut state, "message", shown, chat);
        }
        Ok(to)
    }

    /// Pays the invoice of a message; may be done again. Returns once the bot has agreed and is told.
    pub async fn pay(&self, message_id: i64) -> Result<PaymentView, PayError> {
        let number = self.bot.lock().message(self.id, message_id).and_then(|message| message.draft.invoice);
        checkout::pay(&self.bot, self.person, number.ok_or(PayError::NoInvoice)?).await
    }

    /// Pays the invoice behind a link of createInvoiceLink; may be done again.
    pub async fn pay_link(&self, link: &str) -> Result<PaymentView, PayError> {
        let number = self.bot.lock().stars.behind(link);
        checkout::pay(&self.bot, self.person, number.ok_or(PayError::NoInvoice)?).await
    }

    /// The chat as it stands; `None` while nobody has written into it.
    pub fn view(&self) -> Option<ChatView> {
        self.bot.lock().view(self.id)
    }

    /// What stands in the chat, in order.
    pub fn messages(&self) -> Vec<MessageView> {
        self.view().map(|view| view.messages).unwrap_or_default()
    }

    /// Waits until something is true of the chat; `None` after `patience`.
    pub async fn wait_for(&self, patience: Duration, done: impl Fn(&ChatView) -> bool) -> Option<ChatView> {
        let telegram = Telegram(Arc::clone(&self.bot));
        telegram.wait_until(patience, |_| self.view().is_some_and(|view| done(&view))).await;
        self.view().filter(|view| done(view))
    }

    fn send_file(
        &self,
        kind: FileKind,
        name: Option<&str>,
        bytes: Bytes,
        caption: &str,
    ) -> Result<i64, CustomerError> {
        let upload = Upload { name: name.map(str::to_owned), mime: None, bytes };
        let args = Args::default();
        let new = media::inspect(kind, upload, &args)
            .map_err(|refusal| CustomerError::BadFile(refusal.description))?;
        let file = self.bot.lock().files.store(new);
        let mut draft = media::shown(&file, &args);
        Formatted::typed(caption).write(&mut draft.fields, "caption", "caption_entities");
        self.send(draft)
    }

    fn send(&self, draft: Draft) -> Result<i64, CustomerError> {
        let mut state = self.bot.lock();
        self.writable(&mut state)?;
        let from = state.user(self.person);
        let id = state.add(self.id, draft, from, now_ms());
        let shown = state.message_json(self.id, id);
        self.bot.tell(&mut state, "message", shown, self.id);
        Ok(id)
    }

    /// Makes the chat if there is none; fails if nothing can be written into it.
    fn writable(&self, state: &mut State) -> Result<(), CustomerError> {
        if !state.chats.contains_key(&self.id) {
            if state.chats.len() >= CHATS_MAX {
                return Err(CustomerError::TooManyChats);
            }
            state.chats.insert(self.id, Chat::new(self.id));
        }
        let open = state.chats.get(&self.id).is_some_and(|chat| chat.standing == ChatStanding::Open);
        if open { Ok(()) } else { Err(CustomerError::Closed) }
    }

    fn query(&self, state: &mut State, message_id: i64, data: &str) -> String {
        let id = state.number();
        let now = now_ms();
        let until_ms = now + whole_ms(self.bot.config.callback_query_life);
        state.pressed(id.clone(), Press { until_ms, answer: None }, now);
        let body = json!({
            "id": id,
            "from": state.user(self.person),
            "message": state.message_json(self.id, message_id),
            "chat_instance": crate::ids::fnv(&self.id.to_string()).to_string(),
            "data": data,
        });
        self.bot.tell(state, "callback_query", body, self.id);
        id
    }

    fn stand(&self, standing: ChatStanding) {
        let mut state = self.bot.lock();
        state.chats.entry(self.id).or_insert_with(|| Chat::new(self.id)).standing = standing;
        drop(state);
        self.bot.touch();
    }

    /// Blocks or lets in, and tells the bot if that changed anything.
    fn change_standing(&self, standing: ChatStanding) {
        let mut state = self.bot.lock();
        let Some(chat) = state.chats.get_mut(&self.id) else { return };
        let movable =
            matches!(chat.standing, ChatStanding::Open | ChatStanding::Blocked | ChatStanding::Kicked);
        if !movable || chat.standing == standing {
            return;
        }
        let word = |standing| if standing == ChatStanding::Open { "member" } else { "kicked" };
        let (old, new) = (word(chat.standing), word(standing));
        chat.standing = standing;
        let member = |status: &str, me: &Value| match status {
            "kicked" => json!({"user": me, "status": status, "until_date": 0}),
            _ => json!({"user": me, "status": status}),
        };
        let body = json!({
            "chat": state.chat_json(self.id),
            "from": state.user(self.person),
            "date": now_ms() / 1000,
            "old_chat_member": member(old, &state.me),
            "new_chat_member": member(new, &state.me),
        });
        self.bot.tell(&mut state, "my_chat_member", body, self.id);
    }
}

fn typed(text: &str) -> Draft {
    let mut draft = Draft::new("text");
    Formatted::typed(text).write(&mut draft.fields, "text", "entities");
    draft
}

impl std::fmt::Debug for TelegramChat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TelegramChat")
            .field("id", &self.id)
            .field("person", &self.person)
            .finish_non_exhaustive()
    }
}
