//! One message: what it holds and how the Bot API shows it.

use serde_json::{Map, Value, json};

use super::views::{ButtonView, InvoiceView, MessageView};
use crate::telegram::files::Files;

/// What a message is made of, before it is sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) kind: &'static str,
    /// Text, media and the like, as the Bot API names them.
    pub(crate) fields: Map<String, Value>,
    /// The file whose bytes count.
    pub(crate) file: Option<String>,
    pub(crate) invoice: Option<u64>,
    pub(crate) markup: Option<Value>,
    pub(crate) reply_to: Option<i64>,
    pub(crate) album: Option<String>,
}

impl Draft {
    pub(crate) fn new(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.fields.insert(name.to_owned(), value);
        self
    }
}

/// A message in its chat.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: i64,
    /// The sender as the Bot API shows it.
    pub(crate) from: Value,
    pub(crate) from_bot: bool,
    pub(crate) draft: Draft,
    pub(crate) sent_ms: u64,
    pub(crate) edited_ms: Option<u64>,
    pub(crate) edits: u32,
    pub(crate) reactions: Vec<String>,
}

impl Message {
    /// As the Bot API shows it; `replied` is the message it replies to.
    pub(crate) fn json(&self, chat: &Value, replied: Option<&Self>) -> Value {
        let mut object = Map::new();
        object.insert("message_id".to_owned(), json!(self.id));
        object.insert("from".to_owned(), self.from.clone());
        object.insert("chat".to_owned(), chat.clone());
        object.insert("date".to_owned(), json!(self.sent_ms / 1000));
        if let Some(ms) = self.edited_ms {
            object.insert("edit_date".to_owned(), json!(ms / 1000));
        }
        if let Some(replied) = replied {
            object.insert("reply_to_message".to_owned(), replied.json(chat, None));
        }
        if let Some(album) = &self.draft.album {
            object.insert("media_group_id".to_owned(), json!(album));
        }
        object.extend(self.draft.fields.clone());
        if let Some(markup) = self.inline_markup() {
            object.insert("reply_markup".to_owned(), markup.clone());
        }
        Value::Object(object)
    }

    /// The inline keyboard; other keyboards are not shown by the Bot API.
    pub(crate) fn inline_markup(&self) -> Option<&Value> {
        self.draft.markup.as_ref().filter(|markup| markup.get("inline_keyboard").is_some())
    }

    /// Whether a button with this data can be pressed.
    pub(crate) fn has_data(&self, data: &str) -> bool {
        self.buttons().iter().flatten().any(|button| button.data.as_deref() == Some(data))
    }

    pub(crate) fn view(
        &self,
        chat: &Value,
        replied: Option<&Self>,
        files: &Files,
        invoice: Option<InvoiceView>,
    ) -> MessageView {
        let fields = &self.draft.fields;
        let text = fields.get("text").or_else(|| fields.get("caption")).and_then(Value::as_str);
        let entities = fields.get("entities").or_else(|| fields.get("caption_entities"));
        let entities = entities.and_then(|list| serde_json::from_value(list.clone()).ok());
        let keyboard = self.draft.markup.clone().filter(|_| self.inline_markup().is_none());
        MessageView {
            id: self.id,
            from_bot: self.from_bot,
            kind: self.draft.kind.to_owned(),
            text: text.map(str::to_owned),
            entities: entities.unwrap_or_default(),
            file: self.draft.file.as_deref().and_then(|id| files.find(id)).map(|file| file.view()),
            buttons: self.buttons(),
            keyboard,
            invoice,
            reply_to: self.draft.reply_to,
            media_group_id: self.draft.album.clone(),
            reactions: self.reactions.clone(),
            sent_ms: self.sent_ms,
            edited_ms: self.edited_ms,
            edits: self.edits,
            raw: self.json(chat, replied),
        }
    }

    fn buttons(&self) -> Vec<Vec<ButtonView>> {
        let rows = self.inline_markup().and_then(|markup| markup["inline_keyboard"].as_array());
        let text = |button: &Value, name: &str| button.get(name).and_then(Value::as_str).map(str::to_owned);
        let view = |button: &Value| ButtonView {
            text: text(button, "text").unwrap_or_default(),
            data: text(button, "callback_data"),
            url: text(button, "url"),
            web_app: button.get("web_app").and_then(|app| text(app, "url")),
            pay: button.get("pay").and_then(Value::as_bool).unwrap_or(false),
        };
        rows.into_iter()
            .flatten()
            .map(|row| row.as_array().into_iter().flatten().map(view).collect())
            .collect()
    }
}
