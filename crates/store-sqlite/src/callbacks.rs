//! Callbacks: hints, once per (job, body), and those that no job knows.

use std::time::Duration;

use async_trait::async_trait;
use domain::{JobId, Scope, Timestamp};
use sqlx::SqliteConnection;
use store::{CallbackStore, KeptCallback, NewCallback, Orphan, StoreError, WakeJob, WakeReason};

use crate::SqliteStore;
use crate::jobs::wake_in;
use crate::row::{Cell, micros, micros_opt};
use crate::writer::{Meaning, always, never};

/// Callbacks with a task id that anyone reads of one job.
const KEPT_MAX: i64 = 32;

/// A callback that outlives its request.
struct OwnedCallback {
    job: JobId,
    attempt: u16,
    body_hash: [u8; 32],
    body: Vec<u8>,
    task_id: Option<String>,
    at: Timestamp,
}

#[async_trait]
impl CallbackStore for SqliteStore {
    async fn add_callback(&self, callback: &NewCallback<'_>) -> Result<bool, StoreError> {
        let callback = OwnedCallback {
            job: callback.job,
            attempt: callback.attempt,
            body_hash: callback.body_hash,
            body: callback.body.to_vec(),
            task_id: callback.task_id.map(str::to_owned),
            at: callback.at,
        };
        let added = self.write(always, move |db| Box::pin(async move { add_in(db, &callback).await })).await;
        match added {
            Err(StoreError::NotFound { .. }) => Err(StoreError::NotFound { what: "job" }),
            other => other,
        }
    }

    async fn callbacks_with_task(&self, job: JobId) -> Result<Vec<KeptCallback>, StoreError> {
        let job = job.as_uuid();
        let rows = sqlx::query!(
            r#"select attempt as "attempt!: i64", task_id as "task_id?", at as "at!: i64"
               from callback where job_id = ?1 and task_id is not null order by at, rowid limit ?2"#,
            job,
            KEPT_MAX,
        )
        .fetch_all(self.readers())
        .await
        .meaning()?;
        let cell = Cell { table: "callback", id: &job };
        let kept = rows.into_iter().map(|row| {
            let (attempt, at) = (cell.number("attempt", row.attempt)?, cell.time("at", row.at)?);
            Ok(KeptCallback { attempt, task_id: row.task_id, at })
        });
        kept.collect()
    }

    async fn add_orphan(
        &self,
        source: &str,
        task_id: &str,
        job: Option<JobId>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (source, task_id, at) = (source.to_owned(), task_id.to_owned(), micros(at));
        let job = job.map(JobId::as_uuid);
        self.write(never, move |db| {
            Box::pin(async move {
                sqlx::query!(
                    "insert into orphan (source, task_id, at, last_at, job_id) values (?1, ?2, ?3, ?3, ?4)
                     on conflict (source, task_id)
                     do update set times = times + 1, last_at = max(last_at, excluded.last_at),
                       job_id = coalesce(excluded.job_id, job_id)",
                    source,
                    task_id,
                    at,
                    job,
                )
                .execute(db)
                .await
                .meaning()?;
                Ok(())
            })
        })
        .await
    }

    async fn list_orphans(
        &self,
        task_id: Option<&str>,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<Orphan>, StoreError> {
        let since = micros_opt(since);
        let rows = sqlx::query!(
            r#"select source as "source!", task_id as "task_id!", job_id as "job_id?: uuid::Uuid", at as "at!",
                 last_at as "last_at!", times as "times!: i64"
               from orphan where (?1 is null or task_id = ?1) and (?2 is null or last_at >= ?2)
               order by last_at desc, source, task_id limit ?3"#,
            task_id,
            since,
            limit,
        )
        .fetch_all(self.readers())
        .await
        .meaning()?;
        let orphans = rows.into_iter().map(|row| {
            let cell = Cell { table: "orphan", id: &row.task_id };
            Ok(Orphan {
                job: row.job_id.map(JobId::from_uuid),
                at: cell.time("at", row.at)?,
                last_at: cell.time("last_at", row.last_at)?,
                times: cell.number("times", row.times)?,
                source: row.source,
                task_id: row.task_id,
            })
        });
        orphans.collect()
    }

    async fn delete_callbacks(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let before = micros(before);
        self.write(never, move |db| {
            Box::pin(async move {
                let deleted = sqlx::query!(
                    "delete from callback where rowid in (select rowid from callback where at < ?1 order by at limit ?2)",
                    before,
                    limit,
                );
                let old = deleted.execute(&mut *db).await.meaning()?.rows_affected();
                store::fail_point!("sqlite.callback.deleted");
                let deleted = sqlx::query!(
                    "delete from orphan where rowid in (
                       select rowid from orphan where last_at < ?1 order by last_at limit ?2)",
                    before,
                    limit,
                );
                Ok(old.saturating_add(deleted.execute(db).await.meaning()?.rows_affected()))
            })
        })
        .await
    }
}

async fn add_in(db: &mut SqliteConnection, callback: &OwnedCallback) -> Result<bool, StoreError> {
    let (job, body_hash, at) = (callback.job.as_uuid(), callback.body_hash.as_slice(), micros(callback.at));
    let added = sqlx::query!(
        "insert into callback (job_id, body_hash, attempt, body, task_id, at) values (?1, ?2, ?3, ?4, ?5, ?6)
         on conflict (job_id, body_hash) do nothing",
        job,
        body_hash,
        callback.attempt,
        callback.body,
        callback.task_id,
        at,
    )
    .execute(&mut *db)
    .await
    .meaning()?;
    let wake = WakeJob {
        job: callback.job,
        scope: Scope::All,
        at: callback.at,
        reason: WakeReason::Callback,
        at_most_every: Duration::ZERO,
    };
    store::fail_point!("sqlite.callback.added");
    wake_in(db, &wake).await?;
    store::fail_point!("sqlite.callback.woken");
    Ok(added.rows_affected() == 1)
}
