//! A customer's acts on a job: confirm, cancel, check now, deliver again.

use std::time::Duration;

use domain::{AccountId, Event, Job, JobId, JobState, Money, Scope};
use store::{Recorded, StoreError, WakeJob, WakeReason};
use thiserror::Error;

use crate::{Lifecycle, StepError};

/// How long a "check now" waits for a change.
const SYNC_WAIT: Duration = Duration::from_secs(5);
/// A job is asked about at most this often.
const SYNC_EVERY: Duration = Duration::from_secs(2);

/// What a "check now" brought.
#[derive(Debug, Clone, PartialEq)]
pub struct Synced {
    /// The job as it is now.
    pub job: Job,
    /// Whether it changed while we waited.
    pub changed: bool,
}

/// Why an act was refused; nothing was written.
#[derive(Debug, Error)]
pub enum CustomerError {
    /// There is no such job for this reader.
    #[error("there is no such generation")]
    NotFound,
    /// The job is in a state that does not allow it.
    #[error("the generation is {state} by now")]
    WrongState {
        /// The state it is in.
        state: JobState,
    },
    /// The draft is too old, or the model went off sale.
    #[error("the draft cannot be bought any more")]
    DraftExpired,
    /// The balance does not suffice.
    #[error("the balance does not suffice")]
    Short {
        /// What it costs.
        required: Money,
        /// What the account has.
        available: Money,
    },
    /// The account has as many open jobs as it may.
    #[error("too many generations are open")]
    TooManyOpen {
        /// The limit.
        limit: u32,
    },
    /// The database.
    #[error("the act could not be written")]
    Store(#[from] StoreError),
    /// A defect of ours.
    #[error("the act could not be made")]
    Step(#[source] StepError),
}

impl From<StepError> for CustomerError {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Store(error) => Self::Store(error),
            other @ (StepError::Refused(_) | StepError::Money(_)) => Self::Step(other),
        }
    }
}

impl Lifecycle {
    async fn own_job(&self, id: JobId, scope: Scope) -> Result<Job, CustomerError> {
        self.store().find_job(id, scope).await?.ok_or(CustomerError::NotFound)
    }

    /// Pays for a draft at its frozen price. Confirming a job that was confirmed before gives the job.
    pub async fn confirm(&self, id: JobId, account: AccountId) -> Result<Job, CustomerError> {
        let scope = Scope::Account(account);
        let job = self.own_job(id, scope).await?;
        match job.state {
            JobState::Draft => {}
            JobState::Canceled => return Err(CustomerError::WrongState { state: job.state }),
            _ => return Ok(job),
        }
        let catalogue = self.offers.catalogue();
        let sold = catalogue.get(&job.model).is_some_and(|model| self.offers.is_for_sale(model));
        if !sold || job.deadline_at.is_some_and(|deadline| deadline <= self.ids().now()) {
            return Err(CustomerError::DraftExpired);
        }
        let mut draft = self.draft(&job).unclaimed().moved(Event::Confirmed).map_err(StepError::from)?;
        let limit = self.policy.max_open_jobs;
        draft.step.open_jobs = Some(limit);
        match self.write(&draft.source("customer")).await {
            Ok(_) => match self.own_job(id, scope).await? {
                // The customer's other device was faster.
                job if job.state == JobState::Canceled => Err(CustomerError::WrongState { state: job.state }),
                job => Ok(job),
            },
            Err(StepError::Store(StoreError::Short)) => {
                let account = self.store().find_account(account).await?;
                let available = account.map_or(Money::ZERO, |account| account.available);
                Err(CustomerError::Short { required: job.price, available })
            }
            Err(StepError::Store(StoreError::TooManyOpen)) => Err(CustomerError::TooManyOpen { limit }),
            Err(error) => Err(error.into()),
        }
    }

    /// Cancels a job that was not sent yet. The loser against a worker gets the state; canceling twice gives the job.
    pub async fn cancel(&self, id: JobId, account: AccountId) -> Result<Job, CustomerError> {
        let scope = Scope::Account(account);
        let job = self.own_job(id, scope).await?;
        if job.state == JobState::Canceled {
            return Ok(job);
        }
        let Ok(draft) = self.draft(&job).unclaimed().moved(Event::CancelAsked) else {
            return Err(CustomerError::WrongState { state: job.state });
        };
        // A pending job that was sent before and waits for a resend may have a task at the provider.
        if job.attempts > 0 && !self.nothing_was_bought(&job).await? {
            return Err(CustomerError::WrongState { state: JobState::Unclear });
        }
        let recorded = self.write(&draft.source("customer")).await?;
        let job = self.own_job(id, scope).await?;
        match recorded {
            Recorded::Applied => Ok(job),
            Recorded::Stale => Err(CustomerError::WrongState { state: job.state }),
        }
    }

    /// Whether no earlier attempt of a pending job has, or may have, a task that still brings a result.
    async fn nothing_was_bought(&self, job: &Job) -> Result<bool, StoreError> {
        let attempts = self.store().attempts(job.id).await?;
        Ok(attempts.iter().all(|attempt| attempt.task_id.is_none() && attempt.answer.is_some()))
    }

    /// Wakes a job, waits a moment for a change, and gives it as it is then.
    pub async fn sync(&self, id: JobId, scope: Scope) -> Result<Synced, CustomerError> {
        let before = self.own_job(id, scope).await?;
        let mut changes = self.store().changes();
        let wake = WakeJob {
            job: id,
            scope,
            at: self.ids().now(),
            reason: WakeReason::Asked,
            at_most_every: SYNC_EVERY,
        };
        if !self.store().wake_job(&wake).await? {
            return Ok(Synced { job: before, changed: false });
        }
        let until_changed = async {
            loop {
                // Changes of other processes on SQLite do not move the counter; the clock finds them.
                let _ = tokio::time::timeout(Duration::from_millis(500), changes.changed()).await;
                let job = self.own_job(id, scope).await?;
                if job.state != before.state || job.version > before.version.saturating_add(1) {
                    return Ok::<_, CustomerError>(job);
                }
            }
        };
        match tokio::time::timeout(SYNC_WAIT, until_changed).await {
            Ok(job) => Ok(Synced { job: job?, changed: true }),
            Err(_elapsed) => Ok(Synced { job: self.own_job(id, scope).await?, changed: false }),
        }
    }

    /// Makes every delivery of a final job due again, with the same ids; how many.
    pub async fn redeliver(&self, id: JobId, scope: Scope) -> Result<u64, CustomerError> {
        self.own_job(id, scope).await?;
        Ok(self.store().redeliver(id, scope, self.ids().now()).await?)
    }
}
