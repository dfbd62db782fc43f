//! In doubt nothing is bought again, given up or thrown away: reads that fail, addresses that moved, cancels too early.

use std::time::Duration;

use domain::{AccountId, JobId, JobState, Scope};
use lifecycle::{CustomerError, Decision, ReadFailure};

use crate::cabinet::Link;
use crate::kie::{End, Life, Reply};
use crate::shop::DRAW;
use crate::world::{World, story};

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

fn trouble() -> ReadFailure {
    ReadFailure::Trouble("HTTP 500".to_owned())
}

async fn with_lost_answer(life: Life) -> (World, AccountId, JobId) {
    let world = World::new(2).await;
    let account = world.customer(10_000).await;
    world.kie.plan(Reply::LostButMade, life);
    let job = world.order(account, DRAW).await;
    world.work().await;
    assert_eq!(world.job(job).await.state, JobState::Unclear);
    (world, account, job)
}

#[test]
fn a_task_is_adopted_though_our_address_changed_since_it_was_sent() {
    story(async {
        let (world, _, job) = with_lost_answer(Life { address_moved: true, ..Life::default() }).await;
        world.hint(job, 1, "task-0001").await;
        let done = world.run_to(job, JobState::Done, MINUTE).await;
        assert_eq!((done.attempts, world.kie.creates().len()), (1, 1));
        world.prove().await;
    });
}

#[test]
fn nothing_is_bought_again_while_a_callback_names_a_task_that_cannot_be_read() {
    story(async {
        let (world, _, job) = with_lost_answer(Life::default()).await;
        world.life.decide(job, &Decision::Resend, "it never arrived").await.unwrap();
        world.kie.fail_next_read(trouble());
        world.hint(job, 1, "task-0001").await;
        world.work().await;
        assert_eq!((world.job(job).await.state, world.kie.creates().len()), (JobState::Pending, 1));
        let done = world.run_to(job, JobState::Done, MINUTE).await;
        assert_eq!((done.attempts, world.kie.creates().len()), (1, 1));
        world.prove().await;
    });
}

#[test]
fn a_callback_that_names_a_task_which_does_not_exist_holds_nothing_up() {
    story(async {
        let (world, _, job) = with_lost_answer(Life::ending(End::Never)).await;
        world.hint(job, 1, "task-of-nobody").await;
        world.run(MINUTE * 3).await;
        let reads = world.kie.reads("task-of-nobody").len();
        world.run(MINUTE * 30).await;
        assert_eq!(world.kie.reads("task-of-nobody").len(), reads, "an hour lies between two looks");
        world.life.decide(job, &Decision::Resend, "it never arrived").await.unwrap();
        world.run_to(job, JobState::Running, MINUTE).await;
        world.prove().await;
    });
}

#[test]
fn one_read_that_fails_after_a_long_pause_gives_nothing_up() {
    story(async {
        let world = World::new(3).await;
        let account = world.customer(10_000).await;
        world.kie.plan(Reply::Accepted, Life::default());
        let job = world.order(account, DRAW).await;
        world.work().await;
        assert_eq!(world.job(job).await.state, JobState::Running);
        // Nobody worked for so long that the time to give up has passed.
        world.clock.advance(HOUR * 24);
        world.kie.fail_next_read(trouble());
        world.work().await;
        assert_eq!(world.job(job).await.state, JobState::Running);
        let done = world.run_to(job, JobState::Done, MINUTE).await;
        assert!(!done.gift);
        assert_eq!(world.balance(account).await, (9_220, 0));
        world.prove().await;
    });
}

#[test]
fn a_provider_that_cannot_be_read_at_all_is_given_up_in_its_time() {
    story(async {
        let world = World::new(3).await;
        let account = world.customer(10_000).await;
        world.kie.plan(Reply::Accepted, Life::default());
        let job = world.order(account, DRAW).await;
        world.work().await;
        for _ in 0..10_000 {
            world.kie.fail_next_read(trouble());
        }
        let failed = world.run_to(job, JobState::Failed, HOUR * 2).await;
        assert_eq!(failed.cause, Some(domain::Cause::Expired));
        assert_eq!(world.balance(account).await, (10_000, 0));
        world.prove().await;
    });
}

#[test]
fn an_output_is_not_lost_while_the_provider_cannot_be_asked_for_another_link() {
    story(async {
        let world = World::new(4).await;
        let account = world.customer(10_000).await;
        world.kie.plan(Reply::Accepted, Life::default());
        world.cabinet.set("task-0001", Link::Gone);
        let job = world.order(account, DRAW).await;
        world.run_to(job, JobState::Storing, MINUTE).await;
        for _ in 0..10_000 {
            world.kie.fail_next_read(ReadFailure::Blocked("401".to_owned()));
        }
        world.run(HOUR * 24 * 3).await;
        assert_eq!(world.job(job).await.state, JobState::Storing);
        world.cabinet.set("task-0001", Link::Good);
        world.run_to(job, JobState::Done, HOUR * 12).await;
        assert_eq!(world.balance(account).await, (9_220, 0));
        world.prove().await;
    });
}

#[test]
fn what_may_have_been_bought_cannot_be_canceled() {
    story(async {
        let (world, account, job) = with_lost_answer(Life::default()).await;
        world.life.decide(job, &Decision::Resend, "it never arrived").await.unwrap();
        let refused = world.life.cancel(job, account).await;
        assert!(matches!(refused, Err(CustomerError::WrongState { .. })), "{refused:?}");
        world.run_to(job, JobState::Done, MINUTE).await;
        world.prove().await;
    });
}

#[test]
fn a_draft_that_was_canceled_on_another_device_is_not_confirmed() {
    story(async {
        let world = World::new(5).await;
        let account = world.customer(10_000).await;
        let mut request = world.request(account, DRAW, serde_json::json!({ "prompt": "kite" }));
        request.draft = true;
        let job = world.place(&request).await.jobs[0].id;
        world.life.cancel(job, account).await.unwrap();
        let refused = world.life.confirm(job, account).await;
        let state = JobState::Canceled;
        assert!(
            matches!(refused, Err(CustomerError::WrongState { state: found }) if found == state),
            "{refused:?}"
        );
        assert!(world.life.store().find_job(job, Scope::All).await.unwrap().is_some());
        world.run(SECOND).await;
        world.prove().await;
    });
}
