//! From rows to the domain's types: every column is checked again.

use std::num::TryFromIntError;
use std::str::FromStr;

use domain::{
    Account, AccountId, Asset, AssetId, Attempt, BatchId, Decimal, Delivery, DeliveryId, Job, JobId, Money,
    TimelineEntry, Timestamp, Transfer, TransferId, UnknownWord,
};
use jiff_sqlx::ToSqlx;
use serde_json::Value;
use store::StoreError;
use uuid::Uuid;

/// A moment as the driver takes it.
pub(crate) type Moment = jiff_sqlx::Timestamp;

/// A moment as the driver takes it.
pub(crate) fn moment(at: Timestamp) -> Moment {
    at.to_sqlx()
}

/// Text that the database can hold: PostgreSQL refuses NUL, and foreign words must not stop a step.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Every column of a job, in the order of [`JobRow`]; the table or CTE is called `j`.
macro_rules! jobs {
    ($before:literal, $after:literal $(+ $more:literal)* $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::row::JobRow,
            $before
                + r#"j.id as "id!", j.account_id as "account_id!", j.idem_key as "idem_key!",
                    j.fingerprint as "fingerprint!", j.batch_id as "batch_id?", j.request_id as "request_id!",
                    j.model as "model!", j.kind as "kind!", j.input as "input!", j.prompt as "prompt?",
                    j.recipients as "recipients!", j.state as "state!", j.gift as "gift!", j.late as "late!",
                    j.cause as "cause?", j.failure as "failure?", j.price as "price!", j.basis as "basis!",
                    j.held as "held!", j.captured as "captured!", j.released as "released!",
                    j.refunded as "refunded!", j.outputs_ordered as "outputs_ordered!", j.attempts as "attempts!",
                    j.cost as "cost?", j.task_id as "task_id?", j.created_at as "created_at!",
                    j.entered_at as "entered_at!", j.updated_at as "updated_at!", j.version as "version!",
                    j.wake_at as "wake_at?", j.wake_seq as "wake_seq!", j.lease_until as "lease_until?",
                    j.fence as "fence!", j.deadline_at as "deadline_at?", j.tries as "tries!", j.hints as "hints!",
                    j.favourite as "favourite!", j.hidden_at as "hidden_at?""#
                + $after
                $(+ $more)*,
            $($arg),*
        )
    };
}
pub(crate) use jobs;

/// A row of `kie.job`.
#[derive(Debug)]
pub(crate) struct JobRow {
    pub(crate) id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) idem_key: String,
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) batch_id: Option<Uuid>,
    pub(crate) request_id: String,
    pub(crate) model: String,
    pub(crate) kind: String,
    pub(crate) input: Value,
    pub(crate) prompt: Option<String>,
    pub(crate) recipients: Value,
    pub(crate) state: String,
    pub(crate) gift: bool,
    pub(crate) late: bool,
    pub(crate) cause: Option<String>,
    pub(crate) failure: Option<String>,
    pub(crate) price: i64,
    pub(crate) basis: Value,
    pub(crate) held: i64,
    pub(crate) captured: i64,
    pub(crate) released: i64,
    pub(crate) refunded: i64,
    pub(crate) outputs_ordered: i16,
    pub(crate) attempts: i16,
    pub(crate) cost: Option<i64>,
    pub(crate) task_id: Option<String>,
    pub(crate) created_at: Moment,
    pub(crate) entered_at: Moment,
    pub(crate) updated_at: Moment,
    pub(crate) version: i64,
    pub(crate) wake_at: Option<Moment>,
    pub(crate) wake_seq: i64,
    pub(crate) lease_until: Option<Moment>,
    pub(crate) fence: i64,
    pub(crate) deadline_at: Option<Moment>,
    pub(crate) tries: i32,
    pub(crate) hints: i16,
    pub(crate) favourite: bool,
    pub(crate) hidden_at: Option<Moment>,
}

impl TryFrom<JobRow> for Job {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, StoreError> {
        const TABLE: &str = "job";
        let micro = |cost: i64| number(TABLE, "cost", cost).map(Decimal::from_micro);
        Ok(Self {
            id: JobId::from_uuid(row.id),
            account: AccountId::from_uuid(row.account_id),
            model: row.model,
            kind: word(TABLE, "kind", &row.kind)?,
            input: row.input,
            prompt: row.prompt,
            state: word(TABLE, "state", &row.state)?,
            gift: row.gift,
            late: row.late,
            cause: row.cause.map(|cause| word(TABLE, "cause", &cause)).transpose()?,
            failure: row.failure,
            price: Money::from_minor(row.price),
            basis: serde_json::from_value(row.basis).map_err(corrupt(TABLE, "basis"))?,
            held: Money::from_minor(row.held),
            captured: Money::from_minor(row.captured),
            released: Money::from_minor(row.released),
            refunded: Money::from_minor(row.refunded),
            outputs_ordered: number(TABLE, "outputs_ordered", row.outputs_ordered)?,
            batch: row.batch_id.map(BatchId::from_uuid),
            key: row.idem_key,
            recipients: serde_json::from_value(row.recipients).map_err(corrupt(TABLE, "recipients"))?,
            request_id: row.request_id,
            attempts: number(TABLE, "attempts", row.attempts)?,
            cost: row.cost.map(micro).transpose()?,
            task_id: row.task_id,
            created_at: row.created_at.to_jiff(),
            entered_at: row.entered_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
            version: row.version,
            wake_at: row.wake_at.map(Moment::to_jiff),
            wake_seq: row.wake_seq,
            lease_until: row.lease_until.map(Moment::to_jiff),
            fence: row.fence,
            deadline_at: row.deadline_at.map(Moment::to_jiff),
            tries: number(TABLE, "tries", row.tries)?,
            hints: number(TABLE, "hints", row.hints)?,
            favourite: row.favourite,
            hidden_at: row.hidden_at.map(Moment::to_jiff),
        })
    }
}

/// A row of `kie.account`, without its key.
#[derive(Debug)]
pub(crate) struct AccountRow {
    pub(crate) id: Uuid,
    pub(crate) external_id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) telegram_id: Option<i64>,
    pub(crate) available: i64,
    pub(crate) held: i64,
    pub(crate) created_at: Moment,
    pub(crate) closed_at: Option<Moment>,
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        Self {
            id: AccountId::from_uuid(row.id),
            external_id: row.external_id,
            name: row.name,
            telegram_id: row.telegram_id,
            available: Money::from_minor(row.available),
            held: Money::from_minor(row.held),
            created_at: row.created_at.to_jiff(),
            closed_at: row.closed_at.map(Moment::to_jiff),
        }
    }
}

/// A row of `kie.asset`.
#[derive(Debug)]
pub(crate) struct AssetRow {
    pub(crate) id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) job_id: Option<Uuid>,
    pub(crate) idx: i16,
    pub(crate) role: String,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) source_url: Option<String>,
    pub(crate) object: String,
    pub(crate) content_type: Option<String>,
    pub(crate) bytes: Option<i64>,
    pub(crate) sha256: Option<Vec<u8>>,
    pub(crate) width: Option<i32>,
    pub(crate) height: Option<i32>,
    pub(crate) duration_ms: Option<i64>,
    pub(crate) thumbnail: Option<String>,
    pub(crate) tries: i32,
    pub(crate) first_try_at: Option<Moment>,
    pub(crate) last_error: Option<String>,
    pub(crate) provider_copy: Option<String>,
    pub(crate) provider_copy_until: Option<Moment>,
    pub(crate) created_at: Moment,
    pub(crate) deleted_at: Option<Moment>,
}

impl TryFrom<AssetRow> for Asset {
    type Error = StoreError;

    fn try_from(row: AssetRow) -> Result<Self, StoreError> {
        const TABLE: &str = "asset";
        Ok(Self {
            id: AssetId::from_uuid(row.id),
            account: AccountId::from_uuid(row.account_id),
            job: row.job_id.map(JobId::from_uuid),
            index: number(TABLE, "idx", row.idx)?,
            role: word(TABLE, "role", &row.role)?,
            kind: word(TABLE, "kind", &row.kind)?,
            state: word(TABLE, "state", &row.state)?,
            source_url: row.source_url,
            object: row.object,
            content_type: row.content_type,
            bytes: row.bytes.map(|bytes| number(TABLE, "bytes", bytes)).transpose()?,
            sha256: row.sha256.map(|sum| hash(TABLE, "sha256", &sum)).transpose()?,
            width: row.width.map(|width| number(TABLE, "width", width)).transpose()?,
            height: row.height.map(|height| number(TABLE, "height", height)).transpose()?,
            duration_ms: row.duration_ms.map(|length| number(TABLE, "duration_ms", length)).transpose()?,
            thumbnail: row.thumbnail,
            tries: number(TABLE, "tries", row.tries)?,
            first_try_at: row.first_try_at.map(Moment::to_jiff),
            last_error: row.last_error,
            provider_copy: row.provider_copy.zip(row.provider_copy_until.map(Moment::to_jiff)),
            created_at: row.created_at.to_jiff(),
            deleted_at: row.deleted_at.map(Moment::to_jiff),
        })
    }
}

/// A row of `kie.delivery`.
#[derive(Debug)]
pub(crate) struct DeliveryRow {
    pub(crate) id: Uuid,
    pub(crate) job_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) channel: String,
    pub(crate) address: String,
    pub(crate) event: String,
    pub(crate) state: String,
    pub(crate) attempts: i32,
    pub(crate) wake_at: Option<Moment>,
    pub(crate) fence: i64,
    pub(crate) delivered_at: Option<Moment>,
    pub(crate) last_error: Option<String>,
    pub(crate) created_at: Moment,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        const TABLE: &str = "delivery";
        Ok(Self {
            id: DeliveryId::from_uuid(row.id),
            job: JobId::from_uuid(row.job_id),
            account: AccountId::from_uuid(row.account_id),
            channel: word(TABLE, "channel", &row.channel)?,
            address: row.address,
            event: word(TABLE, "event", &row.event)?,
            state: word(TABLE, "state", &row.state)?,
            attempts: number(TABLE, "attempts", row.attempts)?,
            wake_at: row.wake_at.map(Moment::to_jiff),
            fence: row.fence,
            delivered_at: row.delivered_at.map(Moment::to_jiff),
            last_error: row.last_error,
            created_at: row.created_at.to_jiff(),
        })
    }
}

/// A row of `kie.transfer`.
#[derive(Debug)]
pub(crate) struct TransferRow {
    pub(crate) id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) job_id: Option<Uuid>,
    pub(crate) kind: String,
    pub(crate) key: String,
    pub(crate) debit: String,
    pub(crate) credit: String,
    pub(crate) amount: i64,
    pub(crate) reason: Option<String>,
    pub(crate) at: Moment,
}

impl TryFrom<TransferRow> for Transfer {
    type Error = StoreError;

    fn try_from(row: TransferRow) -> Result<Self, StoreError> {
        const TABLE: &str = "transfer";
        Ok(Self {
            id: TransferId::from_uuid(row.id),
            account: AccountId::from_uuid(row.account_id),
            job: row.job_id.map(JobId::from_uuid),
            kind: word(TABLE, "kind", &row.kind)?,
            key: row.key,
            debit: word(TABLE, "debit", &row.debit)?,
            credit: word(TABLE, "credit", &row.credit)?,
            amount: Money::from_minor(row.amount),
            reason: row.reason,
            at: row.at.to_jiff(),
        })
    }
}

/// A row of `kie.attempt`.
#[derive(Debug)]
pub(crate) struct AttemptRow {
    pub(crate) job_id: Uuid,
    pub(crate) number: i16,
    pub(crate) sent_at: Moment,
    pub(crate) task_id: Option<String>,
    pub(crate) answer: Option<String>,
}

impl TryFrom<AttemptRow> for Attempt {
    type Error = StoreError;

    fn try_from(row: AttemptRow) -> Result<Self, StoreError> {
        Ok(Self {
            job: JobId::from_uuid(row.job_id),
            number: number("attempt", "number", row.number)?,
            sent_at: row.sent_at.to_jiff(),
            task_id: row.task_id,
            answer: row.answer,
        })
    }
}

/// A row of `kie.timeline`.
#[derive(Debug)]
pub(crate) struct TimelineRow {
    pub(crate) job_id: Uuid,
    pub(crate) at: Moment,
    pub(crate) last_at: Moment,
    pub(crate) times: i32,
    pub(crate) source: String,
    pub(crate) event: String,
    pub(crate) detail: Option<String>,
}

impl TryFrom<TimelineRow> for TimelineEntry {
    type Error = StoreError;

    fn try_from(row: TimelineRow) -> Result<Self, StoreError> {
        Ok(Self {
            at: row.at.to_jiff(),
            last_at: row.last_at.to_jiff(),
            times: number("timeline", "times", row.times)?,
            source: row.source,
            event: row.event,
            detail: row.detail,
        })
    }
}

/// Every row, or the first that cannot be.
pub(crate) fn all<Row, T>(rows: Vec<Row>) -> Result<Vec<T>, StoreError>
where
    T: TryFrom<Row, Error = StoreError>,
{
    rows.into_iter().map(T::try_from).collect()
}

/// The rows of a claim that can be read. One that cannot keeps its lease and is told of: it must not hold up the others.
pub(crate) fn readable<Row, T>(table: &'static str, rows: Vec<Row>, id_of: impl Fn(&Row) -> Uuid) -> Vec<T>
where
    T: TryFrom<Row, Error = StoreError>,
{
    let read = |row: Row| {
        let id = id_of(&row);
        T::try_from(row)
            .inspect_err(|error| {
                tracing::error!(table, %id, error = error as &dyn std::error::Error, "row.unreadable");
            })
            .ok()
    };
    rows.into_iter().filter_map(read).collect()
}

/// A word of a closed list.
pub(crate) fn word<T>(table: &'static str, column: &'static str, text: &str) -> Result<T, StoreError>
where
    T: FromStr<Err = UnknownWord>,
{
    text.parse().map_err(corrupt(table, column))
}

/// A number in its range.
pub(crate) fn number<T, Raw>(table: &'static str, column: &'static str, raw: Raw) -> Result<T, StoreError>
where
    T: TryFrom<Raw, Error = TryFromIntError>,
{
    T::try_from(raw).map_err(corrupt(table, column))
}

/// 32 bytes.
pub(crate) fn hash(table: &'static str, column: &'static str, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(corrupt(table, column))
}

fn corrupt<E>(table: &'static str, column: &'static str) -> impl FnOnce(E) -> StoreError
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |error| StoreError::Corrupt { table, column, source: error.into() }
}

/// A number for a column; one that does not fit is a defect of the caller.
pub(crate) fn column<T, Raw>(raw: Raw) -> Result<T, StoreError>
where
    T: TryFrom<Raw, Error = TryFromIntError>,
{
    T::try_from(raw).map_err(|error| StoreError::Internal(error.into()))
}
