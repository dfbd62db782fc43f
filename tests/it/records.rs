//! Reading records: reads that fail, words that are new, success without results, success that comes too late.

use std::time::Duration;

use acceptance::{IMAGE, World, prompt, stories, until};
use domain::Role;
use serde_json::json;

stories! {
    async fn f10_a_word_that_nobody_knows_is_neither_success_nor_failure(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let job = customer.order(IMAGE, prompt("[sim:state=aborted:times=1] odd word")).await;
        assert_eq!(customer.until_final(job.id()).await.state(), "done");
        let timeline = world.store.timeline(job.id().parse().unwrap()).await.unwrap();
        assert!(timeline.iter().any(|entry| entry.detail.as_deref() == Some("aborted")), "{timeline:?}");
        world.finish().await;
    }

    async fn f10_a_word_that_nobody_knows_is_told_to_operators_and_kept_in_the_history(db) {
        let mut world = World::builder(db).programs(2).start().await;
        let customer = world.account_with("1.00").await;
        let operator = world.holder(Role::Operator).await;
        let job = customer.order(IMAGE, prompt("[sim:state=expired] a new word")).await;
        until("the word is in the log", async || {
            let logs = [world.program(0).log(), world.program(1).log()].concat();
            logs.lines().any(|line| line.contains("record.unknown_word") && line.contains("expired")).then_some(())
        })
        .await;
        assert_eq!(customer.job(job.id()).await.money(), [100, 100, 0, 0, 0], "neither success nor failure");
        let reads = async || world.sim.requests().iter().filter(|one| one.path.ends_with("/recordInfo")).count();
        let before = reads().await;
        until("it is read again", async || (reads().await > before).then_some(())).await;
        let history = operator.get(&format!("/v1/jobs/{}/timeline", job.id())).await.expect(200).to_string();
        assert!(history.contains("expired"), "{history}");
        let status = world.reconciler(&["status"]).await.expect(1);
        assert!(status.contains("KIE uses words that nobody knows, of running jobs: `expired` (1)"), "{status}");
        let shown = world.reconciler(&["job", job.id()]).await.expect(0);
        assert!(shown.contains("KIE says `expired`, which nobody knows"), "{shown}");
        assert_eq!(customer.job(job.id()).await.state(), "running");
        world.finish().await;
    }

    async fn f11_success_without_results_is_asked_again_and_then_released(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("5.00").await;
        let operator = world.holder(Role::Operator).await;
        let mut jobs = Vec::new();
        for shape in ["no-urls", "not-json", "empty-text", "null", "truncated"] {
            jobs.push((shape, customer.order(IMAGE, prompt(&format!("[sim:shape={shape}] nothing"))).await));
        }
        for (shape, job) in &jobs {
            until(&format!("{shape} is seen as empty"), async || {
                let timeline = world.store.timeline(job.id().parse().unwrap()).await.unwrap();
                timeline.iter().any(|entry| entry.event == "record.empty").then_some(())
            })
            .await;
            assert_eq!(customer.job(job.id()).await.state(), "running", "{shape}: not success yet");
        }
        world.advance(Duration::from_mins(61));
        for (shape, job) in &jobs {
            let failed = customer.until_final(job.id()).await;
            assert_eq!((failed.state(), failed.cause()), ("failed", "no_result"), "{shape}");
            let history = operator.get(&format!("/v1/jobs/{}/timeline", job.id())).await.expect(200).to_string();
            assert!(history.contains("record.empty") && history.contains("success without results"), "{shape}: {history}");
        }
        assert_eq!(customer.balance().await, (500, 0));
        world.finish().await;
    }

    async fn f31_success_after_the_release_is_a_gift_once(db) {
        let world = World::builder(db).workers(2).start().await;
        let customer = world.account_with("1.00").await;
        let operator = world.holder(Role::Operator).await;
        let job = customer.order(IMAGE, prompt("[sim:create=reset][sim:duration=2500ms][sim:callback=duplicate:3] late")).await;
        operator.until_state(job.id(), "unclear").await;
        let release = json!({ "action": "release", "reason": "the customer asked" });
        operator.post(&format!("/v1/jobs/{}/resolve", job.id()), None, &release).await.expect(200);
        assert_eq!(customer.balance().await, (100, 0));
        let gift = customer.until_state(job.id(), "done").await;
        assert_eq!((&gift.0["gift"], gift.money()), (&json!(true), [100, 100, 0, 100, 0]));
        assert_eq!((gift.outputs().len(), customer.balance().await), (1, (100, 0)));
        customer.until_told(job.id()).await;
        let mut told: Vec<_> = world.receiver.calls_about(job.id()).iter().map(|call| call.json()["type"].to_string()).collect();
        told.sort();
        assert_eq!(told, ["\"job.done\"", "\"job.failed\""]);
        let receipt = customer.get(&format!("/v1/jobs/{}/receipt", job.id())).await.expect(200);
        assert_eq!((&receipt["gift"], &receipt["captured"], &receipt["released"]), (&json!(true), &json!(0), &json!(100)));
        assert_eq!(world.sim.tasks().len(), 1);
        world.finish().await;
    }

    async fn f30_only_the_give_up_time_releases_and_a_late_success_is_still_found(db) {
        let world = World::builder(db).callbacks(false).start().await;
        let customer = world.account_with("1.00").await;
        let job = customer.order(IMAGE, prompt("[sim:duration=1h] slow")).await;
        customer.until_state(job.id(), "running").await;
        world.advance(Duration::from_mins(5));
        let late = customer.until_job(job.id(), "is told to be late", |job| job.0["late"] == true).await;
        assert_eq!((late.state(), customer.balance().await), ("running", (0, 100)), "the hold is kept");
        world.advance(Duration::from_hours(6));
        let failed = customer.until_final(job.id()).await;
        assert_eq!((failed.cause(), customer.balance().await), ("expired", (100, 0)));
        world.sim.succeed_now(&world.sim.tasks()[0].id);
        world.advance(Duration::from_hours(25));
        let gift = customer.until_state(job.id(), "done").await;
        assert_eq!((&gift.0["gift"], gift.money()), (&json!(true), [100, 100, 0, 100, 0]));
        world.finish().await;
    }

    async fn f32_reads_that_fail_change_nothing_and_buy_nothing(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("10.00").await;
        let mut jobs = Vec::new();
        for fault in ["500", "http500", "html", "empty", "broken-json", "null", "reset", "429", "other-task"] {
            let text = format!("[sim:record={fault}:times=2] unread");
            jobs.push((fault, customer.order(IMAGE, prompt(&text)).await));
        }
        for (fault, job) in jobs {
            let done = customer.until_final(job.id()).await;
            assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]), "{fault}");
        }
        assert_eq!((world.creates(), world.sim.tasks().len()), (9, 9));
        world.finish().await;
    }

    async fn check_now_finds_what_no_callback_told(db) {
        let world = World::builder(db).callbacks(false).start().await;
        let customer = world.account_with("1000.00").await;
        // The first read of a video comes after 15 s by itself.
        let job = customer.order(acceptance::VIDEO, json!({ "prompt": "now", "sound": false })).await;
        customer.until_state(job.id(), "running").await;
        until("the provider has finished", async || {
            world.sim.tasks().first().is_some_and(|task| task.completed_ms.is_some()).then_some(())
        })
        .await;
        let begun = std::time::Instant::now();
        customer.act(&format!("/v1/jobs/{}/sync", job.id())).await.expect(200);
        assert_eq!(customer.until_final(job.id()).await.state(), "done");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        world.finish().await;
    }
}
