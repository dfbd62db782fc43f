//! Scans of what is due cost the same however long the history is.

use std::time::Duration;

use sqlx::{Connection, PgConnection, Row};
use store::conformance::Fixture;
use store::{JobStore, ShopStore};

use crate::database::Database;

const HISTORY: &str = "
    insert into kie.job (id, account_id, idem_key, idem_index, fingerprint, request_id, model, kind, input, recipients,
      state, price, basis, outputs_ordered, created_at, entered_at, updated_at)
    select gen_random_uuid(), a.id, 'old-' || n, 0, sha256('x'), 'r', 'm', 'image', '{}', '[]', 'done', 0,
      '{\"basis\": \"free\"}', 1, now(), now(), now()
    from kie.account a, generate_series(1, 20000) n;
    analyze kie.job";

#[tokio::test(flavor = "multi_thread")]
async fn due_scans_walk_the_partial_indexes() {
    let database = Database::create().await;
    let store = database.connect().await;
    let fixture = Fixture::new(std::sync::Arc::new(store.clone()));
    let account = fixture.account(1_000).await;
    let job = fixture.pending(account, 10).await;
    fixture.running(job.id, "task").await;
    fixture.pending(account, 10).await;
    database.run(HISTORY).await;
    let mut connection = database.plain().await;
    for (scan, index) in [
        (
            "select id from kie.job where wake_at is not null and state <> 'pending' and wake_at <= '2030-01-01'
               and (lease_until is null or lease_until <= '2030-01-01') order by wake_at limit 10",
            "job_due ",
        ),
        ("select id from kie.job where state = 'pending' and wake_at <= '2030-01-01'", "job_due_pending"),
        (
            "select count(*) from kie.job where account_id = '00000000-0000-0000-0000-000000000000'
               and state in ('pending', 'submitting', 'unclear', 'running', 'storing')",
            "job_open",
        ),
    ] {
        let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("explain {scan}")))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{plan}");
    }
    connection.close().await.unwrap();
    store.close().await;
}

/// The texts of the offline queries that have this part: what the crate really sends.
fn queries_with(part: &str) -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/.sqlx");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let query = json["query"].as_str().unwrap().to_owned();
        if query.split_whitespace().collect::<Vec<_>>().join(" ").contains(part) {
            found.push(query);
        }
    }
    assert!(!found.is_empty(), "no query has `{part}`");
    found
}

/// The plan that our connections use: the generic one, whatever the parameters are.
async fn generic_plan(connection: &mut PgConnection, query: &str) -> String {
    let mut run = async |sql: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *connection).await.unwrap()
    };
    run(format!("deallocate all; prepare page as {query}")).await;
    let parameters = (1..60).rev().find(|number| query.contains(&format!("${number}"))).unwrap_or(0);
    let nulls = vec!["null"; parameters].join(", ");
    let plan = run(format!("explain execute page({nulls})")).await;
    plan.iter().map(|line| line.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

/// A page begins where the one before ended, also in a plan that knows no parameter. Tables are empty here, so what a scan
/// would cost less is forbidden.
#[tokio::test(flavor = "multi_thread")]
async fn pages_begin_at_their_bound() {
    let database = Database::create().await;
    let store = database.connect().await;
    let mut connection = database.plain().await;
    sqlx::raw_sql(
        "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_bitmapscan = off;
         set enable_sort = off",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    for (part, index, bound) in [
        ("from kie.transfer where id < $1", "transfer_pkey", "(id < $1)"),
        ("from kie.transfer where account_id = $1 and id <", "transfer_account", "(id < $2)"),
        ("from kie.account where id > $1", "account_pkey", "(id > $1)"),
        ("from kie.asset a where a.id > $1", "asset_pkey", "(id > $1)"),
        ("from kie.asset a where a.account_id = $1 and a.id > $2", "asset_account", "(id > $2)"),
        ("from kie.delivery d where d.state = 'dead' and ($1", "delivery_dead", "(id < $2)"),
        ("from kie.job j where true and", "job_pkey", "(id < $10) AND (id >= $13)"),
        (
            "from kie.job j where j.account_id = $1 and ($1::uuid is null",
            "job_library",
            "(id < $10) AND (id >= $13)",
        ),
        ("not purged and hidden_at < $1", "job_hidden", "(hidden_at < $1)"),
        ("where doomed order by id", "asset_doomed", ""),
        ("delete from kie.orphan", "orphan_last_at", "(last_at < $1)"),
    ] {
        for query in queries_with(part) {
            let plan = generic_plan(&mut connection, &query).await;
            assert!(plan.contains(index) && plan.contains(bound), "{part}: {plan}");
        }
    }
    connection.close().await.unwrap();
    store.close().await;
}

/// The claim itself, with the plan that the server chose for its prepared statement, reads none of the history.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_reads_none_of_the_history() {
    let database = Database::create().await;
    let options = store_postgres::PostgresOptions { max_connections: 1, ..Database::options() };
    let store = store_postgres::PostgresStore::connect(&database.url(), options).await.unwrap();
    let fixture = Fixture::new(std::sync::Arc::new(store.clone()));
    fixture.account(1_000).await;
    database.run(HISTORY).await;
    let mut connection = database.plain().await;
    let before = reads(&mut connection).await;
    for _ in 0..12 {
        assert_eq!(fixture.claim_up_to(10).await, []);
        assert_eq!(store.next_wake().await.unwrap(), None);
    }
    // A connection reports what it read at the latest when it ends.
    store.close().await;
    let reported = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let after = reads(&mut connection).await;
            if after.1 >= before.1 + 24 {
                return after;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let after = reported.await.expect("the scans are reported");
    assert_eq!(after.0, before.0, "no row was read outside of an index");
    assert!(after.2 - before.2 < 1_000, "{before:?} {after:?}");
    connection.close().await.unwrap();
}

/// Rows of jobs read one after the other, scans of their indexes, entries that these returned.
async fn reads(connection: &mut PgConnection) -> (i64, i64, i64) {
    sqlx::query("select pg_stat_clear_snapshot()").execute(&mut *connection).await.unwrap();
    sqlx::query_as(
        "select t.seq_tup_read, t.idx_scan,
           (select sum(idx_tup_read)::bigint from pg_stat_user_indexes where schemaname = 'kie' and relname = 'job')
         from pg_stat_user_tables t where schemaname = 'kie' and relname = 'job'",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}
