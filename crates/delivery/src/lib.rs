//! Telling people: delivery channels.
//!
//! A delivery is a duty from an outbox row; a [`Channel`] makes one try of it and says what came of it. The row, the
//! claim and the waiting belong to the caller: it counts the tries and asks [`retry_delay`] for the next one. A
//! message may arrive more than once, always under the id of its delivery.

mod address;
mod channel;
mod recording;
mod schedule;
mod signature;
mod webhook;

pub use address::{WebhookUrlError, check_webhook_url};
pub use channel::{Channel, Message, Outcome};
pub use outbound::Guard;
pub use recording::{Recording, Sent};
pub use schedule::{TRIES_MAX, retry_delay};
pub use signature::webhook_secret;
pub use webhook::Webhooks;
