//! Scans of what is due cost the same however long the history is.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
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
