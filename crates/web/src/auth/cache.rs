//! Owners of tokens, remembered for a moment, so that a busy caller costs no query per request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use store::TokenOwner;

/// A generation of entries grows for so long; a revoked token works for twice this time at most.
const GENERATION: Duration = Duration::from_secs(1);
/// … and to so many entries.
const ENTRIES_MAX: usize = 16_384;

/// By SHA-256 of the token, in two generations, so that forgetting costs nothing. Unknown tokens are not remembered.
pub(crate) struct TokenCache(Mutex<Generations>);

struct Generations {
    began_at: Instant,
    young: HashMap<[u8; 32], TokenOwner>,
    old: HashMap<[u8; 32], TokenOwner>,
}

impl Default for TokenCache {
    fn default() -> Self {
        Self(Mutex::new(Generations { began_at: Instant::now(), young: HashMap::new(), old: HashMap::new() }))
    }
}

impl Generations {
    fn turn(&mut self) {
        let age = self.began_at.elapsed();
        if age < GENERATION && self.young.len() < ENTRIES_MAX {
            return;
        }
        let young = std::mem::take(&mut self.young);
        self.old = if age < GENERATION * 2 { young } else { HashMap::new() };
        self.began_at = Instant::now();
    }
}

impl TokenCache {
    pub(super) fn find(&self, hash: &[u8; 32]) -> Option<TokenOwner> {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.turn();
        cache.young.get(hash).or_else(|| cache.old.get(hash)).copied()
    }

    pub(super) fn keep(&self, hash: [u8; 32], owner: TokenOwner) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.turn();
        cache.young.insert(hash, owner);
    }
}
