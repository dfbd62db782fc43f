//! Transfers: entries, the balances they move, crediting from outside.

use async_trait::async_trait;
use domain::{AccountId, JobId, Scope, Timestamp, Transfer, TransferId, TransferKind};
use sqlx::SqliteConnection;
use store::{
    Credited, Delta, NewTransfer, Recounted, StoreError, TransferFilter, TransferStore, account_delta,
};
use uuid::Uuid;

use crate::SqliteStore;
use crate::row::{Cell, micros, read_all, read_one, to_json};
use crate::writer::{Meaning, always};

struct TransferRow {
    id: Uuid,
    account_id: Uuid,
    job_id: Option<Uuid>,
    kind: String,
    key: String,
    debit: String,
    credit: String,
    amount: i64,
    reason: Option<String>,
    at: i64,
}

macro_rules! transfer_rows {
    ($tail:tt $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            TransferRow,
            r#"select id as "id!: uuid::Uuid", account_id as "account_id!: uuid::Uuid", job_id as "job_id?: uuid::Uuid",
                 kind as "kind!", key as "key!", debit as "debit!", credit as "credit!", amount as "amount!",
                 reason as "reason?", at as "at!"
               from transfer "# + $tail
            $(, $arg)*
        )
    };
}

#[async_trait]
impl TransferStore for SqliteStore {
    async fn credit(&self, transfers: &[NewTransfer], at: Timestamp) -> Result<Credited, StoreError> {
        let transfers = transfers.to_vec();
        let moved = |credited: &Credited| matches!(credited, Credited::Applied(_));
        let credited =
            self.write(moved, move |db| Box::pin(async move { credit_in(db, &transfers, at).await })).await;
        match credited {
            Err(StoreError::Short) => Ok(Credited::Short),
            other => other,
        }
    }

    async fn recount(&self, account: AccountId) -> Result<Recounted, StoreError> {
        self.write(always, move |db| Box::pin(async move { recount_in(db, account).await })).await
    }

    async fn list_transfers(&self, filter: &TransferFilter) -> Result<Vec<Transfer>, StoreError> {
        let account = filter.account.map(AccountId::as_uuid);
        let job = filter.job.map(JobId::as_uuid);
        let before = filter.before.unwrap_or(TransferId::HIGHEST).as_uuid();
        let rows = match (job, account) {
            (Some(job), account) => {
                transfer_rows!(
                    "where job_id = ?1 and (?2 is null or account_id = ?2) and id < ?3
                     order by id desc limit ?4",
                    job,
                    account,
                    before,
                    filter.limit,
                )
                .fetch_all(self.readers())
                .await
            }
            (None, Some(account)) => {
                transfer_rows!(
                    "where account_id = ?1 and id < ?2 order by id desc limit ?3",
                    account,
                    before,
                    filter.limit,
                )
                .fetch_all(self.readers())
                .await
            }
            (None, None) => {
                transfer_rows!("where id < ?1 order by id desc limit ?2", before, filter.limit)
                    .fetch_all(self.readers())
                    .await
            }
        };
        read_all(rows.meaning()?)
    }

    async fn transfers_by_key(&self, keys: &[String]) -> Result<Vec<Transfer>, StoreError> {
        find_by_keys(&mut *self.readers().acquire().await.meaning()?, keys).await
    }

    async fn find_transfer(&self, id: TransferId, scope: Scope) -> Result<Option<Transfer>, StoreError> {
        let (id, account) = (id.as_uuid(), scope.account().map(AccountId::as_uuid));
        let row = transfer_rows!("where id = ?1 and (?2 is null or account_id = ?2)", id, account)
            .fetch_optional(self.readers())
            .await
            .meaning()?;
        read_one(row)
    }
}

/// Writes entries and moves the balances of their account; [`StoreError::Short`] below zero.
pub(crate) async fn add_transfers_in(
    db: &mut SqliteConnection,
    transfers: &[NewTransfer],
    at: Timestamp,
) -> Result<(), StoreError> {
    for transfer in transfers {
        insert(db, transfer, at).await?;
    }
    let Some(first) = transfers.first() else { return Ok(()) };
    store::fail_point!("sqlite.transfers.written", first.kind);
    let delta = account_delta(transfers).map_err(|error| StoreError::Internal(Box::new(error)))?;
    let account = first.account.as_uuid();
    let moved = sqlx::query!(
        "update account set available = available + ?2, held = held + ?3 where id = ?1",
        account,
        delta.available,
        delta.held,
    )
    .execute(db)
    .await
    .meaning()?;
    if moved.rows_affected() == 1 { Ok(()) } else { Err(StoreError::NotFound { what: "account" }) }
}

async fn insert(db: &mut SqliteConnection, transfer: &NewTransfer, at: Timestamp) -> Result<(), StoreError> {
    let (id, account, job) =
        (transfer.id.as_uuid(), transfer.account.as_uuid(), transfer.job.map(JobId::as_uuid));
    let (kind, debit, credit) = (transfer.kind.as_str(), transfer.debit.as_str(), transfer.credit.as_str());
    let (amount, at) = (transfer.amount.minor(), micros(at));
    sqlx::query!(
        "insert into transfer (id, account_id, job_id, kind, key, debit, credit, amount, reason, at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        id,
        account,
        job,
        kind,
        transfer.key,
        debit,
        credit,
        amount,
        transfer.reason,
        at,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(())
}

async fn credit_in(
    db: &mut SqliteConnection,
    transfers: &[NewTransfer],
    at: Timestamp,
) -> Result<Credited, StoreError> {
    let Some(first) = transfers.first() else { return Ok(Credited::Applied(Vec::new())) };
    let keys: Vec<String> = transfers.iter().map(|transfer| transfer.key.clone()).collect();
    let known = find_by_keys(db, &keys).await?;
    if let Some(known_first) = known.iter().find(|known| known.key == first.key) {
        return Ok(if first.is_same_as(known_first) {
            Credited::Replayed(known)
        } else {
            Credited::KeyReused
        });
    }
    require_account(db, transfers).await?;
    for refund in transfers.iter().filter(|transfer| transfer.kind == TransferKind::Refund) {
        add_refund(db, refund, at).await?;
        store::fail_point!("sqlite.credit.refunded");
    }
    add_transfers_in(db, transfers, at).await?;
    store::fail_point!("sqlite.credit.moved", first.kind);
    Ok(Credited::Applied(transfers.iter().map(|transfer| written(transfer, at)).collect()))
}

/// The entries that have one of these keys, in the order given.
async fn find_by_keys(db: &mut SqliteConnection, keys: &[String]) -> Result<Vec<Transfer>, StoreError> {
    let list = to_json(&keys)?;
    let rows = transfer_rows!("where key in (select value from json_each(?1))", list)
        .fetch_all(db)
        .await
        .meaning()?;
    let mut known: Vec<Transfer> = read_all(rows)?;
    known.sort_by_key(|found| keys.iter().position(|key| *key == found.key));
    Ok(known)
}

/// The account must exist; one that is closed takes nothing that would stay in it.
async fn require_account(db: &mut SqliteConnection, transfers: &[NewTransfer]) -> Result<(), StoreError> {
    let missing = StoreError::NotFound { what: "account" };
    let Some(first) = transfers.first() else { return Ok(()) };
    let account = first.account.as_uuid();
    let closed = sqlx::query_scalar!(
        r#"select closed_at is not null as "closed!: bool" from account where id = ?1"#,
        account
    )
    .fetch_optional(db)
    .await
    .meaning()?;
    let delta = account_delta(transfers).map_err(|error| StoreError::Internal(Box::new(error)))?;
    match closed {
        Some(false) => Ok(()),
        Some(true) if delta.available <= 0 => Ok(()),
        Some(true) | None => Err(missing),
    }
}

/// Raises the job's refunds, never above its captures.
async fn add_refund(
    db: &mut SqliteConnection,
    refund: &NewTransfer,
    at: Timestamp,
) -> Result<(), StoreError> {
    let missing = || StoreError::NotFound { what: "job" };
    let job = refund.job.ok_or_else(missing)?.as_uuid();
    let (account, amount, at) = (refund.account.as_uuid(), refund.amount.minor(), micros(at));
    let room = sqlx::query_scalar!(
        r#"select captured - refunded as "room!: i64" from job where id = ?1 and account_id = ?2"#,
        job,
        account,
    )
    .fetch_optional(&mut *db)
    .await
    .meaning()?
    .ok_or_else(missing)?;
    if amount > room {
        return Err(StoreError::Short);
    }
    sqlx::query!(
        "update job set refunded = refunded + ?2, version = version + 1, updated_at = ?3 where id = ?1",
        job,
        amount,
        at,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(())
}

fn written(transfer: &NewTransfer, at: Timestamp) -> Transfer {
    Transfer {
        id: transfer.id,
        account: transfer.account,
        job: transfer.job,
        kind: transfer.kind,
        key: transfer.key.clone(),
        debit: transfer.debit,
        credit: transfer.credit,
        amount: transfer.amount,
        reason: transfer.reason.clone(),
        at,
    }
}

impl TryFrom<TransferRow> for Transfer {
    type Error = StoreError;

    fn try_from(row: TransferRow) -> Result<Self, StoreError> {
        let cell = Cell { table: "transfer", id: &row.id };
        Ok(Self {
            id: TransferId::from_uuid(row.id),
            account: AccountId::from_uuid(row.account_id),
            job: row.job_id.map(JobId::from_uuid),
            kind: cell.word("kind", &row.kind)?,
            debit: cell.word("debit", &row.debit)?,
            credit: cell.word("credit", &row.credit)?,
            amount: domain::Money::from_minor(row.amount),
            at: cell.time("at", row.at)?,
            key: row.key,
            reason: row.reason,
        })
    }
}

async fn recount_in(db: &mut SqliteConnection, account: AccountId) -> Result<Recounted, StoreError> {
    let id = account.as_uuid();
    let before =
        sqlx::query!(r#"select available as "available!", held as "held!" from account where id = ?1"#, id)
            .fetch_optional(&mut *db)
            .await
            .meaning()?
            .ok_or(StoreError::NotFound { what: "account" })?;
    let after = sqlx::query!(
        r#"with side as (
             select credit as book, amount from transfer where account_id = ?1
             union all
             select debit, -amount from transfer where account_id = ?1
           )
           select coalesce(sum(case when book = 'available' then amount end), 0) as "available!: i64",
             coalesce(sum(case when book = 'held' then amount end), 0) as "held!: i64"
           from side"#,
        id,
    )
    .fetch_one(&mut *db)
    .await
    .meaning()?;
    store::fail_point!("sqlite.recount.summed");
    sqlx::query!(
        "update account set available = ?2, held = ?3 where id = ?1",
        id,
        after.available,
        after.held
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(Recounted {
        before: Delta { available: before.available, held: before.held },
        after: Delta { available: after.available, held: after.held },
    })
}
