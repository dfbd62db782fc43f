//! Jobs: the port, by the file that keeps each promise.

mod attempt;
mod claim;
mod list;
mod record;
mod row;
mod wake;

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use domain::{AccountId, Attempt, Job, JobId, Scope, TimelineEntry, Timestamp};
use sqlx::SqliteConnection;
use store::{
    Began, BeginAttempt, ClaimJobs, Flags, JobFilter, JobStore, NewEntry, Recorded, Step, StoreError,
    TaskSaved, WakeJob,
};
use tokio::sync::watch;

pub(crate) use row::{JobRow, job_rows};
pub(crate) use wake::wake_in;

use crate::SqliteStore;
use crate::row::{Cell, micros, read_one};
use crate::timeline;
use crate::writer::{Meaning, never};

#[async_trait]
impl JobStore for SqliteStore {
    async fn claim_jobs(&self, claim: &ClaimJobs) -> Result<Vec<Job>, StoreError> {
        self.claim_due(claim).await
    }

    async fn renew_lease(&self, job: JobId, fence: i64, lease_until: Timestamp) -> Result<bool, StoreError> {
        let (job, until) = (job.as_uuid(), micros(lease_until));
        self.write(never, move |db| {
            Box::pin(async move {
                // A lease that was given back is not taken again: only a claim does that.
                let renewed = sqlx::query!(
                    "update job set lease_until = max(lease_until, ?3)
                     where id = ?1 and fence = ?2 and lease_until is not null",
                    job,
                    fence,
                    until,
                );
                Ok(renewed.execute(db).await.meaning()?.rows_affected() == 1)
            })
        })
        .await
    }

    async fn begin_attempt(&self, begin: &BeginAttempt) -> Result<Began, StoreError> {
        let begin = begin.clone();
        let moved = |began: &Began| *began == Began::Committed;
        self.write(moved, move |db| Box::pin(async move { attempt::begin_in(db, &begin).await })).await
    }

    async fn record(&self, step: &Step) -> Result<Recorded, StoreError> {
        let step = step.clone();
        let moved = |recorded: &Recorded| *recorded == Recorded::Applied;
        self.write(moved, move |db| Box::pin(async move { record::record_in(db, &step).await })).await
    }

    async fn save_task(
        &self,
        job: JobId,
        attempt: u16,
        task_id: &str,
        at: Timestamp,
    ) -> Result<TaskSaved, StoreError> {
        let task_id = task_id.to_owned();
        let moved = |saved: &TaskSaved| *saved == TaskSaved::Saved;
        self.write(moved, move |db| {
            Box::pin(async move { attempt::save_task_in(db, job, attempt, &task_id, at).await })
        })
        .await
    }

    async fn wake_job(&self, wake: &WakeJob) -> Result<bool, StoreError> {
        let wake = *wake;
        self.write(|woken| *woken, move |db| Box::pin(async move { wake_in(db, &wake).await })).await
    }

    async fn wake_account_jobs(
        &self,
        account: AccountId,
        at: Timestamp,
        at_most_every: Duration,
    ) -> Result<u64, StoreError> {
        let moved = |woken: &u64| *woken > 0;
        self.write(moved, move |db| {
            Box::pin(async move { wake::wake_account_in(db, account, at, at_most_every).await })
        })
        .await
    }

    async fn note(&self, job: JobId, entries: &[NewEntry], at: Timestamp) -> Result<(), StoreError> {
        let entries = entries.to_vec();
        let noted = self.write(never, move |db| {
            Box::pin(async move { timeline::add_entries_in(db, job, &entries, at).await })
        });
        match noted.await {
            Err(StoreError::NotFound { .. }) => Err(StoreError::NotFound { what: "job" }),
            other => other,
        }
    }

    async fn flag_job(
        &self,
        job: JobId,
        account: AccountId,
        flags: Flags,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(
            |found| *found,
            move |db| Box::pin(async move { flag_in(db, job, account, flags, at).await }),
        )
        .await
    }

    async fn find_job(&self, job: JobId, scope: Scope) -> Result<Option<Job>, StoreError> {
        let (job, account) = (job.as_uuid(), scope.account().map(AccountId::as_uuid));
        let row = job_rows!("where id = ?1 and (?2 is null or account_id = ?2)", job, account);
        read_one(row.fetch_optional(self.readers()).await.meaning()?)
    }

    async fn find_job_by_task(&self, task_id: &str) -> Result<Option<(Job, u16)>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let attempt = sqlx::query!(
            r#"select job_id as "job_id!: uuid::Uuid", number as "number!: i64"
               from attempt where provider = 'kie' and task_id = ?1"#,
            task_id,
        )
        .fetch_optional(&mut *snapshot)
        .await
        .meaning()?;
        let Some(attempt) = attempt else { return Ok(None) };
        let number = Cell { table: "attempt", id: &attempt.job_id }.number("number", attempt.number)?;
        let row =
            job_rows!("where id = ?1", attempt.job_id).fetch_optional(&mut *snapshot).await.meaning()?;
        Ok(read_one(row)?.map(|job| (job, number)))
    }

    async fn list_jobs(&self, filter: &JobFilter) -> Result<Vec<Job>, StoreError> {
        self.jobs_by(filter).await
    }

    async fn changed_jobs(&self, scope: Scope, since: Timestamp, limit: u32) -> Result<Vec<Job>, StoreError> {
        self.jobs_changed(scope, since, limit).await
    }

    async fn attempts(&self, job: JobId) -> Result<Vec<Attempt>, StoreError> {
        attempt::attempts(self.readers(), job).await
    }

    async fn timelines(&self, jobs: &[JobId]) -> Result<HashMap<JobId, Vec<TimelineEntry>>, StoreError> {
        timeline::entries(self.readers(), jobs).await
    }

    async fn next_wake(&self) -> Result<Option<Timestamp>, StoreError> {
        // A leased row can be claimed when its lease is over. Those that matter lie before the first row without a
        // lease, so each part walks its index no further than that.
        let next = sqlx::query_scalar!(
            r#"select min(at) as "at?: i64" from (
                 select min(max(wake_at, coalesce(lease_until, wake_at))) as at from job
                 where wake_at is not null and state <> 'pending' and wake_at <= coalesce(
                   (select wake_at from job where wake_at is not null and state <> 'pending' and lease_until is null
                    order by wake_at limit 1), 9223372036854775807)
                 union all
                 select min(max(wake_at, coalesce(lease_until, wake_at))) from job
                 where state = 'pending' and wake_at <= coalesce(
                   (select wake_at from job where state = 'pending' and lease_until is null
                    order by wake_at limit 1), 9223372036854775807)
                 union all
                 select min(max(wake_at, coalesce(lease_until, wake_at))) from delivery
                 where wake_at is not null and wake_at <= coalesce(
                   (select wake_at from delivery where wake_at is not null and lease_until is null
                    order by wake_at limit 1), 9223372036854775807)
               )"#
        )
        .fetch_one(self.readers())
        .await
        .meaning()?;
        Cell { table: "job", id: &"next" }.time_opt("wake_at", next)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.writer().changes()
    }
}

async fn flag_in(
    db: &mut SqliteConnection,
    job: JobId,
    account: AccountId,
    flags: Flags,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let (job, account, at) = (job.as_uuid(), account.as_uuid(), micros(at));
    let flagged = sqlx::query!(
        "update job set favourite = coalesce(?3, favourite),
           hidden_at = case when ?4 is null then hidden_at when ?4 then coalesce(hidden_at, ?5) end,
           version = version + 1, updated_at = ?5
         where id = ?1 and account_id = ?2",
        job,
        account,
        flags.favourite,
        flags.hidden,
        at,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(flagged.rows_affected() == 1)
}
