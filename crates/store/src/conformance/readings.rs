//! Readings of the provider's balance, and acts of operators.

use domain::{Decimal, JobState};

use super::Fixture;
use super::fixture::at_once;
use crate::{Act, CreditReading};

/// Consumption is what records told in the window, whatever happened to the jobs later.
pub async fn consumption_is_summed_in_its_window(fx: Fixture) {
    let account = fx.account(1_000).await;
    let before = fx.after(-1);
    let told = fx.pending(account, 10).await;
    stored(&fx, told.id, Some("4.5")).await;
    fx.advance(10);
    let middle = fx.now();
    fx.advance(10);
    let untold = fx.pending(account, 10).await;
    stored(&fx, untold.id, None).await;
    let second = fx.pending(account, 10).await;
    stored(&fx, second.id, Some("0.19")).await;
    let running = fx.pending(account, 10).await;
    fx.running(running.id, "in flight").await;
    let sums = async |since, until| {
        let found = fx.store.consumption(since, until).await.unwrap();
        (found.credits.to_string(), found.untold, found.in_flight)
    };
    assert_eq!(sums(before, fx.now()).await, ("4.69".to_owned(), 1, 1));
    assert_eq!(sums(before, middle).await, ("4.5".to_owned(), 0, 1));
    assert_eq!(sums(middle, fx.now()).await, ("0.19".to_owned(), 1, 1));
    // A late change of an old job does not count it again.
    fx.advance(10);
    let favourite = crate::Flags { favourite: Some(true), ..crate::Flags::default() };
    fx.store.flag_job(told.id, account, favourite, fx.now()).await.unwrap();
    assert_eq!(sums(middle, fx.now()).await, ("0.19".to_owned(), 1, 1));
    assert_eq!(sums(fx.now(), fx.after(10)).await, ("0".to_owned(), 0, 1));
}

/// A reading's number is taken once, so that of several processes one compares.
pub async fn a_reading_is_kept_once(fx: Fixture) {
    assert_eq!(fx.store.list_readings(10).await.unwrap(), []);
    let first = reading(&fx, 1, None);
    let answers = at_once(8, |_| {
        let (store, reading) = (fx.store.clone(), first.clone());
        async move { store.add_reading(&reading).await.expect("the reading is kept") }
    })
    .await;
    assert_eq!(answers.iter().filter(|kept| **kept).count(), 1);
    let second = reading(&fx, 2, Some(-7_000_000));
    assert!(fx.store.add_reading(&second).await.unwrap());
    assert_eq!(fx.store.list_readings(10).await.unwrap(), [second.clone(), first]);
    assert_eq!(fx.store.list_readings(1).await.unwrap(), [second]);
}

/// Acts are kept in their order.
pub async fn acts_are_kept_in_their_order(fx: Fixture) {
    let mut wanted = Vec::new();
    for number in 0..5 {
        let act = Act {
            at: fx.now(),
            command: "account erase".to_owned(),
            subject: format!("account {number}"),
            reason: "asked for".to_owned(),
        };
        fx.store.note_act(&act).await.unwrap();
        wanted.insert(0, act);
        fx.advance(1);
    }
    assert_eq!(fx.store.list_acts(10).await.unwrap(), wanted);
    assert_eq!(fx.store.list_acts(2).await.unwrap(), wanted[..2]);
}

async fn stored(fx: &Fixture, job: domain::JobId, cost: Option<&str>) {
    fx.running(job, &fx.word("task")).await;
    fx.wake_now(job).await;
    let claimed = fx.claim_this(job).await;
    let mut step = fx.step(&claimed, JobState::Storing);
    step.patch.cost = cost.map(|cost| cost.parse().expect("a decimal"));
    step.assets = vec![fx.output(&claimed, 0)];
    fx.applied(&step).await;
}

fn reading(fx: &Fixture, number: u32, drift_micro: Option<i64>) -> CreditReading {
    CreditReading {
        number,
        at: fx.now(),
        balance: Decimal::from_micro(1_000_000),
        drift_micro,
        tolerance_micro: 100_000_000,
        in_flight: 2,
    }
}
