//! The shop as a whole on PostgreSQL.

use async_trait::async_trait;
use domain::Timestamp;
use store::{OpenShop, Process, ShopStore, StoreError};

use crate::PostgresStore;
use crate::error::store_error;
use crate::row::{clean, moment};

#[async_trait]
impl ShopStore for PostgresStore {
    async fn open_shop(&self, currency: &str, at: Timestamp) -> Result<OpenShop, StoreError> {
        sqlx::query!(
            "insert into kie.shop (currency, opened_at) values ($1, $2) on conflict (one) do nothing",
            currency,
            moment(at),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        match self.currency().await? {
            Some(kept) if kept != currency => Ok(OpenShop::OtherCurrency(kept)),
            _ => Ok(OpenShop::Open),
        }
    }

    async fn currency(&self) -> Result<Option<String>, StoreError> {
        let currency = sqlx::query_scalar!("select currency from kie.shop");
        currency.fetch_optional(&self.pool).await.map_err(store_error)
    }

    async fn database_time(&self) -> Result<Timestamp, StoreError> {
        let now = sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#);
        Ok(now.fetch_one(&self.pool).await.map_err(store_error)?.to_jiff())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let writable = sqlx::query_scalar!(
            r#"select current_setting('transaction_read_only') = 'off' and not pg_is_in_recovery() as "writable!""#
        );
        let writable = writable.fetch_one(&self.pool).await.map_err(store_error)?;
        if writable { Ok(()) } else { Err(StoreError::Unavailable("the database is read-only".into())) }
    }

    async fn schema_version(&self) -> Result<i64, StoreError> {
        // Not a checked query: the table is made by the migrator, not by a migration.
        let version = sqlx::query_scalar("select coalesce(max(version), 0) from kie.migration where success");
        version.fetch_one(&self.pool).await.map_err(store_error)
    }

    async fn heartbeat(
        &self,
        process: &str,
        at: Timestamp,
        skew_micros: Option<i64>,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into kie.process (name, seen_at, skew_micros) values ($1, $2, $3)
             on conflict (name) do update set seen_at = greatest(process.seen_at, excluded.seen_at),
               skew_micros = coalesce(excluded.skew_micros, process.skew_micros)",
            clean(process),
            moment(at),
            skew_micros,
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
    }

    async fn heartbeats(&self) -> Result<Vec<Process>, StoreError> {
        let rows = sqlx::query!("select name, seen_at, skew_micros from kie.process order by name");
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?.into_iter();
        let process = rows.map(|row| Process {
            name: row.name,
            seen_at: row.seen_at.to_jiff(),
            skew_micros: row.skew_micros,
        });
        Ok(process.collect())
    }

    async fn forget_processes(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let forgotten = sqlx::query!(
            "delete from kie.process where name = any(array(
               select name from kie.process where seen_at < $1 order by name limit $2 for update skip locked))",
            moment(before),
            i64::from(limit),
        );
        Ok(forgotten.execute(&self.pool).await.map_err(store_error)?.rows_affected())
    }

    fn describe(&self) -> String {
        self.place().to_owned()
    }

    async fn close(&self) {
        self.signals.stop();
        self.pool.close().await;
    }
}
