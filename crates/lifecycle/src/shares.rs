//! Shares: one account's slow receivers do not hold up everybody else's messages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::AccountId;
use tokio::time::Instant;

/// A try that takes longer makes its account slow…
const SLOW: Duration = Duration::from_secs(1);
/// …for so long after it.
const REMEMBERED: Duration = Duration::from_mins(1);

/// Which accounts' messages are on their way. An account is held to its share only while it is slow.
#[derive(Debug)]
pub(crate) struct Shares {
    most: usize,
    accounts: Mutex<HashMap<AccountId, Account>>,
}

#[derive(Debug, Default)]
struct Account {
    open: usize,
    slow_until: Option<Instant>,
}

/// One try; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Arc<Shares>,
    account: AccountId,
    begun: Instant,
}

impl Shares {
    /// A slow account may have a quarter of the `slots`.
    pub(crate) fn of(slots: usize) -> Arc<Self> {
        Arc::new(Self { most: slots.div_ceil(4), accounts: Mutex::default() })
    }

    /// None while the account is slow and has its share on the way.
    pub(crate) fn take(self: &Arc<Self>, account: AccountId) -> Option<Share> {
        let begun = Instant::now();
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = accounts.entry(account).or_default();
        if known.open >= self.most && known.slow_until.is_some_and(|until| until > begun) {
            return None;
        }
        known.open = known.open.saturating_add(1);
        Some(Share { shares: self.clone(), account, begun })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut accounts = self.shares.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = accounts.get_mut(&self.account) else { return };
        known.open = known.open.saturating_sub(1);
        if now.duration_since(self.begun) > SLOW {
            known.slow_until = now.checked_add(REMEMBERED);
        }
        // What is not remembered for a reason is forgotten.
        accounts.retain(|_, known| known.open > 0 || known.slow_until.is_some_and(|until| until > now));
    }
}
