//! How often a read is repeated: bounded by attempts and by time, with jitter.

use std::{future::Future, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::{Instant, sleep};

use crate::error::ReadError;

/// The bounds for repeating a read. Paid calls and uploads are never repeated.
///
/// ```
/// use std::time::Duration;
/// use kie_client::RetryPolicy;
///
/// let policy = RetryPolicy::new(3, Duration::from_secs(20)).first_delay(Duration::from_millis(100));
/// assert_eq!(policy.attempts, 3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Attempts in all, the first included; 0 counts as 1.
    pub attempts: u32,
    /// Time in all, from the first attempt to the end of the last, waits for the limiter included.
    pub total: Duration,
    /// About how long the first wait is; later ones double, and each is lengthened by chance.
    pub first_delay: Duration,
    /// The longest wait before chance is added.
    pub max_delay: Duration,
}

impl RetryPolicy {
    /// A policy with the default waits.
    pub fn new(attempts: u32, total: Duration) -> Self {
        Self { attempts, total, ..Self::default() }
    }

    /// Every request is sent once.
    pub fn never() -> Self {
        Self::new(1, Self::default().total)
    }

    /// The same with this first wait.
    #[must_use]
    pub const fn first_delay(mut self, delay: Duration) -> Self {
        self.first_delay = delay;
        self
    }

    /// The same with this longest wait.
    #[must_use]
    pub const fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    fn delays(&self) -> impl Iterator<Item = Duration> {
        ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(self.first_delay)
            .with_max_delay(self.max_delay)
            .with_max_times(self.attempts.saturating_sub(1) as usize)
            .build()
    }
}

impl Default for RetryPolicy {
    /// Four attempts within 60 seconds, waiting 0.5, 1 and 2 seconds and a little more by chance.
    fn default() -> Self {
        Self {
            attempts: 4,
            total: Duration::from_mins(1),
            first_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(5),
        }
    }
}

/// When the time of a read is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    start: Instant,
    total: Duration,
}

impl Deadline {
    /// A span that may be longer than any clock.
    fn after(total: Duration) -> Self {
        Self { start: Instant::now(), total }
    }

    /// The time that is left now.
    pub(crate) fn left(self) -> Duration {
        self.total.saturating_sub(self.start.elapsed())
    }
}

/// Repeats `attempt` while its error is retryable and the policy allows. An attempt keeps the deadline by itself.
pub(crate) async fn repeat<T, F, Fut>(policy: &RetryPolicy, mut attempt: F) -> Result<T, ReadError>
where
    F: FnMut(Deadline) -> Fut,
    Fut: Future<Output = Result<T, ReadError>>,
{
    let deadline = Deadline::after(policy.total);
    let mut delays = policy.delays();
    loop {
        let error = match attempt(deadline).await {
            Ok(value) => return Ok(value),
            Err(error) if !error.is_retryable() => return Err(error),
            Err(error) => error,
        };
        let Some(delay) = delays.next() else { return Err(error) };
        let delay = delay.max(error.retry_after().unwrap_or_default());
        if delay >= deadline.left() {
            return Err(error);
        }
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(fault = error.kind(), code = error.code(), delay_ms, "reading again");
        sleep(delay).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn unavailable() -> ReadError {
        ReadError::Unavailable { retry_after: None, code: 500, message: String::new(), body: None }
    }

    async fn count(policy: RetryPolicy, error: fn() -> ReadError) -> u32 {
        let calls = Cell::new(0);
        let result: Result<(), _> = repeat(&policy, |_| {
            calls.set(calls.get() + 1);
            async { Err(error()) }
        })
        .await;
        result.unwrap_err();
        calls.get()
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_counted() {
        assert_eq!(count(RetryPolicy::new(3, Duration::from_mins(10)), unavailable).await, 3);
        assert_eq!(count(RetryPolicy::never(), unavailable).await, 1);
        assert_eq!(count(RetryPolicy::new(0, Duration::from_mins(10)), unavailable).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_counted() {
        let start = Instant::now();
        let calls = count(RetryPolicy::new(1000, Duration::from_secs(20)), unavailable).await;
        assert!((3..12).contains(&calls), "{calls}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_retry_after_ends_the_tries() {
        let error = || ReadError::Throttled {
            retry_after: Some(Duration::from_hours(1)),
            code: Some(429),
            message: String::new(),
            body: None,
        };
        assert_eq!(count(RetryPolicy::default(), error).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_after_lengthens_the_wait() {
        let error = || ReadError::Unavailable {
            retry_after: Some(Duration::from_secs(9)),
            code: 455,
            message: String::new(),
            body: None,
        };
        let start = Instant::now();
        assert_eq!(count(RetryPolicy::new(3, Duration::from_mins(10)), error).await, 3);
        assert_eq!(start.elapsed().as_secs(), 18);
    }

    #[tokio::test(start_paused = true)]
    async fn no_span_is_too_long() {
        let endless = RetryPolicy::new(2, Duration::MAX);
        assert_eq!(count(endless, unavailable).await, 2);
        assert_eq!(count(endless.first_delay(Duration::MAX).max_delay(Duration::MAX), unavailable).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_final() {
        let error = || ReadError::Rejected { code: 400, message: String::new() };
        assert_eq!(count(RetryPolicy::default(), error).await, 1);
    }
}
