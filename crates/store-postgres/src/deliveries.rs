//! Deliveries on PostgreSQL.

use async_trait::async_trait;
use domain::{AccountId, Channel, Delivery, DeliveryId, JobId, Scope, Timestamp};
use store::{DeliveryResult, DeliveryStore, StoreError};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::{retrying, store_error};
use crate::row::{DeliveryRow, all, clean, moment, readable};

/// Every column of a delivery, in the order of [`DeliveryRow`]; the table or CTE is called `d`.
macro_rules! deliveries {
    ($before:literal, $after:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            DeliveryRow,
            $before
                + r#"d.id as "id!", d.job_id as "job_id!", d.account_id as "account_id!", d.channel as "channel!",
                    d.address as "address!", d.event as "event!", d.state as "state!", d.attempts as "attempts!",
                    d.wake_at as "wake_at?", d.fence as "fence!", d.delivered_at as "delivered_at?",
                    d.last_error as "last_error?", d.created_at as "created_at!""#
                + $after,
            $($arg),*
        )
    };
}

#[async_trait]
impl DeliveryStore for PostgresStore {
    async fn claim_deliveries(
        &self,
        channels: &[Channel],
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let channels: Vec<String> = channels.iter().map(|channel| channel.as_str().to_owned()).collect();
        let rows = deliveries!(
            "with due as materialized (
               select id from kie.delivery
               where wake_at is not null and wake_at <= $1 and (lease_until is null or lease_until <= $1)
                 and channel = any($4)
               order by wake_at limit $3 for update skip locked
             ), d as (
               update kie.delivery d set lease_until = $2, fence = d.fence + 1 from due where d.id = due.id
               returning d.*
             )
             select ",
            " from d order by d.wake_at, d.id",
            moment(now),
            moment(lease_until),
            i64::from(limit),
            &channels,
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        Ok(readable("delivery", rows, |row| row.id))
    }

    async fn put_off_delivery(&self, delivery: &Delivery, until: Timestamp) -> Result<bool, StoreError> {
        let put_off = sqlx::query!(
            "update kie.delivery set wake_at = $3, lease_until = null where id = $1 and fence = $2 and state = 'pending'",
            delivery.id.as_uuid(),
            delivery.fence,
            moment(until),
        );
        Ok(put_off.execute(&self.pool).await.map_err(store_error)?.rows_affected() > 0)
    }

    async fn record_delivery(
        &self,
        delivery: &Delivery,
        result: &DeliveryResult,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let written = retrying(|| record(self, delivery, result, at)).await?;
        if written {
            self.signals.changed();
        }
        Ok(written)
    }

    async fn redeliver(&self, job: JobId, scope: Scope, at: Timestamp) -> Result<u64, StoreError> {
        let again = retrying(|| redeliver(self, job, scope, at)).await?;
        if again > 0 {
            self.signals.changed();
        }
        Ok(again)
    }

    async fn deliveries_of(&self, jobs: &[JobId]) -> Result<Vec<Delivery>, StoreError> {
        let jobs: Vec<Uuid> = jobs.iter().map(|job| job.as_uuid()).collect();
        let rows = deliveries!(
            "select ",
            " from kie.delivery d where d.job_id = any($1) order by d.job_id, d.created_at, d.id",
            &jobs,
        );
        all(rows.fetch_all(&self.pool).await.map_err(store_error)?)
    }

    async fn list_dead_deliveries(
        &self,
        account: Option<AccountId>,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let rows = deliveries!(
            "select ",
            " from kie.delivery d where d.state = 'dead' and ($1::uuid is null or d.account_id = $1)
                and d.id < $2
              order by d.id desc limit $3",
            account.map(AccountId::as_uuid),
            before.unwrap_or(DeliveryId::HIGHEST).as_uuid(),
            i64::from(limit),
        );
        all(rows.fetch_all(&self.pool).await.map_err(store_error)?)
    }
}

/// What a result writes: the state, the next try and the error.
fn columns(result: &DeliveryResult) -> (&'static str, Option<Timestamp>, Option<&str>) {
    match result {
        DeliveryResult::Delivered => ("done", None, None),
        DeliveryResult::Retry { at, error } => ("pending", Some(*at), Some(error)),
        DeliveryResult::Dead { error } => ("dead", None, Some(error)),
    }
}

/// The job is locked before its delivery, as in a step.
async fn record(
    store: &PostgresStore,
    delivery: &Delivery,
    result: &DeliveryResult,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let (state, wake_at, error) = columns(result);
    let written = sqlx::query!(
        "with moved as (
           update kie.job j set updated_at = $3, version = j.version + 1
           from kie.delivery d where d.id = $1 and d.fence = $2 and d.state = 'pending' and j.id = d.job_id
           returning j.id
         )
         update kie.delivery d
         set state = $4, wake_at = $5, last_error = coalesce($6, d.last_error), attempts = d.attempts + 1,
           lease_until = null, delivered_at = case when $4 = 'done' then $3 else d.delivered_at end
         from moved where d.id = $1 and d.fence = $2 and d.state = 'pending' and d.job_id = moved.id",
        delivery.id.as_uuid(),
        delivery.fence,
        moment(at),
        state,
        wake_at.map(moment) as _,
        error.map(clean),
    );
    Ok(written.execute(&store.pool).await.map_err(store_error)?.rows_affected() > 0)
}

/// A sending again has all its tries before it. What moved while the job's lock was waited for is looked at again.
async fn redeliver(
    store: &PostgresStore,
    job: JobId,
    scope: Scope,
    at: Timestamp,
) -> Result<u64, StoreError> {
    let again = sqlx::query!(
        "with again as (
           select d.id, d.job_id from kie.delivery d
           where d.job_id = $1 and (
             d.state <> 'pending'
             or ((d.lease_until is null or d.lease_until <= $3)
               and (d.wake_at is null or (d.attempts > 0 and d.wake_at > $3))))
         ), moved as (
           update kie.job j set updated_at = $3, version = j.version + 1
           where j.id = $1 and ($2::uuid is null or j.account_id = $2) and exists (select from again)
           returning j.id
         )
         update kie.delivery d
         set state = 'pending', wake_at = $3, attempts = 0, lease_until = null, delivered_at = null
         from again join moved on moved.id = again.job_id
         where d.id = again.id and (
           d.state <> 'pending'
           or ((d.lease_until is null or d.lease_until <= $3)
             and (d.wake_at is null or (d.attempts > 0 and d.wake_at > $3))))",
        job.as_uuid(),
        scope.account().map(AccountId::as_uuid),
        moment(at),
    );
    Ok(again.execute(&store.pool).await.map_err(store_error)?.rows_affected())
}

/// What could be claimed; nothing is.
pub(crate) async fn due(
    store: &PostgresStore,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Delivery>, StoreError> {
    let rows = deliveries!(
        "select ",
        " from kie.delivery d
          where d.wake_at is not null and d.wake_at <= $1 and (d.lease_until is null or d.lease_until <= $1)
          order by d.wake_at, d.id limit $2",
        moment(now),
        i64::from(limit),
    );
    all(rows.fetch_all(&store.pool).await.map_err(store_error)?)
}
