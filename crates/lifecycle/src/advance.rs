//! The one path: a claimed job is moved one step.

use std::sync::Arc;

use domain::{Event, Job, JobState, MoneyError, Refused};
use ledger::Ids;
use store::{JobPatch, NewEntry, Store, StoreError};
use thiserror::Error;

use crate::{Offers, Policy, Provider, SecretKeys, Vault, pace, step::Draft};

/// The ports that the life of a job needs.
#[derive(Clone)]
pub struct Ports {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// Our storage.
    pub vault: Arc<dyn Vault>,
    /// Ways to tell people; at most one of each kind.
    pub channels: Vec<Arc<dyn delivery::Channel>>,
    /// Where webhooks may go.
    pub outbound: outbound::Guard,
    /// Time and chance.
    pub ids: Ids,
}

/// The use cases over the ports. One per process, shared.
pub struct Lifecycle {
    pub(crate) ports: Ports,
    pub(crate) policy: Policy,
    pub(crate) offers: Offers,
    pub(crate) keys: SecretKeys,
}

/// Why a step could not be taken; the job stays as it was and is tried again.
#[derive(Debug, Error)]
pub enum StepError {
    /// The database.
    #[error("the step could not be written")]
    Store(#[from] StoreError),
    /// An event was met in a state that has no move for it; a defect of ours.
    #[error("the job's state has no such move")]
    Refused(#[from] Refused),
    /// An amount does not fit; a defect of ours.
    #[error("an amount cannot be computed")]
    Money(#[from] MoneyError),
}

impl Lifecycle {
    /// The use cases over these ports.
    pub fn new(ports: Ports, policy: Policy, offers: Offers, keys: SecretKeys) -> Self {
        Self { ports, policy, offers, keys }
    }

    /// The database.
    pub fn store(&self) -> &dyn Store {
        &*self.ports.store
    }

    /// What is for sale.
    pub const fn offers(&self) -> &Offers {
        &self.offers
    }

    /// The deployer's decisions.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Time and chance.
    pub const fn ids(&self) -> &Ids {
        &self.ports.ids
    }

    /// Secrets derived from the deployer's key.
    pub const fn keys(&self) -> &SecretKeys {
        &self.keys
    }

    /// The provider.
    pub fn provider(&self) -> &dyn Provider {
        &*self.ports.provider
    }

    /// Our storage.
    pub fn vault(&self) -> &dyn Vault {
        &*self.ports.vault
    }

    /// Takes one step of a job that the caller has claimed. The step is written under the claim's fence: if another
    /// worker took over meanwhile, nothing is written and that is no error.
    pub async fn advance(&self, job: &Job) -> Result<(), StepError> {
        match job.state {
            JobState::Draft => self.advance_draft(job).await,
            JobState::Pending => self.buy(job).await,
            JobState::Submitting => self.sender_lost(job).await,
            JobState::Unclear => self.clear_up(job).await,
            JobState::Running => self.observe(job).await,
            JobState::Storing => self.keep(job).await,
            JobState::Failed => self.observe_after_failure(job).await,
            JobState::Done | JobState::Canceled => self.rest(job).await,
        }
    }

    async fn advance_draft(&self, job: &Job) -> Result<(), StepError> {
        if job.deadline_at.is_some_and(|deadline| deadline <= self.ids().now()) {
            let draft = self.draft(job).moved(Event::DraftExpired)?.source("worker");
            return self.write(&draft).await.map(drop);
        }
        let wake_at = job.deadline_at;
        self.write(&self.draft(job).wake_at(wake_at)).await.map(drop)
    }

    /// A final job has nothing to do; it stops being due.
    async fn rest(&self, job: &Job) -> Result<(), StepError> {
        self.write(&self.draft(job).wake_at(None)).await.map(drop)
    }

    /// Puts a job whose step failed to sleep, so that it does not starve the others.
    pub async fn postpone(&self, job: &Job, words: &str) -> Result<(), StepError> {
        let mut draft = self.draft(job);
        draft.step.patch = JobPatch {
            tries: job.tries.saturating_add(1),
            ..JobPatch::keep(job, Some(self.after(pace::backoff(job.tries, self.fraction()))))
        };
        draft.note(NewEntry {
            source: "worker",
            event: "step.failed",
            detail: Some(words.to_owned()),
            fold: Some(format!("step.failed:{words}")),
        });
        self.write(&draft).await.map(drop)
    }

    pub(crate) fn after(&self, delay: std::time::Duration) -> domain::Timestamp {
        let now = self.ids().now();
        now.saturating_add(delay).map_or(now, domain::to_micros)
    }

    pub(crate) fn fraction(&self) -> f64 {
        self.ids().chance.fraction()
    }

    pub(crate) fn draft<'a>(&self, job: &'a Job) -> Draft<'a> {
        Draft::new(job, self.ids().clone(), &self.policy)
    }
}
