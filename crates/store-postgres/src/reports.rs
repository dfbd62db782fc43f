//! What operators look at, on PostgreSQL.

use async_trait::async_trait;
use domain::{AccountId, DeliveryState, Job, JobId, JobState, Timestamp, Transfer};
use sqlx::PgConnection;
use store::{
    AuditFinding, Blocked, Due, KindCounts, ModelTimes, Overview, Percentiles, ReportStore, StoreError,
    StuckLimits, UNKNOWN_WORD,
};
use uuid::Uuid;

use crate::PostgresStore;
use crate::audit;
use crate::error::{retrying, store_error};
use crate::row::{Moment, TransferRow, all, jobs, moment, number, readable, word};

#[async_trait]
impl ReportStore for PostgresStore {
    async fn audit(&self, _now: Timestamp) -> Result<Vec<AuditFinding>, StoreError> {
        retrying(|| audit::audit(self)).await
    }

    async fn overview(&self, since: Timestamp, now: Timestamp) -> Result<Overview, StoreError> {
        let since = moment(since);
        let begin = self.pool.begin_with("begin isolation level repeatable read read only");
        let mut snapshot = begin.await.map_err(store_error)?;
        // How much of the history a window holds decides between index and scan.
        let plans = sqlx::query("set local plan_cache_mode = 'force_custom_plan'");
        plans.execute(&mut *snapshot).await.map_err(store_error)?;
        // A reader that has gone away does not keep the connection for longer.
        let bound = sqlx::query("set local statement_timeout = '20s'");
        bound.execute(&mut *snapshot).await.map_err(store_error)?;
        let overview = Overview {
            states: states(&mut snapshot, since).await?,
            deliveries: deliveries(&mut snapshot, since).await?,
            models: models(&mut snapshot, since).await?,
            outputs: outputs(&mut snapshot, since).await?,
            oldest_due: oldest_due(&mut snapshot, moment(now)).await?,
            orphans: orphans(&mut snapshot, since).await?,
            unknown_words: unknown_words(&mut snapshot).await?,
            blocked: blocked(&mut snapshot, since).await?,
        };
        snapshot.rollback().await.map_err(store_error)?;
        Ok(overview)
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Due, StoreError> {
        let rows = jobs!(
            "select ",
            " from kie.job j where j.id in (
                (select id from kie.job where wake_at is not null and state <> 'pending' and wake_at <= $1
                   and (lease_until is null or lease_until <= $1) order by wake_at limit $2)
                union all
                (select id from kie.job where state = 'pending' and wake_at <= $1
                   and (lease_until is null or lease_until <= $1) order by wake_at limit $2))
              order by j.wake_at, j.id limit $2",
            moment(now),
            i64::from(limit),
        );
        let jobs = readable("job", rows.fetch_all(&self.pool).await.map_err(store_error)?, |row| row.id);
        Ok(Due { jobs, deliveries: crate::deliveries::due(self, now, limit).await? })
    }

    async fn stuck_jobs(
        &self,
        limits: &StuckLimits,
        since: Option<Timestamp>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        let born = Born::of(limits, now);
        let rows = jobs!(
            "select ",
            " from kie.job j
              where j.state in ('pending', 'submitting', 'unclear', 'running', 'storing')
                and j.created_at < greatest(
                  case j.kind when 'video' then $1 when 'audio' then $2 else $3::timestamptz end,
                  (select max(m.born) from unnest($4::text[], $5::timestamptz[]) m(model, born) where m.model = j.model))
                and ($6::timestamptz is null or j.created_at >= $6)
              order by j.created_at, j.id limit $7",
            born.video,
            born.audio,
            born.image,
            &born.models,
            &born.by_model as &[Moment],
            since.map(moment) as _,
            i64::from(limit),
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        Ok(readable("job", rows, |row| row.id))
    }

    async fn count_stuck(&self, limits: &StuckLimits, now: Timestamp) -> Result<u64, StoreError> {
        let born = Born::of(limits, now);
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!" from kie.job j
               where j.state in ('pending', 'submitting', 'unclear', 'running', 'storing')
                 and j.created_at < greatest(
                   case j.kind when 'video' then $1 when 'audio' then $2 else $3::timestamptz end,
                   (select max(m.born) from unnest($4::text[], $5::timestamptz[]) m(model, born) where m.model = j.model))"#,
            born.video,
            born.audio,
            born.image,
            &born.models,
            &born.by_model as &[Moment],
        );
        number("job", "count", count.fetch_one(&self.pool).await.map_err(store_error)?)
    }

    async fn transfers_of(&self, jobs: &[JobId]) -> Result<Vec<Transfer>, StoreError> {
        let jobs: Vec<Uuid> = jobs.iter().map(|job| job.as_uuid()).collect();
        let rows = sqlx::query_as!(
            TransferRow,
            "select id, account_id, job_id, kind, key, debit, credit, amount, reason, at from kie.transfer
             where job_id = any($1) order by id desc",
            &jobs,
        );
        all(rows.fetch_all(&self.pool).await.map_err(store_error)?)
    }

    async fn unreadable_jobs_of(&self, account: AccountId) -> Result<Vec<JobId>, StoreError> {
        let found = crate::jobs::unreadable_jobs(self, Some(account)).await?;
        Ok(found.into_iter().map(|(id, _why)| JobId::from_uuid(id)).collect())
    }
}

/// The moments before which what is stuck was ordered.
struct Born {
    image: Moment,
    audio: Moment,
    video: Moment,
    models: Vec<String>,
    by_model: Vec<Moment>,
}

impl Born {
    fn of(limits: &StuckLimits, now: Timestamp) -> Self {
        let before = |age| moment(now.saturating_sub(age).unwrap_or(Timestamp::MIN));
        Self {
            image: before(limits.image),
            audio: before(limits.audio),
            video: before(limits.video),
            models: limits.models.iter().map(|(model, _)| model.clone()).collect(),
            by_model: limits.models.iter().map(|(_, age)| before(*age)).collect(),
        }
    }
}

/// What ended in the window changed in it too: that is the indexed column.
async fn states(snapshot: &mut PgConnection, since: Moment) -> Result<Vec<(JobState, u64)>, StoreError> {
    let rows = sqlx::query!(
        r#"select state as "state!", count(*) as "jobs!" from (
             select state from kie.job
             where wake_at is not null and state <> 'pending' and state not in ('done', 'failed', 'canceled')
             union all select state from kie.job where state = 'pending'
             union all select state from kie.job
             where updated_at >= $1 and entered_at >= $1 and state in ('done', 'failed', 'canceled')) s
           group by state"#,
        since,
    );
    let rows = rows.fetch_all(snapshot).await.map_err(store_error)?;
    let counted =
        rows.iter().map(|row| Ok((word("job", "state", &row.state)?, number("job", "count", row.jobs)?)));
    let mut counts: Vec<(JobState, u64)> = counted.collect::<Result<_, StoreError>>()?;
    counts.sort_unstable_by_key(|(state, _)| *state);
    Ok(counts)
}

async fn deliveries(
    snapshot: &mut PgConnection,
    since: Moment,
) -> Result<Vec<(DeliveryState, u64)>, StoreError> {
    let rows = sqlx::query!(
        r#"select state as "state!", count(*) as "deliveries!" from (
             select state from kie.delivery where wake_at is not null
             union all select state from kie.delivery where state = 'dead'
             union all select d.state from kie.job j join kie.delivery d on d.job_id = j.id
             where j.updated_at >= $1 and d.state = 'done' and d.delivered_at >= $1) s
           group by state"#,
        since,
    );
    let rows = rows.fetch_all(snapshot).await.map_err(store_error)?;
    let counted = rows.iter().map(|row| {
        Ok((word("delivery", "state", &row.state)?, number("delivery", "count", row.deliveries)?))
    });
    let mut counts: Vec<(DeliveryState, u64)> = counted.collect::<Result<_, StoreError>>()?;
    counts.sort_unstable_by_key(|(state, _)| *state);
    Ok(counts)
}

async fn models(snapshot: &mut PgConnection, since: Moment) -> Result<Vec<ModelTimes>, StoreError> {
    let rows = sqlx::query!(
        r#"with ended as (
             select id, model, state, task_id, created_at, entered_at from kie.job
             where updated_at >= $1 and entered_at >= $1 and state in ('done', 'failed', 'canceled')
           ), took as (
             select e.id, e.entered_at - e.created_at as stored,
               (select a.task_at from kie.attempt a where a.job_id = e.id and a.task_id = e.task_id) - e.created_at as task,
               (select max(d.delivered_at) from kie.delivery d
                where d.job_id = e.id and d.event = 'job.done' and d.state = 'done') - e.created_at as delivered
             from ended e where e.state = 'done'
           )
           select e.model as "model!", count(*) as "jobs!", count(t.id) as "done!",
             percentile_cont(array[0.5, 0.95]) within group (order by extract(epoch from t.task)::float8) as "task?",
             percentile_cont(array[0.5, 0.95]) within group (order by extract(epoch from t.stored)::float8) as "stored?",
             percentile_cont(array[0.5, 0.95]) within group (order by extract(epoch from t.delivered)::float8) as "delivered?"
           from ended e left join took t on t.id = e.id
           group by e.model order by count(*) desc, e.model limit 50"#,
        since,
    );
    let rows = rows.fetch_all(snapshot).await.map_err(store_error)?;
    rows.into_iter()
        .map(|row| {
            Ok(ModelTimes {
                jobs: number("job", "count", row.jobs)?,
                done: number("job", "count", row.done)?,
                model: row.model,
                task: percentiles(row.task),
                stored: percentiles(row.stored),
                delivered: percentiles(row.delivered),
            })
        })
        .collect()
}

fn percentiles(of: Option<Vec<f64>>) -> Option<Percentiles> {
    let of = of?;
    Some(Percentiles { p50_s: *of.first()?, p95_s: *of.get(1)? })
}

async fn outputs(snapshot: &mut PgConnection, since: Moment) -> Result<Vec<KindCounts>, StoreError> {
    let rows = sqlx::query!(
        r#"select a.kind as "kind!", count(*) as "expected!", count(*) filter (where a.state = 'stored') as "stored!",
             coalesce(sum(a.bytes) filter (where a.state = 'stored'), 0)::bigint as "bytes!"
           from kie.job j join kie.asset a on a.job_id = j.id
           where j.updated_at >= $1 and a.created_at >= $1 and a.role = 'output'
           group by a.kind order by a.kind"#,
        since,
    );
    let rows = rows.fetch_all(snapshot).await.map_err(store_error)?;
    rows.into_iter()
        .map(|row| {
            Ok(KindCounts {
                kind: word("asset", "kind", &row.kind)?,
                expected: number("asset", "count", row.expected)?,
                stored: number("asset", "count", row.stored)?,
                bytes: number("asset", "bytes", row.bytes)?,
            })
        })
        .collect()
}

async fn oldest_due(snapshot: &mut PgConnection, now: Moment) -> Result<Option<Timestamp>, StoreError> {
    let oldest = sqlx::query_scalar!(
        r#"select wake_at as "wake_at!" from kie.job
           where wake_at is not null and state <> 'pending' and wake_at <= $1
             and (lease_until is null or lease_until <= $1)
           order by wake_at limit 1"#,
        now,
    );
    Ok(oldest.fetch_optional(snapshot).await.map_err(store_error)?.map(Moment::to_jiff))
}

async fn orphans(snapshot: &mut PgConnection, since: Moment) -> Result<u64, StoreError> {
    let orphans =
        sqlx::query_scalar!(r#"select count(*) as "count!" from kie.orphan where last_at >= $1"#, since);
    number("orphan", "count", orphans.fetch_one(snapshot).await.map_err(store_error)?)
}

/// Of jobs that are awake, so their number is small whatever the history; a failed reading told no word.
async fn unknown_words(snapshot: &mut PgConnection) -> Result<Vec<(String, u64)>, StoreError> {
    let rows = sqlx::query!(
        r#"select coalesce(t.detail, '') as "word!", count(*) as "jobs!"
           from kie.job j cross join lateral (
             select n.event, n.detail from kie.timeline n
             where n.job_id = j.id and n.event in ('record.read', 'record.empty', $1)
             order by n.last_at desc, n.seq desc limit 1) t
           where j.wake_at is not null and j.state <> 'pending' and j.state = 'running' and t.event = $1
           group by t.detail order by count(*) desc, t.detail limit 10"#,
        UNKNOWN_WORD,
    );
    let rows = rows.fetch_all(snapshot).await.map_err(store_error)?;
    rows.into_iter().map(|row| Ok((row.word, number("job", "count", row.jobs)?))).collect()
}

/// A job changes when a result of it is given up, and then comes to its last state.
async fn blocked(snapshot: &mut PgConnection, since: Moment) -> Result<Option<Blocked>, StoreError> {
    let newest = sqlx::query!(
        r#"select j.id as "job!", count(*) over () as "results!"
           from kie.job j join kie.asset a on a.job_id = j.id
           where j.updated_at >= $1 and j.entered_at >= $1 and a.state = 'lost' and a.role = 'output' and a.blocked
           order by j.entered_at desc, j.id desc limit 1"#,
        since,
    );
    let newest = newest.fetch_optional(snapshot).await.map_err(store_error)?;
    newest
        .map(|row| {
            let results = number("asset", "count", row.results)?;
            Ok(Blocked { results, job: JobId::from_uuid(row.job) })
        })
        .transpose()
}
