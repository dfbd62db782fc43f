//! How many requests may start in a sliding span of time.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::lock::locked;

/// A sliding window over the start times of what was let through.
pub(crate) struct Window {
    limit: usize,
    span_ms: u64,
    starts: Mutex<VecDeque<u64>>,
}

impl Window {
    /// At most `limit` per `span_ms`; 0 lets everything through.
    pub(crate) fn new(limit: u32, span_ms: u64) -> Self {
        Self { limit: limit as usize, span_ms, starts: Mutex::new(VecDeque::new()) }
    }

    /// Whether one more may start now; a refused one does not count.
    pub(crate) fn admit(&self, now_ms: u64) -> bool {
        if self.limit == 0 {
            return true;
        }
        let mut starts = locked(&self.starts);
        while starts.front().is_some_and(|start| start.saturating_add(self.span_ms) <= now_ms) {
            starts.pop_front();
        }
        if starts.len() >= self.limit {
            return false;
        }
        starts.push_back(now_ms);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_slides() {
        let window = Window::new(2, 1000);
        assert!(window.admit(0) && window.admit(500));
        assert!(!window.admit(999));
        assert!(window.admit(1000));
        assert!(!window.admit(1200));
        assert!(window.admit(1500));
    }

    #[test]
    fn zero_is_no_limit() {
        let window = Window::new(0, 1000);
        assert!((0..1000).all(|_| window.admit(0)));
    }
}
