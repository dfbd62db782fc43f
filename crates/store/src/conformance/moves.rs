//! Steps along a job's life, as a worker would take them.

use domain::{
    AssetRole, Book, DeliveryEvent, Job, JobId, JobState, Money, Recipient, Timestamp, TransferKind,
};

use super::fixture::{Fixture, later};
use crate::{
    Began, BeginAttempt, ClaimJobs, Guard, JobPatch, NewAsset, NewDelivery, NewTransfer, Recorded, Step,
    StoredFile,
};

/// How long claims of these tests last, seconds.
pub(super) const LEASE_SECONDS: i64 = 30;
/// How long the sending of an attempt may take, seconds.
pub(super) const SENDING_SECONDS: i64 = 150;
/// When a recorded job wants attention again, seconds.
pub(super) const PACE_SECONDS: i64 = 60;

impl Fixture {
    /// A claim of up to `limit` rows at this moment, without slots.
    pub fn claim(&self, limit: u32) -> ClaimJobs {
        ClaimJobs { now: self.now(), lease_until: self.after(LEASE_SECONDS), limit, slots: None }
    }

    /// Claims up to `limit` due rows.
    pub async fn claim_up_to(&self, limit: u32) -> Vec<Job> {
        self.store.claim_jobs(&self.claim(limit)).await.expect("claiming runs")
    }

    /// Claims what is due and picks this job out of it.
    pub async fn claim_this(&self, job: JobId) -> Job {
        let claimed = self.claim_up_to(1000).await;
        claimed.into_iter().find(|claimed| claimed.id == job).expect("the job is due and free")
    }

    /// The commitment to send the next attempt of a claimed job, without slots.
    pub fn begin(&self, job: &Job) -> BeginAttempt {
        BeginAttempt {
            job: job.id,
            account: job.account,
            guard: Guard::claimed(job),
            at: self.now(),
            lease_until: self.after(SENDING_SECONDS),
            number: job.attempts + 1,
            slots: None,
            slot_free_at: self.after(10),
            next_trial_at: self.after(60),
            timeline: Vec::new(),
        }
    }

    /// A step of a claimed job into `state`, due again at the usual pace unless it is final. No money moves.
    pub fn step(&self, job: &Job, state: JobState) -> Step {
        let wake_at = (!state.is_final()).then(|| self.after(PACE_SECONDS));
        Step {
            job: job.id,
            account: job.account,
            guard: Guard::claimed(job),
            at: self.now(),
            patch: JobPatch { state, ..JobPatch::keep(job, wake_at) },
            answer: None,
            task: None,
            transfers: Vec::new(),
            assets: Vec::new(),
            deliveries: Vec::new(),
            timeline: Vec::new(),
            open_jobs: None,
        }
    }

    /// The step that fails a job and gives everything back.
    pub fn fail(&self, job: &Job) -> Step {
        let mut step = self.step(job, JobState::Failed);
        step.patch.cause = Some(domain::Cause::ProviderError);
        step.transfers = self.release(job, job.held.minor());
        step.deliveries = self.deliveries(job, DeliveryEvent::JobFailed);
        step
    }

    /// The step by which a customer cancels a pending job that was only read.
    pub fn cancel(&self, job: &Job) -> Step {
        let mut step = self.step(job, JobState::Canceled);
        step.guard = Guard::read(job);
        step.transfers = self.release(job, job.held.minor());
        step
    }

    /// The step that ends copying: `captured` units are taken, the rest is released.
    pub fn settle(&self, job: &Job, captured: i64) -> Step {
        let mut step = self.step(job, JobState::Done);
        if captured > 0 {
            step.transfers.push(self.job_transfer(job.account, job.id, TransferKind::Capture, captured));
        }
        step.transfers.extend(self.release(job, job.held.minor() - captured));
        step.deliveries = self.deliveries(job, DeliveryEvent::JobDone);
        step
    }

    fn release(&self, job: &Job, minor: i64) -> Vec<NewTransfer> {
        let released = self.job_transfer(job.account, job.id, TransferKind::Release, minor);
        (minor > 0).then_some(released).into_iter().collect()
    }

    /// A delivery to every recipient of the job.
    pub fn deliveries(&self, job: &Job, event: DeliveryEvent) -> Vec<NewDelivery> {
        let owed = |recipient: &Recipient| NewDelivery {
            id: self.delivery_id(),
            channel: recipient.channel(),
            address: recipient.address(),
            event,
        };
        job.recipients.iter().map(owed).collect()
    }

    /// A refund of a done job under a key.
    pub fn refund(&self, job: &Job, key: &str, minor: i64) -> NewTransfer {
        let refund =
            self.transfer(job.account, TransferKind::Refund, key, (Book::Revenue, Book::Available), minor);
        NewTransfer { job: Some(job.id), ..refund }
    }

    /// An output of the job that is to be copied.
    pub fn output(&self, job: &Job, index: u16) -> NewAsset {
        let id = self.asset_id();
        NewAsset {
            id,
            account: job.account,
            job: Some(job.id),
            index,
            role: AssetRole::Output,
            kind: job.kind,
            source_url: Some(format!("https://files.example/{id}")),
            object: format!("{}/{}/{id}", job.account, job.kind),
        }
    }

    /// Records a step that must be applied; the job after it.
    pub async fn applied(&self, step: &Step) -> Job {
        let recorded = self.store.record(step).await.expect("the step runs");
        assert_eq!(recorded, Recorded::Applied);
        self.job(step.job).await
    }

    /// Claims a pending job and commits its next attempt; the job, still claimed, `submitting`.
    pub async fn sent(&self, job: JobId) -> Job {
        let claimed = self.claim_this(job).await;
        let began = self.store.begin_attempt(&self.begin(&claimed)).await.expect("the attempt runs");
        assert_eq!(began, Began::Committed);
        self.job(job).await
    }

    /// A job that the provider has, by this task; not claimed.
    pub async fn running(&self, job: JobId, task: &str) -> Job {
        let sent = self.sent(job).await;
        let mut step = self.step(&sent, JobState::Running);
        step.task = Some((sent.attempts, task.to_owned()));
        self.applied(&step).await
    }

    /// Claims a running job and fixes `outputs` outputs; the job, not claimed, `storing`.
    pub async fn storing(&self, job: JobId, outputs: u16) -> Job {
        self.wake_now(job).await;
        let claimed = self.claim_this(job).await;
        let mut step = self.step(&claimed, JobState::Storing);
        step.assets = (0..outputs).map(|index| self.output(&claimed, index)).collect();
        self.applied(&step).await
    }

    /// A whole life: ordered job → one stored output → `captured` units taken.
    pub async fn done(&self, job: JobId, captured: i64) -> Job {
        let task = self.word("task");
        self.running(job, &task).await;
        self.storing(job, 1).await;
        self.stored(job, captured).await
    }

    /// Stores every output of a `storing` job → `captured` units taken; the job, `done`.
    pub async fn stored(&self, job: JobId, captured: i64) -> Job {
        self.wake_now(job).await;
        let claimed = self.claim_this(job).await;
        for asset in self.store.assets_of(&[job]).await.expect("assets can be read") {
            let stored =
                self.store.asset_stored(asset.id, Some(claimed.fence), &self.file(), self.now()).await;
            assert!(stored.expect("the asset is written"));
        }
        self.applied(&self.settle(&claimed, captured)).await
    }

    /// A job that the provider had and that failed; its task is known.
    pub async fn failed(&self, job: JobId) -> Job {
        let task = self.word("task");
        self.running(job, &task).await;
        self.wake_now(job).await;
        let claimed = self.claim_this(job).await;
        self.applied(&self.fail(&claimed)).await
    }

    /// Wakes a job for now, always.
    pub async fn wake_now(&self, job: JobId) {
        assert!(self.wake(job, self.now()).await, "the job can be woken");
    }

    /// Wakes a job for a moment; whether it was woken.
    pub async fn wake(&self, job: JobId, at: Timestamp) -> bool {
        let wake = crate::WakeJob {
            job,
            scope: domain::Scope::All,
            at,
            reason: crate::WakeReason::Asked,
            at_most_every: std::time::Duration::ZERO,
        };
        self.store.wake_job(&wake).await.expect("waking runs")
    }

    /// Facts of a small stored picture.
    pub fn file(&self) -> StoredFile {
        StoredFile {
            kind: None,
            content_type: "image/png".to_owned(),
            bytes: 1234,
            sha256: self.bytes(),
            width: Some(64),
            height: Some(48),
            duration_ms: None,
            thumbnail: None,
        }
    }
}

/// What the step leaves when nothing moved meanwhile.
pub(super) fn usual_wake(step: &Step) -> Timestamp {
    later(step.at, PACE_SECONDS)
}

/// The money of a job: held, captured, released, refunded.
pub(super) fn sums(job: &Job) -> [i64; 4] {
    [job.held, job.captured, job.released, job.refunded].map(Money::minor)
}
