//! What callers are told when the database cannot or must not.

use domain::JobState;
use sqlx::{Connection, Executor};
use store::conformance::Fixture;
use store::{JobStore, OrderStore, Placed, ShopStore, StoreError};

use crate::database::Database;

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_is_unavailable() {
    let database = Database::create().await;
    database.connect().await.close().await;
    let mut admin = database.plain().await;
    let name: String = sqlx::query_scalar("select current_database()").fetch_one(&mut admin).await.unwrap();
    let read_only = format!("alter database {name} set default_transaction_read_only = on");
    admin.execute(sqlx::AssertSqlSafe(read_only)).await.unwrap();
    let store = database.connect().await;
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    let fixture = Fixture::new(std::sync::Arc::new(store.clone()));
    let order = fixture.order_of(fixture.account_id(), 1, 0);
    let placed = store.place(&order).await;
    assert!(matches!(placed, Err(StoreError::Unavailable(_))), "{placed:?}");
    store.close().await;
    let closed = store.ping().await;
    assert!(matches!(closed, Err(StoreError::Unavailable(_))), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impossible_word_is_named() {
    let database = Database::create().await;
    let store = database.connect().await;
    let fixture = Fixture::new(std::sync::Arc::new(store.clone()));
    let account = fixture.account(1_000).await;
    let job = fixture.pending(account, 100).await;
    database
        .run("alter table kie.job drop constraint job_state_check; update kie.job set state = 'lost'")
        .await;
    match store.find_job(job.id, domain::Scope::All).await {
        Err(StoreError::Corrupt { table: "job", column: "state", .. }) => {}
        other => panic!("the row must be refused: {other:?}"),
    }
    store.close().await;
}

/// A step that loses a deadlock is run again, and the caller never hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_deadlock_is_tried_again() {
    let database = Database::create().await;
    let store = database.connect().await;
    let fixture = Fixture::new(std::sync::Arc::new(store.clone()));
    let account = fixture.account(1_000).await;
    let job = fixture.pending(account, 100).await;
    let claimed = fixture.claim_this(job.id).await;
    // Another hand that locks in the wrong order: the account first, then the job. It waits longer before it looks for
    // a deadlock, so that the step is the one that loses.
    let mut other = database.plain().await;
    other.execute("set deadlock_timeout = '60s'; begin; select from kie.account for update").await.unwrap();
    let step = fixture.fail(&claimed);
    let recording = {
        let store = store.clone();
        async move { store.record(&step).await }
    };
    let meeting = async {
        let mut watcher = database.plain().await;
        let waiting = "select exists (select from pg_locks where not granted)";
        let waited = tokio::time::timeout(std::time::Duration::from_secs(20), async {
            while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(&mut watcher).await.unwrap() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        });
        waited.await.expect("the step waits for the account");
        other.execute("select from kie.job for update").await.unwrap();
        other.execute("commit").await.unwrap();
        other.close().await.unwrap();
    };
    let (recorded, ()) = tokio::join!(recording, meeting);
    assert_eq!(recorded.unwrap(), store::Recorded::Applied);
    assert_eq!(fixture.job(job.id).await.state, JobState::Failed);
    assert_eq!(fixture.balance(account).await, (1_000, 0));
    store.close().await;
}

/// NUL cannot be kept by the database: the provider's words lose it instead of stopping a job.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_words_with_nul_do_not_stop_a_step() {
    let database = Database::create().await;
    let store = database.connect().await;
    let fixture = Fixture::new(std::sync::Arc::new(store.clone()));
    let account = fixture.account(1_000).await;
    let job = fixture.pending(account, 100).await;
    let sent = fixture.sent(job.id).await;
    let mut step = fixture.fail(&sent);
    step.patch.failure = Some("bad \0 word".to_owned());
    step.answer = Some((1, "500 \0".to_owned()));
    let failed = fixture.applied(&step).await;
    assert_eq!(failed.failure.as_deref(), Some("bad \u{fffd} word"));
    store.close().await;
}

/// The limit of open jobs holds for free jobs too, which move no money.
#[tokio::test(flavor = "multi_thread")]
async fn racing_free_orders_keep_the_limit_of_open_jobs() {
    let database = Database::create().await;
    let store = database.connect().await;
    let fixture = Fixture::new(std::sync::Arc::new(store.clone()));
    let account = fixture.account(0).await;
    let mut racing = tokio::task::JoinSet::new();
    for _ in 0..24 {
        let mut order = fixture.order_of(account, 1, 0);
        order.limits.open_jobs = 3;
        let store = store.clone();
        racing.spawn(async move { store.place(&order).await.unwrap() });
    }
    let answers = racing.join_all().await;
    let opened = answers.iter().filter(|answer| matches!(answer, Placed::Opened(_))).count();
    assert_eq!((opened, answers.iter().filter(|answer| **answer == Placed::TooManyOpen).count()), (3, 21));
    store.close().await;
}
