//! What tests can see of the messenger: chats, messages, calls, payments, deliveries.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ring::Weight;
use crate::views::lengths;

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The account's number, also that of the private chat.
    pub id: i64,
    /// Never empty.
    pub first_name: String,
    /// May be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// Without the at sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// An IETF tag such as `ru`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language_code: Option<String>,
}

impl Person {
    /// A person without last name, `user<id>` by name, whose language is Russian.
    pub fn new(id: i64) -> Self {
        Self {
            id,
            first_name: format!("User {id}"),
            last_name: None,
            username: Some(format!("user{id}")),
            language_code: Some("ru".to_owned()),
        }
    }
}

/// The kinds of chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatKind {
    /// One customer and the bot.
    Private,
    /// A small group, with a negative id.
    Group,
    /// A large group, with an id that begins with -100.
    Supergroup,
}

/// How the bot stands in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChatStanding {
    /// It may write.
    Open,
    /// The customer blocked it.
    Blocked,
    /// The customer's account is gone.
    Deactivated,
    /// It was put out of the group.
    Kicked,
    /// The group is gone.
    Deleted,
    /// The group became the supergroup with this id.
    Upgraded(i64),
}

/// A chat as the customer sees it.
#[derive(Debug, Clone, Serialize)]
pub struct ChatView {
    /// Positive for a private chat.
    pub id: i64,
    /// What kind it is.
    pub kind: ChatKind,
    /// Whether the bot may write.
    pub standing: ChatStanding,
    /// The name of a group.
    pub title: Option<String>,
    /// What stands in it, in order, with edits applied and without what was deleted.
    pub messages: Vec<MessageView>,
    /// Identifiers of messages that were deleted, oldest first.
    pub deleted: Vec<i64>,
    /// The newest of what the bot said it was doing (`typing`, …), oldest first.
    pub actions: Vec<String>,
}

impl ChatView {
    /// The messages of the bot, in order.
    pub fn from_bot(&self) -> impl DoubleEndedIterator<Item = &MessageView> {
        self.messages.iter().filter(|message| message.from_bot)
    }

    /// The newest message of the bot.
    pub fn last_from_bot(&self) -> Option<&MessageView> {
        self.from_bot().next_back()
    }

    /// One message.
    pub fn find(&self, message_id: i64) -> Option<&MessageView> {
        self.messages.iter().find(|message| message.id == message_id)
    }
}

/// A message as it stands now.
#[derive(Debug, Clone, Serialize)]
pub struct MessageView {
    /// Grows within the chat.
    pub id: i64,
    /// Whether the bot wrote it.
    pub from_bot: bool,
    /// `text`, `photo`, `video`, `audio`, `document`, `animation`, `voice`, `contact`, `invoice`,
    /// `successful_payment`, `refunded_payment`, or the name of a service message.
    pub kind: String,
    /// The text or the caption, without its markup.
    pub text: Option<String>,
    /// Entities of the text or the caption.
    pub entities: Vec<Map<String, Value>>,
    /// The media; of a photo the largest size.
    pub file: Option<FileView>,
    /// Inline buttons by row.
    pub buttons: Vec<Vec<ButtonView>>,
    /// The reply keyboard or its removal, as it was sent.
    pub keyboard: Option<Value>,
    /// What it asks to be paid.
    pub invoice: Option<InvoiceView>,
    /// The message it replies to.
    pub reply_to: Option<i64>,
    /// Shared by the messages of an album.
    pub media_group_id: Option<String>,
    /// The emoji the bot put on it.
    pub reactions: Vec<String>,
    /// Milliseconds since the epoch.
    pub sent_ms: u64,
    /// Milliseconds since the epoch of the last edit.
    pub edited_ms: Option<u64>,
    /// How often it was edited.
    pub edits: u32,
    /// The message as the Bot API shows it.
    pub raw: Value,
}

impl MessageView {
    /// The button with this text.
    pub fn button(&self, text: &str) -> Option<&ButtonView> {
        self.buttons.iter().flatten().find(|button| button.text == text)
    }
}

/// An inline button.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ButtonView {
    /// What it says.
    pub text: String,
    /// What pressing it tells the bot.
    pub data: Option<String>,
    /// Where it leads.
    pub url: Option<String>,
    /// The web app it opens.
    pub web_app: Option<String>,
    /// Whether it pays the invoice.
    pub pay: bool,
}

/// A file of a message; its bytes are at [`crate::Telegram::file`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileView {
    /// What the bot may send again.
    pub file_id: String,
    /// The same for equal bytes.
    pub file_unique_id: String,
    /// As it was given.
    pub name: Option<String>,
    /// As it was given or seen in the bytes.
    pub mime: String,
    /// In bytes.
    pub bytes: u64,
    /// Lower-case hex.
    pub sha256: String,
    /// In pixels, where known.
    pub width: Option<u32>,
    /// In pixels, where known.
    pub height: Option<u32>,
    /// In seconds, as the bot said.
    pub duration: Option<u32>,
}

/// An invoice in a message or behind a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvoiceView {
    /// The name of the goods.
    pub title: String,
    /// What they are.
    pub description: String,
    /// The bot's own reference, which customers do not see.
    pub payload: String,
    /// `XTR`.
    pub currency: String,
    /// In Stars.
    pub amount: u64,
    /// Where it can be paid, for one made by createInvoiceLink.
    pub link: Option<String>,
    /// Charges it has led to.
    pub paid: Vec<String>,
}

/// A charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaymentView {
    /// `telegram_payment_charge_id`.
    pub charge_id: String,
    /// Who paid.
    pub user_id: i64,
    /// In Stars.
    pub amount: u64,
    /// The bot's own reference.
    pub payload: String,
    /// Milliseconds since the epoch.
    pub at_ms: u64,
    /// Milliseconds since the epoch of the refund.
    pub refunded_ms: Option<u64>,
}

/// What the bot answered to a pressed button.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallbackAnswerView {
    /// The notice, if there is one.
    pub text: Option<String>,
    /// Whether the notice has to be closed by hand.
    pub alert: bool,
    /// What is opened.
    pub url: Option<String>,
}

/// A call of the bot.
#[derive(Debug, Clone, Serialize)]
pub struct CallView {
    /// Milliseconds since the epoch.
    pub at_ms: u64,
    /// In lower case.
    pub method: String,
    /// The chat it names.
    pub chat: Option<i64>,
    /// Parameters, long ones shortened, files by name and size.
    pub args: Map<String, Value>,
    /// Whether it was carried out.
    pub ok: bool,
    /// HTTP status and error code; 200 if it was carried out, even if the answer was lost.
    pub code: u16,
    /// The refusal.
    pub description: Option<String>,
    /// The message that was made.
    pub message_id: Option<i64>,
    /// Whether the caller got a proper answer.
    pub answered: bool,
    /// In milliseconds.
    pub took_ms: u64,
}

/// One delivery of an update to the webhook.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryView {
    /// Milliseconds since the epoch when it was sent.
    pub at_ms: u64,
    /// The update.
    pub update_id: i64,
    /// 1 for the first delivery.
    pub attempt: u32,
    /// The receiver's HTTP status; `None` without an answer.
    pub status: Option<u16>,
    /// Why it was not accepted.
    pub error: Option<String>,
}

/// What an entry of a JSON object takes beside its texts, about.
const ENTRY_BYTES: usize = 128;

impl Weight for CallView {
    fn bytes(&self) -> usize {
        let text = |value: &Value| value.as_str().map_or(0, str::len);
        let args: usize = self.args.iter().map(|(name, value)| ENTRY_BYTES + name.len() + text(value)).sum();
        size_of::<Self>() + self.method.len() + args + lengths(&[&self.description])
    }
}

impl Weight for DeliveryView {
    fn bytes(&self) -> usize {
        size_of::<Self>() + lengths(&[&self.error])
    }
}
