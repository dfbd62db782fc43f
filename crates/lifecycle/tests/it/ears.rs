//! A recipient that answers as told and remembers every try.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use delivery::{Channel, Message, Outcome};
use domain::{Chance, DeliveryEvent, DeliveryId, JobId, SeededChance, Timestamp};

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
}

impl Ears {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self { gate, state: Mutex::default() }
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
