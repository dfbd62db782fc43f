//! What the public roles of a managed PostgreSQL can read: nothing.

use sqlx::{AssertSqlSafe, Connection, Executor, Row};
use store::ShopStore;
use store::conformance::Fixture;

use crate::database::Database;

/// Roles belong to the server, not to a database: made once, by whichever test comes first.
const ROLES: &str = "do $$ begin
    if not exists (select from pg_roles where rolname = 'anon') then create role anon nologin; end if;
    if not exists (select from pg_roles where rolname = 'authenticated') then create role authenticated nologin; end if;
  exception when duplicate_object or unique_violation then null;
  end $$";

#[tokio::test(flavor = "multi_thread")]
async fn public_roles_read_nothing() {
    let database = Database::create().await;
    let store = database.connect().await;
    let fixture = Fixture::new(std::sync::Arc::new(store.clone()));
    let account = fixture.account(1_000).await;
    fixture.pending(account, 100).await;
    store.open_shop("RUB:2", fixture.now()).await.unwrap();
    store.heartbeat("web", fixture.now(), None).await.unwrap();
    database.run(ROLES).await;
    database
        .run(
            "grant usage on schema kie to anon, authenticated;
             grant all on all tables in schema kie to anon, authenticated",
        )
        .await;
    let mut connection = database.plain().await;
    let tables: Vec<String> =
        sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'kie' order by 1")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert!(tables.len() >= 17 && tables.contains(&"migration".to_owned()), "{tables:?}");
    for role in ["anon", "authenticated"] {
        for table in &tables {
            connection.execute(AssertSqlSafe(format!("set role {role}"))).await.unwrap();
            let rows = connection
                .fetch_one(AssertSqlSafe(format!("select count(*) from kie.{table}")))
                .await
                .unwrap();
            assert_eq!(rows.get::<i64, _>(0), 0, "{role} reads {table}");
            let changed =
                connection.execute(AssertSqlSafe(format!("delete from kie.{table}"))).await.unwrap();
            assert_eq!(changed.rows_affected(), 0, "{role} deletes from {table}");
            connection.execute("reset role").await.unwrap();
        }
    }
    let seen: i64 =
        sqlx::query_scalar("select count(*) from kie.transfer").fetch_one(&mut connection).await.unwrap();
    assert_eq!(seen, 2, "the rows are there");
    database.run("drop owned by anon, authenticated").await;
    connection.close().await.unwrap();
    store.close().await;
}
