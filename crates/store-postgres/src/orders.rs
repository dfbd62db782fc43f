//! Orders on PostgreSQL: one statement writes everything or nothing.

use async_trait::async_trait;
use domain::{AccountId, Job, JobState, Money};
use serde_json::Value;
use store::{Delta, NewJob, NewOrder, NewTransfer, OrderStore, Placed, StoreError, account_delta};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::{broken_constraint, retrying, store_error};
use crate::row::{Moment, all, clean, column, hash, jobs, moment};
use crate::timeline::Lines;
use crate::transfers::Movements;

#[async_trait]
impl OrderStore for PostgresStore {
    async fn place(&self, order: &NewOrder) -> Result<Placed, StoreError> {
        let columns = Columns::of(order)?;
        // A racing order with the same key may be rolled back between the insert and the read: then once more.
        for _round in 0..3 {
            match retrying(|| insert(self, order, &columns)).await? {
                Inserted::Opened => {
                    self.signals.changed();
                    return Ok(Placed::Opened(order.opened_jobs()));
                }
                Inserted::FreeUsedUp => return Ok(Placed::FreeUsedUp),
                Inserted::TooManyOpen => return Ok(Placed::TooManyOpen),
                Inserted::Short => {
                    let account = balance(self, order.account).await?;
                    return Ok(account.map_or(Placed::NoAccount, |available| Placed::Short { available }));
                }
                Inserted::Nothing { account_open, below_limit } => {
                    if let Some((fingerprint, jobs)) = self.find_order(order.account, &order.key).await? {
                        let same = store::is_same_order(&fingerprint, &order.fingerprint);
                        return Ok(if same { Placed::Replayed(jobs) } else { Placed::KeyReused });
                    }
                    match (account_open, below_limit) {
                        (false, _) => return Ok(Placed::NoAccount),
                        (true, false) => return Ok(Placed::TooManyOpen),
                        (true, true) => {}
                    }
                }
            }
        }
        Err(StoreError::Unavailable("orders with this key keep racing".into()))
    }

    async fn find_order(
        &self,
        account: AccountId,
        key: &str,
    ) -> Result<Option<([u8; 32], Vec<Job>)>, StoreError> {
        let rows = jobs!(
            "select ",
            " from kie.job j where j.account_id = $1 and j.idem_key = $2 order by j.idem_index",
            account.as_uuid(),
            key,
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        let Some(first) = rows.first() else { return Ok(None) };
        let fingerprint = hash("job", "fingerprint", &first.fingerprint)?;
        Ok(Some((fingerprint, all(rows)?)))
    }
}

/// A limit of so many open jobs is none: they are not counted then.
const UNLIMITED: i64 = 1_000_000;

/// The limit of open jobs as a parameter, if there is one.
pub(crate) fn limit_of_open(jobs: u32) -> Option<i64> {
    Some(i64::from(jobs)).filter(|most| *most < UNLIMITED)
}

/// What the one statement did.
enum Inserted {
    Opened,
    FreeUsedUp,
    Short,
    TooManyOpen,
    /// Nothing: the key is used, or the account is absent, or it has too many open jobs.
    Nothing {
        account_open: bool,
        below_limit: bool,
    },
}

/// An order as arrays.
struct Columns {
    ids: Vec<Uuid>,
    models: Vec<String>,
    kinds: Vec<String>,
    inputs: Vec<Value>,
    prompts: Vec<Option<String>>,
    states: Vec<String>,
    prices: Vec<i64>,
    bases: Vec<Value>,
    outputs: Vec<i16>,
    recipients: Vec<Value>,
    deadlines: Vec<Moment>,
    held: Vec<i64>,
    /// Open jobs that the order adds.
    opening: i64,
    /// Free jobs that the order adds.
    free: i32,
    delta: Delta,
    movements: Movements,
    lines: Lines,
}

impl Columns {
    fn of(order: &NewOrder) -> Result<Self, StoreError> {
        let jobs = &order.jobs;
        let json = |value: Result<Value, serde_json::Error>| {
            value.map_err(|error| StoreError::Internal(error.into()))
        };
        let transfers: Vec<NewTransfer> = jobs.iter().filter_map(|job| job.hold.clone()).collect();
        let mut lines = Lines::default();
        for job in jobs {
            lines.add(job.id.as_uuid(), &job.timeline);
        }
        let held = |job: &NewJob| job.hold.as_ref().map_or(0, |hold| hold.amount.minor());
        Ok(Self {
            ids: jobs.iter().map(|job| job.id.as_uuid()).collect(),
            models: jobs.iter().map(|job| job.model.clone()).collect(),
            kinds: jobs.iter().map(|job| job.kind.to_string()).collect(),
            inputs: jobs.iter().map(|job| job.input.clone()).collect(),
            prompts: jobs.iter().map(|job| job.prompt.as_deref().map(clean)).collect(),
            states: jobs.iter().map(|job| job.state.to_string()).collect(),
            prices: jobs.iter().map(|job| job.price.minor()).collect(),
            bases: jobs.iter().map(|job| json(serde_json::to_value(&job.basis))).collect::<Result<_, _>>()?,
            outputs: jobs.iter().map(|job| column(job.outputs_ordered)).collect::<Result<_, _>>()?,
            recipients: jobs
                .iter()
                .map(|job| json(serde_json::to_value(&job.recipients)))
                .collect::<Result<_, _>>()?,
            deadlines: jobs.iter().map(|job| moment(job.deadline_at)).collect(),
            held: jobs.iter().map(held).collect(),
            opening: column(jobs.iter().filter(|job| job.state != JobState::Draft).count())?,
            free: column(jobs.iter().filter(|job| job.price.is_zero()).count())?,
            delta: account_delta(&transfers).map_err(|error| StoreError::Internal(error.into()))?,
            movements: Movements::of(&transfers),
            lines,
        })
    }
}

/// The statement inserts the job of index 0 first, unless its key is used; everything else hangs off that row. The
/// account changes after it and without a condition: its check refuses what it cannot pay and undoes the whole.
#[expect(clippy::too_many_lines, reason = "one statement and its thirty-six parameters")]
async fn insert(store: &PostgresStore, order: &NewOrder, columns: &Columns) -> Result<Inserted, StoreError> {
    let Columns { delta, movements, lines, .. } = columns;
    let open_jobs = limit_of_open(order.limits.open_jobs);
    let free_per_day = i32::try_from(order.limits.free_per_day).unwrap_or(i32::MAX);
    let inserted = sqlx::query!(
        r#"with new_job as (
             select * from unnest($8::uuid[], $9::text[], $10::text[], $11::jsonb[], $12::text[], $13::text[],
                 $14::bigint[], $15::jsonb[], $16::smallint[], $17::jsonb[], $18::timestamptz[], $19::bigint[])
               with ordinality as n(id, model, kind, input, prompt, state, price, basis, outputs_ordered, recipients,
                 deadline_at, held, place)
           ), owner as (
             select id from kie.account where id = $1 and closed_at is null
           ), open as (
             select $20::bigint = 0 or $7::bigint is null or $7 > (
               select count(*) from kie.job where account_id = $1
                 and state in ('pending', 'submitting', 'unclear', 'running', 'storing')) as below
           ), first as (
             insert into kie.job (id, account_id, idem_key, idem_index, fingerprint, batch_id, request_id, model, kind,
               input, prompt, recipients, state, price, basis, held, outputs_ordered, created_at, entered_at, updated_at,
               wake_at, deadline_at)
             select n.id, owner.id, $2, 0, $3, $4, $5, n.model, n.kind, n.input, n.prompt, n.recipients, n.state, n.price,
               n.basis, n.held, n.outputs_ordered, $6, $6, $6,
               case when n.state = 'draft' then n.deadline_at else $6 end, n.deadline_at
             from new_job n, owner, open where n.place = 1 and open.below
             on conflict (account_id, idem_key, idem_index) do nothing
             returning account_id
           ), rest as (
             insert into kie.job (id, account_id, idem_key, idem_index, fingerprint, batch_id, request_id, model, kind,
               input, prompt, recipients, state, price, basis, held, outputs_ordered, created_at, entered_at, updated_at,
               wake_at, deadline_at)
             select n.id, first.account_id, $2, (n.place - 1)::smallint, $3, $4, $5, n.model, n.kind, n.input, n.prompt,
               n.recipients, n.state, n.price, n.basis, n.held, n.outputs_ordered, $6, $6, $6,
               case when n.state = 'draft' then n.deadline_at else $6 end, n.deadline_at
             from new_job n, first where n.place > 1
             returning id
           ), free as (
             insert into kie.free_use as f (account_id, day, used, allowed)
             select first.account_id, ($6::timestamptz at time zone 'UTC')::date, $21, $22
             from first where $21::integer > 0
             on conflict (account_id, day) do update set used = f.used + excluded.used, allowed = excluded.allowed
             returning account_id
           ), payer as (
             -- Checks refuse a balance below zero and undo the whole. A closed account and one job too many, which only
             -- show once the row is locked, are made to look like one. The count has the jobs of this order in it.
             update kie.account a
             set available = case when a.closed_at is null then a.available + $23 else -1 end,
                 held = case when $7::bigint is not null and kie.open_jobs(a.id) - $20 >= $7 then -1 else a.held + $24 end
             from first, (select count(*) from rest) r, (select count(*) from free) f
             where a.id = first.account_id and $20::bigint > 0
             returning a.id
           ), moved as (
             insert into kie.transfer (id, account_id, job_id, kind, key, debit, credit, amount, reason, at)
             select n.id, n.account_id, n.job_id, n.kind, n.key, n.debit, n.credit, n.amount, n.reason, $6
             from unnest($25::uuid[], $26::uuid[], $27::uuid[], $28::text[], $29::text[], $30::text[], $31::text[],
                 $32::bigint[], $33::text[])
               with ordinality as n(id, account_id, job_id, kind, key, debit, credit, amount, reason, place), payer
             order by n.place
           ), told as (
             insert into kie.timeline (job_id, at, last_at, times, source, event, detail, fold)
             select n.job_id, $6, $6, n.times, n.source, n.event, n.detail, n.fold
             from unnest($34::uuid[], $35::integer[], $36::text[], $37::text[], $38::text[], $39::text[])
               with ordinality as n(job_id, times, source, event, detail, fold, place), first
             order by n.place
           )
           select exists (select from first) as "opened!", exists (select from owner) as "account_open!",
             (select below from open) as "below_limit!""#,
        order.account.as_uuid(),
        order.key,
        &order.fingerprint[..],
        order.batch.map(domain::BatchId::as_uuid),
        clean(&order.request_id),
        moment(order.at),
        open_jobs,
        &columns.ids,
        &columns.models,
        &columns.kinds,
        &columns.inputs,
        &columns.prompts as &[Option<String>],
        &columns.states,
        &columns.prices,
        &columns.bases,
        &columns.outputs,
        &columns.recipients,
        &columns.deadlines as &[Moment],
        &columns.held,
        columns.opening,
        columns.free,
        free_per_day,
        delta.available,
        delta.held,
        &movements.ids,
        &movements.accounts,
        &movements.jobs as &[Option<Uuid>],
        &movements.kinds,
        &movements.keys,
        &movements.debits,
        &movements.credits,
        &movements.amounts,
        &movements.reasons as &[Option<String>],
        &lines.jobs,
        &lines.times,
        &lines.sources,
        &lines.events,
        &lines.details as &[Option<String>],
        &lines.folds as &[Option<String>],
    )
    .fetch_one(&store.pool)
    .await;
    match inserted {
        Ok(row) if row.opened => Ok(Inserted::Opened),
        Ok(row) => Ok(Inserted::Nothing { account_open: row.account_open, below_limit: row.below_limit }),
        Err(error) => match broken_constraint(&error) {
            Some("account_available_check") => Ok(Inserted::Short),
            Some("account_held_check") => Ok(Inserted::TooManyOpen),
            Some("free_use_check") => Ok(Inserted::FreeUsedUp),
            _ => Err(store_error(error)),
        },
    }
}

/// What an open account may spend.
async fn balance(store: &PostgresStore, account: AccountId) -> Result<Option<Money>, StoreError> {
    let available = sqlx::query_scalar!(
        "select available from kie.account where id = $1 and closed_at is null",
        account.as_uuid()
    );
    let available = available.fetch_optional(&store.pool).await.map_err(store_error)?;
    Ok(available.map(Money::from_minor))
}
