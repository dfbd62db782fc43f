//! Jobs of which nobody knows whether the provider has them: policy, callbacks, people, and second tasks.

use std::time::Duration;

use domain::{AccountId, Cause, JobId, JobState, TransferKind};
use lifecycle::{CallbackOutcome, DecideError, Decision, Policy, ReadFailure, UnclearPolicy};

use crate::kie::{End, Hint, Life, Reply};
use crate::shop::{self, DRAW};
use crate::world::{World, story};

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

async fn unclear_by(policy: Policy, reply: Reply, life: Life) -> (World, AccountId, JobId) {
    let world = World::with(2, policy).await;
    let account = world.customer(10_000).await;
    world.kie.plan(reply, life);
    let job = world.order(account, DRAW).await;
    world.work().await;
    assert_eq!(world.job(job).await.state, JobState::Unclear);
    (world, account, job)
}

async fn unclear(reply: Reply, life: Life) -> (World, AccountId, JobId) {
    unclear_by(shop::policy(), reply, life).await
}

fn adopt(task: &str) -> Decision {
    Decision::Adopt { task_id: task.to_owned() }
}

#[test]
fn the_policy_releases_after_its_time_and_not_before() {
    story(async {
        let (world, account, job) = unclear(Reply::LostUnmade, Life::default()).await;
        let since = world.now();
        let failed = world.run_to(job, JobState::Failed, HOUR * 3).await;
        assert_eq!((failed.cause, failed.entered_at), (Some(Cause::Unclear), since + HOUR * 2));
        assert_eq!(world.balance(account).await, (10_000, 0));
        world.run(HOUR * 24 * 20).await;
        assert_eq!(world.job(job).await.wake_at, None);
        world.prove().await;
    });
}

#[test]
fn the_policy_hold_waits_for_the_operator() {
    story(async {
        let policy = Policy { unclear_policy: UnclearPolicy::Hold, ..shop::policy() };
        let (world, account, job) = unclear_by(policy, Reply::LostUnmade, Life::default()).await;
        world.run(HOUR * 24 * 2).await;
        assert_eq!(
            (world.job(job).await.state, world.balance(account).await),
            (JobState::Unclear, (9_220, 780))
        );
        let failed = world.life.decide(job, &Decision::Release, "the provider says no").await.unwrap();
        assert_eq!((failed.state, failed.cause), (JobState::Failed, Some(Cause::Operator)));
        assert_eq!(world.balance(account).await, (10_000, 0));
        let again = world.life.decide(job, &Decision::Release, "twice").await;
        assert!(matches!(again, Err(DecideError::WrongState { state: JobState::Failed })));
        world.work().await;
        world.prove().await;
    });
}

#[test]
fn a_callback_finds_the_lost_task() {
    story(async {
        let life = Life::default().hint(Duration::from_secs(25), Hint::Genuine);
        let (world, _, job) = unclear(Reply::LostButMade, life).await;
        let done = world.run_to(job, JobState::Done, MINUTE).await;
        assert_eq!((done.gift, done.task_id.as_deref()), (false, Some("task-0001")));
        assert_eq!(world.transfers(job).await, [TransferKind::Hold, TransferKind::Capture]);
        world.prove().await;
    });
}

#[test]
fn a_record_that_cannot_be_read_yet_is_asked_again_until_it_agrees() {
    story(async {
        let mut life = Life::default().hint(Duration::from_secs(1), Hint::Genuine);
        life.young = Duration::from_secs(70);
        let (world, _, job) = unclear(Reply::LostButMade, life).await;
        let done = world.run_to(job, JobState::Done, MINUTE * 3).await;
        assert!(!done.gift);
        world.prove().await;
    });
}

#[test]
fn a_task_whose_record_disagrees_is_never_adopted() {
    let base = || Life::default().hint(Duration::from_secs(5), Hint::Genuine);
    let other_model = Life { shows_model: Some("acme/other"), ..base() };
    // A shown address carries our MAC and decides alone; without it the time must fit.
    let too_late = Life { shows_address: false, created_later: HOUR, ..base() };
    let no_address_other_model = Life { shows_address: false, shows_model: Some("acme/other"), ..base() };
    for life in [other_model, too_late, no_address_other_model] {
        story(async {
            let (world, account, job) = unclear(Reply::LostButMade, life).await;
            world.run(MINUTE).await;
            assert_eq!(world.job(job).await.state, JobState::Unclear);
            assert!(world.has_line(job, "callback.disagrees").await);
            let refused = world.life.decide(job, &adopt("task-0001"), "by hand").await;
            assert!(matches!(refused, Err(DecideError::Disagrees)), "{refused:?}");
            world.run_to(job, JobState::Failed, HOUR * 3).await;
            assert_eq!(world.balance(account).await, (10_000, 0));
            world.prove().await;
        });
    }
}

#[test]
fn a_callback_with_another_jobs_task_is_not_believed() {
    story(async {
        let world = World::new(3).await;
        let (victim, thief) = (world.customer(1_000).await, world.customer(1_000).await);
        world.kie.plan(Reply::Accepted, Life::default());
        let theirs = world.order(victim, DRAW).await;
        world.work().await;
        let forged = Hint::OtherTask("task-0001".to_owned());
        world.kie.plan(Reply::LostButMade, Life::default().hint(Duration::from_secs(2), forged));
        let job = world.order(thief, DRAW).await;
        world.run(MINUTE).await;
        assert_eq!(
            (world.job(theirs).await.state, world.job(job).await.state),
            (JobState::Done, JobState::Unclear)
        );
        assert!(world.has_line(job, "callback.disagrees").await);
        world.run(HOUR * 3).await;
        assert_eq!(world.balance(thief).await, (1_000, 0));
        world.prove().await;
    });
}

#[test]
fn a_wrong_token_and_an_unreadable_body_change_nothing() {
    story(async {
        let life = Life::default()
            .hint(Duration::from_secs(1), Hint::WrongToken)
            .hint(Duration::from_secs(2), Hint::Garbage);
        let (world, _, job) = unclear(Reply::LostButMade, life).await;
        let before = world.job(job).await.wake_seq;
        world.run(MINUTE).await;
        assert_eq!(world.job(job).await.state, JobState::Unclear);
        assert_eq!((world.kept().len(), world.job(job).await.wake_seq), (1, before + 1));
        let token = world.life.keys().callback_token(job, 1);
        assert_eq!(world.post(&token, None).await, CallbackOutcome::TooLarge);
        assert_eq!(world.job(job).await.wake_seq, before + 2);
        world.prove().await;
    });
}

#[test]
fn the_operator_adopts_what_agrees() {
    story(async {
        let (world, _, job) = unclear(Reply::LostButMade, Life::default()).await;
        world.life.decide(job, &adopt("task-0001"), "seen in the provider's log").await.unwrap();
        assert!(!world.run_to(job, JobState::Done, MINUTE).await.gift);
        assert!(world.has_line(job, "job.decided").await);
        world.prove().await;
    });
}

#[test]
fn a_resend_buys_once_more() {
    story(async {
        let (world, _, job) = unclear(Reply::LostUnmade, Life::default()).await;
        world.life.decide(job, &Decision::Resend, "it never arrived").await.unwrap();
        let done = world.run_to(job, JobState::Done, MINUTE).await;
        assert_eq!((done.attempts, world.kie.creates().len()), (2, 2));
        assert_eq!(world.money(job).await, (780, 780, 0));
        world.prove().await;
    });
}

#[test]
fn a_first_task_that_turns_up_drops_the_unsent_resend() {
    story(async {
        let (world, _, job) = unclear(Reply::LostButMade, Life::default()).await;
        world.life.decide(job, &Decision::Resend, "it never arrived").await.unwrap();
        world.hint(job, 1, "task-0001").await;
        let done = world.run_to(job, JobState::Done, MINUTE).await;
        assert_eq!((done.attempts, world.kie.creates().len()), (1, 1));
        world.prove().await;
    });
}

#[test]
fn a_second_task_is_surplus_never_charged() {
    story(async {
        let (world, account, job) = unclear(Reply::LostButMade, Life::default()).await;
        world.life.decide(job, &Decision::Resend, "it never arrived").await.unwrap();
        world.work().await;
        assert_eq!(world.job(job).await.state, JobState::Running);
        world.hint(job, 1, "task-0001").await;
        let done = world.run_to(job, JobState::Done, MINUTE).await;
        assert_eq!((done.task_id.as_deref(), world.balance(account).await), (Some("task-0002"), (9_220, 0)));
        let known: Vec<_> =
            world.attempts(job).await.into_iter().map(|attempt| attempt.task_id.unwrap()).collect();
        assert_eq!(known, ["task-0001", "task-0002"]);
        assert!(world.has_line(job, "task.surplus").await);
        world.prove().await;
    });
}

#[test]
fn a_callback_after_the_release_brings_a_gift_soon() {
    story(async {
        let (world, account, job) = unclear(Reply::LostButMade, Life::default()).await;
        world.run_to(job, JobState::Failed, HOUR * 3).await;
        world.run(MINUTE).await;
        world.hint(job, 1, "task-0001").await;
        let done = world.run_to(job, JobState::Done, MINUTE * 2).await;
        assert!(done.gift);
        assert_eq!((world.money(job).await, world.balance(account).await), ((780, 0, 780), (10_000, 0)));
        world.work().await;
        world.prove().await;
    });
}

#[test]
fn trouble_of_the_provider_does_not_put_a_gift_off_to_the_daily_look() {
    story(async {
        let trouble = || ReadFailure::Trouble("HTTP 500".to_owned());
        let (world, account, job) = unclear(Reply::LostButMade, Life::default()).await;
        world.run_to(job, JobState::Failed, HOUR * 3).await;
        world.run(MINUTE).await;
        for _ in 0..4 {
            world.kie.fail_next_read(trouble());
            world.hint(job, 1, "task-0001").await;
            world.work().await;
        }
        let done = world.run_to(job, JobState::Done, MINUTE * 2).await;
        assert!(done.gift);
        assert_eq!(world.balance(account).await, (10_000, 0));
        world.work().await;
        world.prove().await;
    });
}

#[test]
fn a_callback_whose_record_could_not_be_read_outlives_the_release() {
    story(async {
        let (world, account, job) = unclear(Reply::LostButMade, Life::default()).await;
        world.run(HOUR + MINUTE * 59).await;
        // Every 15 s until the release, and once after it.
        for _ in 0..6 {
            world.kie.fail_next_read(ReadFailure::Trouble("HTTP 500".to_owned()));
        }
        world.hint(job, 1, "task-0001").await;
        world.run_to(job, JobState::Failed, MINUTE * 2).await;
        assert_eq!(world.balance(account).await, (10_000, 0));
        assert!(world.run_to(job, JobState::Done, MINUTE * 5).await.gift);
        world.work().await;
        world.prove().await;
    });
}

#[test]
fn a_callback_after_a_refusal_brings_a_gift_soon() {
    story(async {
        let world = World::new(2).await;
        let account = world.customer(1_000).await;
        let refusal = domain::Answer::Refused(Cause::InvalidInput);
        world.kie.plan(Reply::RefusedWithTask(refusal), Life::default().after(MINUTE));
        let job = world.order(account, DRAW).await;
        world.work().await;
        assert_eq!(world.balance(account).await, (1_000, 0));
        world.run(MINUTE).await;
        world.hint(job, 1, "task-0001").await;
        assert!(world.run_to(job, JobState::Done, MINUTE).await.gift);
        world.work().await;
        world.prove().await;
    });
}

#[test]
fn the_operator_adopts_for_a_failed_job_and_it_is_a_gift() {
    story(async {
        let (world, account, job) = unclear(Reply::LostButMade, Life::ending(End::Never)).await;
        world.run_to(job, JobState::Failed, HOUR * 3).await;
        world.kie.end_all(&End::Made { results: None, extras: 0, credits: None });
        world.life.decide(job, &adopt("task-0001"), "found").await.unwrap();
        assert!(world.run_to(job, JobState::Done, MINUTE).await.gift);
        assert_eq!(world.balance(account).await, (10_000, 0));
        world.prove().await;
    });
}
