//! The port through which an account's request limits are kept, and a limiter for one process.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

/// What is about to be sent; the provider counts these apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// A paid call: 20 in 10 seconds for each account, all its keys and processes together.
    Create,
    /// A read of a record, of the balance or of a link: 10 in a second for each task.
    Read,
    /// The list of models, a schema, a price, a success rate: one in a second for each account.
    Discovery,
    /// A file for use as input.
    Upload,
}

/// Asked before every request, retries included. Implement it over a shared store when several processes use one
/// account; the client itself limits nothing unless it is given a limiter.
#[async_trait]
pub trait Limiter: Send + Sync {
    /// Returns when the request may be sent, or refuses. A refused create is certainly not sent. Of a read the future
    /// may be dropped, when the time of its [`RetryPolicy`](crate::RetryPolicy) is over.
    async fn acquire(&self, call: Call) -> Result<(), Denied>;
}

/// The limiter refuses instead of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the limiter refuses the request")]
#[non_exhaustive]
pub struct Denied {
    /// When it may be asked again.
    pub retry_after: Option<Duration>,
}

impl Denied {
    /// A refusal, with the wait where it is known: `Denied::new(Duration::from_secs(3))`, `Denied::new(None)`.
    pub fn new(retry_after: impl Into<Option<Duration>>) -> Self {
        Self { retry_after: retry_after.into() }
    }
}

/// Keeps the account's limits within one process: requests wait in order for their slot.
#[derive(Debug)]
pub struct WindowLimiter {
    creates: Window,
    discovery: Window,
    max_wait: Duration,
}

impl WindowLimiter {
    /// At most `creates` paid calls in any `window`, one discovery call in 1.1 seconds, and no wait longer than
    /// `max_wait`: beyond it the limiter refuses.
    pub fn new(creates: u32, window: Duration, max_wait: Duration) -> Self {
        Self {
            creates: Window::new(creates, window),
            discovery: Window::new(1, Duration::from_millis(1100)),
            max_wait,
        }
    }
}

impl Default for WindowLimiter {
    /// A little under the documented limit: 18 paid calls in 10 seconds, waiting up to a minute.
    fn default() -> Self {
        Self::new(18, Duration::from_secs(10), Duration::from_mins(1))
    }
}

#[async_trait]
impl Limiter for WindowLimiter {
    async fn acquire(&self, call: Call) -> Result<(), Denied> {
        let window = match call {
            Call::Create => &self.creates,
            Call::Discovery => &self.discovery,
            Call::Read | Call::Upload => return Ok(()),
        };
        let slot = window.reserve(Instant::now(), self.max_wait)?;
        sleep_until(slot).await;
        Ok(())
    }
}

/// The last `size` slots that were given out; a slot may lie in the future.
#[derive(Debug)]
struct Window {
    size: usize,
    length: Duration,
    slots: Mutex<VecDeque<Instant>>,
}

impl Window {
    fn new(size: u32, length: Duration) -> Self {
        Self { size: size.max(1) as usize, length, slots: Mutex::default() }
    }

    fn reserve(&self, now: Instant, max_wait: Duration) -> Result<Instant, Denied> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = match slots.front() {
            Some(oldest) if slots.len() == self.size => {
                // A window may be longer than any clock.
                now.max(oldest.checked_add(self.length).ok_or_else(|| Denied::new(None))?)
            }
            _ => now,
        };
        if slot - now > max_wait {
            return Err(Denied::new(slot - now));
        }
        if slots.len() == self.size {
            slots.pop_front();
        }
        slots.push_back(slot);
        Ok(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_window_holds_more_than_its_size() {
        let limiter = WindowLimiter::new(3, Duration::from_secs(10), Duration::from_mins(1));
        let start = Instant::now();
        let mut times = Vec::new();
        for _ in 0..9 {
            limiter.acquire(Call::Create).await.unwrap();
            times.push(start.elapsed());
        }
        for group in times.windows(4) {
            assert!(group[3] >= group[0] + Duration::from_secs(10), "{times:?}");
        }
        assert_eq!(times[8], Duration::from_secs(20));
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_what_would_wait_too_long() {
        let limiter = WindowLimiter::new(1, Duration::from_secs(10), Duration::from_secs(5));
        limiter.acquire(Call::Create).await.unwrap();
        let denied = limiter.acquire(Call::Create).await.unwrap_err();
        assert_eq!(denied.retry_after, Some(Duration::from_secs(10)));
        limiter.acquire(Call::Read).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_is_too_long() {
        let limiter = WindowLimiter::new(1, Duration::MAX, Duration::MAX);
        limiter.acquire(Call::Create).await.unwrap();
        assert_eq!(limiter.acquire(Call::Create).await, Err(Denied::new(None)));
    }
}
