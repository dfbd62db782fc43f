//! Imports on PostgreSQL: rows of an old shop, each once.

use async_trait::async_trait;
use domain::{AccountId, Cause, Decimal, JobId, Money};
use sqlx::PgConnection;
use store::{
    ANY_BODY, ImportStore, Imported, NewAccount, NewImport, NewTransfer, SourceNoun, StoreError,
    account_delta,
};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::{retrying, store_error};
use crate::row::{clean, column, hash, moment, word};
use crate::timeline::{Lines, write_in};
use crate::transfers::Movements;

#[async_trait]
impl ImportStore for PostgresStore {
    async fn find_imported(
        &self,
        shop: &str,
        noun: SourceNoun,
        keys: &[String],
    ) -> Result<Vec<Imported>, StoreError> {
        let keys: Vec<String> = keys.iter().map(|key| clean(key)).collect();
        let rows = sqlx::query_as!(
            ImportedRow,
            r#"select i.key, i.account_id, i.job_id, i.fingerprint, i.amount, i.version,
                 case i.noun when 'user' then (select coalesce(sum(g.amount), 0)::bigint from kie.imported g
                   where g.account_id = i.account_id and g.noun = 'generation') else 0 end as "taken_over!",
                 j.state as "state?", j.cause as "cause?"
               from kie.imported i left join kie.job j on j.id = i.job_id
               where i.shop = $1 and i.noun = $2 and i.key = any($3)"#,
            clean(shop),
            noun.as_str(),
            &keys,
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        rows.into_iter().map(Imported::try_from).collect()
    }

    async fn import(&self, import: &NewImport) -> Result<bool, StoreError> {
        let written = retrying(|| write(self, import, true)).await?;
        if written && import.write.is_some() {
            self.signals.changed();
        }
        Ok(written)
    }

    async fn try_import(&self, import: &NewImport) -> Result<bool, StoreError> {
        retrying(|| write(self, import, false)).await
    }
}

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

impl TryFrom<ImportedRow> for Imported {
    type Error = StoreError;

    fn try_from(row: ImportedRow) -> Result<Self, StoreError> {
        Ok(Self {
            key: row.key,
            account: AccountId::from_uuid(row.account_id),
            job: row.job_id.map(JobId::from_uuid),
            fingerprint: hash("imported", "fingerprint", &row.fingerprint)?,
            amount: Money::from_minor(row.amount),
            version: row.version,
            taken_over: Money::from_minor(row.taken_over),
            state: row.state.map(|state| word("job", "state", &state)).transpose()?,
            cause: row.cause.map(|cause| word("job", "cause", &cause)).transpose()?,
        })
    }
}

/// Writes it; only to be undone unless it is to be `kept`.
async fn write(store: &PostgresStore, import: &NewImport, kept: bool) -> Result<bool, StoreError> {
    let mut transaction = store.pool.begin().await.map_err(store_error)?;
    let db = &mut *transaction;
    if find_version(db, import).await? != import.known {
        return Ok(false);
    }
    if let Some(account) = &import.open {
        open_account(db, import.account, account).await?;
        store::fail_point!("postgres.import.opened");
    }
    if let Some(job) = &import.write {
        insert_job(db, &job.row).await?;
        store::fail_point!("postgres.import.attempt");
        for asset in &job.assets {
            crate::assets::insert(db, asset, import.at).await?;
            store::fail_point!("postgres.import.asset");
        }
        write_in(db, &Lines::of(job.row.id.as_uuid(), &job.timeline), moment(import.at)).await?;
        store::fail_point!("postgres.import.told");
    }
    move_money(db, import.account, &import.transfers, import).await?;
    store::fail_point!("postgres.import.moved", import.noun.as_str());
    // A racing import of the same row may have been first.
    if !mark(db, import).await? {
        transaction.rollback().await.map_err(store_error)?;
        return Ok(false);
    }
    store::fail_point!("postgres.import.marked", import.noun.as_str());
    if kept {
        transaction.commit().await.map_err(store_error)?;
    } else {
        transaction.rollback().await.map_err(store_error)?;
    }
    Ok(true)
}

async fn find_version(db: &mut PgConnection, import: &NewImport) -> Result<Option<i64>, StoreError> {
    let known = sqlx::query_scalar!(
        "select version from kie.imported where shop = $1 and noun = $2 and key = $3",
        clean(&import.shop),
        import.noun.as_str(),
        clean(&import.key),
    );
    known.fetch_optional(db).await.map_err(store_error)
}

async fn open_account(db: &mut PgConnection, id: AccountId, account: &NewAccount) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into kie.account (id, external_id, name, telegram_id, webhook_key, demo, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        id.as_uuid(),
        account.external_id.as_deref().map(clean),
        account.name.as_deref().map(clean),
        account.telegram_id,
        &account.webhook_key[..],
        account.demo,
        moment(account.at),
    )
    .execute(db)
    .await
    .map_err(store_error)?;
    Ok(())
}

async fn insert_job(db: &mut PgConnection, job: &domain::Job) -> Result<(), StoreError> {
    let json = |error: serde_json::Error| StoreError::Internal(error.into());
    let cost = job.cost.map(Decimal::micro).map(column::<i64, _>).transpose()?;
    let attempts = column::<i16, _>(job.attempts)?;
    let task = job.task_id.as_deref().map(clean);
    sqlx::query!(
        "insert into kie.job (id, account_id, idem_key, idem_index, fingerprint, request_id, model, kind, input, prompt,
           recipients, state, cause, failure, price, basis, held, outputs_ordered, attempts, cost, task_id, created_at,
           entered_at, updated_at, wake_at, deadline_at)
         values ($1, $2, $3, 0, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
           $23, $24, $25)",
        job.id.as_uuid(),
        job.account.as_uuid(),
        clean(&job.key),
        &ANY_BODY[..],
        clean(&job.request_id),
        clean(&job.model),
        job.kind.as_str(),
        job.input,
        job.prompt.as_deref().map(clean),
        serde_json::to_value(&job.recipients).map_err(json)?,
        job.state.as_str(),
        job.cause.map(Cause::as_str),
        job.failure.as_deref().map(clean),
        job.price.minor(),
        serde_json::to_value(&job.basis).map_err(json)?,
        job.held.minor(),
        column::<i16, _>(job.outputs_ordered)?,
        attempts,
        cost,
        task.as_deref(),
        moment(job.created_at) as _,
        moment(job.entered_at) as _,
        moment(job.updated_at) as _,
        job.wake_at.map(moment) as _,
        job.deadline_at.map(moment) as _,
    )
    .execute(&mut *db)
    .await
    .map_err(store_error)?;
    store::fail_point!("postgres.import.job");
    if job.attempts == 1 {
        let added = sqlx::query!(
            "insert into kie.attempt (job_id, number, sent_at, task_id, task_at)
             values ($1, 1, $2::timestamptz, $3, case when $3::text is not null then $2::timestamptz end)",
            job.id.as_uuid(),
            moment(job.created_at) as _,
            task,
        );
        added.execute(db).await.map_err(store_error)?;
    }
    Ok(())
}

async fn move_money(
    db: &mut PgConnection,
    account: AccountId,
    transfers: &[NewTransfer],
    import: &NewImport,
) -> Result<(), StoreError> {
    if transfers.is_empty() {
        return Ok(());
    }
    let delta = account_delta(transfers).map_err(|error| StoreError::Internal(error.into()))?;
    let movements = Movements::of(transfers);
    sqlx::query!(
        "insert into kie.transfer (id, account_id, job_id, kind, key, debit, credit, amount, reason, at)
         select n.id, n.account_id, n.job_id, n.kind, n.key, n.debit, n.credit, n.amount, n.reason, $10
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
             $8::bigint[], $9::text[])
           with ordinality as n(id, account_id, job_id, kind, key, debit, credit, amount, reason, place)
         order by n.place",
        &movements.ids,
        &movements.accounts,
        &movements.jobs as &[Option<Uuid>],
        &movements.kinds,
        &movements.keys,
        &movements.debits,
        &movements.credits,
        &movements.amounts,
        &movements.reasons as &[Option<String>],
        moment(import.at) as _,
    )
    .execute(&mut *db)
    .await
    .map_err(store_error)?;
    store::fail_point!("postgres.import.written", import.noun.as_str());
    let moved = sqlx::query!(
        "update kie.account set available = available + $2, held = held + $3 where id = $1",
        account.as_uuid(),
        delta.available,
        delta.held,
    );
    match moved.execute(db).await.map_err(store_error)?.rows_affected() {
        0 => Err(StoreError::NotFound { what: "account" }),
        _ => Ok(()),
    }
}

/// Whether the mark was as the import knew it.
async fn mark(db: &mut PgConnection, import: &NewImport) -> Result<bool, StoreError> {
    let (shop, key) = (clean(&import.shop), clean(&import.key));
    let written = match import.known {
        None => {
            sqlx::query!(
                "insert into kie.imported (shop, noun, key, account_id, job_id, fingerprint, amount, at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (shop, noun, key) do nothing",
                shop,
                import.noun.as_str(),
                key,
                import.account.as_uuid(),
                import.job.map(JobId::as_uuid),
                &import.fingerprint[..],
                import.amount.minor(),
                moment(import.at) as _,
            )
            .execute(db)
            .await
        }
        Some(version) => {
            sqlx::query!(
                "update kie.imported set fingerprint = $5, amount = $6, version = version + 1, at = $7
                 where shop = $1 and noun = $2 and key = $3 and version = $4",
                shop,
                import.noun.as_str(),
                key,
                version,
                &import.fingerprint[..],
                import.amount.minor(),
                moment(import.at) as _,
            )
            .execute(db)
            .await
        }
    };
    Ok(written.map_err(store_error)?.rows_affected() == 1)
}
