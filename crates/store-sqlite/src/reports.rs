//! Reports: what operators look at; the audit's queries are in their own file.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use domain::{AccountId, DeliveryState, Job, JobId, JobState, Timestamp, Transfer};
use sqlx::SqliteConnection;
use store::{
    AuditFinding, Blocked, Due, KindCounts, ModelTimes, Overview, Percentiles, ReportStore, StoreError,
    StuckLimits, TransferStore, UNKNOWN_WORD,
};
use uuid::Uuid;

use crate::SqliteStore;
use crate::jobs::job_rows;
use crate::row::{Cell, id_list, micros, micros_of, micros_opt, readable, to_json};
use crate::writer::Meaning;

/// Times of models are taken from so many of the newest jobs of the window.
const SAMPLE_MAX: i64 = 100_000;
/// Models in one overview.
const MODELS_MAX: i64 = 50;

#[async_trait]
impl ReportStore for SqliteStore {
    async fn audit(&self, _now: Timestamp) -> Result<Vec<AuditFinding>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let mut found = crate::audit::findings(&mut snapshot).await?;
        found.extend(self.unreadable_jobs(None).await?.into_iter().map(|(id, error)| {
            let detail = format!("nobody can work on it or show it: {error}");
            AuditFinding { invariant: "I4", noun: "job", id: id.to_string(), detail }
        }));
        found.sort_by_key(|finding| (finding.invariant, finding.noun));
        Ok(found)
    }

    async fn overview(&self, since: Timestamp, now: Timestamp) -> Result<Overview, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let since = micros(since);
        Ok(Overview {
            states: count_states(&mut snapshot, since).await?,
            deliveries: count_deliveries(&mut snapshot, since).await?,
            models: model_times(&mut snapshot, since).await?,
            outputs: count_outputs(&mut snapshot, since).await?,
            oldest_due: find_oldest_due(&mut snapshot, micros(now)).await?,
            orphans: count_orphans(&mut snapshot, since).await?,
            unknown_words: unknown_words(&mut snapshot).await?,
            blocked: find_blocked(&mut snapshot, since).await?,
        })
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Due, StoreError> {
        let at = micros(now);
        let rows = job_rows!(
            "where id in (
               select id from job where wake_at is not null and state <> 'pending' and wake_at <= ?1
                 and (lease_until is null or lease_until <= ?1)
               union all
               select id from job where state = 'pending' and wake_at <= ?1
                 and (lease_until is null or lease_until <= ?1))
             order by wake_at, id limit ?2",
            at,
            limit,
        );
        let jobs = readable("job", rows.fetch_all(self.readers()).await.meaning()?, |row| row.id);
        Ok(Due { jobs, deliveries: crate::deliveries::due(self, now, limit).await? })
    }

    async fn stuck_jobs(
        &self,
        limits: &StuckLimits,
        since: Option<Timestamp>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        let born = Born::of(limits, now)?;
        let since = micros_opt(since);
        let rows = job_rows!(
            "where state in ('pending', 'submitting', 'unclear', 'running', 'storing')
               and created_at < max(case kind when 'video' then ?3 when 'audio' then ?2 else ?1 end,
                 coalesce((select m.value from json_each(?4) m where m.key = job.model), 0))
               and (?5 is null or created_at >= ?5)
             order by created_at, id limit ?6",
            born.image,
            born.audio,
            born.video,
            born.models,
            since,
            limit,
        );
        Ok(readable("job", rows.fetch_all(self.readers()).await.meaning()?, |row| row.id))
    }

    async fn count_stuck(&self, limits: &StuckLimits, now: Timestamp) -> Result<u64, StoreError> {
        let born = Born::of(limits, now)?;
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!: i64" from job
               where state in ('pending', 'submitting', 'unclear', 'running', 'storing')
                 and created_at < max(case kind when 'video' then ?3 when 'audio' then ?2 else ?1 end,
                   coalesce((select m.value from json_each(?4) m where m.key = job.model), 0))"#,
            born.image,
            born.audio,
            born.video,
            born.models,
        )
        .fetch_one(self.readers())
        .await
        .meaning()?;
        Cell { table: "job", id: &"count" }.number("count", count)
    }

    async fn transfers_of(&self, jobs: &[JobId]) -> Result<Vec<Transfer>, StoreError> {
        let jobs = id_list(jobs.iter().map(|job| job.as_uuid()));
        let keys = sqlx::query_scalar!(
            "select key from transfer where job_id in (select unhex(value) from json_each(?1)) order by id desc",
            jobs,
        );
        // What is written is never changed or deleted.
        self.transfers_by_key(&keys.fetch_all(self.readers()).await.meaning()?).await
    }

    async fn unreadable_jobs_of(&self, account: AccountId) -> Result<Vec<JobId>, StoreError> {
        let found = self.unreadable_jobs(Some(account)).await?;
        Ok(found.into_iter().map(|(id, _why)| JobId::from_uuid(id)).collect())
    }
}

/// The moments before which what is stuck was ordered; those of models as one JSON object.
struct Born {
    image: i64,
    audio: i64,
    video: i64,
    models: String,
}

impl Born {
    fn of(limits: &StuckLimits, now: Timestamp) -> Result<Self, StoreError> {
        let before = |age: Duration| micros(now).saturating_sub(micros_of(age));
        let models: BTreeMap<&str, i64> =
            limits.models.iter().map(|(model, age)| (model.as_str(), before(*age))).collect();
        Ok(Self {
            image: before(limits.image),
            audio: before(limits.audio),
            video: before(limits.video),
            models: to_json(&models)?,
        })
    }
}

/// Open ones by the indexes of what is awake, ended ones by the time of their last change.
async fn count_states(db: &mut SqliteConnection, since: i64) -> Result<Vec<(JobState, u64)>, StoreError> {
    let rows = sqlx::query!(
        r#"select state as "state!: String", count(*) as "count!: i64" from (
             select state from job
             where state in ('pending', 'submitting', 'unclear', 'running', 'storing')
             union all
             select state from job where wake_at is not null and state <> 'pending' and state = 'draft'
             union all
             select state from job
             where updated_at >= ?1 and entered_at >= ?1 and state in ('done', 'failed', 'canceled')
           ) group by state"#,
        since,
    )
    .fetch_all(db)
    .await
    .meaning()?;
    let mut states = Vec::new();
    for row in rows {
        let cell = Cell { table: "job", id: &"count" };
        states.push((cell.word::<JobState>("state", &row.state)?, cell.number("count", row.count)?));
    }
    states.sort();
    Ok(states)
}

/// Those that were made changed their job then, which finds them without an index of their own.
async fn count_deliveries(
    db: &mut SqliteConnection,
    since: i64,
) -> Result<Vec<(DeliveryState, u64)>, StoreError> {
    let rows = sqlx::query!(
        r#"select state as "state!: String", count(*) as "count!: i64" from (
             select state from delivery where wake_at is not null
             union all
             select state from delivery where state = 'dead'
             union all
             select d.state from job j indexed by job_updated cross join delivery d on d.job_id = j.id
             where j.updated_at >= ?1 and d.state = 'done' and d.delivered_at >= ?1
           ) group by state"#,
        since,
    )
    .fetch_all(db)
    .await
    .meaning()?;
    let mut states = Vec::new();
    for row in rows {
        let cell = Cell { table: "delivery", id: &"count" };
        states.push((cell.word::<DeliveryState>("state", &row.state)?, cell.number("count", row.count)?));
    }
    states.sort();
    Ok(states)
}

/// Percentiles by nearest rank.
async fn model_times(db: &mut SqliteConnection, since: i64) -> Result<Vec<ModelTimes>, StoreError> {
    let rows = sqlx::query!(
        r#"with ended as materialized (
             select id, model, state, task_id, created_at, entered_at from job
             where updated_at >= ?1 and entered_at >= ?1 and state in ('done', 'failed', 'canceled')
             order by updated_at desc limit ?2
           ), took as (
             select model, 'stored' as what, entered_at - created_at as micros from ended where state = 'done'
             union all
             select e.model, 'task', a.task_at - e.created_at
             from ended e cross join attempt a on a.job_id = e.id and a.task_id = e.task_id where e.state = 'done'
             union all
             select e.model, 'delivered', max(d.delivered_at) - e.created_at
             from ended e cross join delivery d on d.job_id = e.id and d.event = 'job.done' and d.state = 'done'
             where e.state = 'done' group by e.id
           ), ranked as (
             select model, what, micros / 1000000.0 as seconds,
               row_number() over (partition by model, what order by micros) as place,
               count(*) over (partition by model, what) as jobs
             from took
           ), times as (
             select model, what, min(case when place * 100 >= jobs * 50 then seconds end) as p50,
               min(case when place * 100 >= jobs * 95 then seconds end) as p95
             from ranked group by model, what
           ), models as (
             select model, count(*) as jobs, sum(state = 'done') as done from ended
             group by model order by count(*) desc, model limit ?3
           )
           select m.model as "model!: String", m.jobs as "jobs!: i64", m.done as "done!: i64",
             task.p50 as "task_p50?: f64", task.p95 as "task_p95?: f64",
             stored.p50 as "stored_p50?: f64", stored.p95 as "stored_p95?: f64",
             delivered.p50 as "delivered_p50?: f64", delivered.p95 as "delivered_p95?: f64"
           from models m
           left join times task on task.model = m.model and task.what = 'task'
           left join times stored on stored.model = m.model and stored.what = 'stored'
           left join times delivered on delivered.model = m.model and delivered.what = 'delivered'
           order by m.jobs desc, m.model"#,
        since,
        SAMPLE_MAX,
        MODELS_MAX,
    )
    .fetch_all(db)
    .await
    .meaning()?;
    let models = rows.into_iter().map(|row| {
        let cell = Cell { table: "job", id: &row.model };
        Ok(ModelTimes {
            jobs: cell.number("count", row.jobs)?,
            done: cell.number("count", row.done)?,
            task: percentiles(row.task_p50, row.task_p95),
            stored: percentiles(row.stored_p50, row.stored_p95),
            delivered: percentiles(row.delivered_p50, row.delivered_p95),
            model: row.model,
        })
    });
    models.collect()
}

fn percentiles(p50: Option<f64>, p95: Option<f64>) -> Option<Percentiles> {
    Some(Percentiles { p50_s: p50?, p95_s: p95? })
}

/// A job changes when its outputs are written, so its last change finds them without an index of their own.
async fn count_outputs(db: &mut SqliteConnection, since: i64) -> Result<Vec<KindCounts>, StoreError> {
    let rows = sqlx::query!(
        r#"select a.kind as "kind!: String", count(*) as "expected!: i64",
             sum(a.state = 'stored') as "stored!: i64",
             coalesce(sum(case when a.state = 'stored' then a.bytes end), 0) as "bytes!: i64"
           from job j indexed by job_updated cross join asset a on a.job_id = j.id
           where j.updated_at >= ?1 and a.created_at >= ?1 and a.role = 'output'
           group by a.kind order by a.kind"#,
        since,
    )
    .fetch_all(db)
    .await
    .meaning()?;
    let counts = rows.into_iter().map(|row| {
        let cell = Cell { table: "asset", id: &"count" };
        Ok(KindCounts {
            kind: cell.word("kind", &row.kind)?,
            expected: cell.number("count", row.expected)?,
            stored: cell.number("count", row.stored)?,
            bytes: cell.number("bytes", row.bytes)?,
        })
    });
    counts.collect()
}

async fn find_oldest_due(db: &mut SqliteConnection, now: i64) -> Result<Option<Timestamp>, StoreError> {
    let oldest = sqlx::query_scalar!(
        r#"select wake_at as "wake_at!: i64" from job
           where wake_at is not null and state <> 'pending' and wake_at <= ?1
             and (lease_until is null or lease_until <= ?1)
           order by wake_at limit 1"#,
        now,
    )
    .fetch_optional(db)
    .await
    .meaning()?;
    Cell { table: "job", id: &"oldest" }.time_opt("wake_at", oldest)
}

async fn count_orphans(db: &mut SqliteConnection, since: i64) -> Result<u64, StoreError> {
    let count =
        sqlx::query_scalar!(r#"select count(*) as "count!: i64" from orphan where last_at >= ?1"#, since)
            .fetch_one(db)
            .await
            .meaning()?;
    Cell { table: "orphan", id: &"count" }.number("count", count)
}

/// Of jobs that are awake, so their number is small whatever the history; a failed reading told no word.
async fn unknown_words(db: &mut SqliteConnection) -> Result<Vec<(String, u64)>, StoreError> {
    let rows = sqlx::query!(
        r#"select coalesce(t.detail, '') as "word!: String", count(*) as "jobs!: i64"
           from job j indexed by job_due cross join timeline t on t.seq = (
             select n.seq from timeline n
             where n.job_id = j.id and n.event in ('record.read', 'record.empty', ?1)
             order by n.last_at desc, n.seq desc limit 1)
           where j.wake_at is not null and j.state <> 'pending' and j.state = 'running' and t.event = ?1
           group by t.detail order by count(*) desc, t.detail limit 10"#,
        UNKNOWN_WORD,
    )
    .fetch_all(db)
    .await
    .meaning()?;
    let cell = Cell { table: "job", id: &"count" };
    rows.into_iter().map(|row| Ok((row.word, cell.number("count", row.jobs)?))).collect()
}

/// A job changes when a result of it is given up, and then comes to its last state.
async fn find_blocked(db: &mut SqliteConnection, since: i64) -> Result<Option<Blocked>, StoreError> {
    let newest = sqlx::query!(
        r#"select j.id as "job!: Uuid", count(*) over () as "results!: i64"
           from asset a indexed by asset_blocked cross join job j on j.id = a.job_id
           where j.updated_at >= ?1 and j.entered_at >= ?1 and a.state = 'lost' and a.role = 'output' and a.blocked
           order by j.entered_at desc, j.id desc limit 1"#,
        since,
    )
    .fetch_optional(db)
    .await
    .meaning()?;
    let cell = Cell { table: "asset", id: &"count" };
    newest
        .map(|row| {
            Ok(Blocked { results: cell.number("count", row.results)?, job: JobId::from_uuid(row.job) })
        })
        .transpose()
}
