//! Callbacks on PostgreSQL.

use async_trait::async_trait;
use domain::{JobId, Timestamp};
use store::{CallbackStore, KeptCallback, NewCallback, Orphan, StoreError};

use crate::PostgresStore;
use crate::error::{retrying, store_error};
use crate::row::{clean, column, moment, number};

#[async_trait]
impl CallbackStore for PostgresStore {
    async fn add_callback(&self, callback: &NewCallback<'_>) -> Result<bool, StoreError> {
        let kept = retrying(|| keep(self, callback)).await?;
        self.signals.changed();
        Ok(kept)
    }

    async fn callbacks_with_task(&self, job: JobId) -> Result<Vec<KeptCallback>, StoreError> {
        let rows = sqlx::query!(
            "select attempt, task_id, at from kie.callback where job_id = $1 and task_id is not null
             order by at, body_hash limit 32",
            job.as_uuid(),
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        rows.into_iter()
            .map(|row| {
                let attempt = number("callback", "attempt", row.attempt)?;
                Ok(KeptCallback { attempt, task_id: row.task_id, at: row.at.to_jiff() })
            })
            .collect()
    }

    async fn add_orphan(
        &self,
        source: &str,
        task_id: &str,
        job: Option<JobId>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into kie.orphan as o (source, task_id, at, last_at, job_id) values ($1, $2, $3, $3, $4)
             on conflict (source, task_id) do update set times = o.times + 1,
               last_at = greatest(o.last_at, excluded.last_at), job_id = coalesce(excluded.job_id, o.job_id)",
            clean(source),
            clean(task_id),
            moment(at),
            job.map(JobId::as_uuid),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
    }

    async fn list_orphans(
        &self,
        task_id: Option<&str>,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<Orphan>, StoreError> {
        let rows = sqlx::query!(
            "select source, task_id, job_id, at, last_at, times from kie.orphan
             where ($1::text is null or task_id = $1) and ($2::timestamptz is null or last_at >= $2)
             order by last_at desc, source, task_id limit $3",
            task_id.map(clean),
            since.map(moment) as _,
            i64::from(limit),
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        rows.into_iter()
            .map(|row| {
                Ok(Orphan {
                    source: row.source,
                    task_id: row.task_id,
                    job: row.job_id.map(JobId::from_uuid),
                    at: row.at.to_jiff(),
                    last_at: row.last_at.to_jiff(),
                    times: number("orphan", "times", row.times)?,
                })
            })
            .collect()
    }

    async fn delete_callbacks(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let deleted = sqlx::query_scalar!(
            r#"with old as (
                 delete from kie.callback where ctid = any(array(
                   select ctid from kie.callback where at < $1 order by at limit $2 for update skip locked))
                 returning 1
               ), lone as (
                 delete from kie.orphan where ctid = any(array(
                   select ctid from kie.orphan where last_at < $1 order by last_at limit $2 for update skip locked))
                 returning 1
               )
               select (select count(*) from old) + (select count(*) from lone) as "deleted!""#,
            moment(before),
            i64::from(limit),
        );
        number("callback", "count", deleted.fetch_one(&self.pool).await.map_err(store_error)?)
    }
}

/// The wake is that of `wake_job` for callbacks: without a pace, with fast reads after it.
async fn keep(store: &PostgresStore, callback: &NewCallback<'_>) -> Result<bool, StoreError> {
    let written = sqlx::query!(
        r#"with found as (
             select id from kie.job where id = $1
           ), woken as (
             update kie.job j
             set wake_at = least(coalesce(j.wake_at, $6), $6), wake_seq = j.wake_seq + 1, hints = 3
             where j.id = $1 and j.state not in ('done', 'canceled')
               and (j.state <> 'failed' or (not j.gift and j.attempts > 0))
             returning j.id
           ), kept as (
             insert into kie.callback (job_id, body_hash, attempt, body, task_id, at)
             select found.id, $2, $3, $4, $5, $6 from found
             on conflict (job_id, body_hash) do nothing
             returning job_id
           )
           select exists (select from found) as "found!", exists (select from kept) as "kept!""#,
        callback.job.as_uuid(),
        &callback.body_hash[..],
        column::<i16, _>(callback.attempt)?,
        callback.body,
        callback.task_id.map(clean),
        moment(callback.at),
    );
    let written = written.fetch_one(&store.pool).await.map_err(store_error)?;
    if written.found { Ok(written.kept) } else { Err(StoreError::NotFound { what: "job" }) }
}
