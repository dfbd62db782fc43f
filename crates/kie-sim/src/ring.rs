//! A log that keeps the newest entries only.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::lock::locked;

/// A bounded log; writing is constant time.
pub(crate) struct Ring<T> {
    limit: usize,
    entries: Mutex<VecDeque<T>>,
}

impl<T: Clone> Ring<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), entries: Mutex::new(VecDeque::new()) }
    }

    pub(crate) fn push(&self, entry: T) {
        let mut entries = locked(&self.entries);
        if entries.len() == self.limit {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    pub(crate) fn all(&self) -> Vec<T> {
        locked(&self.entries).iter().cloned().collect()
    }

    /// The newest `limit` entries that pass, oldest first.
    pub(crate) fn newest(&self, limit: usize, passes: impl Fn(&T) -> bool) -> Vec<T> {
        let entries = locked(&self.entries);
        let mut found: Vec<T> =
            entries.iter().rev().filter(|entry| passes(entry)).take(limit).cloned().collect();
        found.reverse();
        found
    }

    pub(crate) fn clear(&self) {
        locked(&self.entries).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entries_go_first() {
        let ring = Ring::new(3);
        (0..5).for_each(|n| ring.push(n));
        assert_eq!(ring.all(), [2, 3, 4]);
        assert_eq!(ring.newest(1, |n| n % 2 == 0), [4]);
    }
}
