//! The real clock and real chance.

use std::sync::atomic::{AtomicI64, Ordering};

use domain::{Chance, Clock, Timestamp, to_micros};
use jiff::SignedDuration;
use rand::Rng;

/// The process's clock plus the measured offset to the database's, so that the leases of all processes agree.
#[derive(Debug, Default)]
pub struct OffsetClock {
    offset_micros: AtomicI64,
}

impl OffsetClock {
    /// Moves the clock by a newly measured difference to the database's, in microseconds.
    pub fn shift_offset_micros(&self, micros: i64) {
        self.offset_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for OffsetClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the process's clock is read")]
    fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_micros(self.offset_micros.load(Ordering::Relaxed));
        let here = Timestamp::now();
        to_micros(here.saturating_add(offset).unwrap_or(here))
    }
}

/// The operating system's randomness, through a generator of cryptographic strength.
#[derive(Debug, Default, Clone, Copy)]
pub struct OsChance;

impl Chance for OsChance {
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}
