//! The ports' promises on SQLite, and what is true of SQLite alone.
#![expect(clippy::unwrap_used, reason = "these are tests: a panic is how they fail")]

mod books;
mod opening;
mod plans;
mod writing;

use std::sync::Arc;

use store::Store;
use store_sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

/// The address of a database file in this folder.
fn url_in(folder: &TempDir) -> String {
    format!("sqlite://{}", folder.path().join("kie.db").display())
}

/// A fresh database in a folder that goes with the guard.
async fn open() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::connect(&url_in(&folder), SqliteOptions::default()).await.unwrap();
    (Arc::new(store), folder)
}

store::conformance_tests!(open);
