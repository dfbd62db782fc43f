//! What an answer to createTask means: the next state, the money, and what all jobs share.

use std::time::Duration;

use domain::{AccountId, Answer, Cause, JobId, JobState, TransferKind};
use lifecycle::SubmitError;
use serde_json::json;
use store::{JobStore, SlotStore};

use crate::kie::{Life, Reply};
use crate::shop::{DRAW, SONG};
use crate::world::{World, story};

const MINUTE: Duration = Duration::from_mins(1);

async fn meeting(reply: Reply) -> (World, AccountId, JobId) {
    let world = World::new(1).await;
    let account = world.customer(10_000).await;
    world.kie.plan(reply, Life::default());
    let job = world.order(account, DRAW).await;
    assert_eq!(world.balance(account).await, (9_220, 780));
    world.work().await;
    (world, account, job)
}

#[test]
fn accepted_runs_is_stored_and_captured_once() {
    story(async {
        let (world, account, job) = meeting(Reply::Accepted).await;
        assert_eq!(world.job(job).await.state, JobState::Running);
        let done = world.run_to(job, JobState::Done, MINUTE).await;
        assert_eq!((done.task_id.as_deref(), done.attempts), (Some("task-0001"), 1));
        assert_eq!(world.money(job).await, (780, 780, 0));
        assert_eq!(world.transfers(job).await, [TransferKind::Hold, TransferKind::Capture]);
        assert_eq!(world.balance(account).await, (9_220, 0));
        world.run(MINUTE).await;
        assert_eq!(world.ears.heard().len(), 1);
        world.prove().await;
    });
}

#[test]
fn throttled_waits_and_pushes_every_slot_back() {
    story(async {
        let (world, account, job) = meeting(Reply::Refused(Answer::Throttled)).await;
        let waiting = world.job(job).await;
        assert_eq!((waiting.state, waiting.attempts, waiting.tries), (JobState::Pending, 1, 1));
        assert_eq!(world.balance(account).await, (9_220, 780));
        // Another account's job meets the slots that were pushed back.
        let other = world.customer(1_000).await;
        let theirs = world.order(other, SONG).await;
        world.work().await;
        assert_eq!((world.job(theirs).await.state, world.kie.creates().len()), (JobState::Pending, 1));
        world.run_to(job, JobState::Done, MINUTE).await;
        world.run_to(theirs, JobState::Done, MINUTE).await;
        assert_eq!(world.job(job).await.attempts, 2);
        world.prove().await;
    });
}

#[test]
fn blocked_opens_the_breaker_and_one_create_a_minute_is_tried() {
    story(async {
        let (world, account, job) = meeting(Reply::Refused(Answer::Blocked)).await;
        world.kie.plan_for_all(Some((Reply::Refused(Answer::Blocked), Life::default())));
        assert_eq!(world.job(job).await.state, JobState::Pending);
        let breaker = world.store.breaker().await.unwrap().unwrap();
        assert_eq!((breaker.open_since, breaker.next_trial_at), (world.now(), world.now() + MINUTE));
        for _ in 0..4 {
            world.order(account, DRAW).await;
        }
        world.run(MINUTE * 10).await;
        let creates: Vec<_> = world.kie.creates().iter().map(|create| create.at).collect();
        assert_eq!(creates.len(), 11, "the first one, then one a minute");
        assert!(creates.windows(2).all(|pair| pair[1].duration_since(pair[0]) >= MINUTE.try_into().unwrap()));
        world.kie.plan_for_all(None);
        world.run_to(job, JobState::Done, MINUTE * 10).await;
        world.run(MINUTE * 5).await;
        assert_eq!(world.store.breaker().await.unwrap(), None);
        assert_eq!(world.balance(account).await, (10_000 - 5 * 780, 0));
        world.prove().await;
    });
}

#[test]
fn a_refusal_for_good_releases_and_tells() {
    for cause in [Cause::InvalidInput, Cause::Moderation, Cause::ProviderError, Cause::ModelUnavailable] {
        story(async {
            let (world, account, job) = meeting(Reply::Refused(Answer::Refused(cause))).await;
            let failed = world.job(job).await;
            assert_eq!((failed.state, failed.cause), (JobState::Failed, Some(cause)));
            assert_eq!(world.money(job).await, (780, 0, 780));
            assert_eq!(world.balance(account).await, (10_000, 0));
            assert_eq!(world.ears.heard().len(), 1);
            let counted = world.store.count_refusal(DRAW, 99, world.now()).await.unwrap().refusals - 1;
            assert_eq!(counted, u32::from(cause == Cause::ModelUnavailable));
            world.run(Duration::from_hours(24 * 20)).await;
            assert_eq!((world.kie.creates().len(), world.job(job).await.wake_at), (1, None));
            world.prove().await;
        });
    }
}

#[test]
fn not_sent_is_tried_again_with_backoff() {
    story(async {
        let (world, _, job) = meeting(Reply::Refused(Answer::NotSent)).await;
        world.kie.plan(Reply::Refused(Answer::NotSent), Life::default());
        assert_eq!(world.job(job).await.state, JobState::Pending);
        world.run_to(job, JobState::Done, MINUTE).await;
        let at: Vec<_> = world.kie.creates().iter().map(|create| create.at).collect();
        let gaps: Vec<f64> =
            at.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs_f64()).collect();
        assert!((1.8..=2.2).contains(&gaps[0]) && (3.6..=4.4).contains(&gaps[1]), "{gaps:?}");
        world.prove().await;
    });
}

#[test]
fn an_unknown_answer_is_unclear_keeps_the_hold_and_is_never_repeated() {
    for reply in [Reply::LostButMade, Reply::LostUnmade] {
        story(async {
            let (world, account, job) = meeting(reply).await;
            assert_eq!(world.job(job).await.state, JobState::Unclear);
            world.run(Duration::from_mins(119)).await;
            assert_eq!(world.job(job).await.state, JobState::Unclear);
            assert_eq!((world.balance(account).await, world.kie.creates().len()), ((9_220, 780), 1));
            world.prove().await;
        });
    }
}

#[test]
fn a_task_that_comes_with_a_refusal_is_evidence() {
    story(async {
        let (world, account, job) =
            meeting(Reply::RefusedWithTask(Answer::Refused(Cause::ProviderError))).await;
        assert_eq!(world.balance(account).await, (10_000, 0));
        let done = world.run_to(job, JobState::Done, Duration::from_hours(30)).await;
        assert!(done.gift);
        assert_eq!(world.money(job).await, (780, 0, 780));
        world.prove().await;
    });
}

#[test]
fn an_answer_after_the_lease_is_evidence_all_the_same() {
    story(async {
        let (world, _, job) = meeting(Reply::AcceptedLate(Duration::from_mins(4))).await;
        // Nobody took the job over meanwhile, so the answer itself moved it.
        assert_eq!(world.job(job).await.state, JobState::Running);
        world.run_to(job, JobState::Done, MINUTE).await;
        world.prove().await;
    });
}

#[test]
fn three_refusals_in_a_row_take_a_model_off_sale_for_an_hour() {
    story(async {
        let world = World::new(1).await;
        let account = world.customer(100_000).await;
        let gone = || Reply::Refused(Answer::Refused(Cause::ModelUnavailable));
        // Bad prompts in between do not count, a success starts anew.
        world.kie.plan(gone(), Life::default());
        world.kie.plan(gone(), Life::default());
        world.kie.plan(Reply::Accepted, Life::default());
        world.kie.plan(gone(), Life::default());
        world.kie.plan(Reply::Refused(Answer::Refused(Cause::Moderation)), Life::default());
        world.kie.plan(gone(), Life::default());
        for _ in 0..6 {
            world.order(account, DRAW).await;
            world.work().await;
        }
        assert!(world.store.models_off_sale().await.unwrap().is_empty());
        // One more is on its way when the third refusal comes.
        world.kie.plan(gone(), Life::default());
        world.order(account, DRAW).await;
        world.work().await;
        let off = world.store.models_off_sale().await.unwrap();
        assert_eq!((off[0].model.as_str(), off[0].off_since), (DRAW, Some(world.now())));
        let refused = world.life.submit(&world.request(account, DRAW, json!({"prompt": "kite"}))).await;
        assert!(matches!(refused, Err(SubmitError::NotForSale { .. })), "{refused:?}");
        // After an hour it is tried again.
        world.skip(MINUTE * 59).await;
        world.life.offers().refresh(&*world.store, world.now()).await.unwrap();
        assert_eq!(world.store.models_off_sale().await.unwrap().len(), 1);
        world.skip(MINUTE * 2).await;
        world.life.offers().refresh(&*world.store, world.now()).await.unwrap();
        let job = world.order(account, DRAW).await;
        world.run_to(job, JobState::Done, MINUTE).await;
        world.prove().await;
    });
}

#[test]
fn a_job_that_cannot_be_sent_fails_with_the_reason_why() {
    for (reply, cause) in [(Answer::Blocked, Cause::ProviderBalance), (Answer::NotSent, Cause::Expired)] {
        story(async {
            let world = World::new(1).await;
            let account = world.customer(1_000).await;
            world.kie.plan_for_all(Some((Reply::Refused(reply), Life::default())));
            let job = world.order(account, DRAW).await;
            world.run(Duration::from_mins(359)).await;
            assert_eq!(world.job(job).await.state, JobState::Pending);
            world.run(Duration::from_mins(2)).await;
            let failed = world.job(job).await;
            assert_eq!((failed.state, failed.cause), (JobState::Failed, Some(cause)));
            assert_eq!(world.balance(account).await, (1_000, 0));
            world.run(MINUTE).await;
            let creates = world.kie.creates().len();
            world.run(Duration::from_hours(1)).await;
            assert_eq!(world.kie.creates().len(), creates);
            assert_eq!(
                world.store.next_wake().await.unwrap().is_some(),
                world.job(job).await.wake_at.is_some()
            );
            world.prove().await;
        });
    }
}
