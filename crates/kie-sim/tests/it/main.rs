//! The simulator over real sockets.
#![expect(clippy::unwrap_used, reason = "tests")]

mod admin;
mod callbacks;
mod create_faults;
mod discovery;
mod limits;
mod path;
mod persistence;
mod program;
mod record_faults;
mod results;
mod support;
mod uploads;
mod wire;
