//! Marks of orders that may come again: `create=429:times=2` counts over equal orders.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::fault::{Armed, Rule};
use crate::ids::fnv;
use crate::lock::locked;

/// When so many different marked orders were seen, counting begins anew.
const ORDERS_MAX: usize = 10_000;

/// The counters of marks, by model and input.
#[derive(Default)]
pub(crate) struct MarkMemory(Mutex<HashMap<u64, Arc<Vec<Armed>>>>);

impl MarkMemory {
    /// The marks of an order, with what is left of their counters.
    pub(crate) fn marks(
        &self,
        model: &str,
        input: &str,
        read: impl FnOnce() -> Vec<Rule>,
    ) -> Arc<Vec<Armed>> {
        if !input.contains("[sim:") {
            return Arc::default();
        }
        let key = fnv(model) ^ fnv(input).rotate_left(1);
        let mut orders = locked(&self.0);
        if orders.len() >= ORDERS_MAX {
            orders.clear();
        }
        let entry = orders.entry(key);
        Arc::clone(
            entry.or_insert_with(|| Arc::new(read().into_iter().map(|rule| Armed::new(rule, key)).collect())),
        )
    }

    pub(crate) fn clear(&self) {
        locked(&self.0).clear();
    }
}
