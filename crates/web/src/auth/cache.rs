//! Owners of tokens, remembered for a moment, so that a busy caller costs no query per request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use store::TokenOwner;

/// A revoked token works for so long at most.
const KEPT_FOR: Duration = Duration::from_secs(2);
const ENTRIES_MAX: usize = 4096;

/// By SHA-256 of the token. Unknown tokens are not remembered.
#[derive(Default)]
pub(crate) struct TokenCache(Mutex<HashMap<[u8; 32], (Instant, TokenOwner)>>);

impl TokenCache {
    pub(super) fn find(&self, hash: &[u8; 32]) -> Option<TokenOwner> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.get(hash).filter(|(kept_at, _)| kept_at.elapsed() < KEPT_FOR).map(|(_, owner)| *owner)
    }

    pub(super) fn keep(&self, hash: [u8; 32], owner: TokenOwner) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= ENTRIES_MAX {
            table.retain(|_, (kept_at, _)| kept_at.elapsed() < KEPT_FOR);
        }
        if table.len() < ENTRIES_MAX {
            table.insert(hash, (Instant::now(), owner));
        }
    }
}
