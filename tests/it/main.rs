//! The stories, one file per theme.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod arrows;
mod bad_input;
mod callbacks;
mod chaos;
mod crash;
mod deeds;
mod delivery;
mod deployment;
mod docs;
mod families;
mod fault_table;
mod files;
mod hot_path;
mod layout;
mod leases;
mod main_path;
mod mending;
mod money;
mod old_changes;
mod old_dry;
mod old_shop;
mod old_source;
mod operator;
mod orders;
mod outage;
mod process;
mod provider;
mod records;
mod repo;
mod secrets;
mod tool;
mod untrusted;
mod workers;
