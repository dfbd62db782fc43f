//! Starting on an empty, a foreign, a drifted and a newer database.

use store::{AccountStore, ShopStore, StoreError};
use store_postgres::PostgresStore;

use crate::database::Database;

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_start_together_on_an_empty_database() {
    let database = Database::create().await;
    let (one, two, three) = tokio::join!(database.connect(), database.connect(), database.connect());
    for store in [one, two, three] {
        assert_eq!(store.schema_version().await.unwrap(), 1);
        assert!(!store.has_real_accounts().await.unwrap());
        store.ping().await.unwrap();
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_is_refused_without_migrating() {
    let database = Database::create().await;
    let refused = PostgresStore::connect_without_migrating(&database.url(), Database::options()).await;
    let Err(StoreError::NotMigrated(sentence)) = refused else { panic!("{refused:?}") };
    assert!(sentence.contains("start a serving process"), "{sentence}");
    database.connect().await.close().await;
    let store = PostgresStore::connect_without_migrating(&database.url(), Database::options()).await.unwrap();
    assert_eq!(store.schema_version().await.unwrap(), 1);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_schema_is_refused_and_left_alone() {
    let database = Database::create().await;
    database.run("create schema kie; create table kie.job (id integer)").await;
    let sentence = refused(PostgresStore::connect(&database.url(), Database::options()).await);
    assert!(sentence.contains("did not make"), "{sentence}");
    let tables: i64 = sqlx::query_scalar("select count(*) from pg_tables where schemaname = 'kie'")
        .fetch_one(&mut database.plain().await)
        .await
        .unwrap();
    assert_eq!(tables, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drifted_schema_is_refused() {
    for (drift, word) in [
        ("update kie.migration set checksum = '\\x00'", "another text"),
        ("alter table kie.job drop column hints", "column hints of kie.job"),
        ("drop table kie.orphan", "kie.orphan"),
        ("alter table kie.account drop constraint account_available_check", "account_available_check"),
        ("drop index kie.transfer_job_kind", "transfer_job_kind"),
    ] {
        let database = Database::create().await;
        database.connect().await.close().await;
        database.run(drift).await;
        let sentence = refused(PostgresStore::connect(&database.url(), Database::options()).await);
        assert!(sentence.contains(word), "{drift}: {sentence}");
        refused(PostgresStore::connect_without_migrating(&database.url(), Database::options()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused() {
    let database = Database::create().await;
    database.connect().await.close().await;
    database
        .run(
            "insert into kie.migration (version, description, success, checksum, execution_time)
             values (9999, 'future', true, '\\x00', 0)",
        )
        .await;
    for opened in [
        PostgresStore::connect(&database.url(), Database::options()).await,
        PostgresStore::connect_without_migrating(&database.url(), Database::options()).await,
    ] {
        let sentence = refused(opened);
        assert!(sentence.contains("9999") && sentence.contains("newer program"), "{sentence}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_unavailable() {
    let _database = Database::create().await;
    let nowhere = PostgresStore::connect("postgres://nobody@127.0.0.1:1/none", Database::options()).await;
    assert!(matches!(nowhere, Err(StoreError::Unavailable(_))), "{nowhere:?}");
    let secret = "postgres://user:hunter2@host:port/name";
    let unreadable = PostgresStore::connect(secret, Database::options()).await;
    let said = format!("{unreadable:?}");
    assert!(matches!(unreadable, Err(StoreError::Schema(_))) && !said.contains("hunter2"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_are_unavailable_and_then_replaced() {
    let database = Database::create().await;
    let store = database.connect().await;
    store.ping().await.unwrap();
    database
        .run(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .await;
    // At most every connection of the pool finds out by failing; none of it is called a defect.
    for _ in 0..16 {
        match store.currency().await {
            Ok(none) => assert_eq!(none, None),
            Err(error) => assert!(error.is_unavailable(), "{error:?}"),
        }
    }
    store.ping().await.unwrap();
    assert!(!store.describe().contains('@'));
    store.close().await;
}

fn refused(opened: Result<PostgresStore, StoreError>) -> String {
    match opened {
        Err(StoreError::Schema(sentence)) => sentence,
        other => panic!("the schema must be refused: {other:?}"),
    }
}
