//! Evidence: a task id is saved where none is yet, whoever holds the lease, and belongs to one attempt for ever.

use domain::{Job, JobState};

use super::Fixture;
use super::fixture::at_once;
use crate::{Recorded, StoreError, TaskSaved};

/// A create that answers after its lease: the second worker has made it unclear, the late answer's step is stale, but
/// its task id is saved and wakes the job.
pub async fn a_late_answer_is_stale_but_its_task_is_saved(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let sent = fx.sent(job.id).await;
    assert_eq!(fx.claim_up_to(10).await, []);
    fx.advance(151);
    let second = fx.claim_this(job.id).await;
    assert_eq!(second.state, JobState::Submitting);
    let unclear = fx.applied(&fx.step(&second, JobState::Unclear)).await;
    let mut late = fx.step(&sent, JobState::Running);
    late.task = Some((1, "task-1".to_owned()));
    assert_eq!(fx.store.record(&late).await.unwrap(), Recorded::Stale);
    assert_eq!(fx.job(job.id).await, unclear);
    let saved = fx.store.save_task(job.id, 1, "task-1", fx.now()).await.unwrap();
    assert_eq!(saved, TaskSaved::Saved);
    let woken = fx.job(job.id).await;
    assert_eq!((woken.state, woken.wake_at), (JobState::Unclear, Some(fx.now())));
    assert_eq!((woken.wake_seq, woken.fence), (unclear.wake_seq + 1, unclear.fence));
    let claimed = fx.claim_this(job.id).await;
    let mut adopt = fx.step(&claimed, JobState::Running);
    adopt.task = Some((1, "task-1".to_owned()));
    assert_eq!(fx.applied(&adopt).await.task_id.as_deref(), Some("task-1"));
}

/// The stale sender's step is refused while the second worker still has the job, and evidence is saved all the same.
pub async fn evidence_is_saved_under_another_workers_lease(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let sent = fx.sent(job.id).await;
    fx.advance(151);
    let second = fx.claim_this(job.id).await;
    assert_eq!(fx.store.record(&fx.step(&sent, JobState::Running)).await.unwrap(), Recorded::Stale);
    assert_eq!(fx.store.save_task(job.id, 1, "task-1", fx.now()).await.unwrap(), TaskSaved::Saved);
    let step = fx.step(&second, JobState::Unclear);
    let unclear = fx.applied(&step).await;
    assert_eq!(unclear.wake_at, Some(step.at), "the task came during the step, so the row is due again");
}

/// The same task again is known; another task on the same attempt, or the task on another attempt, is taken.
pub async fn a_task_belongs_to_one_attempt_for_ever(fx: Fixture) {
    let account = fx.account(200).await;
    let (one, two) = (unclear(&fx, account).await, unclear(&fx, account).await);
    let save = async |job: &Job, task: &str| fx.store.save_task(job.id, 1, task, fx.now()).await.unwrap();
    assert_eq!(save(&one, "task-1").await, TaskSaved::Saved);
    assert_eq!(save(&one, "task-1").await, TaskSaved::Known);
    assert_eq!(save(&one, "task-2").await, TaskSaved::Taken);
    assert_eq!(save(&two, "task-1").await, TaskSaved::Taken);
    assert_eq!(fx.store.attempts(two.id).await.unwrap()[0].task_id, None);
    let found = fx.store.find_job_by_task("task-1").await.unwrap().unwrap();
    assert_eq!((found.0.id, found.1), (one.id, 1));
    assert_eq!(fx.store.find_job_by_task("task-2").await.unwrap(), None);
}

/// Only an attempt that was committed can have a task.
pub async fn a_task_needs_an_attempt(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let answer = fx.store.save_task(job.id, 1, "task-1", fx.now()).await;
    assert!(matches!(answer, Err(StoreError::NotFound { .. })), "{answer:?}");
    let answer = fx.store.save_task(fx.job_id(), 1, "task-1", fx.now()).await;
    assert!(matches!(answer, Err(StoreError::NotFound { .. })), "{answer:?}");
}

/// Two attempts that offer one task at once: one of them has it.
pub async fn parallel_evidence_is_saved_once(fx: Fixture) {
    let account = fx.account(1_000).await;
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(unclear(&fx, account).await.id);
    }
    let answers = at_once(16, |number| {
        let (store, job, at) = (fx.store.clone(), jobs[number % 4], fx.now());
        async move { store.save_task(job, 1, "task-1", at).await.expect("saving runs") }
    })
    .await;
    let count = |wanted| answers.iter().filter(|answer| **answer == wanted).count();
    assert_eq!((count(TaskSaved::Saved), count(TaskSaved::Known), count(TaskSaved::Taken)), (1, 3, 12));
}

/// A step whose task belongs to another job is an error, and nothing of it is written.
pub async fn a_step_with_another_jobs_task_writes_nothing(fx: Fixture) {
    let account = fx.account(200).await;
    let (one, two) = (fx.pending(account, 100).await, fx.pending(account, 100).await);
    fx.running(one.id, "task-1").await;
    fx.advance(31);
    let sent = fx.sent(two.id).await;
    let mut step = fx.step(&sent, JobState::Running);
    step.task = Some((1, "task-1".to_owned()));
    step.timeline = vec![super::fixture::entry("never")];
    assert!(matches!(fx.store.record(&step).await, Err(StoreError::Taken { .. })));
    assert_eq!(fx.job(two.id).await, sent);
    assert_eq!(fx.store.timeline(two.id).await.unwrap().len(), 1);
    let mut both = fx.store.timelines(&[two.id, one.id, fx.job_id()]).await.unwrap();
    assert_eq!((both.len(), both.remove(&one.id)), (2, Some(fx.store.timeline(one.id).await.unwrap())));
}

/// A step never replaces the task that its attempt has.
pub async fn a_step_never_replaces_a_task(fx: Fixture) {
    let account = fx.account(100).await;
    let job = unclear(&fx, account).await;
    fx.store.save_task(job.id, 1, "task-1", fx.now()).await.unwrap();
    let claimed = fx.claim_this(job.id).await;
    let mut step = fx.step(&claimed, JobState::Running);
    step.task = Some((1, "task-2".to_owned()));
    assert!(matches!(fx.store.record(&step).await, Err(StoreError::Taken { .. })));
    assert_eq!(fx.job(job.id).await, claimed);
    assert_eq!(fx.store.attempts(job.id).await.unwrap()[0].task_id.as_deref(), Some("task-1"));
}

/// A surplus task of an earlier attempt is kept, and does not disturb a job that runs on another.
pub async fn a_surplus_task_is_kept_without_a_wake(fx: Fixture) {
    let account = fx.account(100).await;
    let job = unclear(&fx, account).await;
    fx.wake_now(job.id).await;
    let claimed = fx.claim_this(job.id).await;
    let mut resend = fx.step(&claimed, JobState::Pending);
    resend.patch.wake_at = Some(fx.now());
    fx.applied(&resend).await;
    let running = fx.running(job.id, "task-2").await;
    assert_eq!((running.attempts, running.task_id.as_deref()), (2, Some("task-2")));
    assert_eq!(fx.store.save_task(job.id, 1, "task-1", fx.now()).await.unwrap(), TaskSaved::Saved);
    let after = fx.job(job.id).await;
    assert_eq!((after.wake_at, after.wake_seq), (running.wake_at, running.wake_seq));
    assert_eq!(after.task_id.as_deref(), Some("task-2"));
    let tasks: Vec<_> = fx.store.attempts(job.id).await.unwrap().into_iter().map(|a| a.task_id).collect();
    assert_eq!(tasks, [Some("task-1".to_owned()), Some("task-2".to_owned())]);
    assert_eq!(fx.store.find_job_by_task("task-1").await.unwrap().unwrap().1, 1);
}

/// A task that turns up after a failure wakes the job, so that its record is read for a gift.
pub async fn a_task_found_after_failure_wakes_the_job(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let sent = fx.sent(job.id).await;
    let failed = fx.applied(&fx.fail(&sent)).await;
    assert_eq!(failed.wake_at, None);
    assert_eq!(fx.store.save_task(job.id, 1, "task-1", fx.now()).await.unwrap(), TaskSaved::Saved);
    assert_eq!(fx.job(job.id).await.wake_at, Some(fx.now()));
    assert_eq!(fx.claim_this(job.id).await.state, JobState::Failed);
}

async fn unclear(fx: &Fixture, account: domain::AccountId) -> Job {
    let job = fx.pending(account, 100).await;
    let sent = fx.sent(job.id).await;
    fx.applied(&fx.step(&sent, JobState::Unclear)).await
}
