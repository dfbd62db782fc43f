//! Changes of one process are heard of in another.

use std::time::Duration;

use store::conformance::Fixture;
use store::{JobStore, ShopStore};

use crate::database::Database;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn another_process_hears_of_changes() {
    let database = Database::create().await;
    let (ours, theirs) = (database.connect().await, database.connect().await);
    let fixture = Fixture::new(std::sync::Arc::new(ours.clone()));
    let account = fixture.account(1_000).await;
    let mut changes = theirs.changes();
    listening(&database, 2).await;
    let job = fixture.pending(account, 100).await;
    heard(&mut changes).await;
    fixture.wake_now(job.id).await;
    heard(&mut changes).await;
    ours.close().await;
    theirs.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_listener_comes_back() {
    let database = Database::create().await;
    let (ours, theirs) = (database.connect().await, database.connect().await);
    let fixture = Fixture::new(std::sync::Arc::new(ours.clone()));
    let account = fixture.account(1_000).await;
    listening(&database, 2).await;
    database
        .run("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query = 'select pg_backend_pid()' and pid <> pg_backend_pid()")
        .await;
    listening(&database, 2).await;
    let mut changes = theirs.changes();
    changes.borrow_and_update();
    fixture.pending(account, 100).await;
    heard(&mut changes).await;
    ours.close().await;
    theirs.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_end_with_their_store() {
    let database = Database::create().await;
    let store = database.connect().await;
    listening(&database, 1).await;
    drop(store);
    listening(&database, 0).await;
}

async fn heard(changes: &mut tokio::sync::watch::Receiver<u64>) {
    tokio::time::timeout(PATIENCE, changes.changed()).await.expect("the change is heard of").unwrap();
    changes.borrow_and_update();
}

/// Waits until so many connections listen. The last statement of such a connection is its `select pg_backend_pid()`.
async fn listening(database: &Database, count: i64) {
    let mut connection = database.plain().await;
    let listeners = "select count(*) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and query = 'select pg_backend_pid()'";
    let waiting = tokio::time::timeout(PATIENCE, async {
        while sqlx::query_scalar::<_, i64>(listeners).fetch_one(&mut connection).await.unwrap() != count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waiting.await.expect("so many connections listen");
}
