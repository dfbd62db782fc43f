//! The one writer: groups, several processes on one file, failures that stay with their own write.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{SeededChance, Timestamp, TransferId, TransferKind};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use store::conformance::Fixture;
use store::{AccountStore, Credited, NewTransfer, Placed, ShopStore, StoreError, TransferStore};
use store_sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{open, url_in};

async fn connect(folder: &TempDir) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::connect(&url_in(folder), SqliteOptions::default()).await.unwrap())
}

fn topup(fixture: &Fixture, account: domain::AccountId, number: u64) -> NewTransfer {
    let chance = SeededChance::new(1_000_000 + number);
    let topup = fixture.topup(account, &format!("topup-{number}"), 1);
    NewTransfer { id: TransferId::generate(fixture.now(), &chance), ..topup }
}

/// Thirty-two writers of one process and thirty-two of another: nobody meets a lock, nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn two_times_thirty_two_writers_never_meet_a_lock() {
    let folder = tempfile::tempdir().unwrap();
    // Two stores on one file have two write connections, as two processes have.
    let (one, other) = (connect(&folder).await, connect(&folder).await);
    let fixture = Fixture::new(Arc::clone(&one) as Arc<dyn store::Store>);
    let account = fixture.account(0).await;
    let mut writers = JoinSet::new();
    for number in 0..64_u64 {
        let (fixture, store) = (fixture.clone(), Arc::clone(if number % 2 == 0 { &one } else { &other }));
        writers.spawn(async move {
            let mut longest = Duration::ZERO;
            for turn in 0..25 {
                let started = Instant::now();
                let credited =
                    store.credit(&[topup(&fixture, account, number * 100 + turn)], fixture.now()).await;
                assert!(matches!(credited, Ok(Credited::Applied(_))), "{credited:?}");
                longest = longest.max(started.elapsed());
            }
            longest
        });
    }
    let longest = writers.join_all().await.into_iter().max().unwrap();
    assert!(longest < Duration::from_secs(5), "one waited {longest:?}");
    assert_eq!(fixture.balance(account).await, (64 * 25, 0));
    assert_eq!(fixture.store.audit(fixture.now()).await.unwrap(), []);
}

/// A write that fails inside a group takes nothing of its neighbours with it, and leaves nothing of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_write_fails_alone() {
    let (store, _folder) = open().await;
    let fixture = Fixture::new(store);
    let account = fixture.account(10).await;
    let mut writers = JoinSet::new();
    for number in 0..200_u64 {
        let fixture = fixture.clone();
        writers.spawn(async move {
            let mut transfer = topup(&fixture, account, number);
            if number % 2 == 1 {
                // More than the account will ever have: refused by the check, after the entry was written.
                transfer = NewTransfer {
                    kind: TransferKind::Adjust,
                    debit: domain::Book::Available,
                    credit: domain::Book::Adjustments,
                    amount: domain::Money::from_minor(1_000_000),
                    ..transfer
                };
            }
            (number % 2 == 1, fixture.store.credit(&[transfer], fixture.now()).await.unwrap())
        });
    }
    for (fails, credited) in writers.join_all().await {
        assert_eq!(credited == Credited::Short, fails, "{credited:?}");
    }
    assert_eq!(fixture.balance(account).await, (110, 0));
    assert_eq!(fixture.store.audit(fixture.now()).await.unwrap(), []);
}

/// A lock that somebody holds for a while is waited for; one that is held for long is an outage, and passes.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_another_program_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = connect(&folder).await;
    let mut other: SqliteConnection =
        SqliteConnectOptions::new().filename(folder.path().join("kie.db")).connect().await.unwrap();
    sqlx::raw_sql("begin immediate").execute(&mut other).await.unwrap();
    assert!(!store.has_real_accounts().await.unwrap(), "readers do not wait");
    let (pinged, released) = tokio::join!(store.ping(), async {
        // The other side is polled first; the lock goes only once it waits for it.
        tokio::task::yield_now().await;
        sqlx::raw_sql("commit").execute(&mut other).await
    });
    released.unwrap();
    pinged.unwrap();
    sqlx::raw_sql("begin immediate").execute(&mut other).await.unwrap();
    let refused = store.ping().await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    // The writer may still be opening its connection anew when the lock goes.
    let passed = async { while store.ping().await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(20), passed).await.expect("the outage passes");
    other.close().await.unwrap();
}

/// A commit that changes a job is seen by who waits for changes; a claim is not news.
#[tokio::test]
async fn changes_move_with_commits_that_matter() {
    let (store, _folder) = open().await;
    let fixture = Fixture::new(store);
    let account = fixture.account(100).await;
    let mut changes = fixture.store.changes();
    changes.mark_unchanged();
    let job = fixture.pending(account, 100).await;
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    fixture.claim_this(job.id).await;
    assert!(!changes.has_changed().unwrap());
    fixture.wake_now(job.id).await;
    assert!(changes.has_changed().unwrap());
}

/// Writes that were queued before the end are run, those after it are refused.
#[tokio::test(flavor = "multi_thread")]
async fn closing_finishes_what_is_queued() {
    let folder = tempfile::tempdir().unwrap();
    let store = connect(&folder).await;
    let at = Timestamp::from_second(1_768_478_400).unwrap();
    let mut writers = JoinSet::new();
    for number in 0..50 {
        let store = Arc::clone(&store);
        writers.spawn(async move { store.heartbeat(&format!("process-{number}"), at, None).await.is_ok() });
    }
    store.close().await;
    let kept = writers.join_all().await.into_iter().filter(|kept| *kept).count();
    assert!(store.heartbeat("late", at, None).await.unwrap_err().is_unavailable());
    let again = connect(&folder).await;
    assert_eq!(again.heartbeats().await.unwrap().len(), kept, "what was answered is there, and nothing else");
}

/// Writes that come together share their commits.
#[tokio::test]
async fn waiting_writes_are_committed_in_groups() {
    let (store, _folder) = open().await;
    let fixture = Fixture::new(store);
    let account = fixture.account(100_000).await;
    let before = *fixture.store.changes().borrow();
    let mut orders = JoinSet::new();
    for _ in 0..200 {
        let (store, order) = (fixture.store.clone(), fixture.order_of(account, 1, 10));
        orders.spawn(async move { store.place(&order).await });
    }
    for placed in orders.join_all().await {
        assert!(matches!(placed, Ok(Placed::Opened(_))), "{placed:?}");
    }
    let commits = *fixture.store.changes().borrow() - before;
    assert!((1..=50).contains(&commits), "200 orders took {commits} commits");
    assert_eq!(fixture.balance(account).await, (98_000, 2_000));
}

/// A caller that goes away before its answer leaves the writer in order.
#[tokio::test]
async fn a_caller_that_goes_away_harms_nobody() {
    let (store, _folder) = open().await;
    let fixture = Fixture::new(store);
    let account = fixture.account(100_000).await;
    for _ in 0..20 {
        let order = fixture.order_of(account, 1, 10);
        let placing = fixture.store.place(&order);
        // Polled once, so that it is queued, and dropped.
        tokio::select! { biased; _done = placing => {}, () = std::future::ready(()) => {} }
        let next = fixture.order_of(account, 1, 10);
        assert!(matches!(fixture.store.place(&next).await, Ok(Placed::Opened(_))));
        let gone = fixture.store.find_order(account, &order.key).await.unwrap();
        assert!(gone.is_none_or(|(_, jobs)| jobs.len() == 1), "all of it or nothing");
    }
    assert_eq!(fixture.store.audit(fixture.now()).await.unwrap(), []);
}
