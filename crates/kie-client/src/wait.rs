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
///
/// ```
/// use std::time::Duration;
/// use kie_client::WaitPolicy;
///
/// let for_a_video = WaitPolicy::new().timeout(Duration::from_hours(3));
/// assert_eq!(for_a_video.grace, WaitPolicy::default().grace);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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

impl WaitPolicy {
    /// Pauses of 3 to 15 seconds, 90 seconds of grace, 30 minutes in all.
    pub const fn new() -> Self {
        Self {
            first_pause: Duration::from_secs(3),
            max_pause: Duration::from_secs(15),
            grace: Duration::from_secs(90),
            timeout: Duration::from_mins(30),
        }
    }

    /// The same with this first pause.
    #[must_use]
    pub const fn first_pause(mut self, pause: Duration) -> Self {
        self.first_pause = pause;
        self
    }

    /// The same with this longest pause.
    #[must_use]
    pub const fn max_pause(mut self, pause: Duration) -> Self {
        self.max_pause = pause;
        self
    }

    /// The same with this grace.
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The same with this time in all.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The pause that follows this one.
    fn after(&self, pause: Duration) -> Duration {
        (pause.saturating_mul(3) / 2).min(self.max_pause)
    }
}

impl Default for WaitPolicy {
    /// That of [`new`](Self::new).
    fn default() -> Self {
        Self::new()
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
            let read = self.record(task_id).await;
            let asked = read.as_ref().err().and_then(ReadError::retry_after).unwrap_or_default();
            match read {
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
            // A pause may be longer than any clock.
            if start.elapsed().saturating_add(pause.max(asked)) > policy.timeout {
                return Err(WaitError::TimedOut(last));
            }
            sleep(pause.max(asked)).await;
            pause = policy.after(pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_never_overflow() {
        let policy = WaitPolicy::new();
        assert_eq!(policy.after(Duration::from_secs(4)), Duration::from_secs(6));
        assert_eq!(policy.after(Duration::from_secs(14)), policy.max_pause);
        let endless = policy.max_pause(Duration::MAX);
        assert_eq!(endless.after(Duration::MAX), Duration::MAX / 2);
        assert!(endless.after(Duration::MAX / 3) > Duration::MAX / 3);
    }
}
