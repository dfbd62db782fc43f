//! Remembering that something was met, in 16 bytes whatever its length.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};

/// What was met so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    hashers: [RandomState; 2],
    digests: HashSet<[u64; 2]>,
}

impl Seen {
    /// Whether it was met before.
    pub(crate) fn has(&self, thing: &impl Hash) -> bool {
        self.digests.contains(&self.digest(thing))
    }

    /// Meets it; false if it was met before.
    pub(crate) fn meet(&mut self, thing: &impl Hash) -> bool {
        let digest = self.digest(thing);
        self.digests.insert(digest)
    }

    /// What stands for it here.
    pub(crate) fn digest(&self, thing: &impl Hash) -> [u64; 2] {
        self.hashers.each_ref().map(|hasher| hasher.hash_one(thing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_met_once() {
        let mut seen = Seen::default();
        assert!(!seen.has(&("task", "1")));
        assert!(seen.meet(&("task", "1")));
        assert!(!seen.meet(&("task", "1")) && seen.has(&("task", "1")));
        assert!(seen.meet(&("user", "1")));
    }
}
