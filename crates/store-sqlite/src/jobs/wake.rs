//! Waking: the one way in which anything outside of a worker moves a job.

use std::time::Duration;

use domain::{AccountId, Timestamp};
use sqlx::SqliteConnection;
use store::{StoreError, WakeJob, WakeReason};

use crate::row::{micros, micros_of};
use crate::writer::Meaning;

/// Reads that come fast after a callback.
const FAST_READS: i64 = 3;

/// Wakes a job; whether it was woken.
pub(crate) async fn wake_in(db: &mut SqliteConnection, wake: &WakeJob) -> Result<bool, StoreError> {
    let (job, account, at) =
        (wake.job.as_uuid(), wake.scope.account().map(AccountId::as_uuid), micros(wake.at));
    let rested = at.saturating_sub(micros_of(wake.at_most_every));
    let limited = !wake.at_most_every.is_zero();
    let hints = (wake.reason == WakeReason::Callback).then_some(FAST_READS);
    // A wake that is limited counts as asked, whoever brings it, else the limit would never be met.
    let asked_at = (limited || wake.reason == WakeReason::Asked).then_some(at);
    let woken = sqlx::query!(
        "update job set wake_at = min(coalesce(wake_at, ?3), ?3), wake_seq = wake_seq + 1,
           hints = coalesce(?4, hints), asked_at = coalesce(?5, asked_at)
         where id = ?1 and (?2 is null or account_id = ?2)
           and (not ?6 or asked_at is null or asked_at <= ?7)
           and (state not in ('done', 'canceled', 'failed')
             or (state = 'failed' and gift = 0 and attempts > 0))",
        job,
        account,
        at,
        hints,
        asked_at,
        limited,
        rested,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(woken.rows_affected() == 1)
}

/// Wakes the account's jobs that hold money; how many.
pub(super) async fn wake_account_in(
    db: &mut SqliteConnection,
    account: AccountId,
    at: Timestamp,
    at_most_every: Duration,
) -> Result<u64, StoreError> {
    let (account, at) = (account.as_uuid(), micros(at));
    let (limited, rested) = (!at_most_every.is_zero(), at.saturating_sub(micros_of(at_most_every)));
    let woken = sqlx::query!(
        "update job indexed by job_open
         set wake_at = min(coalesce(wake_at, ?2), ?2), wake_seq = wake_seq + 1, asked_at = ?2
         where account_id = ?1 and state in ('pending', 'submitting', 'unclear', 'running', 'storing')
           and (not ?3 or asked_at is null or asked_at <= ?4)",
        account,
        at,
        limited,
        rested,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(woken.rows_affected())
}
