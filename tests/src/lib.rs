//! Acceptance stories: the composed services against the simulator, on both databases and both kinds of storage.
//!
//! A [`World`] is a whole shop for one test: a database, a storage, a simulated provider, a customer's webhook receiver,
//! and one or more running instances. Every story ends with [`World::finish`], which proves the books.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a story that cannot go on fails"
)]

mod audit;
mod builder;
pub mod chaos;
mod customer;
mod database;
mod failpoints;
mod instance;
mod models;
mod old_shop;
mod program;
mod receiver;
mod reconciler;
mod storage;
mod wait;
mod world;

pub use builder::{Builder, Media};
pub use customer::{Answer, Customer, Job};
pub use database::{Db, Outage, SlowReader};
pub use models::{FREE, IMAGE, IMAGES, LYRICS, SPEECH, VIDEO, prompt};
pub use old_shop::OldDatabase;
pub use program::Program;
pub use receiver::{Call, Receiver};
pub use reconciler::{Said, Watch};
pub use storage::S3Server;
pub use wait::{PATIENCE, until};
pub use world::{HMAC_KEY, KIE_KEY, SECRET_KEY, Shop, World};

/// Makes of each story two tests, one on each database: `mod name { sqlite, postgres }`.
#[macro_export]
macro_rules! stories {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident) $body:block)+) => {
        $(
            $(#[$meta])*
            mod $name {
                use super::*;

                async fn story($db: $crate::Db) $body

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn sqlite() {
                    story($crate::Db::Sqlite).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn postgres() {
                    story($crate::Db::Postgres).await;
                }
            }
        )+
    };
}
