//! An operator's decisions on an unclear job: adopt, resend, release.

use domain::{Attempt, Event, Job, JobId, JobState, Scope};
use store::{NewEntry, Recorded, StoreError, TaskSaved, WakeJob, WakeReason};
use thiserror::Error;

use crate::{Lifecycle, ReadFailure, StepError, TaskRecord};

/// What an operator decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The job follows this task; its record must agree.
    Adopt {
        /// The provider's task.
        task_id: String,
    },
    /// Another attempt is sent.
    Resend,
    /// The money goes back.
    Release,
}

/// Why a decision was refused; nothing was written.
#[derive(Debug, Error)]
pub enum DecideError {
    /// There is no such job.
    #[error("there is no such job")]
    NotFound,
    /// Only unclear jobs are decided (a task can be adopted by a failed job, too).
    #[error("the job is {state}; only an unclear job can be decided")]
    WrongState {
        /// The state it is in.
        state: JobState,
    },
    /// The record is of another model, time or callback address.
    #[error("the record of this task does not belong to the job")]
    Disagrees,
    /// The task belongs to another attempt.
    #[error("this task belongs to another attempt")]
    Taken,
    /// The record could not be read.
    #[error("the record of this task could not be read")]
    Unreadable(#[source] ReadFailure),
    /// The step could not be written.
    #[error("the decision could not be written")]
    Step(#[from] StepError),
}

impl From<StoreError> for DecideError {
    fn from(error: StoreError) -> Self {
        Self::Step(error.into())
    }
}

impl Lifecycle {
    /// Whether a decision would change anything now: false if it was carried out before. Nothing is written, and what is
    /// refused here is refused by [`Lifecycle::decide`] with the same words.
    pub async fn foresee_decision(&self, job: &Job, decision: &Decision) -> Result<bool, DecideError> {
        match decision {
            Decision::Adopt { task_id } => Ok(self.fitting_attempt(job, task_id).await?.is_some()),
            Decision::Resend | Decision::Release => require_unclear(job).map(|()| true),
        }
    }

    /// Decides an unclear job. `reason` goes into its history.
    pub async fn decide(&self, id: JobId, decision: &Decision, reason: &str) -> Result<Job, DecideError> {
        let job = self.store().find_job(id, Scope::All).await?.ok_or(DecideError::NotFound)?;
        match decision {
            Decision::Adopt { task_id } => self.adopt_by_order(&job, task_id, reason).await?,
            Decision::Resend => self.order(&job, (Event::ResendOrdered, "resend"), reason).await?,
            Decision::Release => self.order(&job, (Event::ReleaseOrdered, "release"), reason).await?,
        }
        self.store().find_job(id, Scope::All).await?.ok_or(DecideError::NotFound)
    }

    async fn order(&self, job: &Job, (event, word): (Event, &str), reason: &str) -> Result<(), DecideError> {
        require_unclear(job)?;
        let mut draft = self.draft(job).unclaimed().moved(event).map_err(StepError::from)?.source("operator");
        draft.note(decided(word, reason));
        match self.write(&draft).await? {
            Recorded::Applied => Ok(()),
            Recorded::Stale => Err(DecideError::WrongState { state: job.state }),
        }
    }

    async fn adopt_by_order(&self, job: &Job, task_id: &str, reason: &str) -> Result<(), DecideError> {
        let Some(number) = self.fitting_attempt(job, task_id).await? else { return Ok(()) };
        // Before the deed: a process that is killed in between leaves a trace of what was wanted.
        self.store().note(job.id, &[decided("adopt", reason)], self.ids().now()).await?;
        store::fail_point!("resolve.noted");
        match self.store().save_task(job.id, number, task_id, self.ids().now()).await? {
            TaskSaved::Saved | TaskSaved::Known => Ok(()),
            TaskSaved::Taken => Err(DecideError::Taken),
        }
    }

    /// The attempt that may adopt a task; none if the job has it already.
    async fn fitting_attempt(&self, job: &Job, task_id: &str) -> Result<Option<u16>, DecideError> {
        let attempts = self.store().attempts(job.id).await?;
        let has = |attempt: &Attempt| attempt.task_id.as_deref() == Some(task_id);
        if job.task_id.as_deref().map_or_else(|| attempts.iter().any(has), |followed| followed == task_id) {
            return Ok(None);
        }
        let adoptable = matches!(job.state, JobState::Unclear | JobState::Failed) && job.task_id.is_none();
        if !adoptable {
            return Err(DecideError::WrongState { state: job.state });
        }
        let record: TaskRecord = self
            .ports
            .provider
            .record(task_id, crate::old_model(job))
            .await
            .map_err(DecideError::Unreadable)?;
        let fitting = attempts
            .iter()
            .find(|attempt| attempt.task_id.is_none() && self.record_agrees(job, attempt, &record))
            .ok_or(DecideError::Disagrees)?;
        if self.store().find_job_by_task(task_id).await?.is_some() {
            return Err(DecideError::Taken);
        }
        Ok(Some(fitting.number))
    }

    /// Wakes a job whatever it waits for; the step decides what can be done. False if it rests for good.
    pub async fn retry(&self, id: JobId, reason: &str) -> Result<bool, StoreError> {
        let now = self.ids().now();
        if !self.store().find_job(id, Scope::All).await?.is_some_and(|job| can_wake(&job)) {
            return Ok(false);
        }
        let wake = WakeJob {
            job: id,
            scope: Scope::All,
            at: now,
            reason: WakeReason::Asked,
            at_most_every: std::time::Duration::ZERO,
        };
        // The trace comes first, as with every deed.
        self.store().note(id, &[decided("retry", reason)], now).await?;
        store::fail_point!("retry.noted");
        self.store().wake_job(&wake).await
    }
}

/// Whether a wake would find the job, by the rule of [`store::JobStore::wake_job`].
pub(crate) fn can_wake(job: &Job) -> bool {
    match job.state {
        JobState::Done | JobState::Canceled => false,
        JobState::Failed => !job.gift && job.attempts > 0,
        JobState::Draft
        | JobState::Pending
        | JobState::Submitting
        | JobState::Unclear
        | JobState::Running
        | JobState::Storing => true,
    }
}

fn require_unclear(job: &Job) -> Result<(), DecideError> {
    if job.state == JobState::Unclear { Ok(()) } else { Err(DecideError::WrongState { state: job.state }) }
}

pub(crate) fn decided(what: &str, reason: &str) -> NewEntry {
    NewEntry {
        source: "operator",
        event: "job.decided",
        detail: Some(format!("{what}: {reason}")),
        fold: None,
    }
}
