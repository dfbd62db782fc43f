//! Wakes: they bring a row forward and touch neither lease nor fence.

use std::time::Duration;

use domain::{AccountId, Timestamp};
use store::{StoreError, WakeJob, WakeReason};

use crate::PostgresStore;
use crate::error::store_error;
use crate::row::{Moment, moment};

pub(super) async fn wake_job(store: &PostgresStore, wake: &WakeJob) -> Result<bool, StoreError> {
    let woken = sqlx::query!(
        "update kie.job j
         set wake_at = least(coalesce(j.wake_at, $3), $3), wake_seq = j.wake_seq + 1,
           hints = case when $4 then 3 else j.hints end, asked_at = case when $6 then $3 else j.asked_at end
         where j.id = $1 and ($2::uuid is null or j.account_id = $2)
           and ($5::timestamptz is null or j.asked_at is null or j.asked_at <= $5)
           and j.state not in ('done', 'canceled')
           and (j.state <> 'failed' or (not j.gift and j.attempts > 0))",
        wake.job.as_uuid(),
        wake.scope.account().map(AccountId::as_uuid),
        moment(wake.at),
        wake.reason == WakeReason::Callback,
        last_ask(wake.at, wake.at_most_every) as _,
        // A wake that is limited counts as asked, whoever brings it, else the limit would never be met.
        wake.reason == WakeReason::Asked || !wake.at_most_every.is_zero(),
    );
    Ok(woken.execute(&store.pool).await.map_err(store_error)?.rows_affected() > 0)
}

/// Rows are locked in order of their id, so that two openings of one library cannot block each other.
pub(super) async fn wake_account_jobs(
    store: &PostgresStore,
    account: AccountId,
    at: Timestamp,
    at_most_every: Duration,
) -> Result<u64, StoreError> {
    let woken = sqlx::query!(
        "with live as materialized (
           select id from kie.job
           where account_id = $1 and state in ('pending', 'submitting', 'unclear', 'running', 'storing')
             and ($3::timestamptz is null or asked_at is null or asked_at <= $3)
           order by id for no key update
         )
         update kie.job j set wake_at = least(j.wake_at, $2), wake_seq = j.wake_seq + 1, asked_at = $2
         from live where j.id = live.id",
        account.as_uuid(),
        moment(at),
        last_ask(at, at_most_every) as _,
    );
    Ok(woken.execute(&store.pool).await.map_err(store_error)?.rows_affected())
}

/// The latest ask after which one at `at` is allowed; none if every ask is.
fn last_ask(at: Timestamp, at_most_every: Duration) -> Option<Moment> {
    (!at_most_every.is_zero()).then(|| moment(at.saturating_sub(at_most_every).unwrap_or(Timestamp::MIN)))
}

/// A row under a lease can be claimed when both its wake and its lease are over. Each part walks an index of what is
/// awake up to the first row that nobody has.
pub(super) async fn next_wake(store: &PostgresStore) -> Result<Option<Timestamp>, StoreError> {
    let next = sqlx::query_scalar!(
        r#"with job_free as materialized (
             select wake_at from kie.job where wake_at is not null and state <> 'pending' and lease_until is null
             order by wake_at limit 1
           ), pending_free as materialized (
             select wake_at from kie.job where state = 'pending' and lease_until is null order by wake_at limit 1
           ), delivery_free as materialized (
             select wake_at from kie.delivery where wake_at is not null and lease_until is null order by wake_at limit 1
           )
           select least((select wake_at from job_free), (select wake_at from pending_free),
             (select wake_at from delivery_free),
             (select min(greatest(wake_at, lease_until)) from kie.job
              where wake_at is not null and state <> 'pending' and lease_until is not null
                and wake_at < coalesce((select wake_at from job_free), 'infinity')),
             (select min(greatest(wake_at, lease_until)) from kie.job
              where state = 'pending' and lease_until is not null
                and wake_at < coalesce((select wake_at from pending_free), 'infinity')),
             (select min(greatest(wake_at, lease_until)) from kie.delivery
              where wake_at is not null and lease_until is not null
                and wake_at < coalesce((select wake_at from delivery_free), 'infinity')))"#
    );
    Ok(next.fetch_one(&store.pool).await.map_err(store_error)?.map(Moment::to_jiff))
}
