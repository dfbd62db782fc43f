//! Reading many jobs.

use domain::{AccountId, Job, JobId, Scope, Timestamp};
use store::{JobFilter, StoreError, filled_page};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::store_error;
use crate::row::{JobRow, Moment, clean, jobs, moment, readable};

/// One list of jobs. The first condition names an index outright: a condition that may be absent hides it from a cached
/// plan. The rest filters what that index finds.
macro_rules! listed {
    ($store:ident, $filter:ident, $first:literal) => {{
        let states: Vec<String> = $filter.states.iter().map(ToString::to_string).collect();
        let (first, before) = $filter.id_bounds();
        jobs!(
            "select ",
            " from kie.job j where "
                + $first
                + " and ($1::uuid is null or j.account_id = $1)
                    and (cardinality($2::text[]) = 0 or j.state = any($2))
                    and ($3::text is null or j.kind = $3)
                    and ($4::text is null or j.model = $4)
                    and ($5::uuid is null or j.batch_id = $5)
                    and ($6::text is null or strpos(lower(j.prompt), lower($6)) > 0)
                    and ($7::text is null or j.task_id = $7 or exists (select from kie.attempt a
                      where a.provider = 'kie' and a.task_id = $7 and a.job_id = j.id))
                    and ($8::boolean is null or j.favourite = $8)
                    and ($9::boolean or j.hidden_at is null)
                    and j.id < $10 and j.id >= $13
                    and ($11::timestamptz is null or j.created_at >= $11)
                    order by j.id desc limit $12",
            $filter.account.map(AccountId::as_uuid),
            &states,
            $filter.kind.map(domain::MediaKind::as_str),
            $filter.model.as_deref(),
            $filter.batch.map(domain::BatchId::as_uuid),
            $filter.prompt.as_deref().map(clean),
            $filter.task.as_deref().map(clean),
            $filter.favourite,
            $filter.with_hidden,
            before.as_uuid(),
            $filter.since.map(moment) as _,
            i64::from($filter.limit),
            first.as_uuid(),
        )
        .fetch_all(&$store.pool)
        .await
    }};
}

/// The jobs that pass. A row that cannot be read is told of and left out.
pub(super) async fn list_jobs(store: &PostgresStore, filter: &JobFilter) -> Result<Vec<Job>, StoreError> {
    filled_page(filter.limit, |limit| async move {
        let rows = rows(store, &JobFilter { limit, ..filter.clone() }).await?;
        Ok((rows.len(), readable("job", rows, |row| row.id)))
    })
    .await
}

/// Every job (of this account) that cannot be read, and why; at most a thousand.
pub(crate) async fn unreadable_jobs(
    store: &PostgresStore,
    account: Option<AccountId>,
) -> Result<Vec<(Uuid, String)>, StoreError> {
    let mut filter = JobFilter { account, with_hidden: true, limit: 1_000, ..JobFilter::default() };
    let mut found = Vec::new();
    loop {
        let rows = rows(store, &filter).await?;
        let Some(last) = rows.last() else { break };
        filter.before = Some(JobId::from_uuid(last.id));
        let broken = rows.into_iter().filter_map(|row| {
            let id = row.id;
            Job::try_from(row).err().map(|error| (id, error.to_string()))
        });
        found.extend(broken);
        if found.len() >= 1_000 {
            break;
        }
    }
    found.truncate(1_000);
    Ok(found)
}

async fn rows(store: &PostgresStore, filter: &JobFilter) -> Result<Vec<JobRow>, StoreError> {
    let (open, awake) = (filter.all_hold_money(), filter.all_are_awake());
    let rows: Result<Vec<JobRow>, sqlx::Error> = if filter.task.is_some() {
        listed!(
            store,
            filter,
            "j.id in (select a.job_id from kie.attempt a where a.provider = 'kie' and a.task_id = $7)"
        )
    } else if filter.batch.is_some() {
        listed!(store, filter, "j.batch_id = $5")
    } else if filter.account.is_some() && open {
        listed!(
            store,
            filter,
            "j.account_id = $1 and j.state in ('pending', 'submitting', 'unclear', 'running', 'storing')"
        )
    } else if filter.account.is_some() {
        listed!(store, filter, "j.account_id = $1")
    } else if awake {
        listed!(store, filter, "j.wake_at is not null and j.state <> 'pending'")
    } else if open {
        listed!(store, filter, "j.state in ('pending', 'submitting', 'unclear', 'running', 'storing')")
    } else {
        listed!(store, filter, "true")
    };
    rows.map_err(store_error)
}

/// As [`list_jobs`], by the time of their change.
pub(super) async fn changed_jobs(
    store: &PostgresStore,
    scope: Scope,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<Job>, StoreError> {
    filled_page(limit, |limit| async move {
        let rows = changed_rows(store, scope, since, limit).await?;
        Ok((rows.len(), readable("job", rows, |row| row.id)))
    })
    .await
}

async fn changed_rows(
    store: &PostgresStore,
    scope: Scope,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<JobRow>, StoreError> {
    let (since, limit): (Moment, i64) = (moment(since), i64::from(limit));
    let rows = match scope.account() {
        Some(account) => {
            jobs!(
                "select ",
                " from kie.job j where j.account_id = $1 and j.updated_at >= $2 order by j.updated_at, j.id limit $3",
                account.as_uuid(),
                since,
                limit,
            )
            .fetch_all(&store.pool)
            .await
        }
        None => {
            jobs!(
                "select ",
                " from kie.job j where j.updated_at >= $1 order by j.updated_at, j.id limit $2",
                since,
                limit,
            )
            .fetch_all(&store.pool)
            .await
        }
    };
    rows.map_err(store_error)
}
