//! Callbacks: hints, once per (job, body), and those that no job knows.

use std::time::Duration;

use async_trait::async_trait;
use domain::{JobId, Scope, Timestamp};
use sqlx::SqliteConnection;
use store::{CallbackStore, KeptCallback, NewCallback, StoreError, WakeJob, WakeReason};

use crate::SqliteStore;
use crate::jobs::wake_in;
use crate::row::{Cell, micros};
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

    async fn add_orphan(&self, source: &str, task_id: &str, at: Timestamp) -> Result<(), StoreError> {
        let (source, task_id, at) = (source.to_owned(), task_id.to_owned(), micros(at));
        self.write(never, move |db| {
            Box::pin(async move {
                sqlx::query!(
                    "insert into orphan (source, task_id, at, last_at) values (?1, ?2, ?3, ?3)
                     on conflict (source, task_id)
                     do update set times = times + 1, last_at = max(last_at, excluded.last_at)",
                    source,
                    task_id,
                    at,
                )
                .execute(db)
                .await
                .meaning()?;
                Ok(())
            })
        })
        .await
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
