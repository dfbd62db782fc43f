//! The row of a job and the reading of it.

use domain::{AccountId, BatchId, Cause, Decimal, Job, JobId, Money};
use store::StoreError;
use uuid::Uuid;

use crate::row::Cell;

/// Every column of a job that the domain knows.
pub(crate) struct JobRow {
    pub(crate) id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) idem_key: String,
    pub(crate) batch_id: Option<Uuid>,
    pub(crate) request_id: String,
    pub(crate) model: String,
    pub(crate) kind: String,
    pub(crate) input: String,
    pub(crate) prompt: Option<String>,
    pub(crate) recipients: String,
    pub(crate) state: String,
    pub(crate) gift: bool,
    pub(crate) late: bool,
    pub(crate) cause: Option<String>,
    pub(crate) failure: Option<String>,
    pub(crate) price: i64,
    pub(crate) basis: String,
    pub(crate) held: i64,
    pub(crate) captured: i64,
    pub(crate) released: i64,
    pub(crate) refunded: i64,
    pub(crate) outputs_ordered: i64,
    pub(crate) attempts: i64,
    pub(crate) cost: Option<i64>,
    pub(crate) task_id: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) entered_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) version: i64,
    pub(crate) wake_at: Option<i64>,
    pub(crate) wake_seq: i64,
    pub(crate) lease_until: Option<i64>,
    pub(crate) fence: i64,
    pub(crate) deadline_at: Option<i64>,
    pub(crate) tries: i64,
    pub(crate) hints: i64,
    pub(crate) favourite: bool,
    pub(crate) hidden_at: Option<i64>,
}

/// A checked query for whole rows of `job`; takes what follows the table's name: one text, or several in brackets.
macro_rules! job_rows {
    ([$($tail:tt)+] $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::jobs::JobRow,
            r#"select id as "id!: uuid::Uuid", account_id as "account_id!: uuid::Uuid", idem_key as "idem_key!",
                 batch_id as "batch_id?: uuid::Uuid", request_id as "request_id!", model as "model!", kind as "kind!",
                 input as "input!", prompt as "prompt?", recipients as "recipients!", state as "state!",
                 gift as "gift!: bool", late as "late!: bool", cause as "cause?", failure as "failure?",
                 price as "price!", basis as "basis!", held as "held!", captured as "captured!",
                 released as "released!", refunded as "refunded!", outputs_ordered as "outputs_ordered!",
                 attempts as "attempts!", cost as "cost?", task_id as "task_id?", created_at as "created_at!",
                 entered_at as "entered_at!", updated_at as "updated_at!", version as "version!",
                 wake_at as "wake_at?", wake_seq as "wake_seq!", lease_until as "lease_until?", fence as "fence!",
                 deadline_at as "deadline_at?", tries as "tries!", hints as "hints!",
                 favourite as "favourite!: bool", hidden_at as "hidden_at?"
               from job "# + $($tail)+
            $(, $arg)*
        )
    };
    ($tail:tt $(, $arg:expr)* $(,)?) => {
        $crate::jobs::job_rows!([$tail] $(, $arg)*)
    };
}
pub(crate) use job_rows;

impl TryFrom<JobRow> for Job {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, StoreError> {
        let cell = Cell { table: "job", id: &row.id };
        let cause = row.cause.as_deref().map(|cause| cell.word::<Cause>("cause", cause)).transpose()?;
        let cost = cell.number_opt::<u64>("cost", row.cost)?.map(Decimal::from_micro);
        Ok(Self {
            id: JobId::from_uuid(row.id),
            account: AccountId::from_uuid(row.account_id),
            kind: cell.word("kind", &row.kind)?,
            input: cell.json("input", &row.input)?,
            state: cell.word("state", &row.state)?,
            gift: row.gift,
            late: row.late,
            cause,
            price: Money::from_minor(row.price),
            basis: cell.json("basis", &row.basis)?,
            held: Money::from_minor(row.held),
            captured: Money::from_minor(row.captured),
            released: Money::from_minor(row.released),
            refunded: Money::from_minor(row.refunded),
            outputs_ordered: cell.number("outputs_ordered", row.outputs_ordered)?,
            batch: row.batch_id.map(BatchId::from_uuid),
            recipients: cell.json("recipients", &row.recipients)?,
            attempts: cell.number("attempts", row.attempts)?,
            cost,
            created_at: cell.time("created_at", row.created_at)?,
            entered_at: cell.time("entered_at", row.entered_at)?,
            updated_at: cell.time("updated_at", row.updated_at)?,
            version: row.version,
            wake_at: cell.time_opt("wake_at", row.wake_at)?,
            wake_seq: row.wake_seq,
            lease_until: cell.time_opt("lease_until", row.lease_until)?,
            fence: row.fence,
            deadline_at: cell.time_opt("deadline_at", row.deadline_at)?,
            tries: cell.number("tries", row.tries)?,
            hints: cell.number("hints", row.hints)?,
            favourite: row.favourite,
            hidden_at: cell.time_opt("hidden_at", row.hidden_at)?,
            model: row.model,
            prompt: row.prompt,
            failure: row.failure,
            key: row.idem_key,
            request_id: row.request_id,
            task_id: row.task_id,
        })
    }
}
