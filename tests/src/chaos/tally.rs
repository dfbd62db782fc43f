//! What happened in a run, counted by kind.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// Counts under headings.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<(&'static str, String), u64>>);

impl Tally {
    /// What was done to the shop.
    pub(crate) const ACTS: &'static str = "acts";
    /// Programs that ended without being asked.
    pub(crate) const ENDED: &'static str = "ended by itself";
    /// What customers were answered.
    pub(crate) const ANSWERS: &'static str = "answers";

    pub(crate) fn count(&self, heading: &'static str, kind: &str) {
        *self.0.lock().unwrap().entry((heading, kind.to_owned())).or_default() += 1;
    }

    /// The counts under a heading, by name.
    pub(crate) fn under(&self, heading: &'static str) -> Vec<(String, u64)> {
        let counts = self.0.lock().unwrap();
        counts.iter().filter(|((of, _), _)| *of == heading).map(|((_, kind), n)| (kind.clone(), *n)).collect()
    }

    pub(crate) fn total(&self, heading: &'static str, holds: impl Fn(&str) -> bool) -> u64 {
        self.under(heading).iter().filter(|(kind, _)| holds(kind)).map(|(_, n)| n).sum()
    }
}
