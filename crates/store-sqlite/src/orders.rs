//! Orders: all jobs of an order with holds and history, or nothing.

use async_trait::async_trait;
use domain::{AccountId, Job, JobState, Money, Timestamp};
use sqlx::SqliteConnection;
use store::{NewOrder, NewTransfer, OrderStore, Placed, StoreError, account_delta};

use crate::SqliteStore;
use crate::jobs::job_rows;
use crate::row::{Cell, micros, micros_opt, read_all, to_integer, to_json};
use crate::timeline::add_entries_in;
use crate::transfers::add_transfers_in;
use crate::writer::Meaning;

#[async_trait]
impl OrderStore for SqliteStore {
    async fn place(&self, order: &NewOrder) -> Result<Placed, StoreError> {
        let order = order.clone();
        let moved = |placed: &Placed| matches!(placed, Placed::Opened(_));
        self.write(moved, move |db| Box::pin(async move { place_in(db, &order).await })).await
    }

    async fn find_order(
        &self,
        account: AccountId,
        key: &str,
    ) -> Result<Option<([u8; 32], Vec<Job>)>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let Some(fingerprint) = find_fingerprint(&mut snapshot, account, key).await? else { return Ok(None) };
        let jobs = jobs_of_order(&mut snapshot, account, key).await?;
        Ok(Some((fingerprint, jobs)))
    }
}

async fn place_in(db: &mut SqliteConnection, order: &NewOrder) -> Result<Placed, StoreError> {
    if let Some(fingerprint) = find_fingerprint(db, order.account, &order.key).await? {
        if !store::is_same_order(&fingerprint, &order.fingerprint) {
            return Ok(Placed::KeyReused);
        }
        return Ok(Placed::Replayed(jobs_of_order(db, order.account, &order.key).await?));
    }
    if let Some(refusal) = find_refusal(db, order).await? {
        return Ok(refusal);
    }
    let jobs = order.opened_jobs();
    for (index, job) in jobs.iter().enumerate() {
        insert_job(db, order, job, to_integer(index)?).await?;
    }
    store::fail_point!("sqlite.place.jobs");
    count_free(db, order).await?;
    store::fail_point!("sqlite.place.free");
    add_transfers_in(db, &holds(order), order.at).await?;
    store::fail_point!("sqlite.place.held");
    for job in &order.jobs {
        add_entries_in(db, job.id, &job.timeline, order.at).await?;
    }
    store::fail_point!("sqlite.place.told");
    Ok(Placed::Opened(jobs))
}

/// The fingerprint of the order that has the key; the job of index 0 stands for the whole order.
async fn find_fingerprint(
    db: &mut SqliteConnection,
    account: AccountId,
    key: &str,
) -> Result<Option<[u8; 32]>, StoreError> {
    let account = account.as_uuid();
    let row = sqlx::query_scalar!(
        r#"select fingerprint as "fingerprint!" from job where account_id = ?1 and idem_key = ?2 and idem_index = 0"#,
        account,
        key,
    )
    .fetch_optional(db)
    .await
    .meaning()?;
    row.map(|bytes| Cell { table: "job", id: &account }.hash("fingerprint", &bytes)).transpose()
}

async fn jobs_of_order(
    db: &mut SqliteConnection,
    account: AccountId,
    key: &str,
) -> Result<Vec<Job>, StoreError> {
    let account = account.as_uuid();
    let rows = job_rows!("where account_id = ?1 and idem_key = ?2 order by idem_index", account, key)
        .fetch_all(db)
        .await
        .meaning()?;
    read_all(rows)
}

/// The first check that the order does not pass. Nothing can change between it and the writes: there is one writer.
async fn find_refusal(db: &mut SqliteConnection, order: &NewOrder) -> Result<Option<Placed>, StoreError> {
    let (account, day) = (order.account.as_uuid(), day_of(order.at));
    let row = sqlx::query!(
        r#"select a.available as "available!: i64",
             (select count(*) from job j indexed by job_open where j.account_id = a.id
                and j.state in ('pending', 'submitting', 'unclear', 'running', 'storing')) as "open!: i64",
             coalesce((select used from free_use f where f.account_id = a.id and f.day = ?2), 0) as "used!: i64"
           from account a where a.id = ?1 and a.closed_at is null"#,
        account,
        day,
    )
    .fetch_optional(db)
    .await
    .meaning()?;
    let Some(row) = row else { return Ok(Some(Placed::NoAccount)) };
    let opens = order.jobs.iter().any(|job| job.state != JobState::Draft);
    if opens && row.open >= i64::from(order.limits.open_jobs) {
        return Ok(Some(Placed::TooManyOpen));
    }
    let free = free_jobs(order)?;
    if free > 0 && row.used.saturating_add(free) > i64::from(order.limits.free_per_day) {
        return Ok(Some(Placed::FreeUsedUp));
    }
    let delta = account_delta(&holds(order)).map_err(|error| StoreError::Internal(Box::new(error)))?;
    let short = row.available.saturating_add(delta.available) < 0;
    Ok(short.then(|| Placed::Short { available: Money::from_minor(row.available) }))
}

/// Counts today's free jobs; the table's own check is the last guard of the limit.
async fn count_free(db: &mut SqliteConnection, order: &NewOrder) -> Result<(), StoreError> {
    let free = free_jobs(order)?;
    if free == 0 {
        return Ok(());
    }
    let (account, day) = (order.account.as_uuid(), day_of(order.at));
    sqlx::query!(
        "insert into free_use (account_id, day, used, allowed) values (?1, ?2, ?3, ?4)
         on conflict (account_id, day) do update set used = used + excluded.used, allowed = excluded.allowed",
        account,
        day,
        free,
        order.limits.free_per_day,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(())
}

fn holds(order: &NewOrder) -> Vec<NewTransfer> {
    order.jobs.iter().filter_map(|job| job.hold.clone()).collect()
}

fn free_jobs(order: &NewOrder) -> Result<i64, StoreError> {
    to_integer(order.jobs.iter().filter(|job| job.price.is_zero()).count())
}

/// The UTC day as `2026-01-31`.
fn day_of(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

async fn insert_job(
    db: &mut SqliteConnection,
    order: &NewOrder,
    job: &Job,
    index: i64,
) -> Result<(), StoreError> {
    let (id, account, batch) =
        (job.id.as_uuid(), job.account.as_uuid(), job.batch.map(domain::BatchId::as_uuid));
    let (fingerprint, kind, state) = (order.fingerprint.as_slice(), job.kind.as_str(), job.state.as_str());
    let (input, recipients, basis) = (to_json(&job.input)?, to_json(&job.recipients)?, to_json(&job.basis)?);
    let (price, held) = (job.price.minor(), job.held.minor());
    let (at, wake_at, deadline_at) =
        (micros(job.created_at), micros_opt(job.wake_at), micros_opt(job.deadline_at));
    sqlx::query!(
        "insert into job (id, account_id, idem_key, idem_index, fingerprint, batch_id, request_id, model, kind, input,
           prompt, recipients, state, price, basis, held, outputs_ordered, created_at, entered_at, updated_at, wake_at,
           deadline_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?18, ?18, ?19, ?20)",
        id,
        account,
        job.key,
        index,
        fingerprint,
        batch,
        job.request_id,
        job.model,
        kind,
        input,
        job.prompt,
        recipients,
        state,
        price,
        basis,
        held,
        job.outputs_ordered,
        at,
        wake_at,
        deadline_at,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(())
}
