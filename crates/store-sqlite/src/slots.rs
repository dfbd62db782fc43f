//! Create slots, the breaker, the health of models.

use async_trait::async_trait;
use domain::Timestamp;
use sqlx::SqliteConnection;
use store::{Breaker, ModelHealth, SlotStore, StoreError};

use crate::SqliteStore;
use crate::row::{Cell, micros};
use crate::writer::{Meaning, always, never};

struct HealthRow {
    model: String,
    refusals: i64,
    off_since: Option<i64>,
}

#[async_trait]
impl SlotStore for SqliteStore {
    async fn ensure_slots(&self, count: u32) -> Result<(), StoreError> {
        self.write(never, move |db| {
            Box::pin(async move {
                sqlx::query!(
                    "with recursive numbers (number) as (
                       select 1 where ?1 > 0 union all select number + 1 from numbers where number < ?1
                     )
                     insert into create_slot (number, free_at)
                     select number, 0 from numbers where number not in (select number from create_slot)",
                    count,
                )
                .execute(db)
                .await
                .meaning()?;
                Ok(())
            })
        })
        .await
    }

    async fn push_slots_back(&self, until: Timestamp) -> Result<(), StoreError> {
        let until = micros(until);
        self.write(never, move |db| {
            Box::pin(async move {
                sqlx::query!("update create_slot set free_at = ?1 where free_at < ?1", until)
                    .execute(db)
                    .await
                    .meaning()?;
                Ok(())
            })
        })
        .await
    }

    async fn open_breaker(
        &self,
        reason: &str,
        at: Timestamp,
        next_trial_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let (reason, at, next) = (reason.to_owned(), micros(at), micros(next_trial_at));
        self.write(never, move |db| Box::pin(async move { open_in(db, &reason, at, next).await })).await
    }

    async fn close_breaker(&self) -> Result<bool, StoreError> {
        if self.breaker().await?.is_none() {
            return Ok(false);
        }
        self.write(
            |closed| *closed,
            |db| {
                Box::pin(async move {
                    let closed = sqlx::query!("delete from breaker where provider = 'kie'");
                    Ok(closed.execute(db).await.meaning()?.rows_affected() == 1)
                })
            },
        )
        .await
    }

    async fn breaker(&self) -> Result<Option<Breaker>, StoreError> {
        let row =
            sqlx::query!("select open_since, next_trial_at, reason from breaker where provider = 'kie'")
                .fetch_optional(self.readers())
                .await
                .meaning()?;
        let Some(row) = row else { return Ok(None) };
        let cell = Cell { table: "breaker", id: &"kie" };
        Ok(Some(Breaker {
            open_since: cell.time("open_since", row.open_since)?,
            next_trial_at: cell.time("next_trial_at", row.next_trial_at)?,
            reason: row.reason,
        }))
    }

    async fn count_refusal(
        &self,
        model: &str,
        off_at: u32,
        at: Timestamp,
    ) -> Result<ModelHealth, StoreError> {
        let (model, at) = (model.to_owned(), micros(at));
        let row = self
            .write(never, move |db| Box::pin(async move { count_in(db, &model, off_at, at).await }))
            .await?;
        ModelHealth::try_from(row)
    }

    async fn clear_refusals(&self, model: &str) -> Result<(), StoreError> {
        // Called after every accepted task, and nearly always there is nothing to forget.
        let known = sqlx::query_scalar!(
            r#"select exists (select 1 from model_health where model = ?1) as "known!: bool""#,
            model,
        );
        if !known.fetch_one(self.readers()).await.meaning()? {
            return Ok(());
        }
        let model = model.to_owned();
        self.write(always, move |db| {
            Box::pin(async move {
                sqlx::query!("delete from model_health where model = ?1", model)
                    .execute(db)
                    .await
                    .meaning()?;
                Ok(())
            })
        })
        .await
    }

    async fn models_off_sale(&self) -> Result<Vec<ModelHealth>, StoreError> {
        let rows = sqlx::query_as!(
            HealthRow,
            r#"select model as "model!", refusals as "refusals!", off_since as "off_since?"
               from model_health where off_since is not null order by model"#
        );
        rows.fetch_all(self.readers()).await.meaning()?.into_iter().map(ModelHealth::try_from).collect()
    }
}

async fn open_in(db: &mut SqliteConnection, reason: &str, at: i64, next: i64) -> Result<bool, StoreError> {
    let renewed = sqlx::query!(
        "update breaker set reason = ?1, next_trial_at = ?2 where provider = 'kie'",
        reason,
        next
    )
    .execute(&mut *db)
    .await
    .meaning()?;
    if renewed.rows_affected() == 1 {
        return Ok(false);
    }
    store::fail_point!("sqlite.breaker.renewed");
    sqlx::query!(
        "insert into breaker (provider, open_since, next_trial_at, reason) values ('kie', ?1, ?2, ?3)",
        at,
        next,
        reason,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(true)
}

async fn count_in(
    db: &mut SqliteConnection,
    model: &str,
    off_at: u32,
    at: i64,
) -> Result<HealthRow, StoreError> {
    sqlx::query!(
        "insert into model_health (model, refusals, off_since) values (?1, 1, iif(?2 <= 1, ?3, null))
         on conflict (model) do update set refusals = refusals + 1,
           off_since = coalesce(off_since, iif(refusals + 1 >= ?2, ?3, null))",
        model,
        off_at,
        at,
    )
    .execute(&mut *db)
    .await
    .meaning()?;
    store::fail_point!("sqlite.health.counted");
    sqlx::query_as!(
        HealthRow,
        r#"select model as "model!", refusals as "refusals!", off_since as "off_since?"
           from model_health where model = ?1"#,
        model,
    )
    .fetch_one(db)
    .await
    .meaning()
}

impl TryFrom<HealthRow> for ModelHealth {
    type Error = StoreError;

    fn try_from(row: HealthRow) -> Result<Self, StoreError> {
        let cell = Cell { table: "model_health", id: &row.model };
        let refusals = cell.number("refusals", row.refusals)?;
        let off_since = cell.time_opt("off_since", row.off_since)?;
        Ok(Self { refusals, off_since, model: row.model })
    }
}
