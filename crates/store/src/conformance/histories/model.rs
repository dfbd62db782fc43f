//! The model: balances and states as plain numbers, moved by the rules alone.

use std::collections::HashMap;

use domain::{AccountId, Job, JobId, JobState};

use crate::{NewJob, NewOrder};

/// What one account must have.
#[derive(Debug)]
pub(super) struct ModelAccount {
    pub(super) id: AccountId,
    pub(super) available: i64,
    pub(super) held: i64,
}

/// What one job must say.
#[derive(Debug, Clone)]
pub(super) struct ModelJob {
    pub(super) id: JobId,
    pub(super) account: usize,
    pub(super) price: i64,
    pub(super) state: JobState,
    pub(super) held: i64,
    pub(super) captured: i64,
    pub(super) released: i64,
    pub(super) refunded: i64,
    pub(super) last_claim: Option<Job>,
}

impl ModelJob {
    /// The job right after its order.
    pub(super) fn new(job: &NewJob, account: usize) -> Self {
        Self {
            id: job.id,
            account,
            price: job.price.minor(),
            state: job.state,
            held: job.hold.as_ref().map_or(0, |hold| hold.amount.minor()),
            captured: 0,
            released: 0,
            refunded: 0,
            last_claim: None,
        }
    }

    /// Held, captured, released, refunded.
    pub(super) const fn sums(&self) -> [i64; 4] {
        [self.held, self.captured, self.released, self.refunded]
    }
}

/// Everything that a history has done so far.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) accounts: Vec<ModelAccount>,
    pub(super) jobs: Vec<ModelJob>,
    pub(super) orders: Vec<NewOrder>,
    pub(super) topups: HashMap<usize, (usize, i64)>,
    pub(super) refunds: HashMap<usize, (JobId, i64)>,
}

impl Model {
    /// An account that was topped up.
    pub(super) fn open_account(&mut self, id: AccountId, available: i64) {
        self.accounts.push(ModelAccount { id, available, held: 0 });
    }

    /// One of the jobs, if there is any.
    pub(super) fn pick(&self, number: usize) -> Option<&ModelJob> {
        self.jobs.get(number % self.jobs.len().max(1))
    }

    /// One of the jobs that a worker may still move.
    pub(super) fn pick_awake(&self, number: usize) -> Option<JobId> {
        let moves = |job: &&ModelJob| job.state.holds_money() || job.state == JobState::Failed;
        let awake: Vec<&ModelJob> = self.jobs.iter().filter(moves).collect();
        awake.get(number % awake.len().max(1)).map(|job| job.id)
    }

    /// One of the jobs that were paid, else any: its refund must be refused.
    pub(super) fn pick_captured(&self, number: usize) -> Option<&ModelJob> {
        let paid: Vec<&ModelJob> = self.jobs.iter().filter(|job| job.captured > 0).collect();
        paid.get(number % paid.len().max(1)).copied().or_else(|| self.pick(number))
    }

    /// The job, to be changed.
    pub(super) fn job_mut(&mut self, id: JobId) -> &mut ModelJob {
        self.jobs.iter_mut().find(|job| job.id == id).expect("the model knows the job")
    }

    /// A key of outside money; each history has keys of its own.
    pub(super) fn key(&self, noun: &str, number: usize) -> String {
        format!("{noun}-{number}-{}", self.accounts[0].id)
    }

    /// Sets money aside.
    pub(super) fn hold(&mut self, account: usize, minor: i64) {
        self.accounts[account].available -= minor;
        self.accounts[account].held += minor;
    }

    /// Ends a job: `captured` is taken of what it holds, the rest comes back.
    pub(super) fn settle(&mut self, id: JobId, state: JobState, captured: i64) {
        let job = self.job_mut(id);
        job.state = state;
        job.captured = captured;
        job.released = job.held - captured;
        let (account, held, released) = (job.account, job.held, job.released);
        self.accounts[account].held -= held;
        self.accounts[account].available += released;
    }
}
