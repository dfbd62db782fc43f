//! Opening a file: created once, refused unless it is exactly ours.

use std::process::Command;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use store::{AccountStore, ShopStore, StoreError};
use store_sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

use crate::url_in;

/// Tells this test binary, started again, which file to open.
const FILE_TO_OPEN: &str = "STORE_SQLITE_TEST_URL";

async fn connect(folder: &TempDir) -> Result<SqliteStore, StoreError> {
    SqliteStore::connect(&url_in(folder), SqliteOptions::default()).await
}

async fn connect_without_migrating(folder: &TempDir) -> Result<SqliteStore, StoreError> {
    SqliteStore::connect_without_migrating(&url_in(folder), SqliteOptions::default()).await
}

/// A plain connection to the file, as another program would have.
async fn plain(folder: &TempDir) -> SqliteConnection {
    let file = folder.path().join("kie.db");
    SqliteConnectOptions::new().filename(file).create_if_missing(true).connect().await.unwrap()
}

async fn run(folder: &TempDir, sql: &'static str) {
    let mut connection = plain(folder).await;
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn refusal(folder: &TempDir) -> String {
    let refused = connect(folder).await.unwrap_err();
    let without = connect_without_migrating(folder).await.unwrap_err();
    assert!(matches!(without, StoreError::Schema(_)), "{without:?}");
    assert!(matches!(refused, StoreError::Schema(_)), "{refused:?}");
    refused.to_string()
}

async fn opened_once(folder: &TempDir) {
    connect(folder).await.unwrap().close().await;
}

#[tokio::test]
async fn folder_and_file_are_created_and_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("new/deeper/kie.db").display());
    for _ in 0..2 {
        let store = SqliteStore::connect(&url, SqliteOptions::default()).await.unwrap();
        assert!(store.schema_version().await.unwrap() >= 1);
        store.ping().await.unwrap();
        store.close().await;
        assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))), "a closed store is not there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_connects_on_an_empty_file_all_serve() {
    let folder = tempfile::tempdir().unwrap();
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let url = url_in(&folder);
        opening.spawn(async move { SqliteStore::connect(&url, SqliteOptions::default()).await });
    }
    for store in opening.join_all().await {
        let store = store.unwrap();
        store.ping().await.unwrap();
        assert!(!store.has_real_accounts().await.unwrap());
    }
}

#[test]
fn processes_started_together_on_an_empty_file_all_serve() {
    let folder = tempfile::tempdir().unwrap();
    let binary = std::env::current_exe().unwrap();
    let start = |_| {
        Command::new(&binary)
            .args(["--exact", "opening::a_started_process_opens_the_file"])
            .env(FILE_TO_OPEN, url_in(&folder))
            .output()
    };
    let processes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|number| scope.spawn(move || start(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
    });
    for process in processes {
        assert!(process.status.success(), "{}", String::from_utf8_lossy(&process.stdout));
    }
    assert!(folder.path().join("kie.db").exists());
}

/// The other half of the test above; by itself it opens a file of its own.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how the test above reaches its own processes")]
async fn a_started_process_opens_the_file() {
    let own = tempfile::tempdir().unwrap();
    let url = std::env::var(FILE_TO_OPEN).unwrap_or_else(|_unset| url_in(&own));
    let store = SqliteStore::connect(&url, SqliteOptions::default()).await.unwrap();
    store.ping().await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_file_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    run(&folder, "create table customer (id integer primary key)").await;
    let sentence = refusal(&folder).await;
    assert!(sentence.contains("another program") && sentence.contains("DATABASE_URL"), "{sentence}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("kie.db"),
        "a shopping list, long enough to have a header ".repeat(200),
    )
    .unwrap();
    let sentence = refusal(&folder).await;
    assert!(sentence.contains("not a SQLite database"), "{sentence}");
}

#[tokio::test]
async fn a_changed_migration_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    opened_once(&folder).await;
    run(&folder, "update _sqlx_migrations set checksum = x'00' where version = 1").await;
    let sentence = refusal(&folder).await;
    assert!(sentence.contains("drifted") && sentence.contains("migration 1"), "{sentence}");
}

#[tokio::test]
async fn a_missing_column_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    opened_once(&folder).await;
    run(&folder, "alter table delivery drop column last_error").await;
    let sentence = refusal(&folder).await;
    assert!(sentence.contains("column delivery.last_error is missing"), "{sentence}");
}

#[tokio::test]
async fn a_missing_guard_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    opened_once(&folder).await;
    run(&folder, "drop index transfer_job_kind").await;
    let sentence = refusal(&folder).await;
    assert!(sentence.contains("index transfer_job_kind is missing"), "{sentence}");
}

/// SQLite cannot drop a check: somebody who wants to be rid of one makes the table anew.
#[tokio::test]
async fn a_dropped_check_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    opened_once(&folder).await;
    let mut connection = plain(&folder).await;
    let (table,): (String,) = sqlx::query_as("select sql from sqlite_schema where name = 'free_use'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let without = table.replace("check (used <= allowed)", "check (true)");
    assert_ne!(table, without);
    let rebuild = format!("drop table free_use; {without}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(rebuild)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let sentence = refusal(&folder).await;
    assert!(sentence.contains("table free_use is defined otherwise"), "{sentence}");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    opened_once(&folder).await;
    run(
        &folder,
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9999, 'of tomorrow', true, x'00', 0)",
    )
    .await;
    let sentence = refusal(&folder).await;
    assert!(sentence.contains("version 9999") && sentence.contains("newer program"), "{sentence}");
}

#[tokio::test]
async fn reading_alone_creates_nothing_and_migrates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let missing = connect_without_migrating(&folder).await.unwrap_err();
    assert!(missing.to_string().contains("there is no database"), "{missing}");
    assert!(matches!(missing, StoreError::NotMigrated(_)), "{missing:?}");
    assert!(!folder.path().join("kie.db").exists());
    run(&folder, "pragma user_version = 0").await;
    std::fs::write(folder.path().join("kie.db"), "").unwrap();
    let behind = connect_without_migrating(&folder).await.unwrap_err();
    assert!(behind.to_string().contains("not up to date"), "{behind}");
    assert!(matches!(behind, StoreError::NotMigrated(_)), "{behind:?}");
    opened_once(&folder).await;
    let store = connect_without_migrating(&folder).await.unwrap();
    assert!(!store.has_real_accounts().await.unwrap());
    store.close().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_looked_for_is_not_called_missing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let url = format!("sqlite://{}", folder.path().join("file/kie.db").display());
    let refused = SqliteStore::connect_without_migrating(&url, SqliteOptions::default()).await.unwrap_err();
    assert!(refused.is_unavailable(), "{refused:?}");
}

#[tokio::test]
async fn an_address_of_another_engine_is_refused() {
    let refused =
        SqliteStore::connect("postgres://localhost/kie", SqliteOptions::default()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Schema(_)), "{refused:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_cannot_be_made_is_an_outage() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let url = format!("sqlite://{}", folder.path().join("file/kie.db").display());
    let refused = SqliteStore::connect(&url, SqliteOptions::default()).await.unwrap_err();
    assert!(refused.is_unavailable(), "{refused:?}");
}
