//! Telling people, keeping house, and a step that always fails.

use std::sync::Arc;
use std::time::Duration;

use delivery::Outcome;
use domain::{DeliveryState, JobState, Scope};
use lifecycle::{Worker, WorkerOptions};
use store::{CallbackStore, Flags, JobStore};
use tokio_util::sync::CancellationToken;

use crate::cabinet::Link;
use crate::ears::deaf;
use crate::kie::{Hint, Life, Reply};
use crate::shop::DRAW;
use crate::world::{World, story};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);

async fn done() -> (World, domain::AccountId, domain::JobId) {
    let world = World::new(11).await;
    let account = world.customer(10_000).await;
    let job = world.order(account, DRAW).await;
    (world, account, job)
}

fn gaps(world: &World) -> Vec<f64> {
    let heard = world.ears.heard();
    heard.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at).as_secs_f64()).collect()
}

#[test]
fn a_deaf_recipient_is_told_ten_times_over_days_then_the_letter_is_dead_and_can_be_sent_again() {
    story(async {
        let (world, account, job) = done().await;
        world.ears.answer_all(Some(deaf()));
        world.run(DAY * 5).await;
        let planned = [5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0];
        let gaps = gaps(&world);
        assert_eq!(gaps.len(), planned.len());
        assert!(gaps.iter().zip(planned).all(|(gap, plan)| (plan..=plan * 1.06).contains(gap)), "{gaps:?}");
        let dead = world.deliveries(job).await.remove(0);
        assert_eq!((dead.state, dead.attempts, dead.wake_at), (DeliveryState::Dead, 10, None));
        assert_eq!(world.money(job).await, (780, 780, 0));
        world.prove().await;
        world.ears.answer_all(None);
        assert_eq!(world.life.redeliver(job, Scope::Account(account)).await.unwrap(), 1);
        world.work().await;
        let again = world.deliveries(job).await.remove(0);
        assert_eq!((again.id, again.state), (dead.id, DeliveryState::Done));
        world.prove().await;
    });
}

#[test]
fn a_recipient_that_is_gone_is_not_told_again() {
    story(async {
        let (world, _, job) = done().await;
        world.ears.answer_next(Outcome::Gone { error: "410".to_owned() });
        world.run(DAY * 5).await;
        let dead = world.deliveries(job).await.remove(0);
        assert_eq!((dead.state, world.ears.heard().len()), (DeliveryState::Dead, 1));
        world.prove().await;
    });
}

#[test]
fn a_recipient_that_asks_for_time_gets_it() {
    story(async {
        let (world, _, job) = done().await;
        world.ears.answer_next(Outcome::Retry { after: Some(HOUR), error: "429".to_owned() });
        world.run(HOUR * 2).await;
        let told = world.deliveries(job).await.remove(0);
        assert_eq!((told.state, told.attempts), (DeliveryState::Done, 2));
        assert!(gaps(&world)[0] >= 3600.0);
        world.prove().await;
    });
}

#[test]
fn what_was_told_can_be_told_again_under_the_same_id() {
    story(async {
        let (world, account, job) = done().await;
        world.run(MINUTE).await;
        assert_eq!(world.life.redeliver(job, Scope::Account(account)).await.unwrap(), 1);
        world.work().await;
        let heard = world.ears.heard();
        assert_eq!((heard.len(), heard[0].id == heard[1].id), (2, true));
        world.prove().await;
    });
}

#[test]
fn hidden_bytes_go_after_thirty_days_and_their_rows_stay() {
    story(async {
        let (world, account, job) = done().await;
        let kept = world.order(account, DRAW).await;
        world.run(MINUTE).await;
        let flags = Flags { favourite: None, hidden: Some(true) };
        world.store.flag_job(job, account, flags, world.now()).await.unwrap();
        world.skip(DAY * 29).await;
        assert_eq!(world.life.keep_house().await.unwrap().assets_purged, 0);
        world.skip(DAY * 2).await;
        world.cabinet.set_broken(true);
        assert_eq!(world.life.keep_house().await.unwrap().assets_purged, 0);
        world.cabinet.set_broken(false);
        assert_eq!(world.life.keep_house().await.unwrap().assets_purged, 1);
        assert_eq!(world.life.keep_house().await.unwrap().assets_purged, 0);
        let (gone, there) = (world.assets(job).await.remove(0), world.assets(kept).await.remove(0));
        assert!(gone.deleted_at.is_some() && gone.sha256.is_some());
        assert_eq!(world.cabinet.objects(), [there.object]);
        assert_eq!(world.money(job).await, (780, 780, 0));
        world.prove().await;
    });
}

#[test]
fn callbacks_are_kept_for_thirty_days() {
    story(async {
        let world = World::new(11).await;
        let account = world.customer(1_000).await;
        world.kie.plan(Reply::Accepted, Life::default().hint(Duration::from_secs(5), Hint::Genuine));
        let job = world.order(account, DRAW).await;
        world.run_to(job, JobState::Done, MINUTE).await;
        world.skip(DAY * 29).await;
        assert_eq!(world.life.keep_house().await.unwrap().callbacks_deleted, 0);
        assert_eq!(world.store.callbacks_with_task(job).await.unwrap().len(), 1);
        world.skip(DAY * 2).await;
        assert_eq!(world.life.keep_house().await.unwrap().callbacks_deleted, 1);
        world.prove().await;
    });
}

/// The real worker: a step that panics is an error of its job alone, and it is put off further each time.
#[test]
fn a_poisoned_step_is_postponed_and_the_others_go_on() {
    story(async {
        let world = World::new(11).await;
        let account = world.customer(10_000).await;
        world.cabinet.set("task-0001", Link::Panics);
        let poisoned = world.order(account, DRAW).await;
        world.work().await;
        let sound = world.order(account, DRAW).await;
        world.work().await;
        let worker = Worker::new(Arc::clone(&world.life), WorkerOptions::default());
        let mut failures = Vec::new();
        for _ in 0..12 {
            world.clock.advance(MINUTE);
            worker.run_until_idle(1_000, &CancellationToken::new()).await.unwrap();
            failures.push(worker.report().failures);
        }
        assert_eq!(world.job(sound).await.state, JobState::Done);
        let stuck = world.job(poisoned).await;
        assert_eq!(stuck.state, JobState::Storing);
        assert!(stuck.tries >= 6 && u64::from(stuck.tries) == failures[11], "{failures:?}");
        assert!(failures[11] - failures[7] <= 3, "the pauses grow: {failures:?}");
        assert!(world.has_line(poisoned, "step.failed").await);
        world.cabinet.set("task-0001", Link::Good);
        world.run_to(poisoned, JobState::Done, MINUTE * 6).await;
        world.work().await;
        world.prove().await;
    });
}

/// The real worker: once an account is known to be slow, it has a quarter of the slots, and the rest is for others.
#[test]
fn slow_receivers_of_one_account_do_not_hold_up_the_others() {
    story(async {
        let world = World::new(11).await;
        let (slow, other) = (world.customer(100_000).await, world.customer(10_000).await);
        world.ears.answer_all(Some(deaf()));
        let mut jobs = Vec::new();
        for _ in 0..12 {
            jobs.push(world.order(slow, DRAW).await);
        }
        world.run(MINUTE).await;
        let others = world.order(other, DRAW).await;
        world.run(MINUTE).await;
        world.ears.answer_all(None);
        world.ears.set_slow(Some(slow));
        world.clock.advance(MINUTE * 10);

        let worker =
            Worker::new(Arc::clone(&world.life), WorkerOptions { deliveries: 4, ..WorkerOptions::default() });
        let stop = CancellationToken::new();
        let watching = async {
            until(|| world.ears.open() == 4).await;
            world.ears.let_answer(4);
            until(|| world.ears.heard().iter().any(|heard| heard.job == others && heard.taken)).await;
            assert_eq!(world.ears.open(), 1, "one of four slots is the slow account's");
            world.ears.set_slow(None);
            world.ears.let_answer(100);
            stop.cancel();
        };
        tokio::join!(worker.run(stop.clone()), watching);

        jobs.push(others);
        world.run(MINUTE).await;
        for job in jobs {
            let told = world.deliveries(job).await.remove(0);
            assert_eq!((told.state, told.attempts), (DeliveryState::Done, 3), "being put off is no try");
        }
        world.prove().await;
    });
}

async fn until(there: impl Fn() -> bool) {
    let wait = async {
        while !there() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap();
}
