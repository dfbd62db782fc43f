//! Waiting for a task by reading its record, for programs that need nothing better.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    client::Client,
    error::ReadError,
    record::{Record, TaskState},
    task::TaskId,
};

/// The pace and the ends of [`Client::wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitPolicy {
    /// The first pause between reads; each next one is half as long again.
    pub first_pause: Duration,
    /// The longest pause.
    pub max_pause: Duration,
    /// How long a record may be missing, as it is for young tasks, and how long results may be missing from a
    /// record that says success.
    pub grace: Duration,
    /// When to give up. The task goes on at the provider.
    pub timeout: Duration,
}

impl Default for WaitPolicy {
    /// Pauses of 3 to 15 seconds, 90 seconds of grace, 30 minutes in all.
    fn default() -> Self {
        Self {
            first_pause: Duration::from_secs(3),
            max_pause: Duration::from_secs(15),
            grace: Duration::from_secs(90),
            timeout: Duration::from_mins(30),
        }
    }
}

/// Why waiting ended without a final record. The task may still end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The record cannot be read.
    #[error("the record of the task cannot be read")]
    Read(#[source] ReadError),
    /// The time is over; the last record that was read, if any.
    #[error("the task did not end in time")]
    TimedOut(Option<Box<Record>>),
    /// The provider says success and shows no result even after the grace.
    #[error("the task succeeded without a result")]
    NoResult(Box<Record>),
}

impl Client {
    /// Reads the record until it is final: failed, or succeeded with its results. A missing record is waited for
    /// during the grace, and passing faults of the provider until the time is over.
    pub async fn wait(&self, task_id: &TaskId, policy: &WaitPolicy) -> Result<Record, WaitError> {
        let start = Instant::now();
        let mut pause = policy.first_pause;
        let mut last: Option<Box<Record>> = None;
        let mut succeeded_at: Option<Instant> = None;
        loop {
            match self.record(task_id).await {
                Ok(record) if record.state == TaskState::Fail || record.has_results() => return Ok(record),
                Ok(record) if record.state == TaskState::Success => {
                    let since = *succeeded_at.get_or_insert_with(Instant::now);
                    if since.elapsed() >= policy.grace {
                        return Err(WaitError::NoResult(Box::new(record)));
                    }
                    last = Some(Box::new(record));
                }
                Ok(record) => last = Some(Box::new(record)),
                Err(error) if error.is_not_found() && start.elapsed() < policy.grace => {}
                Err(error) if error.is_retryable() => {}
                Err(error) => return Err(WaitError::Read(error)),
            }
            if start.elapsed() + pause > policy.timeout {
                return Err(WaitError::TimedOut(last));
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(policy.max_pause);
        }
    }
}
