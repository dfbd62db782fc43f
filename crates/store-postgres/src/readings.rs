//! Readings of the provider's balance on PostgreSQL.

use async_trait::async_trait;
use domain::{Decimal, Timestamp};
use store::{Consumption, CreditReading, ReadingStore, StoreError};

use crate::PostgresStore;
use crate::error::store_error;
use crate::row::{column, moment, number};

#[async_trait]
impl ReadingStore for PostgresStore {
    async fn consumption(&self, since: Timestamp, until: Timestamp) -> Result<Consumption, StoreError> {
        // A job changed last when its record said success, or later: that column has the index.
        let row = sqlx::query!(
            r#"select coalesce(sum(cost), 0)::bigint as "credits!", count(*) filter (where cost is null) as "untold!",
                 (select count(*) from kie.job where wake_at is not null and state <> 'pending'
                    and state in ('submitting', 'unclear', 'running')) as "in_flight!"
               from kie.job where updated_at > $1 and recorded_at > $1 and recorded_at <= $2"#,
            moment(since),
            moment(until),
        );
        let row = row.fetch_one(&self.pool).await.map_err(store_error)?;
        Ok(Consumption {
            credits: Decimal::from_micro(number("job", "cost", row.credits)?),
            untold: number("job", "count", row.untold)?,
            in_flight: number("job", "count", row.in_flight)?,
        })
    }

    async fn add_reading(&self, reading: &CreditReading) -> Result<bool, StoreError> {
        let added = sqlx::query!(
            "insert into kie.credit_reading (number, at, balance, drift, tolerance, in_flight)
             values ($1, $2, $3, $4, $5, $6) on conflict (number) do nothing",
            column::<i32, _>(reading.number)?,
            moment(reading.at),
            column::<i64, _>(reading.balance.micro())?,
            reading.drift_micro,
            reading.tolerance_micro,
            column::<i32, _>(reading.in_flight)?,
        );
        Ok(added.execute(&self.pool).await.map_err(store_error)?.rows_affected() > 0)
    }

    async fn list_readings(&self, limit: u32) -> Result<Vec<CreditReading>, StoreError> {
        let rows = sqlx::query!(
            "select number, at, balance, drift, tolerance, in_flight
             from kie.credit_reading order by number desc limit $1",
            i64::from(limit),
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        let readings = rows.into_iter().map(|row| {
            Ok(CreditReading {
                number: number("credit_reading", "number", row.number)?,
                at: row.at.to_jiff(),
                balance: Decimal::from_micro(number("credit_reading", "balance", row.balance)?),
                drift_micro: row.drift,
                tolerance_micro: row.tolerance,
                in_flight: number("credit_reading", "in_flight", row.in_flight)?,
            })
        });
        readings.collect()
    }
}
