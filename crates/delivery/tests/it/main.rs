//! Channels against real servers on the loopback.
#![expect(clippy::unwrap_used, reason = "tests")]

mod receiver;
mod recording;
mod sample;
mod webhook;
