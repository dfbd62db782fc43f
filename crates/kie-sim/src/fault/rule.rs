//! A fault with the limits on how often it strikes.

use std::sync::Mutex;

use super::kinds::{Fault, Moment};
use crate::ids::SplitMix;
use crate::lock::locked;

/// A fault and how often it strikes.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What happens.
    pub fault: Fault,
    /// At most so many times; without it always.
    pub times: Option<u32>,
    /// Only after so many occasions have passed unharmed.
    pub after: u32,
    /// With this chance (0.0 to 1.0) on each occasion; without it always.
    pub probability: Option<f64>,
    /// Seeds the chance.
    pub seed: u64,
}

impl Rule {
    pub(super) fn default_with(fault: Fault) -> Self {
        Self { fault, times: None, after: 0, probability: None, seed: 0 }
    }
}

/// A rule in force, with its counters.
pub(crate) struct Armed {
    pub(crate) rule: Rule,
    counters: Mutex<Counters>,
}

struct Counters {
    occasions: u32,
    struck: u32,
    chance: SplitMix,
}

impl Armed {
    /// `salt` tells equal rules of different tasks apart where chance decides.
    pub(crate) fn new(rule: Rule, salt: u64) -> Self {
        let chance = SplitMix::new(rule.seed ^ salt);
        Self { rule, counters: Mutex::new(Counters { occasions: 0, struck: 0, chance }) }
    }

    /// Whether it strikes on this occasion; counts the occasion.
    pub(crate) fn strikes(&self) -> bool {
        let mut counters = locked(&self.counters);
        counters.occasions = counters.occasions.saturating_add(1);
        if counters.occasions <= self.rule.after || self.spent(&counters) {
            return false;
        }
        let hit = self.rule.probability.is_none_or(|probability| counters.chance.chance(probability));
        counters.struck = counters.struck.saturating_add(u32::from(hit));
        hit
    }

    /// How often it has struck.
    pub(crate) fn struck(&self) -> u32 {
        locked(&self.counters).struck
    }

    fn spent(&self, counters: &Counters) -> bool {
        self.rule.times.is_some_and(|times| counters.struck >= times)
    }
}

/// The faults of one moment that strike now.
pub(crate) fn pick<'a>(armed: impl IntoIterator<Item = &'a Armed>, moment: Moment) -> Vec<Fault> {
    let of_moment = armed.into_iter().filter(|armed| armed.rule.fault.moment() == moment);
    of_moment.filter(|armed| armed.strikes()).map(|armed| armed.rule.fault.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(rule: &str, occasions: usize) -> Vec<bool> {
        let armed = Armed::new(rule.parse().unwrap(), 0);
        (0..occasions).map(|_| armed.strikes()).collect()
    }

    #[test]
    fn times_and_after_bound_a_rule() {
        assert_eq!(strikes("record=500:times=2", 4), [true, true, false, false]);
        assert_eq!(strikes("record=500:after=1:times=1", 3), [false, true, false]);
    }

    #[test]
    fn chance_repeats_with_its_seed() {
        let first = strikes("record=500:p=0.5:seed=9", 64);
        assert_eq!(first, strikes("record=500:p=0.5:seed=9", 64));
        assert!(first.contains(&true) && first.contains(&false));
    }
}
