//! The persistence ports on SQLite: one file, one writer per process, commits in groups.
//!
//! Every write is queued to the one writer (`writer.rs`), which runs what is waiting in one immediate transaction, each
//! write in a savepoint of its own, and answers after the commit. Reads use a small pool and see the last commit.

mod accounts;
mod acts;
mod assets;
mod audit;
mod callbacks;
mod connect;
mod deliveries;
mod error;
mod imports;
mod jobs;
mod orders;
mod readings;
mod reports;
mod row;
mod schema;
mod shop;
mod slots;
mod timeline;
mod transfers;
mod writer;

pub use connect::{SqliteOptions, SqliteStore};
