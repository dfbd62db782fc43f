//! Jobs on PostgreSQL.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use domain::{AccountId, Attempt, Job, JobId, Scope, TimelineEntry, Timestamp};
use store::{
    Began, BeginAttempt, ClaimJobs, Flags, JobFilter, JobStore, NewEntry, Recorded, Step, StoreError,
    TaskSaved, WakeJob,
};
use tokio::sync::watch;

use crate::PostgresStore;
use crate::error::{retrying, store_error};
use crate::row::{AttemptRow, all, jobs, moment};
use crate::timeline::{self, Lines};

mod attempt;
mod claim;
mod list;
mod record;
mod wake;

pub(crate) use list::unreadable_jobs;

#[async_trait]
impl JobStore for PostgresStore {
    async fn claim_jobs(&self, claim: &ClaimJobs) -> Result<Vec<Job>, StoreError> {
        retrying(|| claim::claim(self, claim)).await
    }

    async fn renew_lease(&self, job: JobId, fence: i64, lease_until: Timestamp) -> Result<bool, StoreError> {
        let renewed = sqlx::query!(
            "update kie.job set lease_until = greatest(lease_until, $3)
             where id = $1 and fence = $2 and lease_until is not null",
            job.as_uuid(),
            fence,
            moment(lease_until),
        );
        Ok(renewed.execute(&self.pool).await.map_err(store_error)?.rows_affected() > 0)
    }

    async fn begin_attempt(&self, begin: &BeginAttempt) -> Result<Began, StoreError> {
        let answer = retrying(|| attempt::begin(self, begin)).await?;
        if answer == Began::Committed {
            self.signals.changed();
        }
        Ok(answer)
    }

    async fn record(&self, step: &Step) -> Result<Recorded, StoreError> {
        let recorded = record::record(self, step).await?;
        if recorded == Recorded::Applied {
            self.signals.changed();
        }
        Ok(recorded)
    }

    async fn save_task(
        &self,
        job: JobId,
        attempt: u16,
        task_id: &str,
        at: Timestamp,
    ) -> Result<TaskSaved, StoreError> {
        let saved = retrying(|| attempt::save_task(self, job, attempt, task_id, at)).await?;
        if saved == TaskSaved::Saved {
            self.signals.changed();
        }
        Ok(saved)
    }

    async fn wake_job(&self, wake: &WakeJob) -> Result<bool, StoreError> {
        let woken = retrying(|| wake::wake_job(self, wake)).await?;
        if woken {
            self.signals.changed();
        }
        Ok(woken)
    }

    async fn wake_account_jobs(
        &self,
        account: AccountId,
        at: Timestamp,
        at_most_every: Duration,
    ) -> Result<u64, StoreError> {
        let woken = retrying(|| wake::wake_account_jobs(self, account, at, at_most_every)).await?;
        if woken > 0 {
            self.signals.changed();
        }
        Ok(woken)
    }

    async fn note(&self, job: JobId, entries: &[NewEntry], at: Timestamp) -> Result<(), StoreError> {
        let lines = Lines::of(job.as_uuid(), entries);
        retrying(|| timeline::write(self, &lines, moment(at))).await
    }

    async fn flag_job(
        &self,
        job: JobId,
        account: AccountId,
        flags: Flags,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let flagged = sqlx::query!(
            "update kie.job set favourite = coalesce($3, favourite),
               hidden_at = case when $4::boolean is null then hidden_at when $4 then coalesce(hidden_at, $5) end,
               updated_at = $5, version = version + 1
             where id = $1 and account_id = $2",
            job.as_uuid(),
            account.as_uuid(),
            flags.favourite,
            flags.hidden,
            moment(at),
        );
        let flagged = flagged.execute(&self.pool).await.map_err(store_error)?.rows_affected() > 0;
        if flagged {
            self.signals.changed();
        }
        Ok(flagged)
    }

    async fn find_job(&self, job: JobId, scope: Scope) -> Result<Option<Job>, StoreError> {
        let row = jobs!(
            "select ",
            " from kie.job j where j.id = $1 and ($2::uuid is null or j.account_id = $2)",
            job.as_uuid(),
            scope.account().map(AccountId::as_uuid),
        );
        row.fetch_optional(&self.pool).await.map_err(store_error)?.map(Job::try_from).transpose()
    }

    async fn find_job_by_task(&self, task_id: &str) -> Result<Option<(Job, u16)>, StoreError> {
        attempt::find_job_by_task(self, task_id).await
    }

    async fn list_jobs(&self, filter: &JobFilter) -> Result<Vec<Job>, StoreError> {
        list::list_jobs(self, filter).await
    }

    async fn changed_jobs(&self, scope: Scope, since: Timestamp, limit: u32) -> Result<Vec<Job>, StoreError> {
        list::changed_jobs(self, scope, since, limit).await
    }

    async fn attempts(&self, job: JobId) -> Result<Vec<Attempt>, StoreError> {
        let rows = sqlx::query_as!(
            AttemptRow,
            "select job_id, number, sent_at, task_id, answer from kie.attempt where job_id = $1 order by number",
            job.as_uuid(),
        );
        all(rows.fetch_all(&self.pool).await.map_err(store_error)?)
    }

    async fn timelines(&self, jobs: &[JobId]) -> Result<HashMap<JobId, Vec<TimelineEntry>>, StoreError> {
        timeline::read(self, jobs).await
    }

    async fn next_wake(&self) -> Result<Option<Timestamp>, StoreError> {
        wake::next_wake(self).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.signals.subscribe()
    }
}
