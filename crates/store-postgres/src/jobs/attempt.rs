//! Attempts and the tasks that prove them.

use domain::{Job, JobId, Timestamp};
use store::{Began, BeginAttempt, StoreError, TaskSaved};

use crate::PostgresStore;
use crate::error::{broken_constraint, store_error};
use crate::row::{clean, column, jobs, moment, number};
use crate::timeline::Lines;

/// The job is locked first, then a free slot, then the breaker; each next part is written only if the one before stands.
pub(super) async fn begin(store: &PostgresStore, begin: &BeginAttempt) -> Result<Began, StoreError> {
    let lines = Lines::of(begin.job.as_uuid(), &begin.timeline);
    let slots: Option<i32> = begin.slots.map(column).transpose()?;
    let attempt: i16 = column(begin.number)?;
    let committed = sqlx::query_scalar!(
        r#"with guarded as materialized (
             select id from kie.job
             where id = $1 and account_id = $2 and state = $3 and ($4::bigint is null or fence = $4)
             for no key update
           ), slot as materialized (
             select s.number from kie.create_slot s, guarded
             where $8::integer is not null and s.number < $8 and s.free_at <= $5
             order by s.free_at, s.number limit 1 for update of s skip locked
           ), trial as (
             update kie.breaker b set next_trial_at = $10 from guarded
             where b.provider = 'kie' and b.next_trial_at <= $5
               and ($8::integer is null or exists (select from slot))
             returning b.provider
           ), go as (
             select guarded.id from guarded
             where ($8::integer is null or exists (select from slot))
               and (not exists (select from kie.breaker where provider = 'kie') or exists (select from trial))
           ), moved as (
             update kie.job j
             set state = 'submitting', entered_at = $5, updated_at = $5, version = j.version + 1, attempts = $7,
               lease_until = $6, wake_at = $6
             from go where j.id = go.id
             returning j.id
           ), taken as (
             update kie.create_slot s set free_at = $9, account_id = $2 from slot, moved where s.number = slot.number
           ), sent as (
             insert into kie.attempt (job_id, number, sent_at) select id, $7, $5 from moved
           ), told as (
             insert into kie.timeline as t (job_id, at, last_at, times, source, event, detail, fold)
             select moved.id, $5, $5, n.times, n.source, n.event, n.detail, n.fold
             from unnest($11::integer[], $12::text[], $13::text[], $14::text[], $15::text[])
               with ordinality as n(times, source, event, detail, fold, place), moved
             order by n.place
             on conflict (job_id, fold) where fold is not null
             do update set times = t.times + excluded.times, last_at = greatest(t.last_at, excluded.last_at),
               detail = excluded.detail
           )
           select exists (select from moved) as "committed!""#,
        begin.job.as_uuid(),
        begin.account.as_uuid(),
        begin.guard.state.as_str(),
        begin.guard.lease.map(|lease| lease.fence),
        moment(begin.at),
        moment(begin.lease_until),
        attempt,
        slots,
        moment(begin.slot_free_at),
        moment(begin.next_trial_at),
        &lines.times,
        &lines.sources,
        &lines.events,
        &lines.details as &[Option<String>],
        &lines.folds as &[Option<String>],
    );
    if committed.fetch_one(&store.pool).await.map_err(store_error)? {
        return Ok(Began::Committed);
    }
    why_not(store, begin, slots).await
}

async fn why_not(
    store: &PostgresStore,
    begin: &BeginAttempt,
    slots: Option<i32>,
) -> Result<Began, StoreError> {
    let found = sqlx::query!(
        r#"select exists (select from kie.job where id = $1 and account_id = $2 and state = $3
               and ($4::bigint is null or fence = $4)) as "stands!",
             greatest((select next_trial_at from kie.breaker where provider = 'kie'),
               (select min(free_at) from kie.create_slot where number < $5)) as until"#,
        begin.job.as_uuid(),
        begin.account.as_uuid(),
        begin.guard.state.as_str(),
        begin.guard.lease.map(|lease| lease.fence),
        slots,
    );
    let found = found.fetch_one(&store.pool).await.map_err(store_error)?;
    if !found.stands {
        return Ok(Began::Stale);
    }
    // A slot that another worker was just looking at may be free after all: then at once.
    let until = found.until.map_or(begin.slot_free_at, crate::row::Moment::to_jiff);
    Ok(Began::NoSlot(until.max(begin.at)))
}

/// The job is locked before its attempt, as in a step, so that both agree on which task came first.
pub(super) async fn save_task(
    store: &PostgresStore,
    job: JobId,
    attempt: u16,
    task_id: &str,
    at: Timestamp,
) -> Result<TaskSaved, StoreError> {
    let (task_id, attempt) = (clean(task_id), column::<i16, _>(attempt)?);
    let saved = sqlx::query_scalar!(
        r#"with found as materialized (
             select id, state from kie.job where id = $1 for no key update
           ), saved as (
             update kie.attempt a set task_id = $3, task_at = $4 from found
             where a.job_id = found.id and a.number = $2 and a.task_id is null
             returning a.job_id
           ), woken as (
             update kie.job j set wake_at = least(coalesce(j.wake_at, $4), $4), wake_seq = j.wake_seq + 1
             from saved
             where j.id = saved.job_id and j.state in ('pending', 'submitting', 'unclear', 'failed')
           )
           select exists (select from saved) as "saved!""#,
        job.as_uuid(),
        attempt,
        task_id,
        moment(at),
    );
    match saved.fetch_one(&store.pool).await {
        Ok(true) => return Ok(TaskSaved::Saved),
        Ok(false) => {}
        Err(error) if broken_constraint(&error) == Some("attempt_task_key") => return Ok(TaskSaved::Taken),
        Err(error) => return Err(store_error(error)),
    }
    let known = sqlx::query_scalar!(
        "select task_id from kie.attempt where job_id = $1 and number = $2",
        job.as_uuid(),
        attempt
    );
    match known.fetch_optional(&store.pool).await.map_err(store_error)? {
        None => Err(StoreError::NotFound { what: "attempt" }),
        Some(known) if known.as_deref() == Some(&task_id) => Ok(TaskSaved::Known),
        Some(_) => Ok(TaskSaved::Taken),
    }
}

pub(super) async fn find_job_by_task(
    store: &PostgresStore,
    task_id: &str,
) -> Result<Option<(Job, u16)>, StoreError> {
    let found = sqlx::query!(
        "select job_id, number from kie.attempt where provider = 'kie' and task_id = $1",
        clean(task_id)
    );
    let Some(found) = found.fetch_optional(&store.pool).await.map_err(store_error)? else { return Ok(None) };
    let row = jobs!("select ", " from kie.job j where j.id = $1", found.job_id);
    let job = Job::try_from(row.fetch_one(&store.pool).await.map_err(store_error)?)?;
    Ok(Some((job, number("attempt", "number", found.number)?)))
}
