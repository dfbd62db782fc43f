//! The HTTP front end over real sockets, on SQLite, a local folder and the simulator.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests: a panic is how they fail")]

mod callbacks;
mod events;
mod files;
mod identity;
mod limits;
mod logs;
mod money;
mod openapi;
mod orders;
mod pages;
mod shop;
mod whole;
