//! The shop as a whole: currency, clock, who is alive.

use async_trait::async_trait;
use domain::Timestamp;
use sqlx::SqliteConnection;
use store::{OpenShop, Process, ShopStore, StoreError};

use crate::SqliteStore;
use crate::row::{Cell, micros};
use crate::schema;
use crate::writer::{Meaning, never};

#[async_trait]
impl ShopStore for SqliteStore {
    async fn open_shop(&self, currency: &str, at: Timestamp) -> Result<OpenShop, StoreError> {
        let currency = currency.to_owned();
        self.write(never, move |db| Box::pin(async move { open_in(db, &currency, at).await })).await
    }

    async fn currency(&self) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar!("select currency from shop").fetch_optional(self.readers()).await.meaning()
    }

    async fn database_time(&self) -> Result<Timestamp, StoreError> {
        let now =
            sqlx::query_scalar!(r#"select cast(unixepoch('subsec') * 1000000 as integer) as "now!: i64""#)
                .fetch_one(self.readers())
                .await
                .meaning()?;
        Cell { table: "shop", id: &"clock" }.time("now", now)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        // The writer takes the write lock around it, which a read-only or missing file refuses.
        self.write(never, |db| {
            Box::pin(async move {
                sqlx::query_scalar!(r#"select 1 as "one!: i64""#).fetch_one(db).await.meaning()?;
                Ok(())
            })
        })
        .await
    }

    async fn schema_version(&self) -> Result<i64, StoreError> {
        schema::version(&mut *self.readers().acquire().await.meaning()?).await
    }

    async fn heartbeat(
        &self,
        process: &str,
        at: Timestamp,
        skew_micros: Option<i64>,
    ) -> Result<(), StoreError> {
        let (process, at) = (process.to_owned(), micros(at));
        self.write(never, move |db| {
            Box::pin(async move {
                sqlx::query!(
                    "insert into process (name, seen_at, skew_micros) values (?1, ?2, ?3)
                     on conflict (name) do update set seen_at = max(seen_at, excluded.seen_at),
                       skew_micros = coalesce(excluded.skew_micros, skew_micros)",
                    process,
                    at,
                    skew_micros,
                )
                .execute(db)
                .await
                .meaning()?;
                Ok(())
            })
        })
        .await
    }

    async fn heartbeats(&self) -> Result<Vec<Process>, StoreError> {
        let rows = sqlx::query!(
            r#"select name as "name!: String", seen_at as "seen_at!: i64", skew_micros as "skew_micros?: i64"
               from process order by name"#
        )
        .fetch_all(self.readers())
        .await
        .meaning()?;
        let seen = rows.into_iter().map(|row| {
            let seen_at = Cell { table: "process", id: &row.name }.time("seen_at", row.seen_at)?;
            Ok(Process { name: row.name, seen_at, skew_micros: row.skew_micros })
        });
        seen.collect()
    }

    async fn forget_processes(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let before = micros(before);
        self.write(never, move |db| {
            Box::pin(async move {
                let forgotten = sqlx::query!(
                    "delete from process where name in (
                       select name from process where seen_at < ?1 order by name limit ?2)",
                    before,
                    limit,
                );
                Ok(forgotten.execute(db).await.meaning()?.rows_affected())
            })
        })
        .await
    }

    fn describe(&self) -> String {
        self.description().to_owned()
    }

    async fn close(&self) {
        self.readers().close().await;
        // The writer is last: the connection that closes last folds the log back into the file.
        self.writer().close().await;
    }
}

async fn open_in(db: &mut SqliteConnection, currency: &str, at: Timestamp) -> Result<OpenShop, StoreError> {
    let at = micros(at);
    sqlx::query!(
        "insert into shop (one, currency, opened_at) values (1, ?1, ?2) on conflict (one) do nothing",
        currency,
        at,
    )
    .execute(&mut *db)
    .await
    .meaning()?;
    let kept = sqlx::query_scalar!("select currency from shop").fetch_one(db).await.meaning()?;
    Ok(if kept == currency { OpenShop::Open } else { OpenShop::OtherCurrency(kept) })
}
