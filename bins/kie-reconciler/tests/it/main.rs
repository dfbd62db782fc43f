//! The program against a simulated provider.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod accounts;
mod catalogue;
mod import;
