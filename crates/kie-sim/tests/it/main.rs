//! The simulator over real sockets.
#![expect(clippy::unwrap_used, reason = "tests")]

mod admin;
mod callbacks;
mod create_faults;
mod discovery;
mod exchanges;
mod families;
mod limits;
mod path;
mod persistence;
mod program;
mod record_faults;
mod results;
mod route_faults;
mod support;
mod telegram;
mod telegram_admin;
mod telegram_faults;
mod telegram_media;
mod telegram_money;
mod telegram_texts;
mod telegram_updates;
mod telegram_webhook;
mod uploads;
