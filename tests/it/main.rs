//! The stories, one file per theme.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod arrows;
mod callbacks;
mod chaos;
mod delivery;
mod docs;
mod files;
mod layout;
mod main_path;
mod money;
mod orders;
mod outage;
mod process;
mod provider;
mod records;
mod repo;
mod secrets;
mod workers;
