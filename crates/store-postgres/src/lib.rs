//! The persistence ports on PostgreSQL.
//!
//! One file per noun, named as the port. Every query is checked against the schema at build time. Orders and steps are
//! one statement each; rows are always locked job first, then account, so that writers of money cannot block each other
//! in a circle. Times come from arguments alone.

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
mod notify;
mod orders;
mod readings;
mod reports;
mod row;
mod schema;
mod shop;
mod slots;
mod timeline;
mod transfers;

pub use connect::{PostgresOptions, PostgresStore};
