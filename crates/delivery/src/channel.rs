//! The port that every way of telling people implements.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use domain::{Delivery, Job, Timestamp};

/// One way of telling people.
#[async_trait]
pub trait Channel: Send + Sync {
    /// The way it is, as delivery rows name it.
    fn kind(&self) -> domain::Channel;

    /// Makes one try, within a time limit of its own; never repeats by itself.
    async fn deliver(&self, message: &Message<'_>) -> Outcome;
}

/// What one try has to tell.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// The duty; its id is the message's id at every try and replay.
    pub delivery: &'a Delivery,
    /// The job it tells of, as it is now.
    pub job: &'a Job,
    /// The account's signing key for webhooks.
    pub webhook_key: &'a [u8; 32],
    /// The moment of this try.
    pub at: Timestamp,
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("delivery", &self.delivery.id)
            .field("event", &self.delivery.event)
            .field("job", &self.job.id)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The recipient took it.
    Delivered,
    /// Not taken; another try may succeed.
    Retry {
        /// The wait that the recipient asks for; the caller takes the longer of it and its schedule.
        after: Option<Duration>,
        /// What happened, fit for the owner's eyes; holds no secret of the address.
        error: String,
    },
    /// The recipient is gone for good; further tries are useless.
    Gone {
        /// What happened, fit for the owner's eyes; holds no secret of the address.
        error: String,
    },
}
