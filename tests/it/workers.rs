//! Several workers on one database: each job once, none starved by a poisoned one.

use std::time::Duration;

use acceptance::{IMAGE, World, prompt, stories, until};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

stories! {
    async fn f34_three_workers_take_each_job_once(db) {
        let world = World::builder(db).workers(3).start().await;
        let customer = world.account_with("40.00").await;
        let orders = (0..40).map(|number| customer.order(IMAGE, prompt(&format!("job {number} [sim:callback=duplicate:2]"))));
        let jobs = join_all(orders).await;
        for job in &jobs {
            let done = customer.until_final(job.id()).await;
            assert_eq!((done.state(), &done.0["attempts"]), ("done", &json!(1)));
        }
        for job in &jobs {
            customer.until_told(job.id()).await;
            assert_eq!(world.receiver.calls_about(job.id()).len(), 1, "told once");
        }
        assert_eq!((world.creates(), world.sim.tasks().len(), customer.balance().await), (40, 40, (0, 0)));
        world.finish().await;
    }

    async fn f34_creates_of_all_processes_together_keep_the_limit(db) {
        let world = World::builder(db)
            .workers(2)
            .flag("--kie-creates-per-10s", "6")
            .sim(|sim| sim.creates_per_10s = 6)
            .start()
            .await;
        let customer = world.account_with("10.00").await;
        let jobs = join_all((0..10).map(|number| customer.order(IMAGE, prompt(&format!("slot {number}"))))).await;
        for job in &jobs {
            let done = customer.until_final(job.id()).await;
            assert_eq!((done.state(), &done.0["attempts"]), ("done", &json!(1)), "no create was refused");
        }
        assert_eq!(world.creates(), 10);
        world.finish().await;
    }

    async fn f37_workers_whose_clocks_differ_within_the_tolerance_take_each_job_once(db) {
        let world = World::builder(db).workers(2).start().await;
        world.set_ahead(1, Duration::from_millis(1500));
        let customer = world.account_with("20.00").await;
        let jobs = join_all((0..20).map(|number| customer.order(IMAGE, prompt(&format!("skewed {number}"))))).await;
        for job in &jobs {
            assert_eq!(customer.until_final(job.id()).await.state(), "done");
        }
        assert_eq!((world.creates(), customer.balance().await), (20, (0, 0)));
        world.finish().await;
    }

    async fn f35_a_poisoned_job_is_isolated_and_counted(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1000.00").await;
        let picture = customer.order_and_wait("z-image", prompt("poison")).await;
        let (_, bytes) = customer.download(picture.outputs()[0]["url"].as_str().unwrap()).await;
        let upload = customer.request(Method::POST, "/v1/uploads").header("content-type", "image/png").body(bytes);
        let upload = customer.send(upload).await.expect(201);
        let asset = upload["id"].as_str().unwrap().parse().unwrap();
        let row = world.store.find_asset(asset, domain::Scope::All).await.unwrap().unwrap();
        let object = world.path("media").join(&row.object);
        let kept = std::fs::read(&object).unwrap();
        std::fs::remove_file(&object).unwrap();

        let input = json!({ "prompt": "poisoned", "image_urls": [upload["url"]] });
        let poisoned = customer.order("google/nano-banana-edit", input).await;
        until("the poisoned job failed a step", async || {
            let timeline = world.store.timeline(poisoned.id().parse().unwrap()).await.unwrap();
            timeline.iter().any(|entry| entry.event == "step.failed").then_some(())
        })
        .await;
        for number in 0..5 {
            assert_eq!(customer.order_and_wait(IMAGE, prompt(&format!("healthy {number}"))).await.state(), "done");
        }
        assert_eq!(customer.job(poisoned.id()).await.state(), "pending", "nothing was bought for it");
        customer.act(&format!("/v1/jobs/{}/cancel", poisoned.id())).await.expect(200);
        assert_eq!(customer.balance().await, (100_000 - 500, 0));
        std::fs::write(&object, kept).unwrap();
        world.finish().await;
    }
}
