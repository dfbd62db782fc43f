//! Attempts: the commitment to send, with its slot, and the task ids that answer it.

use domain::{Attempt, JobId, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqlitePool;
use store::{Began, BeginAttempt, StoreError, TaskSaved};
use uuid::Uuid;

use crate::row::{Cell, micros, read_all};
use crate::timeline::add_entries_in;
use crate::writer::Meaning;

/// Commits `pending` → `submitting`, or writes nothing.
pub(super) async fn begin_in(db: &mut SqliteConnection, begin: &BeginAttempt) -> Result<Began, StoreError> {
    if !holds(db, begin).await? {
        return Ok(Began::Stale);
    }
    if let Some(next_trial_at) = find_closed_breaker(db, begin.at).await? {
        return Ok(Began::NoSlot(next_trial_at));
    }
    if let Some(slots) = begin.slots
        && let Some(free_at) = take_slot(db, begin, slots).await?
    {
        return Ok(Began::NoSlot(free_at));
    }
    store::fail_point!("sqlite.begin.slot");
    move_trial(db, begin.next_trial_at).await?;
    store::fail_point!("sqlite.begin.trial");
    enter_submitting(db, begin).await?;
    store::fail_point!("sqlite.begin.moved");
    add_entries_in(db, begin.job, &begin.timeline, begin.at).await?;
    store::fail_point!("sqlite.begin.told");
    Ok(Began::Committed)
}

async fn holds(db: &mut SqliteConnection, begin: &BeginAttempt) -> Result<bool, StoreError> {
    let (job, state) = (begin.job.as_uuid(), begin.guard.state.as_str());
    let fence = begin.guard.lease.map(|lease| lease.fence);
    sqlx::query_scalar!(
        r#"select exists (
             select 1 from job where id = ?1 and state = ?2 and (?3 is null or fence = ?3)
           ) as "holds!: bool""#,
        job,
        state,
        fence,
    )
    .fetch_one(db)
    .await
    .meaning()
}

/// When the breaker allows the next trial, if that is not yet.
async fn find_closed_breaker(
    db: &mut SqliteConnection,
    at: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let at = micros(at);
    let next = sqlx::query_scalar!(
        r#"select max(next_trial_at) as "next?: i64" from breaker where next_trial_at > ?1"#,
        at
    )
    .fetch_one(db)
    .await
    .meaning()?;
    Cell { table: "breaker", id: &"kie" }.time_opt("next_trial_at", next)
}

/// This attempt is the trial, if the breaker is open.
async fn move_trial(db: &mut SqliteConnection, next_trial_at: Timestamp) -> Result<(), StoreError> {
    let next = micros(next_trial_at);
    sqlx::query!("update breaker set next_trial_at = ?1", next).execute(db).await.meaning()?;
    Ok(())
}

/// Takes the slot that has been free longest; `None` if there was one, else when there will be.
async fn take_slot(
    db: &mut SqliteConnection,
    begin: &BeginAttempt,
    slots: u32,
) -> Result<Option<Timestamp>, StoreError> {
    let slot = sqlx::query!(
        r#"select number as "number!: i64", free_at as "free_at!: i64"
           from create_slot where number <= ?1 order by free_at, number limit 1"#,
        slots,
    )
    .fetch_optional(&mut *db)
    .await
    .meaning()?;
    // Without any row nobody made the slots yet: look again when one would be free.
    let Some(slot) = slot else { return Ok(Some(begin.slot_free_at)) };
    if slot.free_at > micros(begin.at) {
        return Cell { table: "create_slot", id: &slot.number }.time("free_at", slot.free_at).map(Some);
    }
    let (account, free_at) = (begin.account.as_uuid(), micros(begin.slot_free_at));
    sqlx::query!(
        "update create_slot set free_at = ?2, account_id = ?3 where number = ?1",
        slot.number,
        free_at,
        account,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(None)
}

async fn enter_submitting(db: &mut SqliteConnection, begin: &BeginAttempt) -> Result<(), StoreError> {
    let (job, at, until) = (begin.job.as_uuid(), micros(begin.at), micros(begin.lease_until));
    sqlx::query!("insert into attempt (job_id, number, sent_at) values (?1, ?2, ?3)", job, begin.number, at)
        .execute(&mut *db)
        .await
        .meaning()?;
    store::fail_point!("sqlite.begin.attempt");
    sqlx::query!(
        "update job set state = 'submitting', attempts = ?2, entered_at = ?3, updated_at = ?3, version = version + 1,
           wake_at = ?4, lease_until = ?4
         where id = ?1",
        job,
        begin.number,
        at,
        until,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(())
}

/// Saves evidence; wakes the job if it can use it.
pub(super) async fn save_task_in(
    db: &mut SqliteConnection,
    job: JobId,
    attempt: u16,
    task_id: &str,
    at: Timestamp,
) -> Result<TaskSaved, StoreError> {
    let (job, at) = (job.as_uuid(), micros(at));
    let known = sqlx::query!(
        r#"select task_id as "task_id?",
             exists (select 1 from attempt o where o.provider = a.provider and o.task_id = ?3) as "taken!: bool"
           from attempt a where job_id = ?1 and number = ?2"#,
        job,
        attempt,
        task_id,
    )
    .fetch_optional(&mut *db)
    .await
    .meaning()?
    .ok_or(StoreError::NotFound { what: "attempt" })?;
    match known.task_id {
        Some(known) if known == task_id => return Ok(TaskSaved::Known),
        Some(_) => return Ok(TaskSaved::Taken),
        None if known.taken => return Ok(TaskSaved::Taken),
        None => {}
    }
    set_task(db, job, attempt, task_id, at).await?;
    store::fail_point!("sqlite.task.set");
    sqlx::query!(
        "update job set wake_at = min(coalesce(wake_at, ?2), ?2), wake_seq = wake_seq + 1
         where id = ?1 and state in ('pending', 'submitting', 'unclear', 'failed')",
        job,
        at,
    )
    .execute(db)
    .await
    .meaning()?;
    store::fail_point!("sqlite.task.woken");
    Ok(TaskSaved::Saved)
}

async fn set_task(
    db: &mut SqliteConnection,
    job: Uuid,
    attempt: u16,
    task_id: &str,
    at: i64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update attempt set task_id = ?3, task_at = ?4 where job_id = ?1 and number = ?2",
        job,
        attempt,
        task_id,
        at,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(())
}

/// Saves the task that a step follows on its attempt; [`StoreError::Taken`] if either has another partner.
pub(super) async fn follow_task_in(
    db: &mut SqliteConnection,
    job: JobId,
    attempt: u16,
    task_id: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (job, at) = (job.as_uuid(), micros(at));
    let saved = sqlx::query!(
        "update attempt set task_id = ?3, task_at = coalesce(task_at, ?4)
         where job_id = ?1 and number = ?2 and (task_id is null or task_id = ?3)",
        job,
        attempt,
        task_id,
        at,
    )
    .execute(db)
    .await
    .meaning()?;
    if saved.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Taken { what: "task" }) }
}

/// Keeps what createTask answered.
pub(super) async fn set_answer_in(
    db: &mut SqliteConnection,
    job: JobId,
    attempt: u16,
    answer: &str,
) -> Result<(), StoreError> {
    let job = job.as_uuid();
    sqlx::query!("update attempt set answer = ?3 where job_id = ?1 and number = ?2", job, attempt, answer)
        .execute(db)
        .await
        .meaning()?;
    Ok(())
}

struct AttemptRow {
    job_id: Uuid,
    number: i64,
    sent_at: i64,
    task_id: Option<String>,
    answer: Option<String>,
}

/// A job's attempts, by number.
pub(super) async fn attempts(readers: &SqlitePool, job: JobId) -> Result<Vec<Attempt>, StoreError> {
    let job = job.as_uuid();
    let rows = sqlx::query_as!(
        AttemptRow,
        r#"select job_id as "job_id!: Uuid", number as "number!", sent_at as "sent_at!", task_id as "task_id?",
             answer as "answer?"
           from attempt where job_id = ?1 order by number"#,
        job,
    )
    .fetch_all(readers)
    .await
    .meaning()?;
    read_all(rows)
}

impl TryFrom<AttemptRow> for Attempt {
    type Error = StoreError;

    fn try_from(row: AttemptRow) -> Result<Self, StoreError> {
        let cell = Cell { table: "attempt", id: &row.job_id };
        Ok(Self {
            job: JobId::from_uuid(row.job_id),
            number: cell.number("number", row.number)?,
            sent_at: cell.time("sent_at", row.sent_at)?,
            task_id: row.task_id,
            answer: row.answer,
        })
    }
}
