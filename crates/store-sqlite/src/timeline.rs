//! Lines of a job's history; repeats are counted in one line.

use std::collections::HashMap;

use domain::{JobId, TimelineEntry, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqlitePool;
use store::{NewEntry, StoreError};
use uuid::Uuid;

use crate::row::{Cell, id_list, micros};
use crate::writer::Meaning;

/// Appends lines.
pub(crate) async fn add_entries_in(
    connection: &mut SqliteConnection,
    job: JobId,
    entries: &[NewEntry],
    at: Timestamp,
) -> Result<(), StoreError> {
    let (job, at) = (job.as_uuid(), micros(at));
    for entry in entries {
        sqlx::query!(
            "insert into timeline (job_id, at, last_at, source, event, detail, fold) values (?1, ?2, ?2, ?3, ?4, ?5, ?6)
             on conflict (job_id, fold) where fold is not null
             do update set times = times + 1, last_at = max(last_at, excluded.last_at), detail = excluded.detail",
            job,
            at,
            entry.source,
            entry.event,
            entry.detail,
            entry.fold,
        )
        .execute(&mut *connection)
        .await
        .meaning()?;
    }
    Ok(())
}

struct EntryRow {
    job: Uuid,
    at: i64,
    last_at: i64,
    times: i64,
    source: String,
    event: String,
    detail: Option<String>,
    seq: i64,
}

/// The lines of these jobs, oldest first.
pub(crate) async fn entries(
    readers: &SqlitePool,
    jobs: &[JobId],
) -> Result<HashMap<JobId, Vec<TimelineEntry>>, StoreError> {
    let jobs = id_list(jobs.iter().map(|job| job.as_uuid()));
    let rows = sqlx::query_as!(
        EntryRow,
        r#"select job_id as "job!: Uuid", at as "at!", last_at as "last_at!", times as "times!", source as "source!",
             event as "event!", detail as "detail?", seq as "seq!"
           from timeline where job_id in (select unhex(value) from json_each(?1)) order by job_id, seq"#,
        jobs,
    )
    .fetch_all(readers)
    .await
    .meaning()?;
    let mut lines: HashMap<JobId, Vec<TimelineEntry>> = HashMap::new();
    for row in rows {
        lines.entry(JobId::from_uuid(row.job)).or_default().push(row.try_into()?);
    }
    Ok(lines)
}

impl TryFrom<EntryRow> for TimelineEntry {
    type Error = StoreError;

    fn try_from(row: EntryRow) -> Result<Self, StoreError> {
        let cell = Cell { table: "timeline", id: &row.seq };
        Ok(Self {
            at: cell.time("at", row.at)?,
            last_at: cell.time("last_at", row.last_at)?,
            times: cell.number("times", row.times)?,
            source: row.source,
            event: row.event,
            detail: row.detail,
        })
    }
}
