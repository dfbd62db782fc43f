//! Transfers on PostgreSQL.

use async_trait::async_trait;
use domain::{AccountId, Scope, Timestamp, Transfer, TransferId, TransferKind};
use store::{
    Credited, Delta, NewTransfer, Recounted, StoreError, TransferFilter, TransferStore, account_delta,
};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::{retrying, store_error};
use crate::row::{TransferRow, all, clean, moment};

/// Movements as arrays for one statement.
#[derive(Debug, Default)]
pub(crate) struct Movements {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) accounts: Vec<Uuid>,
    pub(crate) jobs: Vec<Option<Uuid>>,
    pub(crate) kinds: Vec<String>,
    pub(crate) keys: Vec<String>,
    pub(crate) debits: Vec<String>,
    pub(crate) credits: Vec<String>,
    pub(crate) amounts: Vec<i64>,
    pub(crate) reasons: Vec<Option<String>>,
}

impl Movements {
    /// The movements, in their order.
    pub(crate) fn of(transfers: &[NewTransfer]) -> Self {
        Self {
            ids: transfers.iter().map(|transfer| transfer.id.as_uuid()).collect(),
            accounts: transfers.iter().map(|transfer| transfer.account.as_uuid()).collect(),
            jobs: transfers.iter().map(|transfer| transfer.job.map(domain::JobId::as_uuid)).collect(),
            kinds: transfers.iter().map(|transfer| transfer.kind.to_string()).collect(),
            keys: transfers.iter().map(|transfer| transfer.key.clone()).collect(),
            debits: transfers.iter().map(|transfer| transfer.debit.to_string()).collect(),
            credits: transfers.iter().map(|transfer| transfer.credit.to_string()).collect(),
            amounts: transfers.iter().map(|transfer| transfer.amount.minor()).collect(),
            reasons: transfers.iter().map(|transfer| transfer.reason.as_deref().map(clean)).collect(),
        }
    }
}

#[async_trait]
impl TransferStore for PostgresStore {
    async fn credit(&self, transfers: &[NewTransfer], at: Timestamp) -> Result<Credited, StoreError> {
        let Some(first) = transfers.first() else { return Ok(Credited::Applied(Vec::new())) };
        // A racing call with the same key may be rolled back between the insert and the read: then once more.
        for _round in 0..3 {
            let written_now = match retrying(|| write(self, transfers, at)).await {
                // A racing refund with the same key may have taken what was left.
                Err(StoreError::Short) => {
                    return Ok(replay(self, transfers).await?.unwrap_or(Credited::Short));
                }
                other => other?,
            };
            if written_now {
                if first.job.is_some() {
                    self.signals.changed();
                }
                return Ok(Credited::Applied(transfers.iter().map(|new| written(new, at)).collect()));
            }
            if let Some(replay) = replay(self, transfers).await? {
                return Ok(replay);
            }
            must_exist(self, transfers).await?;
        }
        Err(StoreError::Unavailable("movements with this key keep racing".into()))
    }

    async fn recount(&self, account: AccountId) -> Result<Recounted, StoreError> {
        let recounted = retrying(|| recount(self, account)).await?;
        self.signals.changed();
        Ok(recounted)
    }

    async fn list_transfers(&self, filter: &TransferFilter) -> Result<Vec<Transfer>, StoreError> {
        let (account, job) =
            (filter.account.map(domain::AccountId::as_uuid), filter.job.map(domain::JobId::as_uuid));
        // A bound that may be absent would be no bound in a cached plan.
        let before = filter.before.unwrap_or(TransferId::HIGHEST).as_uuid();
        let rows = match (account, job) {
            // Each has its own index; a condition that may be absent would hide it from a cached plan.
            (_, Some(job)) => {
                sqlx::query_as!(
                    TransferRow,
                    "select id, account_id, job_id, kind, key, debit, credit, amount, reason, at from kie.transfer
                     where job_id = $1 and ($2::uuid is null or account_id = $2) and id < $3
                     order by id desc limit $4",
                    job,
                    account,
                    before,
                    i64::from(filter.limit),
                )
                .fetch_all(&self.pool)
                .await
            }
            (Some(account), None) => {
                sqlx::query_as!(
                    TransferRow,
                    "select id, account_id, job_id, kind, key, debit, credit, amount, reason, at from kie.transfer
                     where account_id = $1 and id < $2 order by id desc limit $3",
                    account,
                    before,
                    i64::from(filter.limit),
                )
                .fetch_all(&self.pool)
                .await
            }
            (None, None) => {
                sqlx::query_as!(
                    TransferRow,
                    "select id, account_id, job_id, kind, key, debit, credit, amount, reason, at from kie.transfer
                     where id < $1 order by id desc limit $2",
                    before,
                    i64::from(filter.limit),
                )
                .fetch_all(&self.pool)
                .await
            }
        };
        all(rows.map_err(store_error)?)
    }

    async fn transfers_by_key(&self, keys: &[String]) -> Result<Vec<Transfer>, StoreError> {
        let rows = sqlx::query_as!(
            TransferRow,
            "select id, account_id, job_id, kind, key, debit, credit, amount, reason, at from kie.transfer
             where key = any($1) order by array_position($1, key)",
            keys,
        );
        all(rows.fetch_all(&self.pool).await.map_err(store_error)?)
    }

    async fn find_transfer(&self, id: TransferId, scope: Scope) -> Result<Option<Transfer>, StoreError> {
        let row = sqlx::query_as!(
            TransferRow,
            "select id, account_id, job_id, kind, key, debit, credit, amount, reason, at from kie.transfer
             where id = $1 and ($2::uuid is null or account_id = $2)",
            id.as_uuid(),
            scope.account().map(domain::AccountId::as_uuid),
        );
        row.fetch_optional(&self.pool).await.map_err(store_error)?.map(Transfer::try_from).transpose()
    }
}

/// Writes the movements unless the first one's key is used. A refund locks its job before the account, as steps do; the
/// account is locked before it is asked whether it is closed, so that an erasure comes before or after, never between.
async fn write(store: &PostgresStore, transfers: &[NewTransfer], at: Timestamp) -> Result<bool, StoreError> {
    let Some(first) = transfers.first() else { return Ok(false) };
    let delta = account_delta(transfers).map_err(|error| StoreError::Internal(error.into()))?;
    let refunded: i64 =
        transfers.iter().filter(|new| new.kind == TransferKind::Refund).map(|new| new.amount.minor()).sum();
    let refunded_job = first.job.filter(|_job| refunded > 0).map(domain::JobId::as_uuid);
    let movements = Movements::of(transfers);
    let mut transaction = store.pool.begin().await.map_err(store_error)?;
    let first_written = sqlx::query_scalar!(
        r#"with refunded as (
             update kie.job set refunded = refunded + $12, updated_at = $10, version = version + 1
             where id = $11 and not exists (select from kie.transfer where key = ($5::text[])[1])
               and account_id = ($2::uuid[])[1]
             returning id
           ), owner as materialized (
             select id from kie.account
             where id = ($2::uuid[])[1] and (closed_at is null or $13::bigint <= 0)
               and ($11::uuid is null or exists (select from refunded))
             for no key update
           ), first as (
             insert into kie.transfer (id, account_id, job_id, kind, key, debit, credit, amount, reason, at)
             select n.id, n.account_id, n.job_id, n.kind, n.key, n.debit, n.credit, n.amount, n.reason, $10
             from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
                 $8::bigint[], $9::text[])
               with ordinality as n(id, account_id, job_id, kind, key, debit, credit, amount, reason, place), owner
             where n.place = 1
             on conflict (key) do nothing
             returning account_id
           ), rest as (
             insert into kie.transfer (id, account_id, job_id, kind, key, debit, credit, amount, reason, at)
             select n.id, n.account_id, n.job_id, n.kind, n.key, n.debit, n.credit, n.amount, n.reason, $10
             from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
                 $8::bigint[], $9::text[])
               with ordinality as n(id, account_id, job_id, kind, key, debit, credit, amount, reason, place), first
             where n.place > 1
             order by n.place
           ), balance as (
             update kie.account a set available = a.available + $13, held = a.held + $14
             from first where a.id = first.account_id
           )
           select exists (select from first) as "first!""#,
        &movements.ids,
        &movements.accounts,
        &movements.jobs as &[Option<Uuid>],
        &movements.kinds,
        &movements.keys,
        &movements.debits,
        &movements.credits,
        &movements.amounts,
        &movements.reasons as &[Option<String>],
        moment(at),
        refunded_job,
        refunded,
        delta.available,
        delta.held,
    );
    let first_written = first_written.fetch_one(&mut *transaction).await.map_err(store_error)?;
    store::fail_point!("postgres.credit.written", first.kind);
    if first_written {
        transaction.commit().await.map_err(store_error)?;
    } else {
        // A racing call with the same key: the job's sum must not keep what was not written.
        transaction.rollback().await.map_err(store_error)?;
    }
    Ok(first_written)
}

/// The account of the movements must be there, open if they add to it, and so must the job of a refund.
async fn must_exist(store: &PostgresStore, transfers: &[NewTransfer]) -> Result<(), StoreError> {
    let Some(first) = transfers.first() else { return Ok(()) };
    let delta = account_delta(transfers).map_err(|error| StoreError::Internal(error.into()))?;
    let found = sqlx::query!(
        r#"select exists (select from kie.account where id = $1 and (closed_at is null or $3::bigint <= 0)) as "account!",
             $2::uuid is null or exists (select from kie.job where id = $2 and account_id = $1) as "job!""#,
        first.account.as_uuid(),
        first.job.map(domain::JobId::as_uuid),
        delta.available,
    );
    let found = found.fetch_one(&store.pool).await.map_err(store_error)?;
    match (found.account, found.job) {
        (false, _) => Err(StoreError::NotFound { what: "account" }),
        (true, false) => Err(StoreError::NotFound { what: "job" }),
        (true, true) => Ok(()),
    }
}

/// The movements that were written before under the first one's key, if any.
async fn replay(store: &PostgresStore, transfers: &[NewTransfer]) -> Result<Option<Credited>, StoreError> {
    let Some(first) = transfers.first() else { return Ok(None) };
    let keys: Vec<String> = transfers.iter().map(|new| new.key.clone()).collect();
    let rows = store.transfers_by_key(&keys).await?;
    let Some(known) = rows.iter().find(|known| known.key == first.key) else { return Ok(None) };
    Ok(Some(if first.is_same_as(known) { Credited::Replayed(rows) } else { Credited::KeyReused }))
}

fn written(new: &NewTransfer, at: Timestamp) -> Transfer {
    Transfer {
        id: new.id,
        account: new.account,
        job: new.job,
        kind: new.kind,
        key: new.key.clone(),
        debit: new.debit,
        credit: new.credit,
        amount: new.amount,
        reason: new.reason.clone(),
        at,
    }
}

/// Movements touch the account's row before they end, so none can come in between once it is locked.
async fn recount(store: &PostgresStore, account: AccountId) -> Result<Recounted, StoreError> {
    let id = account.as_uuid();
    let mut transaction = store.pool.begin().await.map_err(store_error)?;
    let before = sqlx::query!("select available, held from kie.account where id = $1 for no key update", id)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(store_error)?
        .ok_or(StoreError::NotFound { what: "account" })?;
    store::fail_point!("postgres.recount.locked");
    let after = sqlx::query!(
        r#"with fold as (
             select coalesce(sum(case when credit = 'available' then amount when debit = 'available' then -amount end), 0)
                 ::bigint as available,
               coalesce(sum(case when credit = 'held' then amount when debit = 'held' then -amount end), 0)
                 ::bigint as held
             from (select credit, 'none' as debit, amount from kie.transfer where account_id = $1
               union all select 'none', debit, amount from kie.transfer where account_id = $1) s
           )
           update kie.account a set available = fold.available, held = fold.held from fold where a.id = $1
           returning a.available, a.held"#,
        id,
    );
    let after = after.fetch_one(&mut *transaction).await.map_err(store_error)?;
    transaction.commit().await.map_err(store_error)?;
    Ok(Recounted {
        before: Delta { available: before.available, held: before.held },
        after: Delta { available: after.available, held: after.held },
    })
}
