//! Lines of history as arrays for one statement.

use std::collections::HashMap;

use domain::{JobId, TimelineEntry};
use sqlx::PgConnection;
use store::{NewEntry, StoreError};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::store_error;
use crate::row::{Moment, TimelineRow, clean};

/// Columns of new lines. Lines of one job with the same fold key are one line here already: a statement cannot meet the
/// same row twice.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) jobs: Vec<Uuid>,
    pub(crate) times: Vec<i32>,
    pub(crate) sources: Vec<String>,
    pub(crate) events: Vec<String>,
    pub(crate) details: Vec<Option<String>>,
    pub(crate) folds: Vec<Option<String>>,
}

impl Lines {
    /// The lines of one job.
    pub(crate) fn of(job: Uuid, entries: &[NewEntry]) -> Self {
        let mut lines = Self::default();
        lines.add(job, entries);
        lines
    }

    /// Adds the lines of one more job.
    pub(crate) fn add(&mut self, job: Uuid, entries: &[NewEntry]) {
        let mut folded = HashMap::new();
        for entry in entries {
            if let Some(fold) = &entry.fold {
                let place = *folded.entry(fold).or_insert(self.jobs.len());
                if let (Some(times), Some(detail)) = (self.times.get_mut(place), self.details.get_mut(place))
                {
                    *times = times.saturating_add(1);
                    *detail = entry.detail.as_deref().map(clean);
                    continue;
                }
            }
            self.jobs.push(job);
            self.times.push(1);
            self.sources.push(entry.source.to_owned());
            self.events.push(entry.event.to_owned());
            self.details.push(entry.detail.as_deref().map(clean));
            self.folds.push(entry.fold.as_deref().map(clean));
        }
    }
}

/// Writes lines outside of a step.
pub(crate) async fn write(store: &PostgresStore, lines: &Lines, at: Moment) -> Result<(), StoreError> {
    let mut connection = store.pool.acquire().await.map_err(store_error)?;
    write_in(&mut connection, lines, at).await
}

/// The same inside a transaction.
pub(crate) async fn write_in(db: &mut PgConnection, lines: &Lines, at: Moment) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into kie.timeline as t (job_id, at, last_at, times, source, event, detail, fold)
         select n.job_id, $7, $7, n.times, n.source, n.event, n.detail, n.fold
         from unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::text[])
           with ordinality as n(job_id, times, source, event, detail, fold, place)
         order by n.place
         on conflict (job_id, fold) where fold is not null
         do update set times = t.times + excluded.times, last_at = greatest(t.last_at, excluded.last_at),
           detail = excluded.detail",
        &lines.jobs,
        &lines.times,
        &lines.sources,
        &lines.events,
        &lines.details as &[Option<String>],
        &lines.folds as &[Option<String>],
        at,
    )
    .execute(db)
    .await
    .map_err(store_error)?;
    Ok(())
}

/// The lines of these jobs, oldest first.
pub(crate) async fn read(
    store: &PostgresStore,
    jobs: &[JobId],
) -> Result<HashMap<JobId, Vec<TimelineEntry>>, StoreError> {
    let jobs: Vec<Uuid> = jobs.iter().map(|job| job.as_uuid()).collect();
    let rows = sqlx::query_as!(
        TimelineRow,
        "select job_id, at, last_at, times, source, event, detail from kie.timeline where job_id = any($1)
         order by job_id, seq",
        &jobs,
    );
    let mut lines: HashMap<JobId, Vec<TimelineEntry>> = HashMap::new();
    for row in rows.fetch_all(&store.pool).await.map_err(store_error)? {
        lines.entry(JobId::from_uuid(row.job_id)).or_default().push(row.try_into()?);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_one_fold_key_are_one_line_within_their_job() {
        let line = |fold: Option<&str>| NewEntry {
            source: "worker",
            event: "poll.failed",
            detail: Some("nul \0".to_owned()),
            fold: fold.map(str::to_owned),
        };
        let mut lines =
            Lines::of(Uuid::from_u128(1), &[line(Some("a")), line(None), line(Some("a")), line(None)]);
        lines.add(Uuid::from_u128(2), &[line(Some("a"))]);
        assert_eq!(lines.times, [2, 1, 1, 1]);
        assert_eq!(lines.folds, [Some("a".to_owned()), None, None, Some("a".to_owned())]);
        assert_eq!(lines.jobs.last(), Some(&Uuid::from_u128(2)));
        assert!(lines.details.iter().flatten().all(|detail| !detail.contains('\0')));
    }
}
