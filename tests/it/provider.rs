//! Buying: answers of createTask that are lost, refused, or odd.

use std::time::Duration;

use acceptance::{Customer, IMAGE, Job, World, prompt, stories, until};
use domain::Role;
use kie_sim::ShortText;
use serde_json::json;

stories! {
    async fn f01_a_lost_answer_is_unclear_and_a_callback_finds_the_task(db) {
        let world = World::builder(db).workers(2).start().await;
        let customer = world.account_with("1.00").await;
        let operator = world.holder(Role::Operator).await;
        let job = customer.order(IMAGE, prompt("lost [sim:create=reset][sim:duration=1500ms]")).await;
        let unclear = operator.until_state(job.id(), "unclear").await;
        assert_eq!((unclear.status(), customer.balance().await), ("generating", (0, 100)), "the hold stays");
        let done = customer.until_final(job.id()).await;
        assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]));
        assert_eq!((world.sim.tasks().len(), world.creates()), (1, 1), "never sent again");
        world.finish().await;
    }

    async fn f01_what_nobody_learns_is_decided_by_the_policy_after_its_time(db) {
        let world = World::builder(db).callbacks(false).flag("--unclear-after", "2h").start().await;
        let customer = world.account_with("1.00").await;
        let job = customer.order(IMAGE, prompt("lost [sim:create=reset]")).await;
        customer.until_state(job.id(), "unclear").await;
        world.advance(Duration::from_hours(2) + Duration::from_mins(1));
        let failed = customer.until_final(job.id()).await;
        assert_eq!((failed.state(), failed.cause(), failed.money()), ("failed", "unclear", [100, 100, 0, 100, 0]));
        assert_eq!((customer.balance().await, world.sim.tasks().len()), ((100, 0), 1));
        world.finish().await;
    }

    async fn f02_refusals_for_certain_are_tried_again_and_counted(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("10.00").await;
        let mut jobs = Vec::new();
        for answer in ["429", "455", "430", "http429", "busy"] {
            let text = format!("[sim:create={answer}:times=1] later");
            jobs.push(customer.order(IMAGE, prompt(&text)).await);
        }
        for job in jobs {
            let done = customer.until_final(job.id()).await;
            assert_eq!((done.state(), &done.0["attempts"]), ("done", &json!(2)), "{}", done.0["input"]);
        }
        assert_eq!((customer.balance().await, world.sim.tasks().len()), ((500, 0), 5));
        world.finish().await;
    }

    async fn f02_refusals_of_the_request_end_the_job_with_their_cause(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("10.00").await;
        let refusals = [
            ("505", "model_unavailable"),
            ("422", "invalid_input"),
            ("field", "invalid_input"),
            ("451", "invalid_input"),
            ("paused", "model_unavailable"),
            ("500:Internal error", "provider_error"),
            ("501", "provider_error"),
            ("422:Your prompt was flagged as violating content policies", "moderation"),
        ];
        for (answer, cause) in refusals {
            let failed = customer.order_and_wait(IMAGE, prompt(&format!("[sim:create={answer}] no"))).await;
            assert_eq!((failed.state(), failed.cause()), ("failed", cause), "{answer}");
            assert_eq!(failed.money(), [100, 100, 0, 100, 0], "{answer}");
            assert_eq!(failed.0["failure"]["money"], "released");
        }
        assert_eq!((customer.balance().await, world.sim.tasks().len()), ((1000, 0), 0));
        world.finish().await;
    }

    async fn f03_answers_without_a_readable_task_are_lost_answers(db) {
        let world = World::builder(db).workers(2).start().await;
        let customer = world.account_with("10.00").await;
        let mut jobs = Vec::new();
        for answer in ["no-id", "broken-json", "cut", "html", "empty", "http500"] {
            let text = format!("[sim:create={answer}][sim:duration=1s] odd");
            jobs.push(customer.order(IMAGE, prompt(&text)).await);
        }
        for job in jobs {
            let done = customer.until_final(job.id()).await;
            assert_eq!(done.state(), "done", "{}", done.0["input"]);
            let history = customer.get(&format!("/v1/jobs/{}/timeline", job.id())).await.expect(200).to_string();
            assert!(history.contains("→ unclear"), "{}: {history}", done.0["input"]);
        }
        assert_eq!((world.sim.tasks().len(), world.creates()), (6, 6));
        world.finish().await;
    }

    async fn f07_bad_prompts_of_one_customer_do_not_count(db) {
        let world = World::builder(db).start().await;
        let naughty = world.account_with("10.00").await;
        for (answer, cause) in [
            ("422:Your prompt was flagged as violating content policies", "moderation"),
            ("422", "invalid_input"),
            ("field", "invalid_input"),
            ("500:Internal error", "provider_error"),
        ] {
            let failed = naughty.order_and_wait(IMAGE, prompt(&format!("[sim:create={answer}] bad"))).await;
            assert_eq!((failed.state(), failed.cause()), ("failed", cause));
        }
        let record = naughty.order_and_wait(IMAGE, prompt("[sim:moderation] naughty")).await;
        assert_eq!(record.cause(), "moderation");
        assert_eq!(world.count("kie.model_health").await, 0, "none of them is the model's fault");
        assert_eq!(naughty.order_and_wait(IMAGE, prompt("good")).await.state(), "done", "it is for sale");

        // Three customers find the model gone; one that was sold in between would have begun the count anew.
        world.fault("create=505");
        for number in 0..3 {
            assert!(world.store.models_off_sale().await.unwrap().is_empty(), "after {number}");
            let customer = world.account_with("1.00").await;
            let failed = customer.order_and_wait(IMAGE, prompt("gone")).await;
            assert_eq!((failed.cause(), customer.balance().await), ("model_unavailable", (100, 0)));
        }
        until("the model is off sale", async || {
            (!world.store.models_off_sale().await.unwrap().is_empty()).then_some(())
        })
        .await;
        let status = world.reconciler(&["status"]).await.expect(1);
        assert!(status.contains("KIE refuses these models") && status.contains(IMAGE), "{status}");
        world.finish().await;
    }

    async fn f07_a_model_that_is_refused_three_times_in_a_row_goes_off_sale(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("10.00").await;
        world.fault("create=505");
        let mut last = None;
        for number in 0..3 {
            let job = customer.order_and_wait(IMAGE, prompt(&format!("gone {number}"))).await;
            assert_eq!((job.state(), job.cause()), ("failed", "model_unavailable"));
            last = Some(job);
        }
        let body = customer.order_body(IMAGE, &prompt("again"));
        let refused = until("the model is off sale", async || {
            let answer = customer.post("/v1/jobs", Some(&customer.fresh_key()), &body).await;
            (answer.status == 409).then_some(answer)
        });
        assert_eq!(refused.await.body["type"].as_str().map(|slug| slug.contains("not-for-sale")), Some(true));
        assert_eq!(customer.job(last.unwrap().id()).await.state(), "failed", "old jobs stay readable");
        world.finish().await;
    }

    async fn f08_without_credits_at_the_provider_jobs_wait_and_are_bought_when_there_are_some(db) {
        let world = World::builder(db)
            .workers(2)
            .sim(|sim| {
                sim.credits = 0;
                sim.short_text = ShortText::Observed;
            })
            .start()
            .await;
        let customer = world.account_with("10.00").await;
        let first = waits_refused(&customer, "first").await;
        let second = customer.order(IMAGE, prompt("second")).await;
        let third = customer.order(IMAGE, prompt("third")).await;
        assert_eq!(customer.job(second.id()).await.status(), "queued");
        customer.act(&format!("/v1/jobs/{}/cancel", third.id())).await.expect(200);
        assert_eq!(world.creates(), 1, "one trial a minute, not one for each job");
        let alarm = "KIE refuses to sell";
        let status = world.reconciler(&["status"]).await.expect(1);
        assert!(status.contains(alarm), "{status}");
        let waiting = customer.job(first.id()).await;
        assert_eq!((waiting.status(), &waiting.0["failure"]), ("queued", &json!(null)), "nobody is blamed");
        world.sim.set_credits_micro(1_000_000_000);
        world.advance(Duration::from_secs(62));
        for job in [&first, &second] {
            let done = customer.until_final(job.id()).await;
            assert_eq!(done.state(), "done");
        }
        let status = world.reconciler(&["status"]).await.out;
        assert!(!status.contains(alarm), "it ends by itself: {status}");
        assert_eq!((customer.balance().await, world.sim.tasks().len()), ((800, 0), 2));
        world.finish().await;
    }

    async fn f08_a_refused_or_capped_key_opens_the_breaker_and_is_released_after_its_time(db) {
        for code in ["401", "402", "433", "credits"] {
            let world = World::builder(db).start().await;
            let customer = world.account_with("1.00").await;
            world.fault(&format!("create={code}"));
            let job = waits_refused(&customer, "never").await;
            until("the breaker is open", async || world.store.breaker().await.unwrap()).await;
            let day = Duration::from_hours(24);
            let status = operations::status(&*world.store, day, world.now()).await.unwrap();
            assert!(status.alarms.iter().any(|one| one.contains("KIE refuses to sell")), "{code}: {:?}", status.alarms);
            world.advance(Duration::from_hours(6) + Duration::from_mins(1));
            let failed = customer.until_final(job.id()).await;
            assert_eq!((failed.state(), failed.cause()), ("failed", "provider_balance"), "{code}");
            assert_eq!(customer.balance().await, (100, 0));
            world.finish().await;
        }
    }

    async fn f09_a_refusal_in_the_record_ends_the_job_and_gives_the_money_back(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let failed = customer.order_and_wait(IMAGE, prompt("[sim:moderation] naughty")).await;
        assert_eq!((failed.state(), failed.cause(), failed.money()), ("failed", "moderation", [100, 100, 0, 100, 0]));
        let message = failed.0["failure"]["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains("SENSITIVE"), "{message}");
        let told = customer.until_told(failed.id()).await;
        assert_eq!(told.deliveries()[0]["event"], "job.failed");
        assert_eq!((world.sim.tasks().len(), world.creates(), customer.balance().await), (1, 1, (100, 0)));
        world.finish().await;
    }

    async fn an_operator_orders_a_resend_and_the_first_task_is_never_paid_twice(db) {
        let world = World::builder(db).callbacks(false).start().await;
        let customer = world.account_with("1.00").await;
        let operator = world.holder(Role::Operator).await;
        let job = customer.order(IMAGE, prompt("[sim:create=reset:none:times=1] again")).await;
        operator.until_state(job.id(), "unclear").await;
        let resend = json!({ "action": "resend", "reason": "KIE's log shows no task" });
        operator.post(&format!("/v1/jobs/{}/resolve", job.id()), None, &resend).await.expect(200);
        let done = customer.until_final(job.id()).await;
        assert_eq!((done.state(), &done.0["attempts"], done.money()[2]), ("done", &json!(2), 100));
        world.finish().await;
    }

    async fn an_operator_adopts_a_task_only_if_its_record_agrees(db) {
        let world = World::builder(db).callbacks(false).start().await;
        let customer = world.account_with("2.00").await;
        let operator = world.holder(Role::Operator).await;
        let other = customer.order_and_wait(IMAGE, prompt("another job")).await;
        let other_task = world.row(other.id()).await.task_id.unwrap();
        let job = customer.order(IMAGE, prompt("[sim:create=reset] mine")).await;
        operator.until_state(job.id(), "unclear").await;
        let path = format!("/v1/jobs/{}/resolve", job.id());
        let adopt = |task: &str| json!({ "action": "adopt", "task_id": task, "reason": "found in KIE's log" });
        let refused = operator.post(&path, None, &adopt(&other_task)).await;
        assert_eq!(refused.status, 409, "{}", refused.body);
        let mine = world.sim.tasks().into_iter().find(|task| task.id != other_task).unwrap();
        operator.post(&path, None, &adopt(&mine.id)).await.expect(200);
        assert_eq!(customer.until_final(job.id()).await.state(), "done");
        world.finish().await;
    }
}

/// Orders, and waits until the provider refused it once and it waits again.
async fn waits_refused(customer: &Customer, text: &str) -> Job {
    let job = customer.order(IMAGE, prompt(text)).await;
    customer
        .until_job(job.id(), "was refused and waits", |job| {
            job.state() == "pending" && job.0["attempts"] == 1
        })
        .await
}
