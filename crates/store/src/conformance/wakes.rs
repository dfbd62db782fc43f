//! Wakes: none is lost, none disturbs a lease, and sleepers know when to look again.

use std::time::Duration;

use domain::{Channel, Job, JobId, JobState, Recipient, Scope};

use super::Fixture;
use super::fixture::at_once;
use super::moves::usual_wake;
use crate::{Recorded, WakeJob, WakeReason};

/// How long a test waits for a hint, in real time.
const PATIENCE: Duration = Duration::from_secs(10);

/// A wake lowers the moment of attention and raises its number; it never puts anything off.
pub async fn a_wake_only_brings_forward(fx: Fixture) {
    let running = running(&fx).await;
    assert!(fx.wake(running.id, fx.after(600)).await);
    let later = fx.job(running.id).await;
    assert_eq!((later.wake_at, later.wake_seq), (running.wake_at, running.wake_seq + 1));
    assert!(fx.wake(running.id, fx.after(5)).await);
    let sooner = fx.job(running.id).await;
    assert_eq!((sooner.wake_at, sooner.wake_seq), (Some(fx.after(5)), running.wake_seq + 2));
    assert_eq!((sooner.fence, sooner.lease_until), (running.fence, running.lease_until));
    assert_eq!(fx.claim_up_to(10).await, []);
    fx.advance(5);
    assert_eq!(fx.claim_this(running.id).await.wake_seq, sooner.wake_seq);
}

/// A wake during a step makes the row due again at once, whatever the step wanted.
pub async fn a_wake_during_a_step_is_not_lost(fx: Fixture) {
    let running = running(&fx).await;
    fx.advance(60);
    let claimed = fx.claim_this(running.id).await;
    fx.wake_now(running.id).await;
    let during = fx.job(running.id).await;
    assert_eq!((during.fence, during.lease_until), (claimed.fence, claimed.lease_until));
    let step = fx.step(&claimed, JobState::Running);
    let after = fx.applied(&step).await;
    assert_eq!((after.wake_at, after.lease_until), (Some(step.at), None));
    let again = fx.claim_this(running.id).await;
    let quiet = fx.step(&again, JobState::Running);
    assert_eq!(fx.applied(&quiet).await.wake_at, Some(usual_wake(&quiet)));
}

/// A wake between claim and attempt survives the sending: the row is due at once after the answer.
pub async fn a_wake_before_an_attempt_survives_it(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let claimed = fx.claim_this(job.id).await;
    fx.wake_now(job.id).await;
    let began = fx.store.begin_attempt(&fx.begin(&claimed)).await.unwrap();
    assert_eq!(began, crate::Began::Committed);
    let mut step = fx.step(&claimed, JobState::Running);
    step.guard.state = JobState::Submitting;
    step.task = Some((1, "task".to_owned()));
    assert_eq!(fx.applied(&step).await.wake_at, Some(step.at));
}

/// A wake during the last step does not wake what is over for good.
pub async fn a_wake_does_not_wake_what_is_over(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let claimed = fx.claim_this(job.id).await;
    fx.wake_now(job.id).await;
    let mut cancel = fx.cancel(&claimed);
    cancel.guard = crate::Guard::claimed(&claimed);
    assert_eq!(fx.applied(&cancel).await.wake_at, None);
    assert_eq!(fx.store.next_wake().await.unwrap(), None);
}

/// A wake during the step that fails a job makes the failed row due at once.
pub async fn a_wake_during_a_failure_is_kept(fx: Fixture) {
    let running = running(&fx).await;
    fx.advance(60);
    let claimed = fx.claim_this(running.id).await;
    fx.wake_now(running.id).await;
    let step = fx.fail(&claimed);
    assert_eq!(fx.applied(&step).await.wake_at, Some(step.at));
}

/// Done and canceled jobs, failed jobs that were never sent and failed gifts are left alone; other failed jobs are woken.
pub async fn only_what_can_still_change_is_woken(fx: Fixture) {
    let account = fx.account(1_000).await;
    let released = fx.pending(account, 100).await;
    let sent = fx.sent(released.id).await;
    fx.applied(&fx.fail(&sent)).await;
    assert!(fx.wake(released.id, fx.now()).await, "its task may turn up and bring a gift");
    let canceled = fx.pending(account, 100).await;
    fx.applied(&fx.cancel(&canceled)).await;
    let done = fx.pending(account, 100).await;
    fx.done(done.id, 100).await;
    let never_sent = fx.pending(account, 100).await;
    let claimed = fx.claim_this(never_sent.id).await;
    fx.applied(&fx.fail(&claimed)).await;
    for job in [canceled.id, done.id, never_sent.id] {
        let before = fx.job(job).await;
        assert!(!fx.wake(job, fx.now()).await);
        assert_eq!(fx.job(job).await, before);
    }
    assert!(!fx.wake(fx.job_id(), fx.now()).await, "an unknown job is not woken");
    let failed = fx.pending(account, 100).await;
    fx.failed(failed.id).await;
    fx.wake_now(failed.id).await;
    let claimed = fx.claim_this(failed.id).await;
    let mut gift = fx.step(&claimed, JobState::Storing);
    gift.patch.gift = true;
    fx.applied(&gift).await;
    fx.wake_now(failed.id).await;
    let claimed = fx.claim_this(failed.id).await;
    let mut lost = fx.step(&claimed, JobState::Failed);
    lost.patch.cause = Some(domain::Cause::NoResult);
    fx.applied(&lost).await;
    assert!(!fx.wake(failed.id, fx.now()).await, "a gift comes once");
}

/// A person's wakes are counted against the clock; a callback's are not and ask for fast reads.
pub async fn asked_wakes_have_a_pace(fx: Fixture) {
    let running = running(&fx).await;
    let asked = WakeJob {
        job: running.id,
        scope: Scope::Account(running.account),
        at: fx.now(),
        reason: WakeReason::Asked,
        at_most_every: Duration::from_secs(2),
    };
    assert!(fx.store.wake_job(&asked).await.unwrap());
    assert!(!fx.store.wake_job(&asked).await.unwrap());
    assert_eq!(fx.job(running.id).await.hints, running.hints);
    let callback = WakeJob { reason: WakeReason::Callback, at_most_every: Duration::ZERO, ..asked };
    assert!(fx.store.wake_job(&callback).await.unwrap());
    assert_eq!(fx.job(running.id).await.hints, 3);
    fx.advance(1);
    assert!(!fx.store.wake_job(&WakeJob { at: fx.now(), ..asked }).await.unwrap());
    fx.advance(2);
    assert!(fx.store.wake_job(&WakeJob { at: fx.now(), ..asked }).await.unwrap());
}

/// Nobody wakes another's job.
pub async fn a_wake_stays_within_its_scope(fx: Fixture) {
    let running = running(&fx).await;
    let stranger = fx.account(0).await;
    let wake = WakeJob {
        job: running.id,
        scope: Scope::Account(stranger),
        at: fx.now(),
        reason: WakeReason::Asked,
        at_most_every: Duration::ZERO,
    };
    assert!(!fx.store.wake_job(&wake).await.unwrap());
    assert_eq!(fx.job(running.id).await, running);
}

/// Opening the library wakes the account's jobs that hold money, each at its pace.
pub async fn an_accounts_live_jobs_are_woken_together(fx: Fixture) {
    let account = fx.account(1_000).await;
    let ended = fx.pending(account, 100).await;
    fx.applied(&fx.cancel(&ended)).await;
    fx.open(&fx.order(account, vec![fx.new_draft(account, 100)])).await;
    let other = running(&fx).await;
    let mut live = Vec::new();
    for task in ["task-a", "task-b"] {
        let job = fx.pending(account, 100).await;
        live.push(fx.running(job.id, task).await);
    }
    let every = Duration::from_secs(30);
    assert_eq!(fx.store.wake_account_jobs(account, fx.now(), every).await.unwrap(), 2);
    assert_eq!(fx.store.wake_account_jobs(account, fx.now(), every).await.unwrap(), 0);
    for job in &live {
        assert_eq!(fx.job(job.id).await.wake_at, Some(fx.now()));
    }
    assert_eq!(fx.job(other.id).await, other);
    fx.advance(31);
    assert_eq!(fx.store.wake_account_jobs(account, fx.now(), every).await.unwrap(), 2);
}

/// Wakes and a step that race: either the step saw the wake, or the row is due again at once.
pub async fn racing_wakes_are_never_lost(fx: Fixture) {
    let running = running(&fx).await;
    for _round in 0..20 {
        fx.wake_now(running.id).await;
        let claimed = fx.claim_this(running.id).await;
        fx.advance(1);
        at_once(4, |number| {
            let (fx, claimed) = (fx.clone(), claimed.clone());
            async move {
                if number == 0 {
                    let step = fx.step(&claimed, JobState::Running);
                    assert_eq!(fx.store.record(&step).await.expect("the step runs"), Recorded::Applied);
                } else {
                    fx.wake_now(claimed.id).await;
                }
            }
        })
        .await;
        let after = fx.job(running.id).await;
        assert_eq!(after.wake_seq, claimed.wake_seq + 3);
        assert_eq!(after.wake_at, Some(fx.now()));
    }
}

/// The next wake is the earliest of all rows that nobody has, deliveries included.
pub async fn the_next_wake_is_the_earliest(fx: Fixture) {
    assert_eq!(fx.store.next_wake().await.unwrap(), None);
    let account = fx.account(1_000).await;
    let mut order = fx.order_of(account, 1, 100);
    order.jobs[0].recipients = vec![Recipient::Webhook { url: "https://shop.example/told".to_owned() }];
    let told = fx.open(&order).await.remove(0);
    assert_eq!(fx.store.next_wake().await.unwrap(), Some(fx.now()));
    let sleeper = fx.pending(account, 100).await;
    let at = fx.now();
    let sent = fx.sent(sleeper.id).await;
    let mut step = fx.step(&sent, JobState::Running);
    step.patch.wake_at = Some(fx.after(20));
    step.task = Some((1, "task".to_owned()));
    fx.applied(&step).await;
    // The other job was claimed by the same scan; its wake is past, its lease is live until the thirtieth second.
    assert_eq!(fx.store.next_wake().await.unwrap(), Some(fx.after(20)));
    fx.advance(10);
    let failed = fx.applied(&fx.fail(&fx.job(told.id).await)).await;
    assert_eq!(failed.state, JobState::Failed);
    let delivery =
        fx.store.claim_deliveries(&[Channel::Webhook], fx.now(), fx.after(30), 10).await.unwrap().remove(0);
    let retry = crate::DeliveryResult::Retry { at: fx.after(5), error: "busy".to_owned() };
    assert!(fx.store.record_delivery(&delivery, &retry, fx.now()).await.unwrap());
    assert_eq!(fx.store.next_wake().await.unwrap(), Some(fx.after(5)));
    assert_eq!(fx.after(5), super::fixture::later(at, 15));
}

/// Whoever waits for changes hears of orders, wakes and steps.
pub async fn changes_are_heard(fx: Fixture) {
    let account = fx.account(100).await;
    let mut changes = fx.store.changes();
    changes.borrow_and_update();
    let job = fx.pending(account, 100).await;
    heard(&mut changes, "an order").await;
    fx.wake_now(job.id).await;
    heard(&mut changes, "a wake").await;
    let claimed = fx.claim_this(job.id).await;
    changes.borrow_and_update();
    fx.applied(&fx.step(&claimed, JobState::Pending)).await;
    heard(&mut changes, "a step").await;
}

async fn heard(changes: &mut tokio::sync::watch::Receiver<u64>, what: &str) {
    let moved = tokio::time::timeout(PATIENCE, changes.changed()).await;
    assert!(matches!(moved, Ok(Ok(()))), "{what} was not heard of");
    changes.borrow_and_update();
}

async fn running(fx: &Fixture) -> Job {
    let account = fx.account(100).await;
    let job: JobId = fx.pending(account, 100).await.id;
    let task = fx.word("task");
    fx.running(job, &task).await
}
