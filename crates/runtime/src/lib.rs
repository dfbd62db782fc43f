//! Configuration and composition: from flags and environment to running services.
//!
//! This is the only library that reads the environment (through clap) and the only one that names the adapters.

mod clock;
pub mod config;
mod durations;
mod open;
mod serve;
mod shutdown;
mod telemetry;
mod wire;

pub use clock::{OffsetClock, OsChance};
pub use open::{open_store, open_store_as_it_is};
pub use serve::{Front, Running, serve, serve_services, work};
pub use shutdown::{exit_code, shutdown_token};
pub use telemetry::{LogGuard, init_telemetry};
pub use wire::{
    Services, check_outside, ids, ids_by, now, open_catalogue, open_kie_client, open_media,
    open_media_as_it_is, open_provider, open_services, open_services_as_it_is, open_services_over,
    thumbnailer,
};

/// Names of other crates that the binaries need; they may name nothing but this crate and their front end.
pub use domain::{Account, AccountId, Job, Money, Recipient, Scope, Timestamp, TokenId};
pub use ledger::Ids;
pub use lifecycle::{Decision, Lifecycle, PassReport, Provider, Restored};
pub use media::MediaStore;
pub use store::{Act, NewEntry, Store, StoreError};
