//! The audit finds what the schema cannot refuse, and every guard of money is the schema's own.

use sqlx::Connection;
use store::conformance::Fixture;
use store::{ReportStore, ShopStore};

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
