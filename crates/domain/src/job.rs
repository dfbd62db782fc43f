//! Jobs: one paid order of one model with one validated input.

use crate::{
    AccountId, BatchId, Decimal, JobId, MediaKind, Money, PriceBasis, Recipient, Timestamp,
    text_enum::text_enum,
};

text_enum!(
    /// Where a job stands. The moves between states are in [`crate::transition`] alone.
    JobState, "job state" {
        /// Validated and priced; not paid for.
        Draft = "draft",
        /// Held, not sent.
        Pending = "pending",
        /// Committed to sending an attempt.
        Submitting = "submitting",
        /// The provider may or may not have the task.
        Unclear = "unclear",
        /// The provider has the task.
        Running = "running",
        /// Outputs are being copied.
        Storing = "storing",
        /// Stored and captured.
        Done = "done",
        /// Final for money; released.
        Failed = "failed",
        /// Given up by the customer before it was sent.
        Canceled = "canceled",
    }
);

impl JobState {
    /// Whether the money is decided and nothing has to happen any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Canceled)
    }

    /// Whether money is held for it (price above zero).
    pub const fn holds_money(self) -> bool {
        matches!(self, Self::Pending | Self::Submitting | Self::Unclear | Self::Running | Self::Storing)
    }

    /// The customer's word for it.
    pub const fn status(self) -> CustomerStatus {
        match self {
            Self::Draft => CustomerStatus::Draft,
            Self::Pending | Self::Submitting => CustomerStatus::Queued,
            Self::Unclear | Self::Running | Self::Storing => CustomerStatus::Generating,
            Self::Done => CustomerStatus::Success,
            Self::Failed => CustomerStatus::Failed,
            Self::Canceled => CustomerStatus::Canceled,
        }
    }
}

text_enum!(
    /// The stable word that customers see.
    CustomerStatus, "status" {
        /// Not paid for.
        Draft = "draft",
        /// Waiting to be sent.
        Queued = "queued",
        /// Being made or being stored.
        Generating = "generating",
        /// Ready.
        Success = "success",
        /// Ended without a result.
        Failed = "failed",
        /// Given up before it was sent.
        Canceled = "canceled",
    }
);

text_enum!(
    /// Why a job failed: a closed list.
    Cause, "cause" {
        /// The provider refuses the input.
        InvalidInput = "invalid_input",
        /// The provider refuses the content.
        Moderation = "moderation",
        /// The model is gone, off or paused.
        ModelUnavailable = "model_unavailable",
        /// The provider failed.
        ProviderError = "provider_error",
        /// The shop's account at the provider could not buy for too long.
        ProviderBalance = "provider_balance",
        /// The provider finished, but nothing could be had.
        NoResult = "no_result",
        /// It took too long.
        Expired = "expired",
        /// It never became known whether the provider has the task.
        Unclear = "unclear",
        /// An operator decided so.
        Operator = "operator",
    }
);

/// A job as its row has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id; sorts by time.
    pub id: JobId,
    /// Its owner.
    pub account: AccountId,
    /// The model's id at order time.
    pub model: String,
    /// What the model makes.
    pub kind: MediaKind,
    /// The filled, validated input.
    pub input: serde_json::Value,
    /// The prompt, for search and people.
    pub prompt: Option<String>,
    /// Where it stands.
    pub state: JobState,
    /// Whether a result came after the money had been given back.
    pub gift: bool,
    /// Whether it takes longer than usual.
    pub late: bool,
    /// Why it failed.
    pub cause: Option<Cause>,
    /// The failure in the provider's words; for operators.
    pub failure: Option<String>,
    /// The frozen price, minor units.
    pub price: Money,
    /// Where the price came from.
    pub basis: PriceBasis,
    /// What was set aside, minor units; nothing for drafts and free jobs.
    pub held: Money,
    /// What was taken.
    pub captured: Money,
    /// What was given back before capture.
    pub released: Money,
    /// What was given back after capture.
    pub refunded: Money,
    /// Results that the order asks for.
    pub outputs_ordered: u16,
    /// Jobs ordered together share it.
    pub batch: Option<BatchId>,
    /// The order's `Idempotency-Key`.
    pub key: String,
    /// Where results go.
    pub recipients: Vec<Recipient>,
    /// The request that ordered it; follows it through every log line.
    pub request_id: String,
    /// Committed attempts so far; the number of the last one.
    pub attempts: u16,
    /// What the provider says the task consumed, in its credits; known once its record was final.
    pub cost: Option<Decimal>,
    /// The provider's task that this job follows.
    pub task_id: Option<String>,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// When it entered its state.
    pub entered_at: Timestamp,
    /// When anything of it changed last.
    pub updated_at: Timestamp,
    /// Rises with every change.
    pub version: i64,
    /// When it wants attention; always there unless final.
    pub wake_at: Option<Timestamp>,
    /// Rises with every wake.
    pub wake_seq: i64,
    /// Until when a worker has it.
    pub lease_until: Option<Timestamp>,
    /// Number of the current claim.
    pub fence: i64,
    /// When its state ends by policy.
    pub deadline_at: Option<Timestamp>,
    /// Steps without progress in its state; drives pace and backoff.
    pub tries: u32,
    /// Fast reads left after a callback.
    pub hints: u16,
    /// Marked by its owner.
    pub favourite: bool,
    /// When its owner hid it.
    pub hidden_at: Option<Timestamp>,
}

/// One committed sending of a task to the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its job.
    pub job: JobId,
    /// Its number, from 1.
    pub number: u16,
    /// When it was committed.
    pub sent_at: Timestamp,
    /// The provider's task, once known; belongs to this attempt for ever.
    pub task_id: Option<String>,
    /// What the provider answered, in short.
    pub answer: Option<String>,
}

/// One line of a job's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    /// When it happened first.
    pub at: Timestamp,
    /// When it happened last, if it was repeated.
    pub last_at: Timestamp,
    /// How often.
    pub times: u32,
    /// Who or what brought it: `order`, `worker`, `callback`, `operator`…
    pub source: String,
    /// Dotted name, as in the logs.
    pub event: String,
    /// Further words; operators only.
    pub detail: Option<String>,
}
