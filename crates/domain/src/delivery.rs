//! Deliveries: duties to tell recipients of events.

use serde::{Deserialize, Serialize};

use crate::{AccountId, DeliveryId, JobId, Timestamp, text_enum::text_enum};

text_enum!(
    /// How a recipient is reached.
    Channel, "channel" {
        /// An HTTP request to the customer's address, signed by Standard Webhooks.
        Webhook = "webhook",
        /// A message in a Telegram chat.
        Telegram = "telegram",
    }
);

text_enum!(
    /// What a recipient is told of.
    DeliveryEvent, "event" {
        /// The job's outputs are stored.
        JobDone = "job.done",
        /// The job ended without outputs.
        JobFailed = "job.failed",
    }
);

text_enum!(
    /// Where a delivery stands.
    DeliveryState, "delivery state" {
        /// Still to be made.
        Pending = "pending",
        /// The recipient took it.
        Done = "done",
        /// Given up; can be sent again.
        Dead = "dead",
    }
);

/// Where a result is to go, as ordered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "channel", rename_all = "lowercase")]
pub enum Recipient {
    /// The customer's own address.
    Webhook {
        /// An https address, checked at order time and at every sending.
        url: String,
    },
    /// The account's own chat.
    Telegram {
        /// Telegram's number of the chat.
        chat_id: i64,
    },
}

impl Recipient {
    /// The channel that reaches it.
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Webhook { .. } => Channel::Webhook,
            Self::Telegram { .. } => Channel::Telegram,
        }
    }

    /// The address as one text: the URL or the chat's number.
    pub fn address(&self) -> String {
        match self {
            Self::Webhook { url } => url.clone(),
            Self::Telegram { chat_id } => chat_id.to_string(),
        }
    }
}

/// One duty to tell one recipient over one channel of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id; also the message id the recipient sees, the same at every try.
    pub id: DeliveryId,
    /// The job it tells of.
    pub job: JobId,
    /// The job's owner.
    pub account: AccountId,
    /// How.
    pub channel: Channel,
    /// Where: a URL, or a chat's number.
    pub address: String,
    /// Of what.
    pub event: DeliveryEvent,
    /// Where it stands.
    pub state: DeliveryState,
    /// Tries so far.
    pub attempts: u32,
    /// When the next try is due; none once done or dead.
    pub wake_at: Option<Timestamp>,
    /// Number of the current claim.
    pub fence: i64,
    /// When the recipient took it.
    pub delivered_at: Option<Timestamp>,
    /// What the last failed try met.
    pub last_error: Option<String>,
    /// When the duty arose.
    pub created_at: Timestamp,
}
