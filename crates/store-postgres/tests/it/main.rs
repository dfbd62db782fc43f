//! The ports' promises on PostgreSQL, and what only PostgreSQL has to keep.
//!
//! Every test makes a database of its own on the server that `TEST_DATABASE_URL` names and drops it afterwards.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests: a panic is how they fail"
)]

mod books;
mod database;
mod errors;
mod plans;
mod roles;
mod schema;
mod signals;

use std::sync::Arc;

use store::Store;

async fn store() -> (Arc<dyn Store>, database::Database) {
    let database = database::Database::create().await;
    let store = database.connect().await;
    (Arc::new(store), database)
}

store::conformance_tests!(store);
