//! Create slots, the breaker and the health of models on PostgreSQL.

use async_trait::async_trait;
use domain::Timestamp;
use store::{Breaker, ModelHealth, SlotStore, StoreError};

use crate::PostgresStore;
use crate::error::{retrying, store_error};
use crate::row::{Moment, clean, column, moment, number};

#[async_trait]
impl SlotStore for PostgresStore {
    async fn ensure_slots(&self, count: u32) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into kie.create_slot (number, free_at)
             select n, timestamptz '1970-01-01 00:00:00+00' from generate_series(0, $1::integer - 1) n
             on conflict (number) do nothing",
            column::<i32, _>(count)?,
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
    }

    async fn push_slots_back(&self, until: Timestamp) -> Result<(), StoreError> {
        let push = async || {
            sqlx::query!("update kie.create_slot set free_at = $1 where free_at < $1", moment(until))
                .execute(&self.pool)
                .await
                .map(|_done| ())
                .map_err(store_error)
        };
        retrying(push).await
    }

    async fn open_breaker(
        &self,
        reason: &str,
        at: Timestamp,
        next_trial_at: Timestamp,
    ) -> Result<bool, StoreError> {
        // A row that this statement made has no older version.
        let opened = sqlx::query_scalar!(
            r#"insert into kie.breaker (provider, open_since, next_trial_at, reason) values ('kie', $1, $2, $3)
               on conflict (provider) do update
               set next_trial_at = excluded.next_trial_at, reason = excluded.reason
               returning xmax::text = '0' as "opened!""#,
            moment(at),
            moment(next_trial_at),
            clean(reason),
        );
        opened.fetch_one(&self.pool).await.map_err(store_error)
    }

    async fn close_breaker(&self) -> Result<bool, StoreError> {
        let closed = sqlx::query!("delete from kie.breaker where provider = 'kie'");
        let closed = closed.execute(&self.pool).await.map_err(store_error)?.rows_affected() > 0;
        if closed {
            // Pending rows may go out again.
            self.signals.changed();
        }
        Ok(closed)
    }

    async fn breaker(&self) -> Result<Option<Breaker>, StoreError> {
        let row =
            sqlx::query!("select open_since, next_trial_at, reason from kie.breaker where provider = 'kie'");
        let row = row.fetch_optional(&self.pool).await.map_err(store_error)?;
        Ok(row.map(|row| Breaker {
            open_since: row.open_since.to_jiff(),
            next_trial_at: row.next_trial_at.to_jiff(),
            reason: row.reason,
        }))
    }

    async fn count_refusal(
        &self,
        model: &str,
        off_at: u32,
        at: Timestamp,
    ) -> Result<ModelHealth, StoreError> {
        let row = sqlx::query!(
            "insert into kie.model_health as m (model, refusals, off_since)
             values ($1, 1, case when $2::integer <= 1 then $3::timestamptz end)
             on conflict (model) do update set refusals = m.refusals + 1,
               off_since = coalesce(m.off_since, case when m.refusals + 1 >= $2 then $3 end)
             returning model, refusals, off_since",
            model,
            i32::try_from(off_at).unwrap_or(i32::MAX),
            moment(at),
        );
        let row = row.fetch_one(&self.pool).await.map_err(store_error)?;
        health(row.model, row.refusals, row.off_since)
    }

    async fn clear_refusals(&self, model: &str) -> Result<(), StoreError> {
        let cleared = sqlx::query!("delete from kie.model_health where model = $1", model);
        cleared.execute(&self.pool).await.map_err(store_error)?;
        Ok(())
    }

    async fn models_off_sale(&self) -> Result<Vec<ModelHealth>, StoreError> {
        let rows = sqlx::query!(
            "select model, refusals, off_since from kie.model_health where off_since is not null order by model"
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        rows.into_iter().map(|row| health(row.model, row.refusals, row.off_since)).collect()
    }
}

fn health(model: String, refusals: i32, off_since: Option<Moment>) -> Result<ModelHealth, StoreError> {
    let refusals = number("model_health", "refusals", refusals)?;
    Ok(ModelHealth { model, refusals, off_since: off_since.map(Moment::to_jiff) })
}
