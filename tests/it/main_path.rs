//! From the click to the customer.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acceptance::{FREE, IMAGE, LYRICS, SPEECH, VIDEO, World, prompt, stories};
use serde_json::json;

stories! {
    async fn a_generation_is_bought_stored_paid_once_and_delivered(db) {
        let world = World::builder(db).workers(2).start().await;
        let customer = world.account_with("100.00").await;
        let ordered = customer.order(IMAGE, prompt("a red kite")).await;
        assert_eq!(ordered.money(), [100, 100, 0, 0, 0]);
        let job = customer.until_final(ordered.id()).await;
        assert_eq!((job.state(), job.status()), ("done", "success"));
        assert_eq!(job.money(), [100, 100, 100, 0, 0]);
        assert_eq!(customer.balance().await, (9900, 0));

        let output = &job.outputs()[0];
        let url = output["url"].as_str().unwrap();
        assert!(url.starts_with(&world.url), "the customer gets our address, not {url}");
        let (status, bytes) = customer.download(url).await;
        assert_eq!((status.as_u16(), bytes.len() as u64), (200, output["bytes"].as_u64().unwrap()));
        assert_eq!(output["content_type"], "image/png");

        let told = customer.until_told(job.id()).await;
        assert_eq!(told.deliveries()[0]["state"], "done");
        let calls = world.receiver.calls_about(job.id());
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].json()["type"], "job.done");
        assert_eq!((world.creates(), world.sim.tasks().len()), (1, 1));
        assert_eq!(world.sim.callbacks()[0].status, Some(200));
        assert!(!told.0.to_string().contains(&world.sim.tasks()[0].id), "customers see no provider ids");
        world.finish().await;
    }

    async fn f12_callback_never_comes_and_polling_alone_finishes_within_its_pace(db) {
        let world = World::builder(db).callbacks(false).start().await;
        let customer = world.account_with("100.00").await;
        let job = customer.order_and_wait(IMAGE, prompt("a quiet kite")).await;
        assert_eq!(job.state(), "done");
        assert!(world.sim.callbacks().is_empty());
        let finished_ms = world.sim.tasks()[0].completed_ms.unwrap();
        let seen: Duration = now_unix().saturating_sub(Duration::from_millis(finished_ms));
        // The first read of an image comes after 3 s, give or take a tenth; the rest is for a busy machine.
        assert!(seen < Duration::from_secs(9), "seen {seen:?} after the provider had finished");
        world.finish().await;
    }

    async fn what_the_shop_gives_away_moves_no_money(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        for model in FREE {
            let mut input = prompt("a gift");
            if model.contains("image-to-image") || model.contains("image-edit") {
                input["image_url"] = json!("https://example.com/in.png");
            }
            let job = customer.order(model, input).await;
            assert_eq!(job.money(), [0; 5], "{model}");
            assert_eq!(customer.until_final(job.id()).await.state(), "done", "{model}");
        }
        assert_eq!(customer.balance().await, (100, 0));
        let transfers = customer.get("/v1/transfers").await.expect(200);
        assert_eq!(transfers["items"].as_array().unwrap().len(), 1, "only the top-up: {transfers}");
        world.finish().await;
    }

    async fn video_and_sound_are_captured_once_and_delivered(db) {
        let world = World::builder(db).workers(2).start().await;
        let customer = world.account_with("1000.00").await;
        let video = json!({ "prompt": "a kite rises", "sound": true });
        let orders = [(VIDEO, video, "video/mp4"), (SPEECH, json!({ "text": "Stored for good." }), "audio/mpeg")];
        let mut spent = 0;
        for (model, input, content_type) in orders {
            let job = customer.order_and_wait(model, input).await;
            assert_eq!(job.state(), "done", "{model}");
            let [price, held, captured, released, refunded] = job.money();
            assert!(price > 0 && [held, captured, released, refunded] == [price, price, 0, 0], "{:?}", job.money());
            spent += captured;
            let output = &job.outputs()[0];
            assert_eq!(output["content_type"], content_type);
            assert_eq!(customer.download(output["url"].as_str().unwrap()).await.0, 200);
            customer.until_told(job.id()).await;
            assert_eq!(world.receiver.calls_about(job.id()).len(), 1);
        }
        assert_eq!(customer.balance().await, (100_000 - spent, 0));
        world.finish().await;
    }

    async fn a_text_model_gives_one_json_output(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("100.00").await;
        let job = customer.order_and_wait(LYRICS, prompt("a song of kites")).await;
        assert_eq!((job.state(), job.outputs().len()), ("done", 1));
        let output = &job.outputs()[0];
        assert_eq!(output["content_type"], "application/json");
        let (status, bytes) = customer.download(output["url"].as_str().unwrap()).await;
        assert_eq!(status, 200);
        assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        world.finish().await;
    }

    async fn every_output_is_kept_not_only_the_first(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("100.00").await;
        let job = customer.order_and_wait(IMAGE, prompt("three kites [sim:count=3]")).await;
        assert_eq!((job.state(), job.outputs().len()), ("done", 3));
        assert_eq!(job.money(), [100, 100, 100, 0, 0]);
        let hashes: HashSet<_> = job.outputs().iter().map(|output| output["sha256"].to_string()).collect();
        assert_eq!(hashes.len(), 3, "three different files");
        world.finish().await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the simulator keeps the system's time")]
fn now_unix() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}
