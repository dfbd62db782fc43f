//! The program against a simulated provider.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod catalogue;
mod import;
