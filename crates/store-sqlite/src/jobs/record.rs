//! Recording one move of one job: state, money, assets, deliveries and history, together or not at all.

use domain::{Cause, Money, TransferKind};
use sqlx::SqliteConnection;
use store::{NewDelivery, Recorded, Step, StoreError};

use super::attempt::{follow_task_in, set_answer_in};
use crate::assets::add_asset_in;
use crate::row::{micros, micros_opt, to_integer};
use crate::timeline::add_entries_in;
use crate::transfers::add_transfers_in;
use crate::writer::Meaning;

/// Writes the step, or nothing if its guard does not hold.
pub(super) async fn record_in(db: &mut SqliteConnection, step: &Step) -> Result<Recorded, StoreError> {
    if !patch_job(db, step).await? {
        return Ok(Recorded::Stale);
    }
    refuse_too_many(db, step).await?;
    store::fail_point!("sqlite.record.patched", step.patch.state);
    add_sums(db, step).await?;
    store::fail_point!("sqlite.record.summed", step.patch.state);
    if let Some((attempt, answer)) = &step.answer {
        set_answer_in(db, step.job, *attempt, answer).await?;
        store::fail_point!("sqlite.record.answered", step.patch.state);
    }
    if let Some((attempt, task)) = &step.task {
        follow_task_in(db, step.job, *attempt, task, step.at).await?;
        store::fail_point!("sqlite.record.followed", step.patch.state);
    }
    add_transfers_in(db, &step.transfers, step.at).await?;
    store::fail_point!("sqlite.record.moved", step.patch.state);
    for asset in &step.assets {
        add_asset_in(db, asset, step.at).await?;
        store::fail_point!("sqlite.record.announced", step.patch.state);
    }
    for delivery in &step.deliveries {
        add_delivery(db, step, delivery).await?;
        store::fail_point!("sqlite.record.owed", step.patch.state);
    }
    add_entries_in(db, step.job, &step.timeline, step.at).await?;
    store::fail_point!("sqlite.record.told", step.patch.state);
    Ok(Recorded::Applied)
}

/// The compare-and-set on the row; whether the guard held.
async fn patch_job(db: &mut SqliteConnection, step: &Step) -> Result<bool, StoreError> {
    let (job, account, at) = (step.job.as_uuid(), step.account.as_uuid(), micros(step.at));
    let (from, lease) = (step.guard.state.as_str(), step.guard.lease);
    let (fence, wake_seq) = (lease.map(|lease| lease.fence), lease.map(|lease| lease.wake_seq));
    let patch = &step.patch;
    let (state, cause) = (patch.state.as_str(), patch.cause.map(Cause::as_str));
    let (wake_at, deadline_at) = (micros_opt(patch.wake_at), micros_opt(patch.deadline_at));
    let cost = patch.cost.map(|cost| to_integer(cost.micro())).transpose()?;
    let task = step.task.as_ref().map(|(_, task)| task.as_str());
    let patched = sqlx::query!(
        "update job set
           state = ?6,
           entered_at = case when ?6 <> ?4 then ?3 else entered_at end,
           wake_at = case when ?7 is not null and wake_seq <> ?7 and ?6 not in ('done', 'canceled') then ?3 else ?8 end,
           deadline_at = ?9,
           cause = coalesce(?10, cause),
           failure = coalesce(?11, failure),
           recorded_at = case when ?6 = 'storing' and ?4 <> 'storing' then ?3 else recorded_at end,
           cost = coalesce(?12, cost),
           task_id = coalesce(?13, task_id),
           gift = ?14, late = ?15, tries = ?16, hints = ?17,
           input = case when ?6 in ('done', 'failed', 'canceled') and exists (
             select 1 from account a where a.id = ?2 and a.closed_at is not null) then '{}' else input end,
           lease_until = null, updated_at = ?3, version = version + 1
         where id = ?1 and account_id = ?2 and state = ?4 and (?5 is null or fence = ?5)",
        job,
        account,
        at,
        from,
        fence,
        state,
        wake_seq,
        wake_at,
        deadline_at,
        cause,
        patch.failure,
        cost,
        task,
        patch.gift,
        patch.late,
        patch.tries,
        patch.hints,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(patched.rows_affected() == 1)
}

/// Counts the account's open jobs with this one; there is one writer, so none is opened meanwhile.
async fn refuse_too_many(db: &mut SqliteConnection, step: &Step) -> Result<(), StoreError> {
    let Some(most) = step.open_jobs else { return Ok(()) };
    let account = step.account.as_uuid();
    let open = sqlx::query_scalar!(
        r#"select count(*) as "open!: i64" from job indexed by job_open
           where account_id = ?1 and state in ('pending', 'submitting', 'unclear', 'running', 'storing')"#,
        account,
    )
    .fetch_one(db)
    .await
    .meaning()?;
    if open > i64::from(most) { Err(StoreError::TooManyOpen) } else { Ok(()) }
}

/// The job's cached sums change by the step's movements, in one statement: the row's own check sees only the end.
async fn add_sums(db: &mut SqliteConnection, step: &Step) -> Result<(), StoreError> {
    let sum = |kind: TransferKind| {
        let of_kind = step.transfers.iter().filter(|transfer| transfer.kind == kind);
        of_kind
            .filter(|transfer| transfer.job == Some(step.job))
            .try_fold(Money::ZERO, |sum, transfer| sum.plus(transfer.amount))
            .map(Money::minor)
            .map_err(|error| StoreError::Internal(Box::new(error)))
    };
    let (held, captured) = (sum(TransferKind::Hold)?, sum(TransferKind::Capture)?);
    let (released, refunded) = (sum(TransferKind::Release)?, sum(TransferKind::Refund)?);
    if [held, captured, released, refunded] == [0; 4] {
        return Ok(());
    }
    let job = step.job.as_uuid();
    sqlx::query!(
        "update job set held = held + ?2, captured = captured + ?3, released = released + ?4, refunded = refunded + ?5
         where id = ?1",
        job,
        held,
        captured,
        released,
        refunded,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(())
}

async fn add_delivery(
    db: &mut SqliteConnection,
    step: &Step,
    delivery: &NewDelivery,
) -> Result<(), StoreError> {
    let (id, job, account) = (delivery.id.as_uuid(), step.job.as_uuid(), step.account.as_uuid());
    let (channel, event, at) = (delivery.channel.as_str(), delivery.event.as_str(), micros(step.at));
    sqlx::query!(
        "insert into delivery (id, job_id, account_id, channel, address, event, state, wake_at, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?7, ?7)
         on conflict (job_id, channel, address, event) do nothing",
        id,
        job,
        account,
        channel,
        delivery.address,
        event,
        at,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(())
}
