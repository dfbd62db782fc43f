//! The provider's credit balance against our own books: what left it must be what our jobs consumed.

use std::time::Duration;

use domain::{Decimal, Timestamp};
use store::{Consumption, CreditReading, Store, StoreError};
use thiserror::Error;

use crate::{Lifecycle, Provider, ReadFailure};

/// Books are compared this often.
const COMPARE_EVERY: Duration = Duration::from_hours(24);
/// Always tolerated, in millionths: 100 credits, half a dollar.
const TOLERATED: i64 = 100_000_000;
/// Tolerated of what our jobs consumed: one part in fifty.
const TOLERATED_PART: i64 = 50;
/// Tolerated for each task whose cost we do not know (in flight at either reading, or not told), in millionths.
const TOLERATED_TASK: i64 = 100_000_000;

/// Why the books could not be compared.
#[derive(Debug, Error)]
pub enum CompareError {
    /// The balance could not be read.
    #[error("the provider's balance could not be read")]
    Provider(#[from] ReadFailure),
    /// The database.
    #[error("the books could not be read")]
    Store(#[from] StoreError),
}

/// Reads the provider's balance and compares it with the newest kept reading. Nothing is written.
pub async fn compare_balance(
    store: &dyn Store,
    provider: &dyn Provider,
    now: Timestamp,
) -> Result<CreditReading, CompareError> {
    let last = store.list_readings(1).await?.into_iter().next();
    let balance = provider.credits().await?;
    let since = last.as_ref().map_or(now, |last| last.at);
    let consumed = store.consumption(since, now).await?;
    Ok(reading(last.as_ref(), balance, consumed, now))
}

/// A balance that is higher than it should be was topped up: it is where the next comparison begins, and no finding.
fn reading(
    last: Option<&CreditReading>,
    balance: Decimal,
    consumed: Consumption,
    now: Timestamp,
) -> CreditReading {
    let micro = |credits: Decimal| i64::try_from(credits.micro()).unwrap_or(i64::MAX);
    let in_flight_before = last.map_or(0, |last| last.in_flight);
    let uncertain = [consumed.in_flight, in_flight_before, consumed.untold];
    let uncertain = uncertain.into_iter().fold(0_i64, |sum, tasks| sum.saturating_add(i64::from(tasks)));
    let consumed_micro = micro(consumed.credits);
    let tolerance_micro = TOLERATED
        .max(consumed_micro.checked_div(TOLERATED_PART).unwrap_or(0))
        .saturating_add(uncertain.saturating_mul(TOLERATED_TASK));
    let left = last.map(|last| micro(last.balance).saturating_sub(micro(balance)));
    let drift_micro = left
        .map(|left| left.saturating_sub(consumed_micro))
        .filter(|drift| *drift >= tolerance_micro.saturating_neg());
    CreditReading {
        number: last.map_or(1, |last| last.number.saturating_add(1)),
        at: now,
        balance,
        drift_micro,
        tolerance_micro,
        in_flight: consumed.in_flight,
    }
}

impl Lifecycle {
    /// Once a day, by one of all processes: compares, keeps the reading, tells a finding. Whether one was kept.
    pub(crate) async fn keep_balance(&self) -> Result<bool, StoreError> {
        let now = self.ids().now();
        let last = self.store().list_readings(1).await?.into_iter().next();
        let age = last.map(|last| now.duration_since(last.at));
        if age.is_some_and(|age| Duration::try_from(age).unwrap_or_default() < COMPARE_EVERY) {
            return Ok(false);
        }
        let reading = match compare_balance(self.store(), &*self.ports.provider, now).await {
            Ok(reading) => reading,
            Err(CompareError::Store(error)) => return Err(error),
            Err(CompareError::Provider(error)) => {
                tracing::warn!(%error, "balance.unread: compared later");
                return Ok(false);
            }
        };
        let kept = self.store().add_reading(&reading).await?;
        if kept && reading.is_finding() {
            tracing::error!(
                drift_micro = reading.drift_micro,
                tolerance_micro = reading.tolerance_micro,
                "finding.drift: more credits left KIE's account than our jobs consumed"
            );
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credits(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn consumed(text: &str, untold: u32, in_flight: u32) -> Consumption {
        Consumption { credits: credits(text), untold, in_flight }
    }

    /// A reading of 10,000 credits with two tasks in flight.
    fn first() -> CreditReading {
        reading(None, credits("10000"), consumed("0", 0, 2), at(0))
    }

    #[test]
    fn the_first_reading_is_only_a_beginning() {
        let first = first();
        assert_eq!((first.number, first.drift_micro, first.is_finding()), (1, None, false));
    }

    #[test]
    fn what_our_jobs_consumed_is_no_drift() {
        let next = reading(Some(&first()), credits("9000.5"), consumed("999.5", 0, 0), at(1));
        assert_eq!((next.number, next.drift_micro, next.is_finding()), (2, Some(0), false));
    }

    #[test]
    fn the_tolerance_grows_with_consumption_and_with_what_is_unknown() {
        let tolerance =
            |consumption| reading(Some(&first()), credits("0"), consumption, at(1)).tolerance_micro;
        assert_eq!(tolerance(consumed("100", 0, 0)), 300_000_000, "100, and 100 for each that was in flight");
        assert_eq!(tolerance(consumed("10000", 0, 0)), 400_000_000);
        assert_eq!(tolerance(consumed("100", 3, 1)), 700_000_000);
    }

    #[test]
    fn more_than_the_tolerance_is_a_finding() {
        let gone = |balance| reading(Some(&first()), credits(balance), consumed("1000", 0, 0), at(1));
        assert!(!gone("8700").is_finding(), "exactly as much as is tolerated");
        let found = gone("8699.999999");
        assert_eq!((found.drift_micro, found.is_finding()), (Some(300_000_001), true));
    }

    #[test]
    fn a_top_up_is_a_new_beginning() {
        let risen = reading(Some(&first()), credits("50000"), consumed("1000", 0, 0), at(1));
        assert_eq!((risen.drift_micro, risen.is_finding()), (None, false));
        let hidden = reading(Some(&first()), credits("9500"), consumed("1000", 0, 0), at(1));
        assert_eq!(hidden.drift_micro, None, "500 more than there should be");
        let next = reading(Some(&risen), credits("49000"), consumed("1000", 0, 0), at(2));
        assert_eq!(next.drift_micro, Some(0));
    }
}
