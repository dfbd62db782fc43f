//! What the deployer decides: how long to wait, how much to allow.

use std::time::Duration;

use domain::{Currency, MediaKind};
use url::Url;

/// What happens to a job of which nobody learns whether the provider has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnclearPolicy {
    /// The money goes back after `unclear_after`.
    Release,
    /// It waits for the operator.
    Hold,
}

/// After how long without an end the money goes back, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GiveUp {
    /// Images and text.
    pub image: Duration,
    /// Audio.
    pub audio: Duration,
    /// Video.
    pub video: Duration,
}

impl GiveUp {
    /// The time for this kind.
    pub const fn of(&self, kind: MediaKind) -> Duration {
        match kind {
            MediaKind::Image | MediaKind::Text => self.image,
            MediaKind::Audio => self.audio,
            MediaKind::Video => self.video,
        }
    }
}

/// The deployer's decisions that the life of a job depends on.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The shop's currency.
    pub currency: Currency,
    /// Our address as customers and the provider see it.
    pub public_url: Url,
    /// Whether createTask names a callback address.
    pub callbacks: bool,
    /// Create slots per 10 s for the whole shop; `None` is off.
    pub create_slots: Option<u32>,
    /// Time-out of createTask; the lease of a sending is 30 s longer.
    pub create_timeout: Duration,
    /// How long a job stays `unclear` before the policy decides.
    pub unclear_after: Duration,
    /// What the policy decides.
    pub unclear_policy: UnclearPolicy,
    /// How long a job waits to be sent.
    pub pending_after: Duration,
    /// How long the provider may take.
    pub give_up: GiveUp,
    /// Open jobs an account may have.
    pub max_open_jobs: u32,
    /// Free generations an account may order per UTC day.
    pub free_per_day: u32,
    /// Lease of an ordinary step; renewed while the step runs.
    pub lease: Duration,
}

impl Policy {
    /// How long drafts are kept.
    pub const DRAFT_AFTER: Duration = Duration::from_hours(24);
    /// How long the provider keeps results (its getting-started page, section 6).
    pub const RETENTION: Duration = Duration::from_hours(14 * 24);
    /// So long before the end of the retention, what is not stored is an alarm.
    pub const RETENTION_ALARM: Duration = Duration::from_hours(3 * 24);
    /// How long a record may say success without naming results.
    pub const EMPTY_AFTER: Duration = Duration::from_hours(1);
    /// A young task may be unknown to the provider for so long.
    pub const YOUNG: Duration = Duration::from_secs(90);
    /// How long the bytes of a hidden generation stay.
    pub const PURGE_AFTER: Duration = Duration::from_hours(30 * 24);
    /// How long a customer's upload may take before its row and whatever arrived are given up.
    pub const UPLOAD_AWAITED: Duration = Duration::from_hours(24);
    /// How long callback bodies stay.
    pub const CALLBACKS_KEPT: Duration = Duration::from_hours(30 * 24);
    /// While the breaker is open, one create is tried this often.
    pub const TRIAL_EVERY: Duration = Duration::from_mins(1);
    /// Refusals in a row that take a model off sale.
    pub const REFUSALS_OFF_SALE: u32 = 3;
    /// The provider's window of the create limit.
    pub const SLOT_WINDOW: Duration = Duration::from_secs(10);

    /// The lease of a sending.
    pub fn sending_lease(&self) -> Duration {
        self.create_timeout.saturating_add(Duration::from_secs(30))
    }

    /// When a running job of this kind counts as late: well above the usual time.
    pub const fn late_after(kind: MediaKind) -> Duration {
        match kind {
            MediaKind::Image | MediaKind::Text => Duration::from_mins(3),
            MediaKind::Audio => Duration::from_mins(8),
            MediaKind::Video => Duration::from_mins(15),
        }
    }
}
