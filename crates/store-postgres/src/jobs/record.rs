//! One step: one statement, and everything in it hangs off the guarded update of the job.

use domain::TransferKind;
use store::{NewAsset, NewDelivery, Recorded, Step, StoreError, account_delta};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::{broken_constraint, retrying, store_error};
use crate::orders::limit_of_open;
use crate::row::{clean, column, moment};
use crate::timeline::Lines;
use crate::transfers::Movements;

pub(super) async fn record(store: &PostgresStore, step: &Step) -> Result<Recorded, StoreError> {
    let columns = Columns::of(step)?;
    retrying(|| write(store, step, &columns)).await
}

/// A step as arrays, and what it adds to the sums.
struct Columns {
    movements: Movements,
    available: i64,
    held: i64,
    /// What the job's own held, captured, released and refunded rise by.
    sums: [i64; 4],
    assets: AssetColumns,
    deliveries: DeliveryColumns,
    lines: Lines,
    /// The attempt that the answer or the task belongs to.
    answer: Option<(i16, String)>,
    task: Option<(i16, String)>,
}

impl Columns {
    fn of(step: &Step) -> Result<Self, StoreError> {
        let delta = account_delta(&step.transfers).map_err(|error| StoreError::Internal(error.into()))?;
        let sum = |kind: TransferKind| {
            let of_kind = step.transfers.iter().filter(|transfer| transfer.kind == kind);
            of_kind.map(|transfer| transfer.amount.minor()).fold(0, i64::saturating_add)
        };
        let numbered = |given: &Option<(u16, String)>| {
            given.as_ref().map(|(number, text)| Ok((column(*number)?, clean(text)))).transpose()
        };
        Ok(Self {
            movements: Movements::of(&step.transfers),
            available: delta.available,
            held: delta.held,
            sums: [TransferKind::Hold, TransferKind::Capture, TransferKind::Release, TransferKind::Refund]
                .map(sum),
            assets: AssetColumns::of(&step.assets)?,
            deliveries: DeliveryColumns::of(&step.deliveries),
            lines: Lines::of(step.job.as_uuid(), &step.timeline),
            answer: numbered(&step.answer)?,
            task: numbered(&step.task)?,
        })
    }
}

#[derive(Default)]
struct AssetColumns {
    ids: Vec<Uuid>,
    places: Vec<i16>,
    roles: Vec<String>,
    kinds: Vec<String>,
    urls: Vec<Option<String>>,
    objects: Vec<String>,
}

impl AssetColumns {
    fn of(assets: &[NewAsset]) -> Result<Self, StoreError> {
        Ok(Self {
            ids: assets.iter().map(|asset| asset.id.as_uuid()).collect(),
            places: assets.iter().map(|asset| column(asset.index)).collect::<Result<_, _>>()?,
            roles: assets.iter().map(|asset| asset.role.to_string()).collect(),
            kinds: assets.iter().map(|asset| asset.kind.to_string()).collect(),
            urls: assets.iter().map(|asset| asset.source_url.as_deref().map(clean)).collect(),
            objects: assets.iter().map(|asset| asset.object.clone()).collect(),
        })
    }
}

#[derive(Default)]
struct DeliveryColumns {
    ids: Vec<Uuid>,
    channels: Vec<String>,
    addresses: Vec<String>,
    events: Vec<String>,
}

impl DeliveryColumns {
    fn of(deliveries: &[NewDelivery]) -> Self {
        Self {
            ids: deliveries.iter().map(|delivery| delivery.id.as_uuid()).collect(),
            channels: deliveries.iter().map(|delivery| delivery.channel.to_string()).collect(),
            addresses: deliveries.iter().map(|delivery| delivery.address.clone()).collect(),
            events: deliveries.iter().map(|delivery| delivery.event.to_string()).collect(),
        }
    }
}

#[expect(clippy::too_many_lines, reason = "one statement and its fifty-one parameters")]
async fn write(store: &PostgresStore, step: &Step, columns: &Columns) -> Result<Recorded, StoreError> {
    let (patch, lease) = (&step.patch, step.guard.lease);
    let Columns { movements, assets, deliveries, lines, answer, task, .. } = columns;
    let [held, captured, released, refunded] = columns.sums;
    let open_jobs = step.open_jobs.and_then(limit_of_open);
    let moved = sqlx::query_scalar!(
        r#"with moved as (
             update kie.job j set
               state = $6,
               entered_at = case when $6 = j.state then j.entered_at else $5 end,
               wake_at = case when j.wake_seq <> $4::bigint and $6 not in ('done', 'canceled') then $5 else $7 end,
               deadline_at = $8, cause = coalesce($9, j.cause), failure = coalesce($10, j.failure),
               recorded_at = case when $6 = 'storing' and j.state <> 'storing' then $5 else j.recorded_at end,
               cost = coalesce($11, j.cost), gift = $12, late = $13, tries = $14, hints = $15,
               task_id = coalesce($16, j.task_id),
               input = case when $6 in ('done', 'failed', 'canceled') and kie.is_closed(j.account_id) then '{}' else j.input end,
               held = j.held + $17, captured = j.captured + $18, released = j.released + $19,
               refunded = j.refunded + $20,
               lease_until = null, updated_at = $5, version = j.version + 1
             where j.id = $1 and j.state = $2 and ($3::bigint is null or j.fence = $3) and j.account_id = $21
             returning j.id, j.account_id
           ), balance as (
             -- One open job too many only shows once the row is locked, and is made to look like a balance below zero.
             update kie.account a set available = a.available + $22,
               held = case when $51::bigint is not null and kie.open_jobs(a.id) > $51 then -1 else a.held + $23 end
             from moved
             where a.id = moved.account_id and ($22::bigint <> 0 or $23::bigint <> 0 or $51::bigint is not null)
           ), answered as (
             -- Another task on the attempt breaks the check of its number, and so undoes the step.
             update kie.attempt a set
               answer = case when a.number = $24 then $25 else a.answer end,
               task_id = case when a.number = $26 then coalesce(a.task_id, $16) else a.task_id end,
               task_at = case when a.number = $26 and $16::text is not null then coalesce(a.task_at, $5) else a.task_at end,
               number = case when a.number = $26 and a.task_id <> $16 then 0 else a.number end
             from moved where a.job_id = moved.id and (a.number = $24::smallint or a.number = $26::smallint)
           ), paid as (
             insert into kie.transfer (id, account_id, job_id, kind, key, debit, credit, amount, reason, at)
             select n.id, n.account_id, n.job_id, n.kind, n.key, n.debit, n.credit, n.amount, n.reason, $5
             from unnest($27::uuid[], $28::uuid[], $29::uuid[], $30::text[], $31::text[], $32::text[], $33::text[],
                 $34::bigint[], $35::text[])
               with ordinality as n(id, account_id, job_id, kind, key, debit, credit, amount, reason, place), moved
             order by n.place
           ), fixed as (
             insert into kie.asset (id, account_id, job_id, idx, role, kind, state, source_url, object, created_at)
             select n.id, moved.account_id, moved.id, n.idx, n.role, n.kind, 'pending', n.source_url, n.object, $5
             from unnest($36::uuid[], $37::smallint[], $38::text[], $39::text[], $40::text[], $41::text[])
               as n(id, idx, role, kind, source_url, object), moved
           ), owed as (
             insert into kie.delivery (id, job_id, account_id, channel, address, event, state, wake_at, created_at)
             select n.id, moved.id, moved.account_id, n.channel, n.address, n.event, 'pending', $5, $5
             from unnest($42::uuid[], $43::text[], $44::text[], $45::text[]) as n(id, channel, address, event), moved
             on conflict (job_id, channel, address, event) do nothing
           ), told as (
             insert into kie.timeline as t (job_id, at, last_at, times, source, event, detail, fold)
             select moved.id, $5, $5, n.times, n.source, n.event, n.detail, n.fold
             from unnest($46::integer[], $47::text[], $48::text[], $49::text[], $50::text[])
               with ordinality as n(times, source, event, detail, fold, place), moved
             order by n.place
             on conflict (job_id, fold) where fold is not null
             do update set times = t.times + excluded.times, last_at = greatest(t.last_at, excluded.last_at),
               detail = excluded.detail
           )
           select exists (select from moved) as "moved!""#,
        step.job.as_uuid(),
        step.guard.state.as_str(),
        lease.map(|lease| lease.fence),
        lease.map(|lease| lease.wake_seq),
        moment(step.at),
        patch.state.as_str(),
        patch.wake_at.map(moment) as _,
        patch.deadline_at.map(moment) as _,
        patch.cause.map(domain::Cause::as_str),
        patch.failure.as_deref().map(clean),
        patch.cost.map(|cost| column::<i64, _>(cost.micro())).transpose()?,
        patch.gift,
        patch.late,
        column::<i32, _>(patch.tries)?,
        column::<i16, _>(patch.hints)?,
        task.as_ref().map(|(_, task)| task.as_str()),
        held,
        captured,
        released,
        refunded,
        step.account.as_uuid(),
        columns.available,
        columns.held,
        answer.as_ref().map(|(number, _)| *number),
        answer.as_ref().map(|(_, answer)| answer.as_str()),
        task.as_ref().map(|(number, _)| *number),
        &movements.ids,
        &movements.accounts,
        &movements.jobs as &[Option<Uuid>],
        &movements.kinds,
        &movements.keys,
        &movements.debits,
        &movements.credits,
        &movements.amounts,
        &movements.reasons as &[Option<String>],
        &assets.ids,
        &assets.places,
        &assets.roles,
        &assets.kinds,
        &assets.urls as &[Option<String>],
        &assets.objects,
        &deliveries.ids,
        &deliveries.channels,
        &deliveries.addresses,
        &deliveries.events,
        &lines.times,
        &lines.sources,
        &lines.events,
        &lines.details as &[Option<String>],
        &lines.folds as &[Option<String>],
        open_jobs,
    );
    let moved = moved.fetch_one(&store.pool).await.map_err(|error| {
        let too_many = open_jobs.is_some() && broken_constraint(&error) == Some("account_held_check");
        if too_many { StoreError::TooManyOpen } else { store_error(error) }
    })?;
    Ok(if moved { Recorded::Applied } else { Recorded::Stale })
}
