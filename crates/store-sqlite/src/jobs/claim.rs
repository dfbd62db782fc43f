//! Claiming: which due rows a worker gets, and in which turn.

use domain::{Job, JobId, Timestamp};
use sqlx::SqliteConnection;
use store::{ClaimJobs, StoreError};
use uuid::Uuid;

use super::job_rows;
use crate::SqliteStore;
use crate::row::{id_list, micros, readable};
use crate::writer::{Meaning, never};

/// A row that may be claimed.
struct Due {
    id: Uuid,
    wake_at: i64,
}

impl SqliteStore {
    /// Claims due rows; takes the write lock only when a reader sees that there are some.
    pub(super) async fn claim_due(&self, claim: &ClaimJobs) -> Result<Vec<Job>, StoreError> {
        if claim.limit == 0 || !self.has_due(claim).await? {
            return Ok(Vec::new());
        }
        let claim = *claim;
        self.write(never, move |db| Box::pin(async move { claim_in(db, &claim).await })).await
    }

    async fn has_due(&self, claim: &ClaimJobs) -> Result<bool, StoreError> {
        let now = micros(claim.now);
        sqlx::query_scalar!(
            r#"select exists (
                 select 1 from job where wake_at is not null and state <> 'pending' and wake_at <= ?1
                   and (lease_until is null or lease_until <= ?1)
               ) or exists (
                 select 1 from job where state = 'pending' and wake_at <= ?1
                   and (lease_until is null or lease_until <= ?1)
                   and (deadline_at <= ?1
                     or (not exists (select 1 from breaker where next_trial_at > ?1)
                       and (?2 is null or exists (select 1 from create_slot where number <= ?2 and free_at <= ?1))))
               ) as "due!: bool""#,
            now,
            claim.slots,
        )
        .fetch_one(self.readers())
        .await
        .meaning()
    }
}

async fn claim_in(db: &mut SqliteConnection, claim: &ClaimJobs) -> Result<Vec<Job>, StoreError> {
    let awake = find_awake(db, claim).await?;
    let mut pending = find_expired(db, claim).await?;
    let room = room_for_creates(db, claim).await?;
    pending.extend(find_in_turn(db, claim, room).await?);
    let chosen = merge(awake, pending, claim.limit);
    lease(db, &chosen, claim.lease_until).await
}

/// Rows other than `pending`, in order of their wake.
async fn find_awake(db: &mut SqliteConnection, claim: &ClaimJobs) -> Result<Vec<Due>, StoreError> {
    let now = micros(claim.now);
    sqlx::query_as!(
        Due,
        r#"select id as "id!: Uuid", wake_at as "wake_at!"
           from job where wake_at is not null and state <> 'pending' and wake_at <= ?1
             and (lease_until is null or lease_until <= ?1)
           order by wake_at limit ?2"#,
        now,
        claim.limit,
    )
    .fetch_all(db)
    .await
    .meaning()
}

/// `pending` rows past their deadline: they are not going to be sent, so they need no slot.
async fn find_expired(db: &mut SqliteConnection, claim: &ClaimJobs) -> Result<Vec<Due>, StoreError> {
    let now = micros(claim.now);
    sqlx::query_as!(
        Due,
        r#"select id as "id!: Uuid", wake_at as "wake_at!"
           from job where state = 'pending' and wake_at <= ?1 and (lease_until is null or lease_until <= ?1)
             and deadline_at <= ?1
           order by wake_at limit ?2"#,
        now,
        claim.limit,
    )
    .fetch_all(db)
    .await
    .meaning()
}

/// How many `pending` rows could be sent now.
async fn room_for_creates(db: &mut SqliteConnection, claim: &ClaimJobs) -> Result<u32, StoreError> {
    let now = micros(claim.now);
    let row = sqlx::query!(
        r#"select (select max(next_trial_at) from breaker) as "next_trial_at?: i64",
             (select count(*) from create_slot where number <= ?2 and free_at <= ?1) as "free!: i64""#,
        now,
        claim.slots,
    )
    .fetch_one(db)
    .await
    .meaning()?;
    let free = match claim.slots {
        Some(_) => u32::try_from(row.free).unwrap_or(u32::MAX),
        None => u32::MAX,
    };
    Ok(match row.next_trial_at {
        None => free.min(claim.limit),
        Some(next) if next <= now => free.min(1),
        Some(_) => 0,
    })
}

/// `pending` rows that may be sent: every account's n-th, counted with its slots in use, before anyone's (n+1)-th.
async fn find_in_turn(
    db: &mut SqliteConnection,
    claim: &ClaimJobs,
    room: u32,
) -> Result<Vec<Due>, StoreError> {
    if room == 0 {
        return Ok(Vec::new());
    }
    let now = micros(claim.now);
    sqlx::query_as!(
        Due,
        r#"with ready as (
             select id, wake_at, account_id,
               row_number() over (partition by account_id order by wake_at, id) as place
             from job where state = 'pending' and wake_at <= ?1 and (lease_until is null or lease_until <= ?1)
               and (deadline_at is null or deadline_at > ?1)
           ), in_use as (
             select account_id, count(*) as slots from create_slot
             where free_at > ?1 and account_id is not null and number <= ?2 group by account_id
           )
           select r.id as "id!: Uuid", r.wake_at as "wake_at!"
           from ready r left join in_use u on u.account_id = r.account_id
           order by r.place + coalesce(u.slots, 0), r.wake_at, r.id limit ?3"#,
        now,
        claim.slots,
        room,
    )
    .fetch_all(db)
    .await
    .meaning()
}

/// The first `limit` rows of two queues: always the head that has waited longer, so that neither starves the other and
/// both keep their own order.
fn merge(awake: Vec<Due>, pending: Vec<Due>, limit: u32) -> Vec<Uuid> {
    let (mut awake, mut pending) = (awake.into_iter().peekable(), pending.into_iter().peekable());
    let mut chosen = Vec::new();
    while chosen.len() < limit as usize {
        let next = match (awake.peek(), pending.peek()) {
            (Some(one), Some(other)) if one.wake_at <= other.wake_at => awake.next(),
            (Some(_), None) => awake.next(),
            (_, Some(_)) => pending.next(),
            (None, None) => break,
        };
        chosen.extend(next.map(|due| due.id));
    }
    chosen
}

async fn lease(db: &mut SqliteConnection, chosen: &[Uuid], until: Timestamp) -> Result<Vec<Job>, StoreError> {
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let (ids, until) = (id_list(chosen.iter().copied()), micros(until));
    sqlx::query!(
        "update job set lease_until = ?2, fence = fence + 1
         where id in (select unhex(value) from json_each(?1))",
        ids,
        until,
    )
    .execute(&mut *db)
    .await
    .meaning()?;
    store::fail_point!("sqlite.claim.leased");
    let rows = job_rows!("where id in (select unhex(value) from json_each(?1))", ids)
        .fetch_all(db)
        .await
        .meaning()?;
    let mut jobs: Vec<Job> = readable("job", rows, |row| row.id);
    let place = |id: JobId| chosen.iter().position(|chosen| *chosen == id.as_uuid());
    jobs.sort_by_cached_key(|job| place(job.id));
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(numbers: &[(u128, i64)]) -> Vec<Due> {
        numbers.iter().map(|&(id, wake_at)| Due { id: Uuid::from_u128(id), wake_at }).collect()
    }

    #[test]
    fn the_longer_wait_goes_first_and_neither_queue_is_reordered() {
        let chosen = merge(due(&[(1, 10), (2, 30)]), due(&[(3, 20), (4, 5), (5, 40)]), 4);
        let numbers: Vec<u128> = chosen.iter().map(Uuid::as_u128).collect();
        assert_eq!(numbers, [1, 3, 4, 2]);
    }
}
