//! Listing: pages without gaps, each filter, each reader's own rows, changes in their order.

use domain::{AccountId, BatchId, Job, JobId, JobState, MediaKind, Scope};

use super::Fixture;
use crate::{Flags, JobFilter, NewJob};

/// Pages follow each other without gaps and without repeats, newest first, also among jobs of one moment.
pub async fn pages_have_no_gaps(fx: Fixture) {
    let (account, other) = (fx.account(10_000).await, fx.account(100).await);
    let mut wanted = Vec::new();
    for _ in 0..5 {
        fx.advance(1);
        wanted.extend(ids(&fx.open(&fx.order_of(account, 5, 10)).await));
        fx.pending(other, 10).await;
    }
    wanted.sort_unstable();
    wanted.reverse();
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let filter = JobFilter { before, limit: 7, ..of(account) };
        let page = fx.store.list_jobs(&filter).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        assert!(page.len() <= 7);
        found.extend(ids(&page));
    }
    assert_eq!(found, wanted);
    assert_eq!(list(&fx, JobFilter { limit: 100, ..JobFilter::default() }).await.len(), 30);
}

/// Each filter finds its jobs and no others; filters narrow each other.
pub async fn each_filter_finds_its_jobs(fx: Fixture) {
    let account = fx.account(10_000).await;
    let video = NewJob {
        model: "maker/video-2".to_owned(),
        kind: MediaKind::Video,
        prompt: Some("A dog, 100% real".to_owned()),
        ..fx.new_job(account, 10)
    };
    let video = fx.open(&fx.order(account, vec![video])).await.remove(0).id;
    let canceled = fx.pending(account, 10).await;
    fx.applied(&fx.cancel(&canceled)).await;
    fx.advance(10);
    let since = fx.now();
    let batch = fx.open(&fx.order_of(account, 2, 10)).await;
    let id: Option<BatchId> = batch[0].batch;
    let batch: Vec<JobId> = ids(&batch);
    let has = async |filter: JobFilter, wanted: &[JobId]| {
        let (mut found, mut wanted) = (list(&fx, filter.clone()).await, wanted.to_vec());
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{filter:?}");
    };
    let canceled = canceled.id;
    has(of(account), &[video, canceled, batch[0], batch[1]]).await;
    has(JobFilter { states: vec![JobState::Canceled], ..of(account) }, &[canceled]).await;
    let states = vec![JobState::Canceled, JobState::Pending];
    has(JobFilter { states, ..of(account) }, &[video, canceled, batch[0], batch[1]]).await;
    has(JobFilter { states: vec![JobState::Done], ..of(account) }, &[]).await;
    has(JobFilter { kind: Some(MediaKind::Video), ..of(account) }, &[video]).await;
    has(JobFilter { model: Some("maker/video-2".to_owned()), ..of(account) }, &[video]).await;
    has(JobFilter { batch: id, ..of(account) }, &batch).await;
    has(JobFilter { since: Some(since), ..of(account) }, &batch).await;
    has(JobFilter { prompt: Some("DOG".to_owned()), ..of(account) }, &[video]).await;
    has(JobFilter { prompt: Some("0% r".to_owned()), ..of(account) }, &[video]).await;
    has(JobFilter { prompt: Some("d%g".to_owned()), ..of(account) }, &[]).await;
    has(JobFilter { prompt: Some("d_g".to_owned()), ..of(account) }, &[]).await;
    let canceled_and_video = JobFilter { states: vec![JobState::Canceled], with_hidden: true, ..limited() };
    has(canceled_and_video, &[canceled]).await;
    let waiting = JobFilter { states: vec![JobState::Pending], ..limited() };
    has(waiting.clone(), &[video, batch[0], batch[1]]).await;
    has(JobFilter { since: Some(since), ..waiting.clone() }, &batch).await;
    has(JobFilter { account: Some(account), since: Some(since), ..waiting }, &batch).await;
    has(JobFilter { states: vec![JobState::Draft, JobState::Running], ..limited() }, &[]).await;
    has(JobFilter { since: Some(fx.after(-5)), ..limited() }, &batch).await;
    has(JobFilter { since: Some(fx.after(1)), ..limited() }, &[]).await;
    let narrow = JobFilter { prompt: Some("cat".to_owned()), since: Some(since), ..of(account) };
    has(JobFilter { kind: Some(MediaKind::Image), ..narrow }, &batch).await;
    has(of(fx.account(0).await), &[]).await;
}

/// A prompt is found whatever the case of its letters, in every alphabet.
pub async fn a_prompt_is_found_whatever_its_case(fx: Fixture) {
    let account = fx.account(100).await;
    let job =
        NewJob { prompt: Some("Рыжий Кот на крыше".to_owned()), ..fx.new_job(account, 10) };
    let job = fx.open(&fx.order(account, vec![job])).await.remove(0).id;
    for text in ["рыжий кот", "КОТ НА", "Кот"] {
        let filter = JobFilter { prompt: Some(text.to_owned()), ..of(account) };
        assert_eq!(list(&fx, filter).await, [job], "{text}");
    }
}

/// A job is found by its task, and by a task of any of its attempts.
pub async fn a_job_is_found_by_any_of_its_tasks(fx: Fixture) {
    let account = fx.account(1_000).await;
    let job = fx.pending(account, 100).await;
    let sent = fx.sent(job.id).await;
    fx.applied(&fx.step(&sent, JobState::Unclear)).await;
    fx.wake_now(job.id).await;
    let claimed = fx.claim_this(job.id).await;
    let mut resend = fx.step(&claimed, JobState::Pending);
    resend.patch.wake_at = Some(fx.now());
    fx.applied(&resend).await;
    fx.running(job.id, "task-2").await;
    fx.store.save_task(job.id, 1, "task-1", fx.now()).await.unwrap();
    fx.pending(account, 100).await;
    for (task, wanted) in [("task-1", vec![job.id]), ("task-2", vec![job.id]), ("task-3", vec![])] {
        let filter = JobFilter { task: Some(task.to_owned()), ..of(account) };
        assert_eq!(list(&fx, filter).await, wanted, "{task}");
    }
}

/// A customer's marks are set on their own jobs alone; hidden jobs are listed only when asked for.
pub async fn marks_belong_to_the_owner(fx: Fixture) {
    let (account, stranger) = (fx.account(100).await, fx.account(0).await);
    let job = fx.pending(account, 10).await;
    fx.advance(1);
    let both = Flags { favourite: Some(true), hidden: Some(true) };
    assert!(!fx.store.flag_job(job.id, stranger, both, fx.now()).await.unwrap());
    assert!(!fx.store.flag_job(fx.job_id(), account, both, fx.now()).await.unwrap());
    assert_eq!(fx.job(job.id).await, job);
    assert!(fx.store.flag_job(job.id, account, both, fx.now()).await.unwrap());
    let marked = fx.job(job.id).await;
    assert_eq!((marked.favourite, marked.hidden_at), (true, Some(fx.now())));
    assert!(marked.version > job.version && marked.updated_at == fx.now());
    assert_eq!(list(&fx, of(account)).await, []);
    assert_eq!(list(&fx, JobFilter { with_hidden: true, ..of(account) }).await, [job.id]);
    let shown = Flags { hidden: Some(false), ..Flags::default() };
    assert!(fx.store.flag_job(job.id, account, shown, fx.now()).await.unwrap());
    let shown = fx.job(job.id).await;
    assert_eq!((shown.favourite, shown.hidden_at), (true, None), "the other mark stays");
    assert_eq!(list(&fx, JobFilter { favourite: Some(true), ..of(account) }).await, [job.id]);
    assert_eq!(list(&fx, JobFilter { favourite: Some(false), ..of(account) }).await, []);
}

/// A job is shown to its owner and to operators, to nobody else.
pub async fn a_job_is_shown_to_its_owner(fx: Fixture) {
    let (account, stranger) = (fx.account(100).await, fx.account(0).await);
    let job = fx.pending(account, 10).await;
    let find = async |scope| fx.store.find_job(job.id, scope).await.unwrap();
    assert_eq!(find(Scope::Account(account)).await, Some(job.clone()));
    assert_eq!(find(Scope::All).await, Some(job.clone()));
    assert_eq!(find(Scope::Account(stranger)).await, None);
}

/// What changed since a moment comes oldest change first, each job once, within the reader's scope.
pub async fn changes_come_in_their_order(fx: Fixture) {
    let (account, stranger) = (fx.account(100).await, fx.account(100).await);
    let mut jobs = Vec::new();
    for _ in 0..3 {
        fx.advance(10);
        jobs.push(fx.pending(account, 10).await);
    }
    let foreign = fx.pending(stranger, 10).await.id;
    fx.advance(10);
    let since = fx.now();
    fx.applied(&fx.cancel(&jobs[1])).await;
    fx.advance(10);
    let favourite = Flags { favourite: Some(true), ..Flags::default() };
    assert!(fx.store.flag_job(jobs[0].id, account, favourite, fx.now()).await.unwrap());
    let changed = async |scope, since, limit| ids(&fx.store.changed_jobs(scope, since, limit).await.unwrap());
    let own = Scope::Account(account);
    assert_eq!(changed(own, since, 10).await, [jobs[1].id, jobs[0].id]);
    assert_eq!(changed(own, since, 1).await, [jobs[1].id]);
    assert_eq!(changed(own, fx.now(), 10).await, [jobs[0].id]);
    assert_eq!(changed(own, fx.after(1), 10).await, []);
    let all = changed(Scope::All, fx.after(-3_600), 10).await;
    assert!(all.len() == 4 && all.contains(&foreign), "{all:?}");
    assert_eq!(changed(own, fx.after(-3_600), 10).await, [jobs[2].id, jobs[1].id, jobs[0].id]);
}

fn of(account: AccountId) -> JobFilter {
    JobFilter { account: Some(account), ..limited() }
}

fn limited() -> JobFilter {
    JobFilter { limit: 100, ..JobFilter::default() }
}

fn ids(jobs: &[Job]) -> Vec<JobId> {
    jobs.iter().map(|job| job.id).collect()
}

async fn list(fx: &Fixture, filter: JobFilter) -> Vec<JobId> {
    ids(&fx.store.list_jobs(&filter).await.expect("jobs can be listed"))
}
