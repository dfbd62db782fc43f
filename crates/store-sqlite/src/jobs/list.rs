//! Lists of jobs, newest first.

use domain::{AccountId, BatchId, Job, JobId, JobState, MediaKind, Scope, Timestamp};
use store::{JobFilter, StoreError, filled_page};
use uuid::Uuid;

use super::{JobRow, job_rows};
use crate::SqliteStore;
use crate::row::{micros, micros_opt, readable, to_json};
use crate::writer::Meaning;

/// What every list has in common; the text before it picks the index to walk.
macro_rules! listed {
    ($head:tt, $filter:ident, $values:ident, $first:expr) => {
        job_rows!(
            [$head
                + " and (?2 is null or account_id = ?2)
                    and (?3 is null or state in (select value from json_each(?3)))
                    and (?4 is null or kind = ?4)
                    and (?5 is null or model = ?5)
                    and (?6 is null or batch_id = ?6)
                    and (?7 is null or prompt glob ?7)
                    and (?8 is null or favourite = ?8)
                    and (?9 or hidden_at is null)
                    and id < ?10 and id >= ?13
                    and (?11 is null or created_at >= ?11)
                  order by id desc limit ?12"],
            $first,
            $values.account,
            $values.states,
            $values.kind,
            $filter.model,
            $values.batch,
            $values.prompt,
            $filter.favourite,
            $filter.with_hidden,
            $values.before,
            $values.since,
            $filter.limit,
            $values.first,
        )
    };
}

/// The filter as rows have it.
struct Values {
    account: Option<Uuid>,
    states: Option<String>,
    kind: Option<&'static str>,
    batch: Option<Uuid>,
    prompt: Option<String>,
    first: Uuid,
    before: Uuid,
    since: Option<i64>,
}

impl Values {
    fn of(filter: &JobFilter) -> Result<Self, StoreError> {
        let states: Vec<&str> = filter.states.iter().map(|state: &JobState| state.as_str()).collect();
        let (first, before) = filter.id_bounds();
        Ok(Self {
            account: filter.account.map(AccountId::as_uuid),
            states: (!states.is_empty()).then(|| to_json(&states)).transpose()?,
            kind: filter.kind.map(MediaKind::as_str),
            batch: filter.batch.map(BatchId::as_uuid),
            prompt: filter.prompt.as_deref().map(containing),
            first: first.as_uuid(),
            before: before.as_uuid(),
            since: micros_opt(filter.since),
        })
    }
}

impl SqliteStore {
    /// The jobs that pass the filter. A row that cannot be read is told of and left out.
    pub(super) async fn jobs_by(&self, filter: &JobFilter) -> Result<Vec<Job>, StoreError> {
        filled_page(filter.limit, |limit| async move {
            let rows = self.rows_by(&JobFilter { limit, ..filter.clone() }).await?;
            Ok((rows.len(), readable("job", rows, |row| row.id)))
        })
        .await
    }

    /// Every job (of this account) that cannot be read, and why; at most a thousand.
    pub(crate) async fn unreadable_jobs(
        &self,
        account: Option<AccountId>,
    ) -> Result<Vec<(Uuid, String)>, StoreError> {
        let mut filter = JobFilter { account, with_hidden: true, limit: 1_000, ..JobFilter::default() };
        let mut found = Vec::new();
        loop {
            let rows = self.rows_by(&filter).await?;
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

    /// As [`SqliteStore::jobs_by`], by the time of their change.
    pub(super) async fn jobs_changed(
        &self,
        scope: Scope,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        filled_page(limit, |limit| async move {
            let rows = self.changed_rows(scope, since, limit).await?;
            Ok((rows.len(), readable("job", rows, |row| row.id)))
        })
        .await
    }

    async fn changed_rows(
        &self,
        scope: Scope,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<JobRow>, StoreError> {
        let since = micros(since);
        let rows = match scope.account().map(AccountId::as_uuid) {
            Some(account) => {
                job_rows!(
                    "where account_id = ?1 and updated_at >= ?2 order by updated_at, id limit ?3",
                    account,
                    since,
                    limit,
                )
                .fetch_all(self.readers())
                .await
            }
            None => {
                job_rows!("where updated_at >= ?1 order by updated_at, id limit ?2", since, limit)
                    .fetch_all(self.readers())
                    .await
            }
        };
        rows.meaning()
    }

    async fn rows_by(&self, filter: &JobFilter) -> Result<Vec<JobRow>, StoreError> {
        let values = Values::of(filter)?;
        let db = self.readers();
        let (open, awake) = (filter.all_hold_money(), filter.all_are_awake());
        let rows = if let Some(task) = &filter.task {
            listed!(
                "where id in (select job_id from attempt where provider = 'kie' and task_id = ?1)",
                filter,
                values,
                task
            )
            .fetch_all(db)
            .await
        } else if let Some(batch) = values.batch {
            listed!("where batch_id = ?1", filter, values, batch).fetch_all(db).await
        } else if let Some(account) = values.account.filter(|_| open) {
            listed!(
                "indexed by job_open
                 where account_id = ?1 and state in ('pending', 'submitting', 'unclear', 'running', 'storing')",
                filter,
                values,
                account
            )
            .fetch_all(db)
            .await
        } else if let Some(account) = values.account {
            listed!("where account_id = ?1", filter, values, account).fetch_all(db).await
        } else if awake {
            listed!(
                "indexed by job_due where ?1 and wake_at is not null and state <> 'pending'",
                filter,
                values,
                true
            )
            .fetch_all(db)
            .await
        } else if open {
            listed!(
                "indexed by job_open
                 where ?1 and state in ('pending', 'submitting', 'unclear', 'running', 'storing')",
                filter,
                values,
                true
            )
            .fetch_all(db)
            .await
        } else {
            listed!("where ?1", filter, values, true).fetch_all(db).await
        };
        rows.meaning()
    }
}

/// A glob for texts that contain `part` in any case. SQLite's own `like` folds the case of Latin letters only.
fn containing(part: &str) -> String {
    let mut glob = String::from("*");
    for letter in part.chars() {
        let (lower, upper) = (only(letter.to_lowercase()), only(letter.to_uppercase()));
        match (lower, upper) {
            _ if matches!(letter, '*' | '?' | '[') => glob.extend(['[', letter, ']']),
            (Some(lower), Some(upper)) if lower != upper => glob.extend(['[', lower, upper, letter, ']']),
            _ => glob.push(letter),
        }
    }
    glob.push('*');
    glob
}

fn only(mut letters: impl Iterator<Item = char>) -> Option<char> {
    let first = letters.next()?;
    letters.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_has_both_cases_of_every_letter_and_no_wildcard_of_the_searcher() {
        assert_eq!(containing("кОт"), "*[кКк][оОО][тТт]*");
        assert_eq!(containing("1*?[]ß"), "*1[*][?][[]]ß*");
    }
}
