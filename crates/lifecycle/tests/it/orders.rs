//! Orders, drafts, cancels, replays and uploads.

use std::time::Duration;

use domain::{Cause, JobState, Scope, TransferKind};
use lifecycle::{CustomerError, SubmitError};
use serde_json::json;
use store::SlotStore;

use crate::files::address;
use crate::gate::Went;
use crate::kie::{Life, Reply};
use crate::shop::{self, DRAW, GIFT};
use crate::world::{World, story};

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn a_replay_gives_the_job_even_after_the_model_left_the_catalogue() {
    story(async {
        let world = World::new(9).await;
        let account = world.customer(800).await;
        let request = world.request(account, DRAW, json!({"prompt": "kite"}));
        let first = world.place(&request).await;
        world.run_to(first.jobs[0].id, JobState::Done, MINUTE).await;
        let again = world.place(&request).await;
        assert_eq!(
            (again.replayed, again.jobs[0].id, again.jobs[0].state),
            (true, first.jobs[0].id, JobState::Done)
        );
        let without = world.reopened(&[DRAW], shop::policy());
        let replayed = without.submit(&request).await.unwrap();
        assert_eq!((replayed.replayed, replayed.jobs[0].id), (true, first.jobs[0].id));
        let mut other = request.clone();
        other.fingerprint = [1; 32];
        assert!(matches!(without.submit(&other).await, Err(SubmitError::KeyReused)));
        assert!(matches!(world.life.submit(&other).await, Err(SubmitError::KeyReused)));
        other.key = "new".to_owned();
        assert!(matches!(without.submit(&other).await, Err(SubmitError::UnknownModel { .. })));
        let short = world.life.submit(&other).await;
        assert!(matches!(short, Err(SubmitError::Short { .. })), "{short:?}");
        assert_eq!(world.balance(account).await, (20, 0));
        world.prove().await;
    });
}

#[test]
fn a_draft_is_confirmed_once_at_its_frozen_price() {
    story(async {
        let world = World::new(9).await;
        let account = world.customer(800).await;
        let mut request = world.request(account, DRAW, json!({"prompt": "kite"}));
        request.draft = true;
        let draft = world.place(&request).await.jobs[0].id;
        world.run(HOUR * 20).await;
        assert_eq!((world.job(draft).await.state, world.balance(account).await), (JobState::Draft, (800, 0)));
        assert_eq!(world.life.confirm(draft, account).await.unwrap().state, JobState::Pending);
        assert_eq!(world.balance(account).await, (20, 780));
        assert_eq!(world.life.confirm(draft, account).await.unwrap().id, draft);
        world.run_to(draft, JobState::Done, MINUTE).await;
        assert_eq!(world.transfers(draft).await, [TransferKind::Hold, TransferKind::Capture]);
        world.run(MINUTE).await;
        world.prove().await;
    });
}

#[test]
fn a_draft_that_cannot_be_bought_costs_nothing() {
    story(async {
        let world = World::new(9).await;
        let (account, stranger) = (world.customer(100).await, world.customer(0).await);
        let mut request = world.request(account, DRAW, json!({"prompt": "kite"}));
        request.draft = true;
        let draft = world.place(&request).await.jobs[0].id;
        let short = world.life.confirm(draft, account).await;
        assert!(matches!(short, Err(CustomerError::Short { .. })), "{short:?}");
        assert!(matches!(world.life.confirm(draft, stranger).await, Err(CustomerError::NotFound)));
        let off = world.reopened(&[DRAW], shop::policy());
        assert!(matches!(off.confirm(draft, account).await, Err(CustomerError::DraftExpired)));
        for _ in 0..3 {
            world.store.count_refusal(DRAW, 3, world.now()).await.unwrap();
        }
        world.life.offers().refresh(&*world.store, world.now()).await.unwrap();
        assert!(matches!(world.life.confirm(draft, account).await, Err(CustomerError::DraftExpired)));
        world.clock.advance(HOUR * 24);
        assert!(matches!(world.life.confirm(draft, account).await, Err(CustomerError::DraftExpired)));
        world.work().await;
        assert_eq!(
            (world.job(draft).await.state, world.balance(account).await),
            (JobState::Canceled, (100, 0))
        );
        assert!(matches!(
            world.life.confirm(draft, account).await,
            Err(CustomerError::WrongState { state: JobState::Canceled })
        ));
        world.prove().await;
    });
}

#[test]
fn a_cancel_gives_the_hold_back_once() {
    story(async {
        let world = World::new(9).await;
        let account = world.customer(800).await;
        let job = world.order(account, DRAW).await;
        assert_eq!(world.life.cancel(job, account).await.unwrap().state, JobState::Canceled);
        assert_eq!(world.life.cancel(job, account).await.unwrap().state, JobState::Canceled);
        assert_eq!((world.money(job).await, world.balance(account).await), ((780, 0, 780), (800, 0)));
        world.run(HOUR).await;
        assert!(world.kie.creates().is_empty() && world.ears.heard().is_empty());
        let running = world.order(account, DRAW).await;
        world.work().await;
        let late = world.life.cancel(running, account).await;
        assert!(matches!(late, Err(CustomerError::WrongState { state: JobState::Running })), "{late:?}");
        world.run_to(running, JobState::Done, MINUTE).await;
        world.prove().await;
    });
}

/// A cancel at every stop of a buying step: either the job is canceled and nothing was bought, or it goes on.
#[test]
fn a_cancel_against_a_worker_has_one_winner() {
    let mut winners = [0, 0];
    for stops in 0..12 {
        story(async {
            let world = World::new(9).await;
            let account = world.customer(800).await;
            let job = world.order(account, DRAW).await;
            let mut step = world.claim(1).await.remove(0);
            let mut went = Went::Stopped;
            for _ in 0..stops {
                if went == Went::Stopped {
                    went = world.gate.go_on(&mut step).await;
                }
            }
            let canceled = world.life.cancel(job, account).await.is_ok();
            if went == Went::Stopped {
                assert!(world.gate.finish(step).await);
            }
            world.run(HOUR).await;
            let (state, bought) = (world.job(job).await.state, world.kie.creates().len());
            let expected = if canceled { (JobState::Canceled, 0) } else { (JobState::Done, 1) };
            assert_eq!((state, bought), expected, "after {stops} stops");
            winners[usize::from(canceled)] += 1;
            world.prove().await;
        });
    }
    assert!(winners[0] > 0 && winners[1] > 0, "{winners:?}");
}

#[test]
fn limits_refuse_without_a_trace() {
    story(async {
        let policy = lifecycle::Policy { max_open_jobs: 2, free_per_day: 3, ..shop::policy() };
        let world = World::with(9, policy).await;
        let account = world.customer(0).await;
        let free = || world.request(account, GIFT, json!({"prompt": "kite"}));
        world.place(&free()).await;
        world.place(&free()).await;
        let open = world.life.submit(&free()).await;
        assert!(matches!(open, Err(SubmitError::TooManyOpen { limit: 2 })), "{open:?}");
        let mut draft = free();
        draft.draft = true;
        let draft = world.place(&draft).await.jobs[0].id;
        let open = world.life.confirm(draft, account).await;
        assert!(matches!(open, Err(CustomerError::TooManyOpen { limit: 2 })), "{open:?}");
        world.run(MINUTE).await;
        assert_eq!(world.life.confirm(draft, account).await.unwrap().state, JobState::Pending);
        world.run(MINUTE).await;
        let used = world.life.submit(&free()).await;
        assert!(matches!(used, Err(SubmitError::FreeUsedUp { limit: 3 })), "{used:?}");
        world.run(HOUR * 12).await;
        world.place(&free()).await;
        world.run(MINUTE).await;
        world.prove().await;
    });
}

#[test]
fn an_upload_is_swapped_for_a_copy_at_the_provider_that_is_used_again_for_20_hours() {
    story(async {
        let world = World::new(9).await;
        let (account, stranger) = (world.customer(10_000).await, world.customer(1_000).await);
        let file = world.upload(account).await;
        let ours = address(file);
        let input = json!({"prompt": "kite", "image_url": ours});
        let foreign = world.life.submit(&world.request(stranger, DRAW, input.clone())).await;
        let Err(SubmitError::Faults(faults)) = foreign else { panic!("{foreign:?}") };
        assert_eq!(faults[0].pointer, "/input/image_url");
        world.kie.fail_next_upload(lifecycle::ReadFailure::Trouble("503".to_owned()));
        for wait in [HOUR * 19, HOUR * 2, MINUTE] {
            let job = world.place(&world.request(account, DRAW, input.clone())).await.jobs[0].id;
            world.run_to(job, JobState::Done, MINUTE * 2).await;
            assert_eq!(world.job(job).await.input["image_url"], json!(ours), "the stored input keeps ours");
            world.run(wait).await;
        }
        let sent: Vec<_> =
            world.kie.creates().iter().map(|create| create.input["image_url"].clone()).collect();
        let (one, two) = ("https://uploads.kie.example/1", "https://uploads.kie.example/2");
        assert_eq!((sent, world.kie.uploads().len()), (vec![json!(one), json!(one), json!(two)], 2));
        world.prove().await;
    });
}

#[test]
fn a_copy_that_the_provider_lost_is_sent_anew_with_the_next_order() {
    story(async {
        let world = World::new(9).await;
        let account = world.customer(10_000).await;
        let input = json!({"prompt": "kite", "image_url": address(world.upload(account).await)});
        for (state, cause, uploads) in [
            (JobState::Done, None, 1),
            (JobState::Failed, Some(Cause::InvalidInput), 1),
            (JobState::Done, None, 2),
        ] {
            let job = world.place(&world.request(account, DRAW, input.clone())).await.jobs[0].id;
            let ended = world.run_to(job, state, MINUTE * 2).await;
            assert_eq!((ended.cause, world.kie.uploads().len()), (cause, uploads));
            if uploads == 1 {
                world.kie.lose_uploads();
            }
        }
        world.work().await;
        world.prove().await;
    });
}

#[test]
fn check_now_wakes_at_most_every_two_seconds() {
    story(async {
        let world = World::new(9).await;
        let account = world.customer(800).await;
        world.kie.plan(Reply::Accepted, Life::default().after(MINUTE));
        let job = world.order(account, DRAW).await;
        world.work().await;
        let scope = Scope::Account(account);
        world.clock.advance(MINUTE);
        let (synced, _) = tokio::join!(world.life.sync(job, scope), world.work());
        assert!(synced.unwrap().changed);
        let reads = world.kie.reads("task-0001").len();
        let again = world.life.sync(job, scope).await.unwrap();
        assert!(!again.changed);
        world.work().await;
        assert_eq!((world.kie.reads("task-0001").len(), world.job(job).await.state), (reads, JobState::Done));
        world.prove().await;
    });
}
