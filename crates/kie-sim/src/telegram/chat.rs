//! One chat: who may write into it and what stands in it.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::message::{Draft, Message};
use super::refusal::Refusal;
use super::views::{ChatKind, ChatStanding, Person};
use crate::fault::{BLOCKED, DEACTIVATED, GROUP_DELETED};

/// Messages kept in a chat; the oldest are forgotten.
const MESSAGES_KEPT: usize = 10_000;
/// Deleted identifiers and chat actions kept.
const TRACES_KEPT: usize = 1000;
/// Below this begin the ids of supergroups.
const SUPERGROUPS_BELOW: i64 = -1_000_000_000_000;

/// A chat and its messages.
#[derive(Debug)]
pub(crate) struct Chat {
    pub(crate) id: i64,
    pub(crate) kind: ChatKind,
    pub(crate) standing: ChatStanding,
    pub(crate) title: Option<String>,
    pub(crate) messages: BTreeMap<i64, Message>,
    pub(crate) deleted: VecDeque<i64>,
    pub(crate) actions: VecDeque<String>,
    last_id: i64,
}

impl Chat {
    pub(crate) fn new(id: i64) -> Self {
        let kind = kind_of(id);
        Self {
            id,
            kind,
            standing: ChatStanding::Open,
            title: (kind != ChatKind::Private).then(|| format!("Group {id}")),
            messages: BTreeMap::new(),
            deleted: VecDeque::new(),
            actions: VecDeque::new(),
            last_id: 0,
        }
    }

    pub(crate) fn is_group(&self) -> bool {
        self.kind != ChatKind::Private
    }

    /// As the Bot API shows it; a private chat bears the customer's name.
    pub(crate) fn json(&self, person: Option<&Person>) -> Value {
        let mut chat = json!({"id": self.id, "type": self.kind});
        if let Some(title) = &self.title {
            chat["title"] = json!(title);
        }
        if let Some(person) = person {
            chat["first_name"] = json!(person.first_name);
            if let Some(last) = &person.last_name {
                chat["last_name"] = json!(last);
            }
            if let Some(username) = &person.username {
                chat["username"] = json!(username);
            }
        }
        chat
    }

    /// Whether the bot may write here.
    pub(crate) fn open(&self) -> Result<(), Refusal> {
        match self.standing {
            ChatStanding::Open => Ok(()),
            ChatStanding::Blocked => Err(Refusal::new(403, BLOCKED)),
            ChatStanding::Deactivated => Err(Refusal::new(403, DEACTIVATED)),
            ChatStanding::Deleted => Err(Refusal::new(403, GROUP_DELETED)),
            ChatStanding::Kicked => Err(kicked(self.id)),
            ChatStanding::Upgraded(to) => Err(Refusal::migrated(to)),
        }
    }

    /// Adds a message and gives its id.
    pub(crate) fn add(&mut self, draft: Draft, from: Value, now_ms: u64) -> i64 {
        self.last_id += 1;
        let message = Message {
            id: self.last_id,
            from_bot: from["is_bot"].as_bool().unwrap_or(false),
            from,
            draft,
            sent_ms: now_ms,
            edited_ms: None,
            edits: 0,
            reactions: Vec::new(),
        };
        self.messages.insert(message.id, message);
        if self.messages.len() > MESSAGES_KEPT {
            self.messages.pop_first();
        }
        self.last_id
    }

    /// Removes a message; whether it was there.
    pub(crate) fn remove(&mut self, id: i64) -> bool {
        let there = self.messages.remove(&id).is_some();
        if there {
            keep(&mut self.deleted, id);
        }
        there
    }

    pub(crate) fn acted(&mut self, action: &str) {
        keep(&mut self.actions, action.to_owned());
    }
}

/// The refusal of a bot that was put out.
pub(crate) fn kicked(chat: i64) -> Refusal {
    let place = if kind_of(chat) == ChatKind::Supergroup { "supergroup" } else { "group" };
    Refusal::new(403, format!("Forbidden: bot was kicked from the {place} chat"))
}

pub(crate) fn kind_of(id: i64) -> ChatKind {
    match id {
        1.. => ChatKind::Private,
        _ if id < SUPERGROUPS_BELOW => ChatKind::Supergroup,
        _ => ChatKind::Group,
    }
}

fn keep<T>(traces: &mut VecDeque<T>, trace: T) {
    if traces.len() == TRACES_KEPT {
        traces.pop_front();
    }
    traces.push_back(trace);
}
