//! Deliveries: the outbox, its claims and the ends of its tries.

use async_trait::async_trait;
use domain::{AccountId, Channel, Delivery, DeliveryId, DeliveryState, JobId, Scope, Timestamp};
use sqlx::SqliteConnection;
use store::{DeliveryResult, DeliveryStore, StoreError};
use uuid::Uuid;

use crate::SqliteStore;
use crate::row::{Cell, id_list, micros, read_all, readable, to_json};
use crate::writer::{Meaning, never};

struct DeliveryRow {
    id: Uuid,
    job_id: Uuid,
    account_id: Uuid,
    channel: String,
    address: String,
    event: String,
    state: String,
    attempts: i64,
    wake_at: Option<i64>,
    fence: i64,
    delivered_at: Option<i64>,
    last_error: Option<String>,
    created_at: i64,
}

macro_rules! delivery_rows {
    ($tail:tt $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            DeliveryRow,
            r#"select id as "id!: uuid::Uuid", job_id as "job_id!: uuid::Uuid", account_id as "account_id!: uuid::Uuid",
                 channel as "channel!", address as "address!", event as "event!", state as "state!",
                 attempts as "attempts!", wake_at as "wake_at?", fence as "fence!", delivered_at as "delivered_at?",
                 last_error as "last_error?", created_at as "created_at!"
               from delivery "# + $tail
            $(, $arg)*
        )
    };
}

#[async_trait]
impl DeliveryStore for SqliteStore {
    async fn claim_deliveries(
        &self,
        channels: &[Channel],
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let channels = to_json(&channels)?;
        // The write lock is taken only when there is something to claim.
        let mut reader = self.readers().acquire().await.meaning()?;
        if find_due(&mut reader, &channels, now, limit.min(1)).await?.is_empty() {
            return Ok(Vec::new());
        }
        drop(reader);
        self.write(never, move |db| {
            Box::pin(async move {
                let due = find_due(db, &channels, now, limit).await?;
                lease_in(db, due, lease_until).await
            })
        })
        .await
    }

    async fn put_off_delivery(&self, delivery: &Delivery, until: Timestamp) -> Result<bool, StoreError> {
        let (id, fence, until) = (delivery.id.as_uuid(), delivery.fence, micros(until));
        self.write(never, move |db| {
            Box::pin(async move {
                let put_off = sqlx::query!(
                    "update delivery set wake_at = ?3, lease_until = null where id = ?1 and fence = ?2 and state = 'pending'",
                    id,
                    fence,
                    until,
                );
                Ok(put_off.execute(db).await.meaning()?.rows_affected() == 1)
            })
        })
        .await
    }

    async fn record_delivery(
        &self,
        delivery: &Delivery,
        result: &DeliveryResult,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let (delivery, result) = (delivery.clone(), result.clone());
        self.write(
            |written| *written,
            move |db| Box::pin(async move { record_in(db, &delivery, &result, at).await }),
        )
        .await
    }

    async fn redeliver(&self, job: JobId, scope: Scope, at: Timestamp) -> Result<u64, StoreError> {
        let moved = |again: &u64| *again > 0;
        self.write(moved, move |db| Box::pin(async move { redeliver_in(db, job, scope, at).await })).await
    }

    async fn deliveries_of(&self, jobs: &[JobId]) -> Result<Vec<Delivery>, StoreError> {
        let jobs = id_list(jobs.iter().map(|job| job.as_uuid()));
        let rows = delivery_rows!(
            "where job_id in (select unhex(value) from json_each(?1)) order by job_id, created_at, rowid",
            jobs,
        );
        read_all(rows.fetch_all(self.readers()).await.meaning()?)
    }

    async fn list_dead_deliveries(
        &self,
        account: Option<AccountId>,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let (account, before) =
            (account.map(AccountId::as_uuid), before.unwrap_or(DeliveryId::HIGHEST).as_uuid());
        let rows = delivery_rows!(
            "where state = 'dead' and (?1 is null or account_id = ?1) and id < ?2 order by id desc limit ?3",
            account,
            before,
            limit,
        );
        read_all(rows.fetch_all(self.readers()).await.meaning()?)
    }
}

async fn find_due(
    db: &mut SqliteConnection,
    channels: &str,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Uuid>, StoreError> {
    let now = micros(now);
    sqlx::query_scalar!(
        r#"select id as "id!: Uuid" from delivery
           where wake_at is not null and wake_at <= ?1 and (lease_until is null or lease_until <= ?1)
             and channel in (select value from json_each(?3))
           order by wake_at limit ?2"#,
        now,
        limit,
        channels,
    )
    .fetch_all(db)
    .await
    .meaning()
}

/// What could be claimed; nothing is.
pub(crate) async fn due(
    store: &SqliteStore,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Delivery>, StoreError> {
    let now = micros(now);
    let rows = delivery_rows!(
        "where wake_at is not null and wake_at <= ?1 and (lease_until is null or lease_until <= ?1)
         order by wake_at, id limit ?2",
        now,
        limit,
    );
    read_all(rows.fetch_all(store.readers()).await.meaning()?)
}

async fn lease_in(
    db: &mut SqliteConnection,
    due: Vec<Uuid>,
    lease_until: Timestamp,
) -> Result<Vec<Delivery>, StoreError> {
    let (ids, until) = (id_list(due), micros(lease_until));
    sqlx::query!(
        "update delivery set lease_until = ?2, fence = fence + 1
         where id in (select unhex(value) from json_each(?1))",
        ids,
        until,
    )
    .execute(&mut *db)
    .await
    .meaning()?;
    store::fail_point!("sqlite.delivery.leased");
    let rows =
        delivery_rows!("where id in (select unhex(value) from json_each(?1)) order by wake_at, rowid", ids,);
    Ok(readable("delivery", rows.fetch_all(db).await.meaning()?, |row| row.id))
}

/// The columns that the end of a try sets.
struct Ended {
    state: DeliveryState,
    wake_at: Option<i64>,
    delivered_at: Option<i64>,
    error: Option<String>,
}

impl Ended {
    fn of(result: &DeliveryResult, at: Timestamp) -> Self {
        let open = Self { state: DeliveryState::Pending, wake_at: None, delivered_at: None, error: None };
        match result {
            DeliveryResult::Delivered => {
                Self { state: DeliveryState::Done, delivered_at: Some(micros(at)), ..open }
            }
            DeliveryResult::Retry { at, error } => {
                Self { wake_at: Some(micros(*at)), error: Some(error.clone()), ..open }
            }
            DeliveryResult::Dead { error } => {
                Self { state: DeliveryState::Dead, error: Some(error.clone()), ..open }
            }
        }
    }
}

async fn record_in(
    db: &mut SqliteConnection,
    delivery: &Delivery,
    result: &DeliveryResult,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let (id, ended) = (delivery.id.as_uuid(), Ended::of(result, at));
    let state = ended.state.as_str();
    let recorded = sqlx::query!(
        "update delivery set state = ?3, attempts = attempts + 1, wake_at = ?4,
           delivered_at = coalesce(?5, delivered_at), last_error = coalesce(?6, last_error), lease_until = null
         where id = ?1 and fence = ?2 and state = 'pending'",
        id,
        delivery.fence,
        state,
        ended.wake_at,
        ended.delivered_at,
        ended.error,
    )
    .execute(&mut *db)
    .await
    .meaning()?;
    if recorded.rows_affected() == 0 {
        return Ok(false);
    }
    store::fail_point!("sqlite.delivery.ended");
    touch_job(db, delivery.job, at).await?;
    Ok(true)
}

async fn redeliver_in(
    db: &mut SqliteConnection,
    job: JobId,
    scope: Scope,
    at: Timestamp,
) -> Result<u64, StoreError> {
    let (id, account, due) = (job.as_uuid(), scope.account().map(AccountId::as_uuid), micros(at));
    // The tries are counted anew, or the first failure would be the last.
    let again = sqlx::query!(
        "update delivery set state = 'pending', attempts = 0, wake_at = ?3, lease_until = null, delivered_at = null
         where job_id = ?1 and (?2 is null or account_id = ?2) and (
           state in ('done', 'dead')
           or ((lease_until is null or lease_until <= ?3) and (wake_at is null or (attempts > 0 and wake_at > ?3))))",
        id,
        account,
        due,
    )
    .execute(&mut *db)
    .await
    .meaning()?
    .rows_affected();
    store::fail_point!("sqlite.delivery.again");
    if again > 0 {
        touch_job(db, job, at).await?;
    }
    Ok(again)
}

async fn touch_job(db: &mut SqliteConnection, job: JobId, at: Timestamp) -> Result<(), StoreError> {
    let (job, at) = (job.as_uuid(), micros(at));
    sqlx::query!("update job set version = version + 1, updated_at = ?2 where id = ?1", job, at)
        .execute(db)
        .await
        .meaning()?;
    Ok(())
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        let cell = Cell { table: "delivery", id: &row.id };
        Ok(Self {
            id: DeliveryId::from_uuid(row.id),
            job: JobId::from_uuid(row.job_id),
            account: AccountId::from_uuid(row.account_id),
            channel: cell.word("channel", &row.channel)?,
            event: cell.word("event", &row.event)?,
            state: cell.word("state", &row.state)?,
            attempts: cell.number("attempts", row.attempts)?,
            wake_at: cell.time_opt("wake_at", row.wake_at)?,
            fence: row.fence,
            delivered_at: cell.time_opt("delivered_at", row.delivered_at)?,
            created_at: cell.time("created_at", row.created_at)?,
            address: row.address,
            last_error: row.last_error,
        })
    }
}
