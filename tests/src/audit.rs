//! What must hold after every story: the books, the storage, the provider's log, the signatures.

use std::collections::BTreeMap;

use domain::{Cause, Job, JobState};
use lifecycle::SecretKeys;
use media::MediaStore;
use operations::MediaAudit;
use store::{JobFilter, Store};

use crate::wait::until;
use crate::world::{SECRET_KEY, World};

impl World {
    /// Proves I1, I2, I4, I5 by the books, I6 by the stored bytes, and I3 by the simulator's log.
    pub async fn audit_clean(&self) {
        let media: &MediaStore = &self.media;
        // A connection that an outage has cut is found dead by the first who uses it.
        let report = until("the books can be read", async || {
            operations::audit(&*self.store, Some((media, MediaAudit::Hash)), self.now()).await.ok()
        })
        .await;
        assert!(report.findings.is_empty(), "the audit found {:#?}", report.findings);
        self.bought_at_most_once().await;
    }

    /// I3: at most one task for each sent attempt; each of them known to us, unless its job is unclear or was decided.
    async fn bought_at_most_once(&self) {
        let jobs = all_jobs(&*self.store).await;
        let keys = SecretKeys::new(SECRET_KEY.into(), Vec::new()).unwrap();
        let mut tasks_of: BTreeMap<(domain::JobId, u16), Vec<String>> = BTreeMap::new();
        let old = self.old_tasks.lock().unwrap().clone();
        for task in self.sim.tasks().into_iter().filter(|task| !old.contains(&task.id)) {
            let callback = task.callback_url.as_deref().expect("every task was ordered with our callback");
            let token = callback.rsplit('/').next().unwrap_or_default();
            let bought = keys.read_callback_token(token).expect("the callback address is one of ours");
            tasks_of.entry(bought).or_default().push(task.id);
        }
        for (&(id, number), tasks) in &tasks_of {
            let Some(job) = jobs.iter().find(|job| job.id == id) else {
                assert!(self.is_restored, "the task {tasks:?} is of a job that is not there");
                continue;
            };
            assert_eq!(tasks.len(), 1, "attempt {number} of job {id} made the tasks {tasks:?}");
            assert!(number <= job.attempts, "attempt {number} of job {id} was never committed");
            let known = self.store.find_job_by_task(&tasks[0]).await.unwrap();
            assert!(
                known.is_some_and(|(known, attempt)| known.id == id && attempt == number)
                    || may_not_know(job),
                "task {} of job {id} ({}) is not known to us",
                tasks[0],
                job.state
            );
        }
        for job in &jobs {
            self.sent_again_only_after_refusals(job).await;
        }
    }

    /// Another attempt is sent only when the one before was refused for certain, or a person ordered it.
    async fn sent_again_only_after_refusals(&self, job: &Job) {
        if job.attempts <= 1 {
            return;
        }
        let attempts = self.store.attempts(job.id).await.unwrap();
        let timeline = self.store.timeline(job.id).await.unwrap();
        let resends = timeline.iter().filter(|entry| {
            entry.detail.as_deref().is_some_and(|detail| detail.starts_with("ResendOrdered"))
        });
        let unanswered = attempts
            .iter()
            .filter(|attempt| attempt.number < job.attempts)
            .filter(|attempt| attempt.answer.is_none() || attempt.task_id.is_some());
        let (unanswered, resends) = (unanswered.count(), resends.count());
        assert!(
            unanswered <= resends,
            "job {} was sent {} times, {unanswered} of them without a refusal, {resends} by order",
            job.id,
            job.attempts
        );
    }

    /// Every webhook that came is signed with the key of the account that owns the job, and tells of a real job.
    pub(crate) async fn signatures_hold(&self) {
        for call in self.receiver.calls() {
            let body = call.json();
            let id = body["data"]["id"].as_str().expect("a webhook names its job");
            let found = self.store.find_job(id.parse().unwrap(), domain::Scope::All).await.unwrap();
            let Some(job) = found else {
                assert!(self.is_restored, "{id} is a job");
                continue;
            };
            let key = self.store.webhook_key(job.account).await.unwrap();
            let oracle = standardwebhooks::Webhook::new(&delivery::webhook_secret(&key)).unwrap();
            let sent_at: i64 = call.header("webhook-timestamp").parse().expect("a webhook has a time");
            // The library compares times with the system's clock, which stories may have left behind.
            let expected = oracle.sign(call.header("webhook-id"), sent_at, &call.bytes).unwrap();
            assert_eq!(call.header("webhook-signature"), expected, "the signature of {body}");
        }
    }
}

async fn all_jobs(store: &dyn Store) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    loop {
        let filter = JobFilter {
            with_hidden: true,
            before: jobs.last().map(|job| job.id),
            limit: 100,
            ..JobFilter::default()
        };
        let page = store.list_jobs(&filter).await.unwrap();
        if page.is_empty() {
            return jobs;
        }
        jobs.extend(page);
    }
}

/// The answer was lost, and nobody could tell us since.
fn may_not_know(job: &Job) -> bool {
    job.state == JobState::Unclear
        || matches!(job.cause, Some(Cause::Unclear | Cause::Operator | Cause::ProviderError))
        || (job.state == JobState::Submitting && job.attempts > 0)
}
