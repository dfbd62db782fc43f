//! What the customers order and do: a pure function of the seed.

use std::time::Duration;

use serde_json::{Value, json};

use super::Scale;
use super::dice::Dice;
use crate::models::{IMAGE, LYRICS, SPEECH, VIDEO};

/// Customers of a run; each orders in turn.
pub(crate) const CUSTOMERS: usize = 12;
/// The model that takes a file of the customer's own.
pub(crate) const EDIT: &str = "google/nano-banana-edit";

/// What a customer does after an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing more.
    Rest,
    /// Cancels it after this time.
    Cancel(Duration),
    /// Presses "check now" after this time.
    Sync(Duration),
    /// Asks for the delivery again once it is final.
    Redeliver,
    /// The operator gives half of the price back once it is captured.
    Refund,
}

/// One order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    /// Since the beginning of the storm.
    pub(crate) at: Duration,
    /// Who.
    pub(crate) customer: usize,
    /// How many jobs.
    pub(crate) jobs: u32,
    /// `model`, `input`, `count`, `draft`; recipients and files are added by the customer.
    pub(crate) body: Value,
    /// Whether its end is told to the customer's webhook.
    pub(crate) told: bool,
    /// Whether two devices send it at the same time.
    pub(crate) twice: bool,
    /// What comes after it.
    pub(crate) then: Then,
}

/// All orders, in the order of their time.
pub(crate) fn orders(scale: &Scale) -> Vec<Order> {
    let dice = Dice::new(scale.seed, 2);
    let mut orders = Vec::new();
    let mut jobs = 0;
    while jobs < scale.jobs {
        let at = scale.storm.mul_f64(f64::from(jobs) / f64::from(scale.jobs));
        let order = order(&dice, orders.len(), at, scale.jobs - jobs);
        jobs += order.jobs;
        orders.push(order);
    }
    orders
}

fn order(dice: &Dice, number: usize, at: Duration, most: u32) -> Order {
    let marks = marks(dice);
    let text = format!("order {number} {marks}");
    let (model, input) = match dice.weighed(&[(60, 0), (8, 1), (8, 2), (10, 3), (8, 4), (6, 5)]) {
        0 => (IMAGE, json!({ "prompt": text })),
        1 => ("z-image", json!({ "prompt": text, "aspect_ratio": "1:1" })),
        2 => (VIDEO, json!({ "prompt": text, "sound": false })),
        3 => (SPEECH, json!({ "text": text })),
        4 => (LYRICS, json!({ "prompt": text })),
        _ => (EDIT, json!({ "prompt": text })),
    };
    let mut body = json!({ "model": model, "input": input });
    let jobs =
        if dice.odds(0.06) { (2 + u32::try_from(dice.below(3)).unwrap_or_default()).min(most) } else { 1 };
    if jobs > 1 {
        body["count"] = json!(jobs);
    }
    if dice.odds(0.05) {
        body["draft"] = json!(true);
    }
    let soon = dice.between(Duration::ZERO, Duration::from_millis(1500));
    let then = dice.weighed(&[
        (80, Then::Rest),
        (6, Then::Cancel(soon)),
        (6, Then::Sync(soon)),
        (5, Then::Redeliver),
        (3, Then::Refund),
    ]);
    Order {
        at,
        customer: dice.below(CUSTOMERS),
        jobs,
        body,
        told: dice.odds(0.9),
        twice: dice.odds(0.1),
        then,
    }
}

/// What goes wrong with this order's task, as marks of the simulator. What would never end strikes a few times only.
fn marks(dice: &Dice) -> String {
    let mut marks: Vec<&str> = Vec::new();
    if dice.odds(0.12) {
        marks.push(dice.weighed(CREATES));
    }
    if dice.odds(0.30) {
        marks.push(dice.weighed(CALLBACKS));
    }
    if dice.odds(0.10) {
        marks.push(dice.weighed(RECORDS));
    }
    if dice.odds(0.10) {
        marks.push(dice.weighed(RESULTS));
    }
    if dice.odds(0.08) {
        marks.push(dice.weighed(TASKS));
    }
    marks.iter().flat_map(|mark| ["[sim:", *mark, "]"]).collect()
}

const CREATES: &[(u32, &str)] = &[
    (12, "create=reset"),
    (6, "create=cut"),
    (6, "create=empty"),
    (6, "create=html"),
    (6, "create=broken-json"),
    (6, "create=http500"),
    (6, "create=no-id"),
    (4, "create=timeout"),
    (6, "create=reset:none"),
    (6, "create=http500:none"),
    (2, "create=timeout:none"),
    (16, "create=slow:1s"),
    (6, "create=message-key"),
    (1, "create=429:times=1"),
    (1, "create=455:times=1"),
    (1, "create=busy:times=1"),
    (4, "create=500"),
    (4, "create=field"),
    (4, "create=451"),
];

const CALLBACKS: &[(u32, &str)] = &[
    (16, "callback=none"),
    (6, "callback=early"),
    (10, "callback=duplicate:6"),
    (6, "callback=before-answer"),
    (8, "callback=late:2s"),
    (4, "callback=bad-signature"),
    (2, "callback=no-signature"),
    (2, "callback=stale-timestamp"),
    (4, "callback=foreign-body"),
    (2, "callback=array"),
    (2, "callback=text-body"),
    (2, "callback=not-json"),
    (2, "callback=empty"),
    (2, "callback=conflict"),
    (2, "callback=snake-id"),
    (2, "callback=top-id"),
    (2, "callback=no-id"),
    (2, "callback=unknown-task"),
    (1, "callback=huge:1MiB"),
    (4, "callback=then-fail"),
    (4, "callback=fail-first"),
    (4, "callback=then-progress"),
];

const RECORDS: &[(u32, &str)] = &[
    (8, "record=http500:times=2"),
    (6, "record=html:times=2"),
    (6, "record=null:times=2"),
    (4, "record=cut:times=1"),
    (4, "record=broken-json:times=2"),
    (4, "record=reset:times=1"),
    (4, "record=429:times=1"),
    (4, "record=slow:2s:times=1"),
    (4, "record=other-task:times=1"),
    (4, "state=expired:times=2"),
    (2, "shape=empty-text:times=1"),
    (2, "record=numeric-fail-code"),
];

const RESULTS: &[(u32, &str)] = &[
    (8, "result=403:times=1"),
    (8, "result=html:times=2"),
    (6, "result=truncated:times=1"),
    (4, "result=empty:times=1"),
    (6, "result=reset:times=2"),
    (8, "result=expired:times=3"),
    (4, "result=no-length"),
    (4, "result=no-type"),
    (4, "result=slow:1s:times=1"),
    (2, "result=stall:times=1"),
    (4, "result=pace:256KiB"),
    (2, "result=json:times=1"),
];

const TASKS: &[(u32, &str)] = &[
    (6, "moderation"),
    (6, "fail=500:Internal server error"),
    (8, "count=3"),
    (6, "duration=4s"),
    (3, "size=3MiB"),
    (2, "cost=0.19"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_every_order() {
        let scale = |seed| Scale { seed, jobs: 500, kills: 10, storm: Duration::from_mins(2) };
        let first = orders(&scale(7));
        assert_eq!(first, orders(&scale(7)));
        assert_ne!(first, orders(&scale(8)));
        assert_eq!(first.iter().map(|order| order.jobs).sum::<u32>(), 500);
    }

    #[test]
    fn every_mark_is_one_of_the_simulator() {
        for (_, mark) in [CREATES, CALLBACKS, RECORDS, RESULTS, TASKS].concat() {
            assert!(kie_sim::Script::parse(mark).is_ok(), "{mark}");
        }
    }
}
