//! Callbacks are hints: early, many, forged, or odd, they wake a job and are never believed.

use std::time::{Duration, Instant};

use acceptance::{HMAC_KEY, IMAGE, Media, World, prompt, stories, until};
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use kie_client::callback;
use kie_sim::{Script, TaskView};
use serde_json::json;

stories! {
    async fn f13_a_callback_before_the_answer_is_kept_and_applied_once(db) {
        let world = World::builder(db).workers(2).start().await;
        let customer = world.account_with("2.00").await;
        for mark in ["before-answer", "early"] {
            let done = customer.order_and_wait(IMAGE, prompt(&format!("[sim:callback={mark}] early"))).await;
            assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]), "{mark}");
        }
        assert!(world.sim.callbacks().iter().all(|sent| sent.status == Some(200)));
        world.finish().await;
    }

    async fn f14_twenty_equal_callbacks_at_once_are_one_transition(db) {
        let world = World::builder(db).workers(2).start().await;
        let customer = world.account_with("1.00").await;
        let done = customer.order_and_wait(IMAGE, prompt("[sim:callback=duplicate:20] many")).await;
        assert_eq!(done.money(), [100, 100, 100, 0, 0]);
        until("all callbacks are answered", async || (world.sim.callbacks().len() >= 20).then_some(())).await;
        assert!(world.sim.callbacks().iter().all(|sent| sent.status == Some(200)), "{:?}", world.sim.callbacks());
        customer.until_told(done.id()).await;
        assert_eq!(world.receiver.calls_about(done.id()).len(), 1, "one delivery");
        world.finish().await;
    }

    async fn f15_callbacks_that_contradict_each_other_or_come_after_the_end_change_nothing(db) {
        let world = World::builder(db).workers(2).start().await;
        let customer = world.account_with("3.00").await;
        for mark in ["then-fail", "fail-first", "then-progress"] {
            let before = world.sim.callbacks().len();
            let done = customer.order_and_wait(IMAGE, prompt(&format!("[sim:callback={mark}] mixed"))).await;
            until("both callbacks are answered", async || (world.sim.callbacks().len() >= before + 2).then_some(())).await;
            assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]), "{mark}");
            assert_eq!(customer.job(done.id()).await.state(), "done", "{mark}");
        }
        assert!(world.sim.callbacks().iter().all(|sent| sent.status == Some(200)));
        world.finish().await;
    }

    async fn f16_a_genuine_callback_with_another_body_or_for_the_second_time_only_wakes(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("2.00").await;
        let (done, other) = (
            customer.order_and_wait(IMAGE, prompt("genuine")).await,
            customer.order(IMAGE, prompt("[sim:duration=2s] target")).await,
        );
        let sent = until("the callback was sent", async || {
            world.sim.callbacks().into_iter().find(|sent| sent.status == Some(200))
        })
        .await;
        let foreign = world.sim.tasks().pop().unwrap().id;
        let failed = sent.body.replace("success", "fail");
        let elsewhere = sent.body.replace("/r/", "/evil/");
        let mixed = sent.body.replacen(&sent.task_id, &foreign, 1);
        assert!([&failed, &elsewhere].iter().all(|body| **body != sent.body));
        let http = reqwest::Client::builder().build().unwrap();
        for body in [failed, elsewhere, mixed, sent.body.clone(), sent.body] {
            let answer = http
                .post(&sent.url)
                .header("x-webhook-timestamp", sent.timestamp.clone().unwrap())
                .header("x-webhook-signature", sent.signature.clone().unwrap())
                .header("content-type", "application/json")
                .body(body)
                .send()
                .await
                .unwrap();
            // The signature covers the task id; where another one stands, it does not fit.
            assert!(matches!(answer.status().as_u16(), 200 | 401), "{}", answer.status());
        }
        let after = customer.job(done.id()).await;
        assert_eq!((after.state(), after.money()), ("done", [100, 100, 100, 0, 0]));
        assert_eq!(after.outputs()[0]["sha256"], done.outputs()[0]["sha256"]);
        let other = customer.until_final(other.id()).await;
        assert_eq!((other.state(), world.creates()), ("done", 2));
        world.finish().await;
    }

    async fn f19_a_callback_is_answered_before_anything_behind_it_is_done(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let job = customer.order(IMAGE, prompt("[sim:duration=500ms][sim:record=slow:20s:times=1] slow")).await;
        let sent = until("the callback is answered", async || {
            world.sim.callbacks().into_iter().find(|sent| sent.status.is_some())
        })
        .await;
        assert_eq!((sent.status, sent.attempt), (Some(200), 1), "answered at once, within the sender's patience");
        let row = world.row(job.id()).await;
        assert_eq!(row.state.as_str(), "running", "its record is still being read");
        assert_eq!(customer.until_final(job.id()).await.state(), "done");
        world.finish().await;
    }

    async fn f19_many_callbacks_are_answered_while_storage_and_provider_hang(db) {
        const ASLEEP: &str = "asleep at the provider";
        const SLOWEST: Duration = Duration::from_secs(3);
        let world = World::builder(db).media(Media::S3).callbacks(false).start().await;
        let customer = world.account_with("40.00").await;
        world.sim.script(Script::parse("record=slow:20s").unwrap().for_prompt(ASLEEP));
        world.storage.as_ref().unwrap().freeze().await;
        let order = |number: usize| {
            let text = if number < 20 { "[sim:duration=1h] asleep at the provider" } else { "nowhere to store" };
            customer.order(IMAGE, prompt(&format!("{text} {number}")))
        };
        let jobs = join_all((0..40).map(order)).await;
        for (number, job) in jobs.iter().enumerate() {
            customer.until_state(job.id(), if number < 20 { "running" } else { "storing" }).await;
        }
        let http = reqwest::Client::builder().build().unwrap();
        let tasks = world.sim.tasks();
        let calls = (0..200).map(|number| signed_callback(&http, &tasks[number % tasks.len()], number));
        let mut took: Vec<Duration> = stream::iter(calls).buffer_unordered(8).collect().await;
        took.sort();
        // The product's bar is 100 ms at p99, on a quiet machine and a release build; what hangs behind it takes 20 s.
        assert!(took[197] < SLOWEST, "p50 {:?}, p99 {:?}, longest {:?}", took[99], took[197], took[199]);
        assert_eq!(world.count("kie.callback").await, 200);
        for job in &jobs[20..] {
            assert_eq!(world.row(job.id()).await.state.as_str(), "storing", "the storage hung all the while");
        }
        world.storage.as_ref().unwrap().thaw().await;
        world.sim.clear_scripts();
        for job in &jobs[20..] {
            assert_eq!(customer.until_final(job.id()).await.state(), "done");
        }
        world.finish().await;
    }

    async fn f19_the_check_before_a_deployment_refuses_an_address_that_redirects(db) {
        let world = World::builder(db).start().await;
        let good = world.reconciler(&["check"]).await.expect(0);
        assert!(good.contains("PUBLIC_URL"), "{good}");
        world.receiver.answer_with("/healthz", &[301]);
        let moved = world.receiver.url("");
        let refused = world.reconciler(&["check", "--public-url", &moved]).await.expect(1);
        assert!(refused.contains("/healthz answers 301"), "{refused}");
        assert!(world.receiver.calls().iter().all(|call| call.path != "/followed"), "and does not follow it");
        world.finish().await;
    }

    async fn f16_a_forged_callback_is_refused_and_nothing_of_it_is_used(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("5.00").await;
        for mark in ["bad-signature", "no-signature", "foreign-body", "stale-timestamp"] {
            let before = world.sim.callbacks().len();
            let done = customer.order_and_wait(IMAGE, prompt(&format!("[sim:callback={mark}] forged"))).await;
            assert_eq!((done.state(), done.money()[2]), ("done", 100), "{mark}: the record decides");
            let url = done.outputs()[0]["url"].as_str().unwrap();
            assert!(url.starts_with(&world.url), "{mark}");
            let first = &world.sim.callbacks()[before];
            let expected = if mark == "foreign-body" { 200 } else { 401 };
            assert_eq!(first.status, Some(expected), "{mark}");
        }
        let slow = customer.order(IMAGE, prompt("[sim:duration=4s] target")).await;
        customer.until_state(slow.id(), "running").await;
        let task = world.sim.tasks().pop().unwrap();
        let genuine = task.callback_url.unwrap();
        let wrong = format!("{}0", &genuine[..genuine.len() - 1]);
        let wrong = if wrong == genuine { format!("{}1", &genuine[..genuine.len() - 1]) } else { wrong };
        let body = json!({ "code": 200, "data": { "taskId": task.id, "state": "success", "resultJson": "{\"resultUrls\":[\"http://127.0.0.1:1/evil.png\"]}" } });
        let kept = (world.count("kie.callback").await, world.count("kie.orphan").await);
        let http = reqwest::Client::builder().build().unwrap();
        for address in [wrong, genuine, format!("{}/callbacks/kie/garbage", world.url)] {
            let answer = http.post(&address).json(&body).send().await.unwrap();
            assert_eq!(answer.status(), 401, "{address}");
        }
        assert_eq!((world.count("kie.callback").await, world.count("kie.orphan").await), kept, "nothing is stored");
        assert_eq!(customer.job(slow.id()).await.state(), "running");
        assert_eq!(customer.until_final(slow.id()).await.state(), "done");
        world.finish().await;
    }

    async fn f16_an_unclear_job_adopts_no_foreign_task(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("2.00").await;
        let job = customer.order(IMAGE, prompt("[sim:create=reset][sim:callback=unknown-task][sim:duration=100ms] mine")).await;
        customer.until_state(job.id(), "unclear").await;
        until("the callback came", async || (!world.sim.callbacks().is_empty()).then_some(())).await;
        assert_eq!(world.sim.callbacks()[0].status, Some(200));
        world.advance(Duration::from_hours(2) + Duration::from_mins(1));
        let failed = customer.until_final(job.id()).await;
        assert_eq!((failed.cause(), world.row(job.id()).await.task_id), ("unclear", None));
        assert_eq!(customer.balance().await, (200, 0));
        world.finish().await;
    }

    async fn f17_odd_bodies_under_a_genuine_token_are_always_taken_and_wake_the_job(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("20.00").await;
        let marks = [
            "array", "text-body", "not-json", "empty", "conflict", "snake-id", "top-id", "both-ids", "no-id", "legacy",
            "minimal", "no-result",
        ];
        let mut jobs = Vec::new();
        for mark in marks {
            jobs.push((mark, customer.order(IMAGE, prompt(&format!("[sim:callback={mark}] odd"))).await));
        }
        for (mark, job) in jobs {
            assert_eq!(customer.until_final(job.id()).await.state(), "done", "{mark}");
        }
        let refused: Vec<_> = world.sim.callbacks().into_iter().filter(|sent| sent.status != Some(200)).collect();
        assert!(refused.is_empty(), "{refused:#?}");
        world.finish().await;
    }

    async fn f17_a_callback_that_is_too_long_is_refused_but_wakes_the_job(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let done = customer.order_and_wait(IMAGE, prompt("[sim:callback=huge:1MiB] long")).await;
        assert_eq!(done.state(), "done");
        assert_eq!(world.sim.callbacks()[0].status, Some(413));
        world.finish().await;
    }
}

/// Sends a callback about this task as the provider does, with a body of its own; how long its answer took.
async fn signed_callback(http: &reqwest::Client, task: &TaskView, number: usize) -> Duration {
    let body =
        json!({ "code": 200, "data": { "taskId": task.id, "state": "generating", "progress": number } });
    let stamp = (task.created_ms / 1000).to_string();
    let signature = callback::sign(&HMAC_KEY.into(), &task.id, &stamp);
    let request = http
        .post(task.callback_url.as_deref().unwrap())
        .header("content-type", "application/json")
        .header(callback::TIMESTAMP_HEADER, stamp)
        .header(callback::SIGNATURE_HEADER, signature)
        .body(body.to_string());
    let begun = Instant::now();
    assert_eq!(request.send().await.unwrap().status(), 200);
    begun.elapsed()
}
