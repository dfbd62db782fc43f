//! Acts of operators on PostgreSQL.

use async_trait::async_trait;
use store::{Act, ActStore, StoreError};

use crate::PostgresStore;
use crate::error::store_error;
use crate::row::{clean, moment};

#[async_trait]
impl ActStore for PostgresStore {
    async fn note_act(&self, act: &Act) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into kie.act (at, command, subject, reason) values ($1, $2, $3, $4)",
            moment(act.at),
            clean(&act.command),
            clean(&act.subject),
            clean(&act.reason),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
    }

    async fn list_acts(&self, limit: u32) -> Result<Vec<Act>, StoreError> {
        let rows = sqlx::query!(
            "select at, command, subject, reason from kie.act order by seq desc limit $1",
            i64::from(limit),
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        let acts = rows.into_iter().map(|row| Act {
            at: row.at.to_jiff(),
            command: row.command,
            subject: row.subject,
            reason: row.reason,
        });
        Ok(acts.collect())
    }
}
