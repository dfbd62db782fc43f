//! Claiming due rows: one statement, in turn over accounts, without waiting for anybody.

use domain::Job;
use store::{ClaimJobs, StoreError};

use crate::PostgresStore;
use crate::error::store_error;
use crate::row::{column, jobs, moment, readable};

/// `gate` says how many pending rows may go out; `due` gives each its turn, counted with the slots that its account has in
/// use. More rows are looked at than are wanted, because other workers may be claiming the same ones. Both kinds of rows are locked by `skip locked` and mixed one to one, so that neither starves the other.
pub(super) async fn claim(store: &PostgresStore, claim: &ClaimJobs) -> Result<Vec<Job>, StoreError> {
    let slots: Option<i32> = claim.slots.map(column).transpose()?;
    let rows = jobs!(
        "with gate as (
           select case when b.next_trial_at > $1 then 0 when b.provider is not null then least(f.free, 1) else f.free end
             as free
           from (select case when $4::integer is null then $3::bigint else least($3::bigint, (
                   select count(*) from kie.create_slot where number < $4 and free_at <= $1)) end as free) f
           left join kie.breaker b on b.provider = 'kie'
         ), due as materialized (
           select id, account_id, wake_at, coalesce(deadline_at <= $1, false) as expired,
             row_number() over (partition by account_id order by wake_at, id) as turn
           from kie.job
           where state = 'pending' and wake_at <= $1 and (lease_until is null or lease_until <= $1)
             and (deadline_at <= $1 or (select free from gate) > 0)
         ), used as (
           select account_id, count(*) as used from kie.create_slot where free_at > $1 group by account_id
         ), next_over as materialized (
           select id, wake_at from due where expired order by wake_at, id limit $3 * 2 + 64
         ), next_sending as materialized (
           select due.id, due.turn + coalesce(used.used, 0) as turn, due.wake_at
           from due left join used on used.account_id = due.account_id
           where not due.expired
           order by 2, 3, 1 limit (select case when free > 0 then free * 2 + 64 else 0 end from gate)
         ), over as materialized (
           select j.id, n.wake_at from next_over n join kie.job j on j.id = n.id
           where j.state = 'pending' and j.wake_at <= $1 and (j.lease_until is null or j.lease_until <= $1)
           order by n.wake_at, n.id limit $3 for update of j skip locked
         ), sending as materialized (
           select j.id, n.turn, n.wake_at from next_sending n join kie.job j on j.id = n.id
           where j.state = 'pending' and j.wake_at <= $1 and (j.lease_until is null or j.lease_until <= $1)
           order by n.turn, n.wake_at, n.id limit (select free from gate) for update of j skip locked
         ), other as materialized (
           select j.id, j.wake_at from kie.job j
           where j.wake_at is not null and j.state <> 'pending' and j.wake_at <= $1
             and (j.lease_until is null or j.lease_until <= $1)
           order by j.wake_at limit $3 for update skip locked
         ), picked as (
           select id, row_number() over (order by wake_at, id) as place, 0 as kind from other
           union all
           select id, row_number() over (order by kind, turn, wake_at, id), 1 from (
             select id, 0 as kind, 0 as turn, wake_at from over
             union all select id, 1, turn, wake_at from sending) p
           order by place, kind limit $3
         ), claimed as (
           update kie.job j set lease_until = $2, fence = j.fence + 1
           from picked where j.id = picked.id
           returning j.*, picked.place, picked.kind as picked_kind
         )
         select ",
        " from claimed j order by j.place, j.picked_kind",
        moment(claim.now),
        moment(claim.lease_until),
        i64::from(claim.limit),
        slots,
    );
    let rows = rows.fetch_all(&store.pool).await.map_err(store_error)?;
    Ok(readable("job", rows, |row| row.id))
}
