//! Callbacks: hints, kept once per body, that only wake.

use domain::{Job, Timestamp};

use super::Fixture;
use super::fixture::at_once;
use crate::{NewCallback, Orphan, StoreError};

/// A callback is kept once per job and body; every one of them wakes its job for fast reads.
pub async fn a_callback_is_kept_once_and_wakes_always(fx: Fixture) {
    let job = running(&fx).await;
    let hash = fx.bytes();
    fx.advance(1);
    assert!(add(&fx, &job, hash, Some("task-1")).await);
    let woken = fx.job(job.id).await;
    assert_eq!((woken.wake_at, woken.wake_seq, woken.hints), (Some(fx.now()), job.wake_seq + 1, 3));
    assert_eq!(
        (woken.state, woken.task_id),
        (job.state, job.task_id.clone()),
        "a callback is never believed"
    );
    assert!(!add(&fx, &job, hash, Some("task-1")).await);
    assert_eq!(fx.job(job.id).await.wake_seq, job.wake_seq + 2);
    assert!(add(&fx, &job, fx.bytes(), Some("task-1")).await);
    assert_eq!(fx.store.callbacks_with_task(job.id).await.unwrap().len(), 2);
}

/// Twenty equal callbacks at once are one row and twenty wakes.
pub async fn parallel_callbacks_are_one_row(fx: Fixture) {
    let job = running(&fx).await;
    let hash = fx.bytes();
    let answers = at_once(20, |_| {
        let (fx, job) = (fx.clone(), job.clone());
        async move { add(&fx, &job, hash, Some("task-1")).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|kept| **kept).count(), 1);
    assert_eq!(fx.store.callbacks_with_task(job.id).await.unwrap().len(), 1);
    assert_eq!(fx.job(job.id).await.wake_seq, job.wake_seq + 20);
}

/// Equal bodies for two jobs are two callbacks.
pub async fn bodies_of_two_jobs_do_not_meet(fx: Fixture) {
    let (one, two) = (running(&fx).await, running(&fx).await);
    let hash = fx.bytes();
    assert!(add(&fx, &one, hash, None).await && add(&fx, &two, hash, None).await);
}

/// A callback for an unknown job is refused; nothing of it stays.
pub async fn a_callback_needs_its_job(fx: Fixture) {
    let callback = callback(&fx, fx.job_id(), fx.bytes(), None);
    let answer = fx.store.add_callback(&callback).await;
    assert!(matches!(answer, Err(StoreError::NotFound { .. })), "{answer:?}");
}

/// A callback for a job that is over is kept, and wakes nothing.
pub async fn a_callback_after_the_end_is_only_kept(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let done = fx.done(job.id, 100).await;
    assert!(add(&fx, &done, fx.bytes(), Some("task-1")).await);
    assert_eq!(fx.job(job.id).await.wake_at, None);
}

/// Callbacks that carry a task are read oldest first, at most 32; the others are not.
pub async fn callbacks_with_a_task_are_read_in_order(fx: Fixture) {
    let job = running(&fx).await;
    assert!(add(&fx, &job, fx.bytes(), None).await);
    let mut times: Vec<Timestamp> = Vec::new();
    for number in 0..35 {
        fx.advance(1);
        assert!(add(&fx, &job, fx.bytes(), Some(&format!("task-{number}"))).await);
        times.push(fx.now());
    }
    let kept = fx.store.callbacks_with_task(job.id).await.unwrap();
    assert_eq!(kept.iter().map(|callback| callback.at).collect::<Vec<_>>(), times[..32]);
    assert_eq!((kept[0].attempt, kept[0].task_id.as_deref()), (1, Some("task-0")));
}

/// Old callbacks are deleted in portions, young ones stay.
pub async fn old_callbacks_are_deleted_in_portions(fx: Fixture) {
    let job = running(&fx).await;
    for _ in 0..5 {
        add(&fx, &job, fx.bytes(), Some("old")).await;
    }
    fx.advance(60);
    let before = fx.now();
    add(&fx, &job, fx.bytes(), Some("young")).await;
    assert_eq!(fx.store.delete_callbacks(before, 3).await.unwrap(), 3);
    assert_eq!(fx.store.delete_callbacks(before, 3).await.unwrap(), 2);
    assert_eq!(fx.store.delete_callbacks(before, 3).await.unwrap(), 0);
    let kept = fx.store.callbacks_with_task(job.id).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].task_id.as_deref(), Some("young"));
}

/// Callbacks that no job knows are forgotten in portions once they do not come any more.
pub async fn old_orphans_are_forgotten(fx: Fixture) {
    let since = fx.now();
    for number in 0..5 {
        fx.store.add_orphan("callback", &format!("task-{number}"), None, fx.now()).await.unwrap();
    }
    fx.advance(60);
    let before = fx.now();
    fx.store.add_orphan("callback", "task-0", None, fx.now()).await.unwrap();
    assert_eq!(fx.store.delete_callbacks(before, 3).await.unwrap(), 3);
    assert_eq!(fx.store.delete_callbacks(before, 3).await.unwrap(), 1);
    assert_eq!(fx.store.delete_callbacks(before, 3).await.unwrap(), 0);
    assert_eq!(fx.store.overview(since, fx.after(1)).await.unwrap().orphans, 1, "one came again");
}

/// Callbacks that no job knows are counted once per source and task.
pub async fn orphans_are_counted(fx: Fixture) {
    let since = fx.now();
    for task in ["task-1", "task-2", "-"] {
        fx.store.add_orphan("callback", task, None, fx.now()).await.unwrap();
    }
    let overview = fx.store.overview(since, fx.after(1)).await.unwrap();
    assert_eq!(overview.orphans, 3);
    fx.advance(100);
    let later = fx.store.overview(fx.now(), fx.after(1)).await.unwrap();
    assert_eq!(later.orphans, 0);
    at_once(8, |_| {
        let (store, at) = (fx.store.clone(), fx.now());
        async move { store.add_orphan("callback", "task-1", None, at).await.expect("the orphan is counted") }
    })
    .await;
    let again = fx.store.overview(fx.now(), fx.after(1)).await.unwrap();
    assert_eq!(again.orphans, 1, "one task came again, eight times");
}

/// Callbacks that no job knows are listed, the last one first, with the job that a token named; by task and time, too.
pub async fn orphans_are_listed(fx: Fixture) {
    let (job, since) = (fx.job_id(), fx.now());
    let [known, other] = ["known", "other"].map(|word| fx.word(word));
    fx.store.add_orphan("callback", &known, Some(job), fx.now()).await.unwrap();
    fx.advance(10);
    fx.store.add_orphan("old/path", &other, None, fx.now()).await.unwrap();
    let first = fx.store.list_orphans(None, None, 10).await.unwrap();
    assert_eq!(first.iter().map(|one| &one.task_id).collect::<Vec<_>>(), [&other, &known]);
    assert_eq!((first[0].job, first[1].job), (None, Some(job)));
    fx.advance(10);
    fx.store.add_orphan("callback", &known, None, fx.now()).await.unwrap();
    let again = [Orphan {
        source: "callback".to_owned(),
        task_id: known.clone(),
        job: Some(job),
        at: since,
        last_at: fx.now(),
        times: 2,
    }];
    assert_eq!(fx.store.list_orphans(Some(&known), None, 10).await.unwrap(), again);
    assert_eq!(fx.store.list_orphans(None, Some(fx.now()), 10).await.unwrap(), again);
    assert_eq!(fx.store.list_orphans(None, None, 1).await.unwrap(), again);
    assert_eq!(fx.store.list_orphans(Some("unheard-of"), None, 10).await.unwrap(), []);
}

async fn running(fx: &Fixture) -> Job {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let task = fx.word("task");
    fx.running(job.id, &task).await
}

fn callback<'a>(
    fx: &Fixture,
    job: domain::JobId,
    body_hash: [u8; 32],
    task_id: Option<&'a str>,
) -> NewCallback<'a> {
    NewCallback { job, attempt: 1, body_hash, body: b"{\"code\":200}", task_id, at: fx.now() }
}

async fn add(fx: &Fixture, job: &Job, hash: [u8; 32], task: Option<&str>) -> bool {
    fx.store.add_callback(&callback(fx, job.id, hash, task)).await.expect("the callback is kept")
}
