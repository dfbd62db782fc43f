//! Webhooks: receivers that are gone, moved, or down; sending again by hand.

use std::time::Duration;

use acceptance::{IMAGE, World, prompt, stories};
use domain::Role;
use serde_json::json;

stories! {
    async fn f47_a_receiver_that_is_gone_is_a_dead_letter_and_can_be_told_again_under_the_same_id(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let operator = world.holder(Role::Operator).await;
        let path = format!("/hook/{}", customer.id);
        world.receiver.answer_with(&path, &[410]);
        let job = customer.order_and_wait(IMAGE, prompt("gone")).await;
        let dead = customer.until_told(job.id()).await;
        assert_eq!((dead.state(), &dead.deliveries()[0]["state"]), ("done", &json!("dead")), "the job is untouched");
        let letters = operator.get("/v1/deliveries?state=dead").await.expect(200);
        assert_eq!(letters["items"][0]["job_id"], job.id());
        customer.act(&format!("/v1/jobs/{}/redeliver", job.id())).await;
        let told = customer.until_job(job.id(), "is told", |job| job.deliveries()[0]["state"] == "done").await;
        assert_eq!(told.money(), [100, 100, 100, 0, 0]);
        let calls = world.receiver.calls_about(job.id());
        assert_eq!(calls.iter().map(|call| call.status).collect::<Vec<_>>(), [410, 200]);
        assert_eq!(calls[0].header("webhook-id"), calls[1].header("webhook-id"));
        world.finish().await;
    }

    async fn f50_a_redirect_is_a_failure_and_is_not_followed(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        world.receiver.answer_with(&format!("/hook/{}", customer.id), &[301]);
        let job = customer.order_and_wait(IMAGE, prompt("moved")).await;
        let failed = customer
            .until_job(job.id(), "was refused once", |job| job.deliveries()[0]["attempts"] == 1)
            .await;
        assert_eq!(failed.deliveries()[0]["state"], "pending");
        assert!(failed.deliveries()[0]["last_error"].as_str().unwrap().contains("301"));
        let told = customer.until_told(job.id()).await;
        assert_eq!(told.deliveries()[0]["state"], "done");
        assert!(world.receiver.calls().iter().all(|call| call.path != "/followed"));
        world.finish().await;
    }

    async fn f49_a_receiver_that_was_down_is_told_later_under_the_same_id(db) {
        let world = World::builder(db).workers(2).start().await;
        let customer = world.account_with("1.00").await;
        world.receiver.answer_with(&format!("/hook/{}", customer.id), &[500, 503, 500]);
        let job = customer.order_and_wait(IMAGE, prompt("down")).await;
        for minutes in [1, 10, 60] {
            let tried = |job: &acceptance::Job| job.deliveries()[0]["attempts"].as_i64() >= Some(1);
            customer.until_job(job.id(), "was tried", tried).await;
            world.advance(Duration::from_mins(minutes));
            let count = world.receiver.calls_about(job.id()).len();
            acceptance::until("the next try", async || (world.receiver.calls_about(job.id()).len() > count || count >= 4).then_some(())).await;
        }
        let told = customer.until_told(job.id()).await;
        assert_eq!(told.deliveries()[0]["state"], "done");
        let calls = world.receiver.calls_about(job.id());
        assert_eq!(calls.iter().map(|call| call.status).collect::<Vec<_>>(), [500, 503, 500, 200]);
        assert!(calls.iter().all(|call| call.header("webhook-id") == calls[0].header("webhook-id")));
        world.finish().await;
    }

    async fn f50_a_receiver_that_is_down_for_days_is_a_dead_letter_and_is_told_again_under_the_same_id(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        // Down, and moved for good: a redirect is a failure like any other.
        let answers = [500, 301, 503, 301, 500, 502, 308, 301, 429, 301];
        world.receiver.answer_with(&format!("/hook/{}", customer.id), &answers);
        let job = customer.order_and_wait(IMAGE, prompt("down for days")).await;
        for tries in 1..=10 {
            let tried = customer
                .until_job(job.id(), "was tried", |job| job.deliveries()[0]["attempts"].as_i64() >= Some(tries))
                .await;
            let expected = if tries < 10 { "pending" } else { "dead" };
            assert_eq!(tried.deliveries()[0]["state"], expected, "after try {tries}");
            world.advance(Duration::from_hours(26));
        }
        let dead = customer.until_told(job.id()).await;
        assert_eq!((dead.state(), dead.money()), ("done", [100, 100, 100, 0, 0]), "the job is untouched");
        let status = operations::status(&*world.store, Duration::from_hours(24 * 30), world.now()).await.unwrap();
        assert!(status.alarms.iter().any(|alarm| alarm.contains("1 delivery is dead")), "{:?}", status.alarms);
        assert_eq!(world.receiver.calls_about(job.id()).len(), 10);
        customer.act(&format!("/v1/jobs/{}/redeliver", job.id())).await.expect(200);
        customer.until_job(job.id(), "is told", |job| job.deliveries()[0]["state"] == "done").await;
        let calls = world.receiver.calls_about(job.id());
        assert_eq!(calls.iter().map(|call| call.status).collect::<Vec<_>>(), [&answers[..], &[200]].concat());
        assert!(calls.iter().all(|call| call.header("webhook-id") == calls[0].header("webhook-id")), "one event");
        assert!(world.receiver.calls().iter().all(|call| call.path != "/followed"));
        world.finish().await;
    }

    async fn f50_a_receiver_that_says_gone_is_asked_no_more_until_somebody_sends_again(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("2.00").await;
        world.receiver.answer_with(&format!("/hook/{}", customer.id), &[410]);
        let job = customer.order_and_wait(IMAGE, prompt("gone")).await;
        let dead = customer.until_told(job.id()).await;
        assert_eq!((&dead.deliveries()[0]["state"], &dead.deliveries()[0]["attempts"]), (&json!("dead"), &json!(1)));
        world.advance(Duration::from_hours(72));
        let other = customer.order_and_wait(IMAGE, prompt("told meanwhile")).await;
        assert_eq!(customer.until_told(other.id()).await.deliveries()[0]["state"], "done");
        assert_eq!(world.receiver.calls_about(job.id()).len(), 1, "days later nobody asked again");
        customer.act(&format!("/v1/jobs/{}/redeliver", job.id())).await.expect(200);
        customer.until_job(job.id(), "is told", |job| job.deliveries()[0]["state"] == "done").await;
        let calls = world.receiver.calls_about(job.id());
        assert_eq!((calls.len(), calls[0].header("webhook-id")), (2, calls[1].header("webhook-id")));
        world.finish().await;
    }

    async fn f50_what_is_sent_is_thin_and_a_receiver_that_finds_it_too_large_is_tried_again(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        world.receiver.answer_with(&format!("/hook/{}", customer.id), &[413]);
        let text = format!("[sim:count=4] {}", "a very long wish ".repeat(200));
        let job = customer.order_and_wait(IMAGE, prompt(&text)).await;
        assert_eq!(job.outputs().len(), 4);
        let told = customer.until_told(job.id()).await;
        assert_eq!(told.deliveries()[0]["state"], "done");
        let calls = world.receiver.calls_about(job.id());
        assert_eq!(calls.iter().map(|call| call.status).collect::<Vec<_>>(), [413, 200]);
        assert!(calls.iter().all(|call| call.bytes.len() < 512), "{}", calls[0].json());
        assert_eq!(calls[0].header("webhook-id"), calls[1].header("webhook-id"));
        world.finish().await;
    }

    async fn the_key_of_the_api_verifies_what_was_sent(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let job = customer.order_and_wait(IMAGE, prompt("signed")).await;
        customer.until_told(job.id()).await;
        let secret = customer.get("/v1/webhook-secret").await.expect(200);
        let oracle = standardwebhooks::Webhook::new(secret["secret"].as_str().unwrap()).unwrap();
        let call = world.receiver.calls_about(job.id()).remove(0);
        oracle.verify(&call.bytes, &call.headers).unwrap();
        assert!(oracle.verify(b"{}", &call.headers).is_err());
        world.finish().await;
    }

    async fn a_webhook_to_a_private_address_is_refused_at_order_time(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        for url in ["http://127.0.0.1:1/hook", "https://10.0.0.1/hook", "http://example.com/hook", "https://[::1]/hook"] {
            let mut body = customer.order_body(IMAGE, &prompt("inside"));
            body["deliver"][0]["url"] = json!(url);
            let refused = customer.post("/v1/jobs", Some(&customer.fresh_key()), &body).await.expect(422);
            assert_eq!(refused["errors"][0]["pointer"], "/deliver/0/url", "{url}");
        }
        assert_eq!(customer.balance().await, (100, 0));
        world.finish().await;
    }
}
