//! A recipient that answers as told and remembers every try.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use delivery::{Channel, Message, Outcome};
use domain::{AccountId, Chance, DeliveryEvent, DeliveryId, JobId, SeededChance, Timestamp};
use tokio::sync::Semaphore;

use crate::gate::Gate;

/// One try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) id: DeliveryId,
    pub(crate) job: JobId,
    pub(crate) event: DeliveryEvent,
    pub(crate) gift: bool,
    pub(crate) at: Timestamp,
    pub(crate) taken: bool,
}

#[derive(Default)]
struct State {
    heard: Vec<Heard>,
    answers: VecDeque<Outcome>,
    every: Option<Outcome>,
    weather: Option<(SeededChance, f64)>,
    slow: Option<AccountId>,
    /// Tries that the slow account's receivers have open.
    open: usize,
}

impl State {
    fn weathered(&self) -> Outcome {
        match &self.weather {
            Some((chance, rate)) if chance.fraction() < *rate => {
                if chance.fraction() < 0.1 {
                    gone()
                } else {
                    deaf()
                }
            }
            Some(_) | None => Outcome::Delivered,
        }
    }
}

pub(crate) struct Ears {
    gate: Arc<Gate>,
    state: Mutex<State>,
    answers: Semaphore,
}

impl Ears {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self { gate, state: Mutex::default(), answers: Semaphore::new(0) }
    }

    pub(crate) fn answer_next(&self, outcome: Outcome) {
        self.state.lock().unwrap().answers.push_back(outcome);
    }

    pub(crate) fn answer_all(&self, outcome: Option<Outcome>) {
        self.state.lock().unwrap().every = outcome;
    }

    pub(crate) fn set_weather(&self, weather: Option<(SeededChance, f64)>) {
        self.state.lock().unwrap().weather = weather;
    }

    /// This account's receivers answer when they are let, and not within a second.
    pub(crate) fn set_slow(&self, account: Option<AccountId>) {
        self.state.lock().unwrap().slow = account;
    }

    pub(crate) fn let_answer(&self, tries: usize) {
        self.answers.add_permits(tries);
    }

    pub(crate) fn open(&self) -> usize {
        self.state.lock().unwrap().open
    }

    async fn dawdle(&self, account: AccountId) {
        if self.state.lock().unwrap().slow == Some(account) {
            self.state.lock().unwrap().open += 1;
            tokio::time::sleep(Duration::from_millis(1_100)).await;
            self.answers.acquire().await.unwrap().forget();
            self.state.lock().unwrap().open -= 1;
        }
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.state.lock().unwrap().heard.clone()
    }
}

pub(crate) fn deaf() -> Outcome {
    Outcome::Retry { after: None, error: "503".to_owned() }
}

fn gone() -> Outcome {
    Outcome::Gone { error: "410".to_owned() }
}

#[async_trait]
impl Channel for Ears {
    fn kind(&self) -> domain::Channel {
        domain::Channel::Webhook
    }

    async fn deliver(&self, message: &Message<'_>) -> Outcome {
        self.gate.stop("before deliver").await;
        self.dawdle(message.job.account).await;
        let outcome = {
            let mut state = self.state.lock().unwrap();
            let planned = state.answers.pop_front().or_else(|| state.every.clone());
            let outcome = planned.unwrap_or_else(|| state.weathered());
            state.heard.push(Heard {
                id: message.delivery.id,
                job: message.job.id,
                event: message.delivery.event,
                gift: message.job.gift,
                at: message.at,
                taken: outcome == Outcome::Delivered,
            });
            outcome
        };
        self.gate.stop("after deliver").await;
        outcome
    }
}
