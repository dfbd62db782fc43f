//! Acts of operators.

use async_trait::async_trait;
use store::{Act, ActStore, StoreError};

use crate::SqliteStore;
use crate::row::{Cell, micros};
use crate::writer::{Meaning, never};

#[async_trait]
impl ActStore for SqliteStore {
    async fn note_act(&self, act: &Act) -> Result<(), StoreError> {
        let (act, at) = (act.clone(), micros(act.at));
        self.write(never, move |db| {
            Box::pin(async move {
                sqlx::query!(
                    "insert into act (at, command, subject, reason) values (?1, ?2, ?3, ?4)",
                    at,
                    act.command,
                    act.subject,
                    act.reason,
                )
                .execute(db)
                .await
                .meaning()?;
                Ok(())
            })
        })
        .await
    }

    async fn list_acts(&self, limit: u32) -> Result<Vec<Act>, StoreError> {
        let rows = sqlx::query!(
            "select seq, at, command, subject, reason from act order by seq desc limit ?1",
            limit
        )
        .fetch_all(self.readers())
        .await
        .meaning()?;
        let acts = rows.into_iter().map(|row| {
            let at = Cell { table: "act", id: &row.seq }.time("at", row.at)?;
            Ok(Act { at, command: row.command, subject: row.subject, reason: row.reason })
        });
        acts.collect()
    }
}
