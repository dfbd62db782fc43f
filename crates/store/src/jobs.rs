//! Jobs: claiming, recording steps, evidence, waking, reading.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    AccountId, Attempt, BatchId, Cause, Decimal, Job, JobId, JobState, MediaKind, Scope, TimelineEntry,
    Timestamp,
};
use tokio::sync::watch;

use crate::{NewAsset, NewDelivery, NewTransfer, StoreError};

/// A worker's hold on a row: the number of its claim, and the wakes it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Number of the claim.
    pub fence: i64,
    /// `wake_seq` when it was claimed.
    pub wake_seq: i64,
}

/// What must still be true for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// The state it was read in.
    pub state: JobState,
    /// The claim it was read under; `None` for a customer's or operator's act, which needs the state alone.
    pub lease: Option<Lease>,
}

impl Guard {
    /// The guard of a job that this caller has claimed.
    pub const fn claimed(job: &Job) -> Self {
        Self { state: job.state, lease: Some(Lease { fence: job.fence, wake_seq: job.wake_seq }) }
    }

    /// The guard of a job that this caller has only read.
    pub const fn read(job: &Job) -> Self {
        Self { state: job.state, lease: None }
    }
}

/// The columns that a step sets. `Option` fields marked "kept if none" stay as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct JobPatch {
    /// The next state; `entered_at` is renewed when it differs from the guard's.
    pub state: JobState,
    /// When it wants attention next; must be there unless the state is final. A final `failed` job may have one too.
    pub wake_at: Option<Timestamp>,
    /// When the state ends by policy.
    pub deadline_at: Option<Timestamp>,
    /// Why it failed; kept if none.
    pub cause: Option<Cause>,
    /// The failure in the provider's words; kept if none.
    pub failure: Option<String>,
    /// What the provider says the task consumed; kept if none.
    pub cost: Option<Decimal>,
    /// Whether it is a gift.
    pub gift: bool,
    /// Whether it is late.
    pub late: bool,
    /// Steps without progress.
    pub tries: u32,
    /// Fast reads left.
    pub hints: u16,
}

impl JobPatch {
    /// Leaves everything as it is, but for the next wake.
    pub fn keep(job: &Job, wake_at: Option<Timestamp>) -> Self {
        Self {
            state: job.state,
            wake_at,
            deadline_at: job.deadline_at,
            cause: None,
            failure: None,
            cost: None,
            gift: job.gift,
            late: job.late,
            tries: job.tries,
            hints: job.hints,
        }
    }
}

/// A line for a job's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Who or what brought it.
    pub source: &'static str,
    /// Dotted name, as in the logs.
    pub event: &'static str,
    /// Further words; operators only.
    pub detail: Option<String>,
    /// Entries of one job with the same fold key are counted in one line; `None` always makes a new line.
    pub fold: Option<String>,
}

/// One committed move of one job: everything in it is written together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The job.
    pub job: JobId,
    /// Its account.
    pub account: AccountId,
    /// What must still be true.
    pub guard: Guard,
    /// When.
    pub at: Timestamp,
    /// The columns to set.
    pub patch: JobPatch,
    /// What createTask answered, kept on the attempt with this number.
    pub answer: Option<(u16, String)>,
    /// The task that the job follows from now on; kept if none. Saved on the attempt with this number too.
    pub task: Option<(u16, String)>,
    /// Movements of money; the job's and the account's cached sums change with them.
    pub transfers: Vec<NewTransfer>,
    /// Assets to be written as `pending`.
    pub assets: Vec<NewAsset>,
    /// Deliveries owed; one that is owed already (job, channel, address, event) is left as it is.
    pub deliveries: Vec<NewDelivery>,
    /// Lines of history.
    pub timeline: Vec<NewEntry>,
    /// The account may have so many open jobs with this one, for a step that opens it; not looked at if none.
    pub open_jobs: Option<u32>,
}

/// Whether a guarded write happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is written.
    Applied,
    /// The guard did not hold; nothing was written.
    Stale,
}

/// What a worker asks for.
#[derive(Debug, Clone, Copy)]
pub struct ClaimJobs {
    /// The present.
    pub now: Timestamp,
    /// Until when the claimed rows are its own.
    pub lease_until: Timestamp,
    /// At most so many.
    pub limit: u32,
    /// Create slots of the shop; `None` when the limit is off.
    pub slots: Option<u32>,
}

/// The commitment to send one attempt.
#[derive(Debug, Clone)]
pub struct BeginAttempt {
    /// The job, claimed, `pending`.
    pub job: JobId,
    /// Its account, whose turn is counted.
    pub account: AccountId,
    /// Its guard.
    pub guard: Guard,
    /// When.
    pub at: Timestamp,
    /// Lease of the sending; also the row's `wake_at`.
    pub lease_until: Timestamp,
    /// The attempt's number.
    pub number: u16,
    /// Create slots of the shop; `None` when the limit is off.
    pub slots: Option<u32>,
    /// When a slot taken now is free again.
    pub slot_free_at: Timestamp,
    /// When the next trial is allowed if the breaker is open and this attempt is the trial.
    pub next_trial_at: Timestamp,
    /// Lines of history.
    pub timeline: Vec<NewEntry>,
}

/// Whether the attempt may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Began {
    /// `submitting` is committed, the attempt is written, the slot is taken. The fence is unchanged.
    Committed,
    /// The guard did not hold; nothing was written.
    Stale,
    /// No slot is free, or the breaker is open, until this moment; nothing was written.
    NoSlot(Timestamp),
}

/// What became of a task id offered as evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskSaved {
    /// It is saved now; the job was woken if it was `pending`, `submitting`, `unclear` or `failed`.
    Saved,
    /// This attempt has it already.
    Known,
    /// It belongs to another attempt, or this attempt has another task.
    Taken,
}

/// Why a job is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeReason {
    /// A callback: the next reads come fast (`hints` is set to 3).
    Callback,
    /// A person or another row asks.
    Asked,
}

/// A wake.
#[derive(Debug, Clone, Copy)]
pub struct WakeJob {
    /// The job.
    pub job: JobId,
    /// Who may wake it.
    pub scope: Scope,
    /// When it shall be due.
    pub at: Timestamp,
    /// Why.
    pub reason: WakeReason,
    /// Not again within this time of the last asked wake; zero for always.
    pub at_most_every: Duration,
}

/// A customer's marks; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flags {
    /// Favourite or not.
    pub favourite: Option<bool>,
    /// Hidden or not.
    pub hidden: Option<bool>,
}

/// Which jobs to list: newest first.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Those of one account; all if none.
    pub account: Option<AccountId>,
    /// In any of these states; every state if empty.
    pub states: Vec<JobState>,
    /// Of this kind.
    pub kind: Option<MediaKind>,
    /// Of this model.
    pub model: Option<String>,
    /// Of this batch.
    pub batch: Option<BatchId>,
    /// Whose prompt has this text, whatever its case.
    pub prompt: Option<String>,
    /// With this task on the job or on any of its attempts.
    pub task: Option<String>,
    /// Marked by the owner, or not.
    pub favourite: Option<bool>,
    /// Whether hidden ones are listed too.
    pub with_hidden: bool,
    /// Those before this one (its id).
    pub before: Option<JobId>,
    /// Those created at or after this moment.
    pub since: Option<Timestamp>,
    /// At most so many.
    pub limit: u32,
}

impl JobFilter {
    /// Whether only open jobs can pass: few, whatever the history.
    pub fn all_hold_money(&self) -> bool {
        !self.states.is_empty() && self.states.iter().all(|state| state.holds_money())
    }

    /// Whether only jobs can pass that are awake and not `pending`: few, too.
    pub fn all_are_awake(&self) -> bool {
        let is_awake = |state: &JobState| !state.is_final() && *state != JobState::Pending;
        !self.states.is_empty() && self.states.iter().all(is_awake)
    }

    /// The bounds of the ids that can pass: not below the first, below the second. Ids sort by the time of their making, which
    /// is that of the order: so `since` bounds the walk, too.
    pub fn id_bounds(&self) -> (JobId, JobId) {
        (self.since.map_or(JobId::LOWEST, JobId::first_at), self.before.unwrap_or(JobId::HIGHEST))
    }
}

/// Jobs.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Claims due rows: `wake_at <= now` and no live lease; the lease is set and the fence raised.
    ///
    /// `pending` rows are claimed only while create slots are free and the breaker allows (one when its trial is due), in
    /// turn over accounts (an account's n-th row, counted with the slots it has in use, after every other account's
    /// (n-1)-th); those past their `deadline_at` always. Others in order of `wake_at`. Rows that another worker is
    /// claiming are skipped, never waited for.
    async fn claim_jobs(&self, claim: &ClaimJobs) -> Result<Vec<Job>, StoreError>;
    /// Prolongs a lease, never shortens it; false if the fence is stale.
    async fn renew_lease(&self, job: JobId, fence: i64, lease_until: Timestamp) -> Result<bool, StoreError>;
    /// Commits `pending` → `submitting` with its attempt and slot in one transaction.
    async fn begin_attempt(&self, begin: &BeginAttempt) -> Result<Began, StoreError>;
    /// Writes one step. Frees the lease; if `wake_seq` moved since the claim, the row is due again at once (`wake_at`
    /// becomes `at`, unless the next state is `done` or `canceled`). `version` and `updated_at` rise. A job of a closed
    /// account that ends forgets its input.
    /// [`StoreError::Short`] if a balance would fall below zero, [`StoreError::TooManyOpen`] if the account would have more
    /// open jobs than it may, [`StoreError::Taken`] if a transfer's key or the task belongs elsewhere; nothing is written then.
    async fn record(&self, step: &Step) -> Result<Recorded, StoreError>;
    /// Saves a task id on its attempt where none is yet, whoever holds the lease: a task id is evidence.
    /// [`StoreError::NotFound`] if there is no such attempt.
    async fn save_task(
        &self,
        job: JobId,
        attempt: u16,
        task_id: &str,
        at: Timestamp,
    ) -> Result<TaskSaved, StoreError>;
    /// Wakes a job: `wake_at` becomes the lower of itself and `at`, `wake_seq` rises; lease and fence stay. `done` and
    /// `canceled` jobs, failed gifts and failed jobs that were never sent are left alone. False if nothing was woken.
    async fn wake_job(&self, wake: &WakeJob) -> Result<bool, StoreError>;
    /// Wakes every job of the account that holds money, each at most once per `at_most_every`; how many.
    async fn wake_account_jobs(
        &self,
        account: AccountId,
        at: Timestamp,
        at_most_every: Duration,
    ) -> Result<u64, StoreError>;
    /// Appends lines to a job's history, outside of a step.
    async fn note(&self, job: JobId, entries: &[NewEntry], at: Timestamp) -> Result<(), StoreError>;
    /// Sets a customer's marks; false if there is no such job of the account.
    async fn flag_job(
        &self,
        job: JobId,
        account: AccountId,
        flags: Flags,
        at: Timestamp,
    ) -> Result<bool, StoreError>;
    /// One job, if the reader may see it.
    async fn find_job(&self, job: JobId, scope: Scope) -> Result<Option<Job>, StoreError>;
    /// The job that one of its attempts' task ids names.
    async fn find_job_by_task(&self, task_id: &str) -> Result<Option<(Job, u16)>, StoreError>;
    /// Jobs, newest first.
    async fn list_jobs(&self, filter: &JobFilter) -> Result<Vec<Job>, StoreError>;
    /// Jobs of the account (or all) that changed at or after `since`, oldest change first, at most `limit`.
    async fn changed_jobs(&self, scope: Scope, since: Timestamp, limit: u32) -> Result<Vec<Job>, StoreError>;
    /// A job's attempts, by number.
    async fn attempts(&self, job: JobId) -> Result<Vec<Attempt>, StoreError>;
    /// The histories of these jobs, oldest line first; one query whatever their number. A job without lines is left out.
    async fn timelines(&self, jobs: &[JobId]) -> Result<HashMap<JobId, Vec<TimelineEntry>>, StoreError>;
    /// A job's history, oldest first.
    async fn timeline(&self, job: JobId) -> Result<Vec<TimelineEntry>, StoreError> {
        Ok(self.timelines(&[job]).await?.remove(&job).unwrap_or_default())
    }
    /// The earliest `wake_at` of any row without a live lease, deliveries included; for a worker that sleeps.
    async fn next_wake(&self) -> Result<Option<Timestamp>, StoreError>;
    /// A number that moves after a commit, here or (PostgreSQL) in another process, that made a row due or changed a
    /// job. A hint: the scan on the clock is the truth.
    fn changes(&self) -> watch::Receiver<u64>;
}
