//! A log that keeps the newest entries only: so many of them, and so many bytes.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::lock::locked;

/// The entries of one log together are not longer than this.
const BYTES_MAX: usize = 64 << 20;

/// How long an entry is in memory, about.
pub(crate) trait Weight {
    fn bytes(&self) -> usize;
}

/// A bounded log; writing is constant time.
pub(crate) struct Ring<T> {
    limit: usize,
    bytes_max: usize,
    kept: Mutex<Kept<T>>,
}

struct Kept<T> {
    entries: VecDeque<T>,
    bytes: usize,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), bytes: 0 }
    }
}

impl<T: Clone + Weight> Ring<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self::within(limit, BYTES_MAX)
    }

    fn within(limit: usize, bytes_max: usize) -> Self {
        Self { limit: limit.max(1), bytes_max, kept: Mutex::default() }
    }

    /// The newest entry stays, however long it is.
    pub(crate) fn push(&self, entry: T) {
        let mut kept = locked(&self.kept);
        kept.bytes += entry.bytes();
        kept.entries.push_back(entry);
        while kept.entries.len() > self.limit || (kept.bytes > self.bytes_max && kept.entries.len() > 1) {
            let Some(oldest) = kept.entries.pop_front() else { break };
            kept.bytes = kept.bytes.saturating_sub(oldest.bytes());
        }
    }

    pub(crate) fn all(&self) -> Vec<T> {
        locked(&self.kept).entries.iter().cloned().collect()
    }

    /// The newest `limit` entries that pass, oldest first.
    pub(crate) fn newest(&self, limit: usize, passes: impl Fn(&T) -> bool) -> Vec<T> {
        let kept = locked(&self.kept);
        let mut found: Vec<T> =
            kept.entries.iter().rev().filter(|entry| passes(entry)).take(limit).cloned().collect();
        found.reverse();
        found
    }

    pub(crate) fn clear(&self) {
        *locked(&self.kept) = Kept::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weight for usize {
        fn bytes(&self) -> usize {
            *self
        }
    }

    #[test]
    fn the_oldest_entries_go_first() {
        let ring = Ring::new(3);
        (0..5).for_each(|n| ring.push(n));
        assert_eq!(ring.all(), [2, 3, 4]);
        assert_eq!(ring.newest(1, |n| n % 2 == 0), [4]);
    }

    #[test]
    fn long_entries_leave_room_for_fewer() {
        let ring = Ring::within(100, 10);
        for n in [4, 4, 2] {
            ring.push(n);
        }
        assert_eq!(ring.all(), [4, 4, 2]);
        ring.push(3);
        assert_eq!(ring.all(), [4, 2, 3]);
        ring.push(50);
        assert_eq!(ring.all(), [50], "the newest is kept even alone above the bound");
        ring.push(9);
        assert_eq!(ring.all(), [9]);
        ring.clear();
        for n in [5, 5] {
            ring.push(n);
        }
        assert_eq!(ring.all(), [5, 5], "an empty log weighs nothing");
    }
}
