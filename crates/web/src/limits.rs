//! How much a caller may ask for: requests per second by token, or by address while nobody is known.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use domain::TokenId;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::problem::{Kind, Problem};

/// Bodies of JSON, bytes.
pub(crate) const JSON_BODY_MAX: usize = 1024 * 1024;
/// Unused counters are dropped after so many checks.
const SWEEP_EVERY: u32 = 8192;

/// The limits; absent when the deployer switched them off.
pub(crate) struct Limits {
    tokens: Option<DefaultKeyedRateLimiter<TokenId>>,
    addresses: Option<DefaultKeyedRateLimiter<IpAddr>>,
    checks: AtomicU32,
    clock: DefaultClock,
}

impl Limits {
    pub(crate) fn new(per_second: Option<u32>) -> Self {
        let quota = per_second.and_then(NonZeroU32::new).map(Quota::per_second);
        Self {
            tokens: quota.map(RateLimiter::keyed),
            addresses: quota.map(RateLimiter::keyed),
            checks: AtomicU32::new(0),
            clock: DefaultClock::default(),
        }
    }

    /// One more request by this token.
    pub(crate) fn check_token(&self, token: TokenId) -> Result<(), Problem> {
        self.sweep();
        self.check(self.tokens.as_ref(), &token)
    }

    /// One more request whose token has to be looked up.
    pub(crate) fn check_address(&self, address: Option<IpAddr>) -> Result<(), Problem> {
        self.sweep();
        address.map_or(Ok(()), |address| self.check(self.addresses.as_ref(), &address))
    }

    fn check<K>(&self, limiter: Option<&DefaultKeyedRateLimiter<K>>, key: &K) -> Result<(), Problem>
    where
        K: Clone + Eq + std::hash::Hash,
    {
        let Some(limiter) = limiter else { return Ok(()) };
        limiter.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            Problem::new(Kind::RateLimited).retry_after(wait.as_secs().saturating_add(1))
        })
    }

    fn sweep(&self) {
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY != SWEEP_EVERY - 1 {
            return;
        }
        if let Some(tokens) = &self.tokens {
            tokens.retain_recent();
        }
        if let Some(addresses) = &self.addresses {
            addresses.retain_recent();
        }
    }
}
