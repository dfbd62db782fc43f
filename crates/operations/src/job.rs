//! All there is to know of one job.

use domain::{
    AccountId, Asset, AssetId, Book, Channel, Delivery, Job, JobId, Money, Recipient, Scope, TimelineEntry,
    Timestamp, Transfer, TransferId,
};
use lifecycle::Provider;
use serde::Serialize;
use store::{Store, StoreError, TransferFilter};

use crate::waiting::{JobRow, breaker_for, job_row, waits_for};
use crate::words::shown_address;

/// One attempt.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptReport {
    /// Its number.
    pub number: u16,
    /// When it was committed.
    pub sent_at: Timestamp,
    /// The provider's task.
    pub task_id: Option<String>,
    /// What createTask answered.
    pub answer: Option<String>,
}

/// One output or extra.
#[derive(Debug, Clone, Serialize)]
pub struct OutputReport {
    /// Its asset.
    pub asset: domain::AssetId,
    /// Why it is kept.
    pub role: domain::AssetRole,
    /// Whether it is stored.
    pub state: domain::AssetState,
    /// Its object in our storage.
    pub object: String,
    /// Length.
    pub bytes: Option<u64>,
    /// When the bytes were deleted, or given up; the row keeps its state.
    pub deleted_at: Option<Timestamp>,
    /// Failed tries.
    pub tries: u32,
    /// What the last failed try met.
    pub last_error: Option<String>,
}

/// One delivery.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryReport {
    /// Its id.
    pub id: domain::DeliveryId,
    /// How.
    pub channel: domain::Channel,
    /// Of what.
    pub event: domain::DeliveryEvent,
    /// Where it stands.
    pub state: domain::DeliveryState,
    /// Where, without what may be secret in it.
    pub address: String,
    /// Tries.
    pub attempts: u32,
    /// When it is tried next.
    pub next_at: Option<Timestamp>,
    /// What the last failed try met.
    pub last_error: Option<String>,
}

/// Who is told when the job is over.
#[derive(Debug, Clone, Serialize)]
pub struct RecipientReport {
    /// How.
    pub channel: Channel,
    /// Where, without what may be secret in it.
    pub address: String,
}

/// What became of the money, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct JobMoney {
    /// Set aside.
    pub held: Money,
    /// Taken.
    pub captured: Money,
    /// Given back before capture.
    pub released: Money,
    /// Given back after capture.
    pub refunded: Money,
}

/// One movement of money.
#[derive(Debug, Clone, Serialize)]
pub struct TransferLine {
    /// Its id.
    pub id: TransferId,
    /// Why.
    pub kind: domain::TransferKind,
    /// The job that it belongs to.
    pub job: Option<JobId>,
    /// The book that gave.
    pub from: Book,
    /// The book that took.
    pub to: Book,
    /// Minor units.
    pub amount: Money,
    /// What makes it happen once.
    pub key: String,
    /// A person's or the rule's reason.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A page of an account's movements of money, newest first.
#[derive(Debug, Clone, Serialize)]
pub struct AccountTransfers {
    /// The movements.
    pub transfers: Vec<TransferLine>,
    /// What to ask for to read on; none if these were the oldest.
    pub before: Option<TransferId>,
}

/// One line of the history.
#[derive(Debug, Clone, Serialize)]
pub struct TimelineLine {
    /// When; the first time, where it happened again.
    pub at: Timestamp,
    /// When it happened last.
    pub last_at: Timestamp,
    /// How often.
    pub times: u32,
    /// Who says so.
    pub source: String,
    /// What happened.
    pub event: String,
    /// In words.
    pub detail: Option<String>,
}

/// What the provider says now.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveRecord {
    /// The record's word and how many results it names.
    Read {
        /// The provider's own word.
        word: String,
        /// Result addresses.
        outputs: usize,
    },
    /// It could not be read.
    Failed(String),
    /// There is no task to ask for.
    NoTask,
}

/// All there is to know of one job.
#[derive(Debug, Clone, Serialize)]
pub struct JobReport {
    /// The row.
    pub job: JobRow,
    /// Whether it is a gift.
    pub gift: bool,
    /// The prompt.
    pub prompt: Option<String>,
    /// The input of the model.
    pub input: serde_json::Value,
    /// Who is told.
    pub recipients: Vec<RecipientReport>,
    /// What became of the money.
    pub money: JobMoney,
    /// Attempts.
    pub attempts: Vec<AttemptReport>,
    /// Outputs and extras.
    pub outputs: Vec<OutputReport>,
    /// Deliveries.
    pub deliveries: Vec<DeliveryReport>,
    /// Movements of money, oldest first.
    pub transfers: Vec<TransferLine>,
    /// Its history, oldest first.
    pub timeline: Vec<TimelineLine>,
    /// The record now, if it was asked for.
    pub live: Option<LiveRecord>,
}

/// The job with this id, or whose attempt has this task, or that made the asset with this id.
///
/// # Errors
/// When the database fails.
pub async fn find_job(store: &dyn Store, id_or_task: &str) -> Result<Option<Job>, StoreError> {
    if let Ok(id) = id_or_task.parse()
        && let Some(job) = store.find_job(id, Scope::All).await?
    {
        return Ok(Some(job));
    }
    if let Some((job, _)) = store.find_job_by_task(id_or_task).await? {
        return Ok(Some(job));
    }
    let Ok(asset) = id_or_task.parse::<AssetId>() else { return Ok(None) };
    match store.find_asset(asset, Scope::All).await?.and_then(|asset| asset.job) {
        Some(job) => store.find_job(job, Scope::All).await,
        None => Ok(None),
    }
}

/// Everything about a job; with a provider, its record as it is now.
///
/// # Errors
/// When the database fails.
pub async fn job_report(
    store: &dyn Store,
    job: &Job,
    live: Option<&dyn Provider>,
    now: Timestamp,
) -> Result<JobReport, StoreError> {
    let filter = TransferFilter { job: Some(job.id), limit: 1000, ..TransferFilter::default() };
    let mut transfers = store.list_transfers(&filter).await?;
    transfers.reverse();
    let live = match (live, &job.task_id) {
        (Some(provider), Some(task)) => Some(match provider.record(task, lifecycle::old_model(job)).await {
            Ok(record) => LiveRecord::Read { word: record.raw_word, outputs: record.outputs.len() },
            Err(failure) => LiveRecord::Failed(failure.to_string()),
        }),
        (Some(_), None) => Some(LiveRecord::NoTask),
        (None, _) => None,
    };
    let (timeline, files) = (store.timeline(job.id).await?, store.assets_of(&[job.id]).await?);
    let breaker = breaker_for(store, std::slice::from_ref(job)).await?;
    let own: Vec<_> = files.iter().collect();
    let waits = waits_for(job, &timeline, &own, (breaker.as_ref(), now));
    Ok(JobReport {
        job: JobRow { waits, ..job_row(job) },
        gift: job.gift,
        prompt: job.prompt.clone(),
        input: job.input.clone(),
        recipients: job.recipients.iter().map(recipient_report).collect(),
        money: JobMoney {
            held: job.held,
            captured: job.captured,
            released: job.released,
            refunded: job.refunded,
        },
        attempts: store.attempts(job.id).await?.into_iter().map(attempt_report).collect(),
        outputs: files.into_iter().map(output_report).collect(),
        deliveries: store.deliveries_of(&[job.id]).await?.into_iter().map(delivery_report).collect(),
        transfers: transfers.into_iter().map(transfer_line).collect(),
        timeline: timeline.into_iter().map(timeline_line).collect(),
        live,
    })
}

/// The newest movements of an account before `before`, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn account_transfers(
    store: &dyn Store,
    account: AccountId,
    (before, limit): (Option<TransferId>, u32),
) -> Result<AccountTransfers, StoreError> {
    // One more tells whether there are more.
    let filter = TransferFilter { account: Some(account), job: None, before, limit: limit.saturating_add(1) };
    let mut page = store.list_transfers(&filter).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = page.len() > limit;
    page.truncate(limit);
    let before = page.last().filter(|_| more).map(|last| last.id);
    Ok(AccountTransfers { transfers: page.into_iter().map(transfer_line).collect(), before })
}

fn recipient_report(recipient: &Recipient) -> RecipientReport {
    RecipientReport { channel: recipient.channel(), address: shown_address(&recipient.address()) }
}

fn attempt_report(attempt: domain::Attempt) -> AttemptReport {
    let domain::Attempt { number, sent_at, task_id, answer, .. } = attempt;
    AttemptReport { number, sent_at, task_id, answer }
}

fn output_report(asset: Asset) -> OutputReport {
    OutputReport {
        asset: asset.id,
        role: asset.role,
        state: asset.state,
        object: asset.object,
        bytes: asset.bytes,
        deleted_at: asset.deleted_at,
        tries: asset.tries,
        last_error: asset.last_error,
    }
}

fn delivery_report(delivery: Delivery) -> DeliveryReport {
    DeliveryReport {
        id: delivery.id,
        channel: delivery.channel,
        event: delivery.event,
        state: delivery.state,
        address: shown_address(&delivery.address),
        attempts: delivery.attempts,
        next_at: delivery.wake_at,
        last_error: delivery.last_error,
    }
}

fn transfer_line(transfer: Transfer) -> TransferLine {
    let Transfer { id, job, kind, debit: from, credit: to, amount, key, reason, at, .. } = transfer;
    TransferLine { id, kind, job, from, to, amount, key, reason, at }
}

fn timeline_line(entry: TimelineEntry) -> TimelineLine {
    let TimelineEntry { at, last_at, times, source, event, detail } = entry;
    TimelineLine { at, last_at, times, source, event, detail }
}
