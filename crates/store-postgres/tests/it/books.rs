//! The audit finds what the schema cannot refuse, and every guard of money is the schema's own.

use domain::{Channel, Recipient};
use sqlx::Connection;
use store::conformance::Fixture;
use store::{DeliveryStore, ReportStore, ShopStore};

use crate::database::Database;

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_names_what_is_broken() {
    for (damage, invariant, noun) in [
        ("update kie.account set available = available + 1", "I1", "account"),
        ("update kie.job set held = held + 1", "I2", "job"),
        ("delete from kie.transfer where kind = 'hold'", "I2", "job"),
        ("update kie.job set state = 'done', wake_at = null", "I4", "job"),
        (
            "alter table kie.job drop constraint job_wake_check; update kie.job set wake_at = null",
            "I4",
            "job",
        ),
        (
            "update kie.job set state = 'failed', cause = 'operator',
               recipients = '[{\"channel\": \"telegram\", \"chat_id\": 5}]'",
            "I5",
            "job",
        ),
    ] {
        let database = Database::create().await;
        let store = database.connect().await;
        let fixture = Fixture::new(std::sync::Arc::new(store.clone()));
        let account = fixture.account(1_000).await;
        fixture.pending(account, 100).await;
        assert_eq!(store.audit(fixture.now()).await.unwrap(), []);
        database.run(damage).await;
        let findings = store.audit(fixture.now()).await.unwrap();
        let named = findings.iter().any(|finding| finding.invariant == invariant && finding.noun == noun);
        assert!(named, "{damage}: {findings:?}");
        store.close().await;
    }
}

/// One bad row is a finding with words, and hides no other.
#[tokio::test(flavor = "multi_thread")]
async fn the_audit_goes_on_over_recipients_that_are_none() {
    let database = Database::create().await;
    let store = database.connect().await;
    let fixture = Fixture::new(std::sync::Arc::new(store.clone()));
    let account = fixture.account(1_000).await;
    let failed = fixture.pending(account, 100).await;
    fixture.failed(failed.id).await;
    database.run("update kie.account set available = available + 1").await;
    for recipients in ["{}", "5", "\"x\"", "null", "[5]", "[\"x\"]", "[{}]", "[{\"channel\": 5}]", "[[]]"] {
        database.run(&format!("update kie.job set recipients = '{recipients}'")).await;
        let found = store.audit(fixture.now()).await.unwrap();
        let named: Vec<_> = found.iter().map(|one| (one.invariant, one.noun)).collect();
        assert_eq!(named, [("I1", "account"), ("I4", "job")], "{recipients}: {found:?}");
        assert!(found[1].detail.contains("nobody can work on it"), "{found:?}");
        assert!(found[1].detail.contains("recipients"), "{found:?}");
    }
    store.close().await;
}

/// A row that makes no sense is skipped by claims, and keeps its lease so that it does not come at once again.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_row_does_not_hold_up_the_others() {
    let database = Database::create().await;
    let store = database.connect().await;
    let fixture = Fixture::new(std::sync::Arc::new(store.clone()));
    let account = fixture.account(1_000).await;
    let (broken, sound) = (fixture.pending(account, 100).await.id, fixture.pending(account, 100).await.id);
    database
        .run(&format!(
            "alter table kie.job drop constraint job_kind_check;
             update kie.job set kind = 'dream' where id = '{broken}'"
        ))
        .await;
    let claimed = fixture.claim_up_to(10).await;
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [sound]);
    assert_eq!(fixture.claim_up_to(10).await, []);
    let page = store::JobFilter { account: Some(account), limit: 1, ..store::JobFilter::default() };
    let listed = fixture.store.list_jobs(&page).await.unwrap();
    assert_eq!(listed.iter().map(|job| job.id).collect::<Vec<_>>(), [sound], "the page is filled up");
    assert_eq!(
        fixture.store.unreadable_jobs_of(account).await.unwrap().len(),
        1,
        "and it is known what is left out"
    );
    let found = fixture.store.audit(fixture.now()).await.unwrap();
    assert!(found.iter().any(|one| one.invariant == "I4" && one.detail.contains("kind")), "{found:?}");
    database.run("update kie.job set kind = 'image'").await;
    fixture.advance(31);
    let again = fixture.claim_up_to(10).await;
    assert_eq!(again.len(), 2, "a row that was mended is claimed when its lease is over");
    let mut order = fixture.order_of(account, 1, 100);
    let hook = |name: &str| Recipient::Webhook { url: format!("https://shop.example/{name}") };
    order.jobs[0].recipients = vec![hook("a"), hook("b")];
    let told = fixture.open(&order).await.remove(0);
    fixture.failed(told.id).await;
    database
        .run(
            "alter table kie.delivery drop constraint delivery_channel_check;
             update kie.delivery set channel = 'pigeon' where address = 'https://shop.example/a'",
        )
        .await;
    let owed =
        store.claim_deliveries(&[Channel::Webhook], fixture.now(), fixture.after(30), 10).await.unwrap();
    assert_eq!(owed.iter().map(|one| one.address.as_str()).collect::<Vec<_>>(), ["https://shop.example/b"]);
    assert_eq!(
        store.claim_deliveries(&[Channel::Webhook], fixture.now(), fixture.after(30), 10).await.unwrap(),
        []
    );
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_itself_refuses_impossible_money() {
    let database = Database::create().await;
    let store = database.connect().await;
    let fixture = Fixture::new(std::sync::Arc::new(store.clone()));
    let account = fixture.account(1_000).await;
    fixture.pending(account, 100).await;
    let mut connection = database.plain().await;
    for refused in [
        "update kie.account set available = -1",
        "update kie.account set held = -1",
        "update kie.job set captured = held + 1",
        "update kie.job set refunded = 1",
        "update kie.job set wake_at = null",
        "update kie.transfer set amount = 0",
        "update kie.transfer set credit = debit",
        "update kie.transfer set key = 'same'",
        "delete from kie.account",
        "delete from kie.job",
    ] {
        let answer = sqlx::query(refused).execute(&mut connection).await;
        assert!(answer.is_err(), "{refused}");
    }
    connection.close().await.unwrap();
    store.close().await;
}
