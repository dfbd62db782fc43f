//! The audit and the reading of rows, on books that were broken by hand.

use domain::{Channel, JobState, Recipient, Scope};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use store::StoreError;
use store::conformance::Fixture;
use tempfile::TempDir;

use crate::open;

/// Runs statements that the schema's own checks would refuse.
async fn break_by_hand(folder: &TempDir, sql: impl sqlx::SqlSafeStr) {
    let mut db: SqliteConnection = SqliteConnectOptions::new()
        .filename(folder.path().join("kie.db"))
        .foreign_keys(false)
        .pragma("ignore_check_constraints", "on")
        .connect()
        .await
        .unwrap();
    sqlx::raw_sql(sql).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

/// A done job, a failed one with a recipient, a pending one and a draft, of one account.
async fn books() -> (Fixture, TempDir) {
    let (store, folder) = open().await;
    let fixture = Fixture::new(store);
    let account = fixture.account(1_000).await;
    let done = fixture.pending(account, 100).await;
    fixture.done(done.id, 60).await;
    let mut order = fixture.order_of(account, 1, 100);
    order.jobs[0].recipients = vec![
        Recipient::Telegram { chat_id: -42 },
        Recipient::Webhook { url: "https://shop.example/hook".to_owned() },
    ];
    let failed = fixture.open(&order).await.remove(0);
    fixture.failed(failed.id).await;
    fixture.pending(account, 100).await;
    fixture.open(&fixture.order(account, vec![fixture.new_draft(account, 5)])).await;
    assert_eq!(fixture.store.audit(fixture.now()).await.unwrap(), []);
    (fixture, folder)
}

/// What the audit says after one act of sabotage, as `invariant noun`.
async fn found_after(sql: &'static str) -> Vec<String> {
    let (fixture, folder) = books().await;
    break_by_hand(&folder, sql).await;
    let findings = fixture.store.audit(fixture.now()).await.unwrap();
    assert!(findings.is_sorted_by_key(|finding| (finding.invariant, finding.noun, finding.id.clone())));
    assert!(
        findings.iter().all(|finding| finding.id.len() == 36 && !finding.detail.is_empty()),
        "{findings:?}"
    );
    findings.iter().map(|finding| format!("{} {}", finding.invariant, finding.noun)).collect()
}

#[tokio::test]
async fn the_audit_finds_a_wrong_balance() {
    assert_eq!(found_after("update account set available = available + 1").await, ["I1 account"]);
    assert_eq!(found_after("update account set held = -100").await, ["I1 account"]);
    assert!(
        found_after("update transfer set amount = -1000 where kind = 'topup'")
            .await
            .contains(&"I1 transfer".to_owned())
    );
}

#[tokio::test]
async fn the_audit_finds_sums_that_are_not_the_transfers() {
    assert_eq!(found_after("update job set refunded = 1 where state = 'done'").await, ["I2 job"]);
    let twice = "drop index transfer_job_kind;
        insert into transfer (id, account_id, job_id, kind, key, debit, credit, amount, at)
        select randomblob(16), account_id, job_id, kind, 'again', debit, credit, amount, at
        from transfer where kind = 'capture'";
    assert_eq!(found_after(twice).await, ["I1 account", "I2 job", "I2 job"]);
}

#[tokio::test]
async fn the_audit_finds_money_that_was_not_decided() {
    for sql in [
        "update job set released = 0 where state = 'failed'",
        "update job set released = 100 where state = 'pending'",
        "update job set refunded = 61 where state = 'done'",
        "update job set held = 0 where state = 'pending'",
        "update job set price = 0 where state = 'pending'",
        "update job set gift = 1 where state = 'done'",
        "update job set held = 5 where state = 'draft'",
    ] {
        let found = found_after(sql).await;
        assert!(found.contains(&"I2 job".to_owned()), "{sql}: {found:?}");
    }
}

#[tokio::test]
async fn the_audit_finds_what_waits_for_nobody() {
    assert_eq!(found_after("update job set wake_at = null where state = 'pending'").await, ["I4 job"]);
    assert_eq!(found_after("update job set wake_at = null where state = 'draft'").await, ["I4 job"]);
    assert_eq!(found_after("update delivery set wake_at = null").await, ["I4 delivery", "I4 delivery"]);
}

#[tokio::test]
async fn the_audit_finds_what_nobody_was_given() {
    assert_eq!(found_after("update asset set state = 'lost'").await, ["I4 job"]);
    assert_eq!(found_after("update asset set state = 'pending'").await, ["I4 job", "I5 asset"]);
    assert_eq!(found_after("delete from delivery where channel = 'telegram'").await, ["I5 job"]);
    assert_eq!(found_after("delete from delivery").await, ["I5 job", "I5 job"]);
}

/// One bad row is a finding with words, and hides no other.
#[tokio::test]
async fn the_audit_goes_on_over_recipients_that_are_none() {
    for recipients in
        ["{}", "5", "\"x\"", "null", "{oops", "", "[5]", "[\"x\"]", "[{}]", "[{\"channel\": 5}]", "[[]]"]
    {
        let (fixture, folder) = books().await;
        let broken = format!("update job set recipients = '{recipients}' where state = 'failed'");
        let other = "update account set available = available + 1";
        break_by_hand(&folder, sqlx::AssertSqlSafe(broken)).await;
        break_by_hand(&folder, other).await;
        let found = fixture.store.audit(fixture.now()).await.unwrap();
        let named: Vec<_> = found.iter().map(|one| (one.invariant, one.noun)).collect();
        assert_eq!(named, [("I1", "account"), ("I4", "job")], "{recipients}: {found:?}");
        assert!(
            found[1].detail.contains("nobody can work on it") && found[1].detail.contains("recipients"),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn an_impossible_row_names_its_table_and_column() {
    for (sql, wanted) in [
        ("update job set state = 'resting' where state = 'pending'", "state"),
        ("update job set basis = '{}' where state = 'pending'", "basis"),
        ("update job set tries = -1 where state = 'pending'", "tries"),
        ("update job set created_at = 9223372036854775807 where state = 'pending'", "created_at"),
    ] {
        let (fixture, folder) = books().await;
        let states = vec![JobState::Pending];
        let filter = store::JobFilter { states, limit: 10, ..store::JobFilter::default() };
        let job = fixture.store.list_jobs(&filter).await.unwrap().remove(0);
        break_by_hand(&folder, sql).await;
        let error = fixture.store.find_job(job.id, Scope::All).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Corrupt { table: "job", column, source }
                if *column == wanted && source.to_string().contains(&job.id.to_string())),
            "{sql}: {error:?}"
        );
    }
}

/// A row that makes no sense is skipped by claims, and keeps its lease so that it does not come at once again.
#[tokio::test]
async fn an_unreadable_row_does_not_hold_up_the_others() {
    let (fixture, folder) = books().await;
    fixture.advance(1);
    let account = fixture.account(1_000).await;
    let sound = fixture.pending(account, 100).await.id;
    let broken = "update job set kind = 'dream' where id = (select min(id) from job where state = 'pending')";
    break_by_hand(&folder, broken).await;
    let claimed = fixture.claim_up_to(10).await;
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [sound]);
    assert_eq!(fixture.claim_up_to(10).await, []);
    let page = store::JobFilter { account: Some(account), limit: 1, ..store::JobFilter::default() };
    let listed = fixture.store.list_jobs(&page).await.unwrap();
    assert_eq!(listed.iter().map(|job| job.id).collect::<Vec<_>>(), [sound], "the page is filled up");
    let mut left_out = Vec::new();
    for account in fixture.store.list_accounts(None, 100).await.unwrap() {
        left_out.extend(fixture.store.unreadable_jobs_of(account.id).await.unwrap());
    }
    assert!(left_out.len() == 1 && left_out[0] != sound, "it is known what is left out: {left_out:?}");
    let found = fixture.store.audit(fixture.now()).await.unwrap();
    assert!(found.iter().any(|one| one.invariant == "I4" && one.detail.contains("kind")), "{found:?}");
    break_by_hand(&folder, "update job set kind = 'image'").await;
    fixture.advance(31);
    assert_eq!(
        fixture.claim_up_to(10).await.len(),
        2,
        "a row that was mended is claimed when its lease is over"
    );
    break_by_hand(&folder, "update delivery set channel = 'pigeon' where channel = 'telegram'").await;
    let owed = fixture
        .store
        .claim_deliveries(&[Channel::Webhook], fixture.now(), fixture.after(30), 10)
        .await
        .unwrap();
    assert_eq!(
        owed.iter().map(|one| one.address.as_str()).collect::<Vec<_>>(),
        ["https://shop.example/hook"]
    );
    assert_eq!(
        fixture
            .store
            .claim_deliveries(&[Channel::Webhook], fixture.now(), fixture.after(30), 10)
            .await
            .unwrap(),
        []
    );
}
