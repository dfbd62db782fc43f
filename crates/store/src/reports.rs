//! Reports: the audit of the books, and what operators look at.

use std::time::Duration;

use async_trait::async_trait;
use domain::{AccountId, DeliveryState, JobId, JobState, MediaKind, Timestamp, Transfer};

use crate::StoreError;

/// Something the books must not say.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AuditFinding {
    /// The broken invariant: `I1`, `I2`, `I4`, `I5` of the books, `I6` of rows and objects.
    pub invariant: &'static str,
    /// What it is about: `account`, `job`, `delivery`, `transfer`, `asset`, `object`.
    pub noun: &'static str,
    /// Its id.
    pub id: String,
    /// What is wrong, with the numbers.
    pub detail: String,
}

/// Counts by kind of media.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KindCounts {
    /// The kind.
    pub kind: MediaKind,
    /// Outputs announced by records.
    pub expected: u64,
    /// Outputs in our storage.
    pub stored: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// How long something took in half and in 95 of 100 cases, seconds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50_s: f64,
    /// The 95th percentile.
    pub p95_s: f64,
}

/// How long the done jobs of one model took from their order on.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ModelTimes {
    /// The model.
    pub model: String,
    /// Ended jobs in the window.
    pub jobs: u64,
    /// Of them, done.
    pub done: u64,
    /// Order → the provider's task known.
    pub task: Option<Percentiles>,
    /// Order → every output in our storage, and so done.
    pub stored: Option<Percentiles>,
    /// Order → the last recipient told, of jobs with a delivery that was made.
    pub delivered: Option<Percentiles>,
}

/// Results that lie where nothing may be fetched from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Blocked {
    /// How many.
    pub results: u64,
    /// The job of the newest.
    pub job: JobId,
}

/// What an operator looks at first.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Overview {
    /// Jobs by state: those not final now, and final ones that ended in the window.
    pub states: Vec<(JobState, u64)>,
    /// Deliveries by state: pending and dead now, done in the window.
    pub deliveries: Vec<(DeliveryState, u64)>,
    /// By model, most jobs first, at most 50.
    pub models: Vec<ModelTimes>,
    /// By kind, in the window.
    pub outputs: Vec<KindCounts>,
    /// The oldest due row without a live lease that is not `pending`.
    pub oldest_due: Option<Timestamp>,
    /// Tasks that no job knows and that callbacks named in the window, by the path that they came to.
    pub orphans: u64,
    /// Words of the provider that nobody knows, and of how many running jobs each was the last; most jobs first, at most 10.
    pub unknown_words: Vec<(String, u64)>,
    /// Results given up because of their address, of jobs that came to their state in the window.
    pub blocked: Option<Blocked>,
}

/// The line of history of a reading whose word nobody knows; the words are its detail.
pub const UNKNOWN_WORD: &str = "record.unknown_word";

/// From what age a job that is not final counts as stuck: that of its kind or that of its model, whichever comes first.
#[derive(Debug, Clone)]
pub struct StuckLimits {
    /// Images and text.
    pub image: Duration,
    /// Audio.
    pub audio: Duration,
    /// Video.
    pub video: Duration,
    /// Single models.
    pub models: Vec<(String, Duration)>,
}

impl StuckLimits {
    /// The time to look back for what is usual of a model.
    pub const LOOKS_BACK: Duration = Duration::from_hours(24);
    /// Done jobs from which on a model's own time counts.
    const DONE_MIN: u64 = 20;

    /// What operators are shown: fixed ages by kind, and three times what 95 of 100 jobs of a model took, by the times of an
    /// [`Overview`].
    pub fn usual(models: &[ModelTimes]) -> Self {
        let of_model = |times: &ModelTimes| {
            let stored = times.stored.filter(|_| times.done >= Self::DONE_MIN)?;
            let p95 = Duration::try_from_secs_f64(stored.p95_s).ok()?;
            Some((times.model.clone(), p95.saturating_mul(3)))
        };
        Self {
            image: Duration::from_mins(10),
            audio: Duration::from_mins(15),
            video: Duration::from_mins(30),
            models: models.iter().filter_map(of_model).collect(),
        }
    }
}

/// What is due, without a live lease.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Due {
    /// Jobs.
    pub jobs: Vec<domain::Job>,
    /// Deliveries.
    pub deliveries: Vec<domain::Delivery>,
}

/// Reports.
#[async_trait]
pub trait ReportStore: Send + Sync {
    /// Checks I1, I2, I4 and I5 over all rows in one snapshot, without network; at most 1000 findings, ordered.
    async fn audit(&self, now: Timestamp) -> Result<Vec<AuditFinding>, StoreError>;
    /// The overview of the time since `since`.
    async fn overview(&self, since: Timestamp, now: Timestamp) -> Result<Overview, StoreError>;
    /// What a worker would claim now if slots and breaker allowed, longest due first, at most `limit` of each; nothing is
    /// claimed.
    async fn due(&self, now: Timestamp, limit: u32) -> Result<Due, StoreError>;
    /// Jobs not final and older than their limit (drafts apart), created at or after `since`, oldest first, at most `limit`.
    async fn stuck_jobs(
        &self,
        limits: &StuckLimits,
        since: Option<Timestamp>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<domain::Job>, StoreError>;
    /// How many jobs are stuck.
    async fn count_stuck(&self, limits: &StuckLimits, now: Timestamp) -> Result<u64, StoreError>;
    /// The transfers of these jobs, newest first, for their receipts; one query whatever their number.
    async fn transfers_of(&self, jobs: &[JobId]) -> Result<Vec<Transfer>, StoreError>;
    /// The jobs of this account that cannot be read, which lists leave out; at most a thousand, newest first.
    async fn unreadable_jobs_of(&self, account: AccountId) -> Result<Vec<JobId>, StoreError>;
}
