//! A channel that remembers instead of telling, for tests and dry runs.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use domain::{DeliveryEvent, DeliveryId, JobId, JobState, Timestamp};

use crate::{Channel, Message, Outcome};

/// Remembers every try and answers as told; without being told, every try is taken.
#[derive(Debug)]
pub struct Recording {
    kind: domain::Channel,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    sent: Vec<Sent>,
    answers: VecDeque<Outcome>,
}

/// One remembered try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The duty.
    pub delivery: DeliveryId,
    /// Where it was to go.
    pub address: String,
    /// What it told of.
    pub event: DeliveryEvent,
    /// The job it told of.
    pub job: JobId,
    /// The job's state at that moment.
    pub state: JobState,
    /// Whether the job was a gift.
    pub gift: bool,
    /// The moment of the try.
    pub at: Timestamp,
    /// What it was answered.
    pub outcome: Outcome,
}

impl Recording {
    /// A recording that stands in for a channel of this kind.
    pub fn new(kind: domain::Channel) -> Self {
        Self { kind, inner: Mutex::default() }
    }

    /// Answers the next try that has no answer yet with `outcome`.
    pub fn answer_next(&self, outcome: Outcome) {
        self.lock().answers.push_back(outcome);
    }

    /// Every try so far, in order.
    pub fn sent(&self) -> Vec<Sent> {
        self.lock().sent.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Channel for Recording {
    fn kind(&self) -> domain::Channel {
        self.kind
    }

    async fn deliver(&self, message: &Message<'_>) -> Outcome {
        let mut inner = self.lock();
        let outcome = inner.answers.pop_front().unwrap_or(Outcome::Delivered);
        inner.sent.push(Sent {
            delivery: message.delivery.id,
            address: message.delivery.address.clone(),
            event: message.delivery.event,
            job: message.job.id,
            state: message.job.state,
            gift: message.job.gift,
            at: message.at,
            outcome: outcome.clone(),
        });
        outcome
    }
}
