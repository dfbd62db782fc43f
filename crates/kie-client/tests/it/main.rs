//! Tests over real sockets: recorded exchanges, hostile servers, bounds.
#![expect(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

mod create_once;
mod exchanges;
mod files;
mod inputs;
mod logs;
mod parsers;
mod reads;
mod server;
mod waiting;
