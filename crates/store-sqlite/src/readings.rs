//! Readings of the provider's balance.

use async_trait::async_trait;
use domain::{Decimal, Timestamp};
use store::{Consumption, CreditReading, ReadingStore, StoreError};

use crate::SqliteStore;
use crate::row::{Cell, micros, to_integer};
use crate::writer::{Meaning, never};

#[async_trait]
impl ReadingStore for SqliteStore {
    async fn consumption(&self, since: Timestamp, until: Timestamp) -> Result<Consumption, StoreError> {
        let (since, until) = (micros(since), micros(until));
        // A job changed last when its record said success, or later: that column has the index.
        let row = sqlx::query!(
            r#"select coalesce(sum(cost), 0) as "credits!: i64", count(*) - count(cost) as "untold!: i64",
                 (select count(*) from job where wake_at is not null and state <> 'pending'
                    and state in ('submitting', 'unclear', 'running')) as "in_flight!: i64"
               from job indexed by job_updated
               where updated_at > ?1 and recorded_at > ?1 and recorded_at <= ?2"#,
            since,
            until,
        )
        .fetch_one(self.readers())
        .await
        .meaning()?;
        let cell = Cell { table: "job", id: &"consumption" };
        Ok(Consumption {
            credits: Decimal::from_micro(cell.number("cost", row.credits)?),
            untold: cell.number("count", row.untold)?,
            in_flight: cell.number("count", row.in_flight)?,
        })
    }

    async fn add_reading(&self, reading: &CreditReading) -> Result<bool, StoreError> {
        let (reading, at) = (reading.clone(), micros(reading.at));
        let balance = to_integer(reading.balance.micro())?;
        self.write(never, move |db| {
            Box::pin(async move {
                let added = sqlx::query!(
                    "insert into credit_reading (number, at, balance, drift, tolerance, in_flight)
                     values (?1, ?2, ?3, ?4, ?5, ?6) on conflict (number) do nothing",
                    reading.number,
                    at,
                    balance,
                    reading.drift_micro,
                    reading.tolerance_micro,
                    reading.in_flight,
                );
                Ok(added.execute(db).await.meaning()?.rows_affected() == 1)
            })
        })
        .await
    }

    async fn list_readings(&self, limit: u32) -> Result<Vec<CreditReading>, StoreError> {
        let rows = sqlx::query!(
            "select number, at, balance, drift, tolerance, in_flight
             from credit_reading order by number desc limit ?1",
            limit,
        )
        .fetch_all(self.readers())
        .await
        .meaning()?;
        let readings = rows.into_iter().map(|row| {
            let cell = Cell { table: "credit_reading", id: &row.number };
            Ok(CreditReading {
                number: cell.number("number", row.number)?,
                at: cell.time("at", row.at)?,
                balance: Decimal::from_micro(cell.number("balance", row.balance)?),
                drift_micro: row.drift,
                tolerance_micro: row.tolerance,
                in_flight: cell.number("in_flight", row.in_flight)?,
            })
        });
        readings.collect()
    }
}
