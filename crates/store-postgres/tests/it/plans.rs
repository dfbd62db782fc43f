//! Scans of what is due cost the same however long the history is.

use sqlx::Connection;
use store::{JobStore, ShopStore};
use store::conformance::Fixture;

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
    let options = store_postgres::PostgresOptions { max_connections: 1, ..database.options() };
    let store = store_postgres::PostgresStore::connect(&database.url(), options).await.unwrap();
    let fixture = Fixture::new(std::sync::Arc::new(store.clone()));
    fixture.account(1_000).await;
    database.run(HISTORY).await;
    let scans = "select coalesce(seq_tup_read, 0) from pg_stat_user_tables where schemaname = 'kie' and relname = 'job'";
    let mut connection = database.plain().await;
    let before: i64 = sqlx::query_scalar(scans).fetch_one(&mut connection).await.unwrap();
    for _ in 0..12 {
        assert_eq!(fixture.claim_up_to(10).await, []);
        assert_eq!(store.next_wake().await.unwrap(), None);
    }
    // A connection reports its statistics at the latest when it ends.
    store.close().await;
    connection.close().await.unwrap();
    let mut connection = database.plain().await;
    let after: i64 = sqlx::query_scalar(scans).fetch_one(&mut connection).await.unwrap();
    assert_eq!(after, before);
    connection.close().await.unwrap();
}
