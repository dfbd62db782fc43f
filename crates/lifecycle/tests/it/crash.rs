//! A process that dies, or a database that fails, before and after every single call of a port in a whole life.

use std::time::Duration;

use domain::{Cause, JobId, JobState, TransferKind};
use serde_json::json;

use crate::cabinet::Link;
use crate::ears::deaf;
use crate::gate::Harm;
use crate::kie::{End, Hint, Life, Reply};
use crate::shop::DRAW;
use crate::world::{World, story};

const HOUR: Duration = Duration::from_hours(1);

/// Two pictures, one of them behind a dead link; a callback; a customer who does not hear the first time.
async fn a_good_life(harm: Option<(u64, Harm)>) -> (World, JobId) {
    let world = World::new(7).await;
    let account = world.customer(10_000).await;
    world.cabinet.set("out1", Link::Gone);
    world.cabinet.set("?fresh", Link::Good);
    world.ears.answer_next(deaf());
    world.kie.plan(Reply::Accepted, Life::default().hint(Duration::from_secs(25), Hint::Genuine));
    let input = json!({"prompt": "kite", "n": 2});
    let job = world.place(&world.request(account, DRAW, input)).await.jobs[0].id;
    if let Some((number, harm)) = harm {
        world.gate.plan(number, harm);
    }
    world.run(HOUR * 4).await;
    (world, job)
}

/// The answer is lost, the policy releases, and a late callback makes it a gift.
async fn a_hard_life(harm: Option<(u64, Harm)>) -> (World, JobId) {
    let world = World::new(8).await;
    let account = world.customer(10_000).await;
    world.kie.plan(Reply::Refused(domain::Answer::Throttled), Life::default());
    let end = End::Made { results: None, extras: 1, credits: None };
    world.kie.plan(Reply::LostButMade, Life::ending(end).hint(HOUR * 3, Hint::Genuine));
    let job = world.order(account, DRAW).await;
    if let Some((number, harm)) = harm {
        world.gate.plan(number, harm);
    }
    world.run(HOUR * 30).await;
    (world, job)
}

/// Between the commitment to send and the sending nothing reached the provider, and nobody can know.
const UNSENT: [&str; 2] = ["after begin_attempt", "before create_task"];

async fn prove_good(world: &World, job: JobId, at: &str) {
    let ended = world.job(job).await;
    let kinds = world.transfers(job).await;
    if UNSENT.contains(&at) {
        assert_eq!((ended.state, ended.cause), (JobState::Failed, Some(Cause::Unclear)), "{at}");
        assert_eq!(kinds, [TransferKind::Hold, TransferKind::Release], "{at}");
        assert!(world.kie.tasks().is_empty(), "{at}");
    } else {
        assert_eq!((ended.state, ended.gift), (JobState::Done, false), "{at}: {:?}", ended.cause);
        assert_eq!(kinds, [TransferKind::Hold, TransferKind::Capture], "{at}");
        assert_eq!(world.kie.tasks().len(), 1, "{at}");
    }
    assert!(world.kie.creates().len() <= 1, "{at}");
    assert!(world.ears.heard().iter().any(|heard| heard.taken), "{at}");
    world.prove().await;
}

async fn prove_hard(world: &World, job: JobId, at: &str) {
    let ended = world.job(job).await;
    assert_eq!(world.transfers(job).await, [TransferKind::Hold, TransferKind::Release], "{at}");
    let told = world.ears.heard();
    assert!(told.iter().any(|heard| heard.taken), "{at}");
    assert!(world.kie.tasks().len() <= 1 && world.kie.creates().len() <= 2, "{at}");
    if world.kie.tasks().len() == 1 {
        assert_eq!((ended.state, ended.gift), (JobState::Done, true), "{at}: {:?}", ended.cause);
    } else {
        assert_eq!((ended.state, ended.cause), (JobState::Failed, Some(Cause::Unclear)), "{at}");
    }
    world.prove().await;
}

#[test]
fn a_good_life_survives_a_kill_at_every_stop() {
    let stops = story(async {
        let (world, job) = a_good_life(None).await;
        prove_good(&world, job, "no stop").await;
        world.gate.stops()
    });
    assert!(stops > 60, "{stops}");
    for number in 1..=stops {
        story(async {
            let (world, job) = a_good_life(Some((number, Harm::Kill))).await;
            let at = world.gate.harmed().expect("every stop is reached");
            prove_good(&world, job, at).await;
        });
    }
}

#[test]
fn a_good_life_survives_a_failing_database_at_every_stop() {
    let stops = story(async { a_good_life(None).await.0.gate.stops() });
    let mut failed = 0;
    for number in 1..=stops {
        for harm in [Harm::Internal, Harm::Unavailable] {
            story(async {
                let (world, job) = a_good_life(Some((number, harm))).await;
                // A stop beside another port's call has no database to fail.
                let Some(at) = world.gate.harmed() else { return };
                prove_good(&world, job, at).await;
                failed += 1;
            });
        }
    }
    assert!(failed > 60, "{failed}");
}

#[test]
fn a_hard_life_survives_a_kill_at_every_stop() {
    let stops = story(async {
        let (world, job) = a_hard_life(None).await;
        prove_hard(&world, job, "no stop").await;
        world.gate.stops()
    });
    assert!(stops > 60, "{stops}");
    for number in 1..=stops {
        story(async {
            let (world, job) = a_hard_life(Some((number, Harm::Kill))).await;
            let at = world.gate.harmed().expect("every stop is reached");
            prove_hard(&world, job, at).await;
        });
    }
}
