//! Where new ids come from: the clock and chance together.

use std::sync::Arc;

use domain::{Chance, Clock, Timestamp};

/// The clock and chance that ids are made of; cheap to clone.
#[derive(Clone)]
pub struct Ids {
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Random bits.
    pub chance: Arc<dyn Chance>,
}

impl Ids {
    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ids")
    }
}
