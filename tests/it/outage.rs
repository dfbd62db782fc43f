//! The shop's own parts away or broken: the database, the catalogue's overlay.

use acceptance::{IMAGE, VIDEO, World, prompt, stories, until};
use serde_json::json;

stories! {
    async fn f05_an_order_that_cannot_be_written_buys_nothing(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let body = customer.order_body(IMAGE, &prompt("nowhere to write"));
        let outage = world.block_database().await;
        let refused = customer.post("/v1/jobs", Some("outage"), &body).await;
        assert_eq!(refused.status, 503, "{}", refused.body);
        assert_eq!(world.creates(), 0);
        outage.end().await;
        let taken = until("the database is back", async || {
            let answer = customer.post("/v1/jobs", Some("outage"), &body).await;
            (answer.status < 500).then_some(answer)
        })
        .await
        .expect(201);
        assert_eq!(customer.until_final(taken["id"].as_str().unwrap()).await.state(), "done");
        assert_eq!((world.sim.tasks().len(), customer.balance().await), (1, (0, 0)));
        world.finish().await;
    }

    async fn f18_a_callback_that_cannot_be_kept_is_answered_503_and_comes_again(db) {
        let world = World::builder(db).workers(2).start().await;
        let customer = world.account_with("1.00").await;
        let job = customer.order(IMAGE, prompt("[sim:duration=1s] unheard")).await;
        customer.until_state(job.id(), "running").await;
        let outage = world.block_database().await;
        let first = until("the callback came", async || world.sim.callbacks().into_iter().next()).await;
        assert_eq!(first.status, Some(503));
        outage.end().await;
        until("the database is back", async || {
            (customer.get(&format!("/v1/jobs/{}", job.id())).await.status == 200).then_some(())
        })
        .await;
        let done = customer.until_final(job.id()).await;
        assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]));
        world.finish().await;
    }

    async fn f04_the_answer_of_a_create_is_saved_when_the_database_is_back(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let job = customer.order(IMAGE, prompt("[sim:create=slow:1s][sim:duration=8s] patient")).await;
        until("the create is open", async || (!world.sim.tasks().is_empty()).then_some(())).await;
        let outage = world.block_database().await;
        until("the create was answered", async || {
            world.sim.requests().iter().any(|request| request.path.ends_with("/createTask")).then_some(())
        })
        .await;
        outage.end().await;
        until("the database is back", async || {
            (customer.get(&format!("/v1/jobs/{}", job.id())).await.status == 200).then_some(())
        })
        .await;
        let done = customer.until_final(job.id()).await;
        assert_eq!((done.state(), world.creates()), ("done", 1));
        world.finish().await;
    }

    async fn f55_a_broken_file_of_the_overlay_does_not_stop_the_shop(db) {
        let overlay = tempfile::tempdir().unwrap();
        std::fs::write(overlay.path().join("broken.json"), "{ \"id\": \"google/nano-banana-9\", ").unwrap();
        let world = World::builder(db)
            .flag("--catalogue-overlay", &overlay.path().display().to_string())
            .start()
            .await;
        let customer = world.account_with("1.00").await;
        assert_eq!(customer.order_and_wait(IMAGE, prompt("still here")).await.state(), "done");
        let body = customer.order_body("google/nano-banana-9", &prompt("never"));
        assert_eq!(customer.post("/v1/jobs", Some("k"), &body).await.status, 404);
        world.finish().await;
    }

    async fn f55_a_broken_price_takes_its_model_off_sale_and_a_broken_file_all_of_them(db) {
        let video = json!({"prompt": "sold as ever", "sound": false});
        let world = World::builder(db).price(IMAGE, "abc").start().await;
        let customer = world.account_with("100.00").await;
        let refused = customer.post("/v1/jobs", Some("k"), &customer.order_body(IMAGE, &prompt("cheap"))).await;
        assert_eq!((refused.status, refused.body["type"].as_str()), (409, Some("not-for-sale")));
        assert_eq!(customer.order_and_wait(VIDEO, video.clone()).await.state(), "done");
        let check = world.reconciler(&["check"]).await;
        assert!(check.code == 1 && check.out.contains("entry 1 (google/nano-banana)"), "{check:?}");
        world.finish().await;

        let world = World::builder(db).price(IMAGE, "1.00\"\n]").start().await;
        let customer = world.account_with("100.00").await;
        let refused = customer.post("/v1/jobs", Some("k"), &customer.order_body(VIDEO, &video)).await;
        assert_eq!(refused.status, 409);
        let check = world.reconciler(&["check"]).await;
        assert!(check.code == 1 && check.out.contains("PRICES: "), "{check:?}");
        world.finish().await;
    }
}
