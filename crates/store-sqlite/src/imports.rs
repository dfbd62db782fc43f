//! Imports: rows of an old shop, each once.

use async_trait::async_trait;
use domain::{AccountId, Cause, Decimal, JobId, Money};
use sqlx::SqliteConnection;
use store::{ANY_BODY, ImportStore, Imported, ImportedJob, NewAccount, NewImport, SourceNoun, StoreError};
use uuid::Uuid;

use crate::SqliteStore;
use crate::accounts::insert_account_in;
use crate::assets::add_asset_in;
use crate::row::{Cell, micros, micros_opt, to_integer, to_json};
use crate::timeline::add_entries_in;
use crate::transfers::add_transfers_in;
use crate::writer::{Meaning, never};

struct ImportedRow {
    key: String,
    account_id: Uuid,
    job_id: Option<Uuid>,
    fingerprint: Vec<u8>,
    amount: i64,
    version: i64,
    taken_over: i64,
    state: Option<String>,
    cause: Option<String>,
}

#[async_trait]
impl ImportStore for SqliteStore {
    async fn find_imported(
        &self,
        shop: &str,
        noun: SourceNoun,
        keys: &[String],
    ) -> Result<Vec<Imported>, StoreError> {
        let (noun, keys) = (noun.as_str(), to_json(&keys)?);
        let rows = sqlx::query_as!(
            ImportedRow,
            r#"select i.key as "key!", i.account_id as "account_id!: Uuid", i.job_id as "job_id?: Uuid",
                 i.fingerprint as "fingerprint!", i.amount as "amount!", i.version as "version!",
                 case i.noun when 'user' then (select coalesce(sum(g.amount), 0) from imported g
                   where g.account_id = i.account_id and g.noun = 'generation') else 0 end as "taken_over!: i64",
                 j.state as "state?", j.cause as "cause?"
               from imported i left join job j on j.id = i.job_id
               where i.shop = ?1 and i.noun = ?2 and i.key in (select value from json_each(?3))"#,
            shop,
            noun,
            keys,
        )
        .fetch_all(self.readers())
        .await
        .meaning()?;
        rows.into_iter().map(Imported::try_from).collect()
    }

    async fn import(&self, import: &NewImport) -> Result<bool, StoreError> {
        let import = import.clone();
        self.write(|written| *written, move |db| Box::pin(async move { import_in(db, &import).await })).await
    }

    async fn try_import(&self, import: &NewImport) -> Result<bool, StoreError> {
        let import = import.clone();
        self.write(never, move |db| Box::pin(async move { try_import_in(db, &import).await })).await
    }
}

async fn import_in(db: &mut SqliteConnection, import: &NewImport) -> Result<bool, StoreError> {
    if find_version(db, import).await? != import.known {
        return Ok(false);
    }
    if let Some(account) = &import.open {
        insert_account_in(db, &NewAccount { id: import.account, ..account.clone() }).await?;
        store::fail_point!("sqlite.import.opened");
    }
    if let Some(job) = &import.write {
        insert_job(db, job).await?;
        store::fail_point!("sqlite.import.attempt");
    }
    add_transfers_in(db, &import.transfers, import.at).await?;
    store::fail_point!("sqlite.import.moved", import.noun.as_str());
    if let Some(job) = &import.write {
        for asset in &job.assets {
            add_asset_in(db, asset, import.at).await?;
            store::fail_point!("sqlite.import.asset");
        }
        add_entries_in(db, job.row.id, &job.timeline, import.at).await?;
        store::fail_point!("sqlite.import.told");
    }
    mark(db, import).await?;
    store::fail_point!("sqlite.import.marked", import.noun.as_str());
    Ok(true)
}

/// Imports and undoes it; an error is undone by the writer.
async fn try_import_in(db: &mut SqliteConnection, import: &NewImport) -> Result<bool, StoreError> {
    sqlx::query("savepoint trial").execute(&mut *db).await.meaning()?;
    let written = import_in(db, import).await?;
    sqlx::query("rollback to trial").execute(&mut *db).await.meaning()?;
    sqlx::query("release trial").execute(&mut *db).await.meaning()?;
    Ok(written)
}

async fn find_version(db: &mut SqliteConnection, import: &NewImport) -> Result<Option<i64>, StoreError> {
    let noun = import.noun.as_str();
    sqlx::query_scalar!(
        r#"select version as "version!" from imported where shop = ?1 and noun = ?2 and key = ?3"#,
        import.shop,
        noun,
        import.key,
    )
    .fetch_optional(db)
    .await
    .meaning()
}

async fn mark(db: &mut SqliteConnection, import: &NewImport) -> Result<(), StoreError> {
    let (noun, fingerprint, amount) =
        (import.noun.as_str(), import.fingerprint.as_slice(), import.amount.minor());
    let (account, job, at) = (import.account.as_uuid(), import.job.map(JobId::as_uuid), micros(import.at));
    sqlx::query!(
        "insert into imported (shop, noun, key, account_id, job_id, fingerprint, amount, at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         on conflict (shop, noun, key) do update
         set fingerprint = excluded.fingerprint, amount = excluded.amount, version = version + 1, at = excluded.at",
        import.shop,
        noun,
        import.key,
        account,
        job,
        fingerprint,
        amount,
        at,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(())
}

async fn insert_job(db: &mut SqliteConnection, import: &ImportedJob) -> Result<(), StoreError> {
    let job = &import.row;
    let (id, account, fingerprint) = (job.id.as_uuid(), job.account.as_uuid(), ANY_BODY.as_slice());
    let (kind, state, cause) = (job.kind.as_str(), job.state.as_str(), job.cause.map(Cause::as_str));
    let (input, recipients, basis) = (to_json(&job.input)?, to_json(&job.recipients)?, to_json(&job.basis)?);
    let (price, held) = (job.price.minor(), job.held.minor());
    let cost = job.cost.map(Decimal::micro).map(to_integer).transpose()?;
    let (created_at, entered_at, updated_at) =
        (micros(job.created_at), micros(job.entered_at), micros(job.updated_at));
    let (wake_at, deadline_at) = (micros_opt(job.wake_at), micros_opt(job.deadline_at));
    sqlx::query!(
        "insert into job (id, account_id, idem_key, idem_index, fingerprint, request_id, model, kind, input, prompt,
           recipients, state, cause, failure, price, basis, held, outputs_ordered, attempts, cost, task_id, created_at,
           entered_at, updated_at, wake_at, deadline_at)
         values (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
           ?23, ?24, ?25)",
        id,
        account,
        job.key,
        fingerprint,
        job.request_id,
        job.model,
        kind,
        input,
        job.prompt,
        recipients,
        state,
        cause,
        job.failure,
        price,
        basis,
        held,
        job.outputs_ordered,
        job.attempts,
        cost,
        job.task_id,
        created_at,
        entered_at,
        updated_at,
        wake_at,
        deadline_at,
    )
    .execute(&mut *db)
    .await
    .meaning()?;
    store::fail_point!("sqlite.import.job");
    if job.attempts == 1 {
        let added = sqlx::query!(
            "insert into attempt (job_id, number, sent_at, task_id, task_at)
             values (?1, 1, ?2, ?3, iif(?3 is not null, ?2, null))",
            id,
            created_at,
            job.task_id,
        );
        added.execute(db).await.meaning()?;
    }
    Ok(())
}

impl TryFrom<ImportedRow> for Imported {
    type Error = StoreError;

    fn try_from(row: ImportedRow) -> Result<Self, StoreError> {
        let cell = Cell { table: "imported", id: &row.key };
        Ok(Self {
            account: AccountId::from_uuid(row.account_id),
            job: row.job_id.map(JobId::from_uuid),
            fingerprint: cell.hash("fingerprint", &row.fingerprint)?,
            amount: Money::from_minor(row.amount),
            version: row.version,
            taken_over: Money::from_minor(row.taken_over),
            state: row.state.as_deref().map(|state| cell.word("state", state)).transpose()?,
            cause: row.cause.as_deref().map(|cause| cell.word("cause", cause)).transpose()?,
            key: row.key,
        })
    }
}
