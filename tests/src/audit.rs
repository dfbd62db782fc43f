//! What must hold after every story: the books, the storage, the provider's log, the signatures.

use std::collections::BTreeMap;

use domain::{Cause, Job, JobId, JobState};
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
        let old = self.old_tasks.lock().unwrap().clone();
        let tasks = self.sim.tasks().into_iter().filter(|task| !old.contains(&task.id));
        let tasks = tasks.map(|task| (task.id, task.callback_url)).collect();
        let mut findings = bought_at_most_once(&*self.store, tasks).await;
        // A backup does not know the jobs that came after it.
        findings.retain(|finding| !(self.is_restored && finding.ends_with("which is not there")));
        assert!(findings.is_empty(), "the provider's log shows {findings:#?}");
    }

    /// Every webhook that came is signed with the key of the account that owns the job, and tells of a real job.
    pub(crate) async fn signatures_hold(&self) {
        // What is sent to other paths is no webhook.
        for call in self.receiver.calls().iter().filter(|call| call.path.starts_with("/hook/")) {
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

/// I3: at most one task for each sent attempt; each of them known to us, unless its job is unclear or was decided.
/// `tasks` are the provider's, with the callback address that each was ordered with. What is wrong, in words.
pub(crate) async fn bought_at_most_once(
    store: &dyn Store,
    tasks: Vec<(String, Option<String>)>,
) -> Vec<String> {
    let mut findings = Vec::new();
    let jobs = all_jobs(store).await;
    let keys = SecretKeys::new(SECRET_KEY.into(), Vec::new()).unwrap();
    let mut tasks_of: BTreeMap<(JobId, u16), Vec<String>> = BTreeMap::new();
    for (task, callback) in tasks {
        let token = callback.as_deref().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
        match keys.read_callback_token(token) {
            Some(bought) => tasks_of.entry(bought).or_default().push(task),
            None => findings.push(format!("task {task} was ordered without a callback address of ours")),
        }
    }
    for (&(id, number), tasks) in &tasks_of {
        let Some(job) = jobs.get(&id) else {
            findings.push(format!("the tasks {tasks:?} are of job {id}, which is not there"));
            continue;
        };
        if tasks.len() > 1 {
            findings.push(format!("attempt {number} of job {id} made the tasks {tasks:?}"));
        }
        if number > job.attempts {
            findings.push(format!("attempt {number} of job {id} was never committed"));
        }
        let known = store.find_job_by_task(&tasks[0]).await.unwrap();
        if !known.is_some_and(|(known, attempt)| known.id == id && attempt == number) && !may_not_know(job) {
            findings.push(format!("task {} of job {id} ({}) is not known to us", tasks[0], job.state));
        }
    }
    for job in jobs.values() {
        findings.extend(sent_again_without_refusal(store, job).await);
    }
    findings
}

/// Another attempt is sent only when the one before was refused for certain, or a person ordered it.
async fn sent_again_without_refusal(store: &dyn Store, job: &Job) -> Option<String> {
    if job.attempts <= 1 {
        return None;
    }
    let attempts = store.attempts(job.id).await.unwrap();
    let timeline = store.timeline(job.id).await.unwrap();
    let resends = timeline
        .iter()
        .filter(|entry| entry.detail.as_deref().is_some_and(|detail| detail.starts_with("resend:")));
    let unanswered = attempts
        .iter()
        .filter(|attempt| attempt.number < job.attempts)
        .filter(|attempt| attempt.answer.is_none() || attempt.task_id.is_some());
    let (unanswered, resends) = (unanswered.count(), resends.count());
    (unanswered > resends).then(|| {
        format!(
            "job {} was sent {} times, {unanswered} of them without a refusal, {resends} by order",
            job.id, job.attempts
        )
    })
}

async fn all_jobs(store: &dyn Store) -> BTreeMap<JobId, Job> {
    let mut jobs: BTreeMap<JobId, Job> = BTreeMap::new();
    loop {
        let filter = JobFilter {
            with_hidden: true,
            before: jobs.keys().next().copied(),
            limit: 100,
            ..JobFilter::default()
        };
        let page = store.list_jobs(&filter).await.unwrap();
        if page.is_empty() {
            return jobs;
        }
        jobs.extend(page.into_iter().map(|job| (job.id, job)));
    }
}

/// The answer was lost, and nobody could tell us since.
fn may_not_know(job: &Job) -> bool {
    job.state == JobState::Unclear
        || matches!(job.cause, Some(Cause::Unclear | Cause::Operator | Cause::ProviderError))
        || (job.state == JobState::Submitting && job.attempts > 0)
}
