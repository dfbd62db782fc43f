//! Orders: jobs, their hold and their first timeline lines in one transaction, once per key.

use async_trait::async_trait;
use domain::{AccountId, BatchId, Job, JobId, JobState, MediaKind, Money, PriceBasis, Recipient, Timestamp};

use crate::{NewEntry, NewTransfer, StoreError};

/// One job of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// The model.
    pub model: String,
    /// What the model makes.
    pub kind: MediaKind,
    /// The filled, validated input.
    pub input: serde_json::Value,
    /// The prompt, for search.
    pub prompt: Option<String>,
    /// `pending` or `draft`.
    pub state: JobState,
    /// The frozen price.
    pub price: Money,
    /// Where it came from.
    pub basis: PriceBasis,
    /// Results that the order asks for.
    pub outputs_ordered: u16,
    /// Where results go.
    pub recipients: Vec<Recipient>,
    /// When its state ends by policy.
    pub deadline_at: Timestamp,
    /// The hold; none for drafts and free jobs.
    pub hold: Option<NewTransfer>,
    /// First lines of its history.
    pub timeline: Vec<NewEntry>,
}

/// 1 to 16 jobs ordered together.
#[derive(Debug, Clone, PartialEq)]
pub struct NewOrder {
    /// Who orders.
    pub account: AccountId,
    /// The `Idempotency-Key`.
    pub key: String,
    /// SHA-256 of the canonical JSON body.
    pub fingerprint: [u8; 32],
    /// Set when the order asked for a `count`.
    pub batch: Option<BatchId>,
    /// The request that ordered.
    pub request_id: String,
    /// The jobs, in order of their index.
    pub jobs: Vec<NewJob>,
    /// What the account may not exceed.
    pub limits: OrderLimits,
    /// When.
    pub at: Timestamp,
}

/// What an account may not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderLimits {
    /// Open (not final, not draft) jobs of the account, counted before the order.
    pub open_jobs: u32,
    /// Free jobs of the account per UTC day.
    pub free_per_day: u32,
}

/// What became of an order. Anything but `Opened` wrote nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Placed {
    /// The jobs are new.
    Opened(Vec<Job>),
    /// The same order was placed before; these are its jobs now, by index.
    Replayed(Vec<Job>),
    /// The key was used for another order.
    KeyReused,
    /// The balance does not suffice.
    Short {
        /// What the account has.
        available: Money,
    },
    /// The account has too many open jobs.
    TooManyOpen,
    /// Today's free jobs are used up.
    FreeUsedUp,
    /// The account does not exist or is closed.
    NoAccount,
}

impl NewOrder {
    /// The rows as they stand right after the order was opened.
    pub fn opened_jobs(&self) -> Vec<Job> {
        self.jobs.iter().map(|job| self.opened_job(job)).collect()
    }

    fn opened_job(&self, job: &NewJob) -> Job {
        Job {
            id: job.id,
            account: self.account,
            model: job.model.clone(),
            kind: job.kind,
            input: job.input.clone(),
            prompt: job.prompt.clone(),
            state: job.state,
            gift: false,
            late: false,
            cause: None,
            failure: None,
            price: job.price,
            basis: job.basis.clone(),
            held: job.hold.as_ref().map_or(Money::ZERO, |hold| hold.amount),
            captured: Money::ZERO,
            released: Money::ZERO,
            refunded: Money::ZERO,
            outputs_ordered: job.outputs_ordered,
            batch: self.batch,
            key: self.key.clone(),
            recipients: job.recipients.clone(),
            request_id: self.request_id.clone(),
            attempts: 0,
            cost: None,
            task_id: None,
            created_at: self.at,
            entered_at: self.at,
            updated_at: self.at,
            version: 1,
            // A draft has nothing to do before its deadline; a pending job is due at once.
            wake_at: Some(if job.state == JobState::Draft { job.deadline_at } else { self.at }),
            wake_seq: 0,
            lease_until: None,
            fence: 0,
            deadline_at: Some(job.deadline_at),
            tries: 0,
            hints: 0,
            favourite: false,
            hidden_at: None,
        }
    }
}

/// Placing orders.
#[async_trait]
pub trait OrderStore: Send + Sync {
    /// Places an order: either all its jobs with holds and timeline, or nothing.
    ///
    /// The rows are those of [`NewOrder::opened_jobs`]. Checks run key, account, open jobs, free jobs, balance: a replay is
    /// answered before anything else. Unique by (account, key, index); index 0 is the guard, so that a racing order
    /// of another size with the same key writes nothing.
    async fn place(&self, order: &NewOrder) -> Result<Placed, StoreError>;
    /// The jobs of an order, by index, and its fingerprint; nothing if the key is unused.
    async fn find_order(
        &self,
        account: AccountId,
        key: &str,
    ) -> Result<Option<([u8; 32], Vec<Job>)>, StoreError>;
}
