//! The plans of the queries that run all the time: by the indexes of what is awake, whatever the history.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Row};
use store_sqlite::{SqliteOptions, SqliteStore};

use crate::url_in;

/// The text of the offline query that has this part: what the crate really sends.
fn query_with(part: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/.sqlx");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let query = json["query"].as_str().unwrap().to_owned();
        let one_line = query.split_whitespace().collect::<Vec<_>>().join(" ");
        if one_line.contains(part) {
            found.push(query);
        }
    }
    assert_eq!(found.len(), 1, "queries with `{part}`: {found:#?}");
    found.remove(0)
}

async fn plan_of(part: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    SqliteStore::connect(&url_in(&folder), SqliteOptions::default()).await.unwrap();
    let mut db: SqliteConnection =
        SqliteConnectOptions::new().filename(folder.path().join("kie.db")).connect().await.unwrap();
    let explain = format!("explain query plan {}", query_with(part));
    let rows = sqlx::query(sqlx::AssertSqlSafe(explain)).fetch_all(&mut db).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join("\n")
}

/// No table is read from one end to the other.
fn assert_searches(plan: &str, index: &str) {
    assert!(plan.contains(index), "{plan}");
    for table in ["job", "delivery", "attempt", "transfer", "asset", "account"] {
        assert!(!plan.lines().any(|line| line.trim() == format!("SCAN {table}")), "{plan}");
    }
}

#[tokio::test]
async fn the_scan_for_due_rows_walks_the_awake_ones_alone() {
    let awake = plan_of(
        "state <> 'pending' and wake_at <= ?1 and (lease_until is null or lease_until <= ?1) order by wake_at limit ?2",
    )
    .await;
    assert_searches(&awake, "INDEX job_due (wake_at>? AND wake_at<?)");
    assert!(!awake.contains("TEMP B-TREE"), "the index is in the order of the answer: {awake}");
    let expired = plan_of("deadline_at <= ?1 order by wake_at limit ?2").await;
    assert_searches(&expired, "INDEX job_due_pending (wake_at<?)");
    assert_searches(&plan_of("with ready as").await, "INDEX job_due_pending (wake_at<?)");
    let peek = plan_of("as \"due!: bool\"").await;
    assert_searches(&peek, "INDEX job_due (wake_at>? AND wake_at<?)");
    assert_searches(&peek, "INDEX job_due_pending (wake_at<?)");
}

#[tokio::test]
async fn the_next_wake_is_read_from_the_indexes() {
    let plan = plan_of("select min(at)").await;
    for index in ["job_due ", "job_due_pending ", "delivery_due "] {
        assert_searches(&plan, index);
    }
}

#[tokio::test]
async fn the_library_is_read_in_the_order_of_its_index() {
    let page = plan_of("where account_id = ?1 and (?2 is null or account_id = ?2)").await;
    assert_searches(&page, "INDEX job_library (account_id=? AND id>? AND id<?)");
    assert!(!page.contains("TEMP B-TREE"), "{page}");
}

#[tokio::test]
async fn open_jobs_and_due_deliveries_have_their_indexes() {
    assert_searches(&plan_of("from account a where a.id = ?1").await, "job_open (account_id=?)");
    assert_searches(
        &plan_of("select id as \"id!: Uuid\" from delivery where wake_at is not null and wake_at <= ?1")
            .await,
        "delivery_due (wake_at>? AND wake_at<?)",
    );
}

#[tokio::test]
async fn what_operators_look_at_costs_the_same_however_long_the_history_is() {
    let due = plan_of("union all select id from job where state = 'pending' and wake_at <= ?1 and (").await;
    assert_searches(&due, "INDEX job_due (wake_at>? AND wake_at<?)");
    assert_searches(&due, "INDEX job_due_pending (wake_at<?)");
    let owed = plan_of("(lease_until is null or lease_until <= ?1) order by wake_at, id limit ?2").await;
    assert_searches(&owed, "delivery_due (wake_at>? AND wake_at<?)");
    let consumption = plan_of("recorded_at > ?1").await;
    assert_searches(&consumption, "INDEX job_updated (updated_at>?)");
    assert_searches(&consumption, "INDEX job_due");
    let words = plan_of("t on t.seq = (").await;
    assert!(
        words.contains("SCAN j USING INDEX job_due") || words.contains("SEARCH j USING INDEX job_due"),
        "{words}"
    );
    assert!(words.contains("SEARCH n USING INDEX timeline_job (job_id=?)"), "{words}");
    assert!(words.contains("SEARCH t USING INTEGER PRIMARY KEY (rowid=?)"), "{words}");
    let blocked = plan_of("a.role = 'output' and a.blocked").await;
    assert!(blocked.contains("SCAN a USING INDEX asset_blocked"), "{blocked}");
    assert!(blocked.contains("SEARCH j USING"), "{blocked}");
    assert_searches(&plan_of("select key from transfer").await, "transfer_job (job_id=?)");
}

/// A page begins where the one before ended, and costs the same wherever that was.
#[tokio::test]
async fn pages_begin_at_their_bound() {
    for (part, search) in [
        ("from transfer where id < ?1", "sqlite_autoindex_transfer_1 (id<?)"),
        ("from transfer where account_id = ?1 and id < ?2", "transfer_account (account_id=? AND id<?)"),
        ("from account where id > ?1", "sqlite_autoindex_account_1 (id>?)"),
        ("from asset where id > ?1", "sqlite_autoindex_asset_1 (id>?)"),
        ("from asset where account_id = ?1 and id > ?2", "asset_account (account_id=? AND id>?)"),
        ("from delivery where state = 'dead' and (?1", "delivery_dead (id<?)"),
        ("from job where ?1 and (?2 is null", "sqlite_autoindex_job_1 (id>? AND id<?)"),
    ] {
        let page = plan_of(part).await;
        assert_searches(&page, search);
        assert!(!page.contains("TEMP B-TREE"), "{part}: {page}");
    }
}

/// Few are open or awake, whatever the history is: lists of them walk these alone.
#[tokio::test]
async fn lists_of_what_is_open_walk_it_alone() {
    let list = "and (?2 is null or account_id = ?2)";
    let open = "state in ('pending', 'submitting', 'unclear', 'running', 'storing')";
    let of_account = plan_of(&format!("where account_id = ?1 and {open} {list}")).await;
    assert_searches(&of_account, "job_open (account_id=?)");
    assert_eq!(
        plan_of(&format!("where ?1 and {open} {list}")).await.lines().next().unwrap(),
        "SCAN job USING INDEX job_open"
    );
    let awake = plan_of(&format!("where ?1 and wake_at is not null and state <> 'pending' {list}")).await;
    assert_searches(&awake, "INDEX job_due");
}

/// What was purged is not looked at again.
#[tokio::test]
async fn purging_walks_what_is_new_alone() {
    assert_searches(
        &plan_of("purged = 0 and hidden_at < ?1").await,
        "job_hidden (hidden_at>? AND hidden_at<?)",
    );
    let uploads = plan_of("select a.id from account c cross join asset a").await;
    assert_searches(&uploads, "account_closed (closed_at<?)");
    assert_searches(&uploads, "asset_upload (account_id=?)");
    assert_searches(&uploads, "asset_awaited (created_at<?)");
    let marked = plan_of("from asset where doomed = 1").await;
    assert!(marked.contains("SCAN asset USING INDEX asset_doomed"), "{marked}");
}
