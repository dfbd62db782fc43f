//! Orders in other forms: batches, drafts, cancellations, uploads as input.

use std::time::Duration;

use acceptance::{IMAGE, Job, World, prompt, stories, until};
use domain::AssetState;
use reqwest::Method;
use serde_json::json;

stories! {
    async fn a_batch_of_four_lives_as_four_jobs(db) {
        let world = World::builder(db).workers(2).start().await;
        let customer = world.account_with("4.00").await;
        let mut body = customer.order_body(IMAGE, &prompt("four kites"));
        body["count"] = json!(4);
        let batch = customer.post("/v1/jobs", Some("batch"), &body).await.expect(201);
        let items = batch["items"].as_array().unwrap();
        assert_eq!((items.len(), customer.balance().await), (4, (0, 400)));
        for item in items {
            assert_eq!(item["batch_id"], batch["batch_id"]);
            assert_eq!(customer.until_final(item["id"].as_str().unwrap()).await.state(), "done");
        }
        assert_eq!(customer.balance().await, (0, 0));
        let listed = customer.get(&format!("/v1/jobs?batch={}", batch["batch_id"].as_str().unwrap())).await;
        assert_eq!(listed.expect(200)["items"].as_array().unwrap().len(), 4);
        assert_eq!(world.sim.tasks().len(), 4);
        world.finish().await;
    }

    async fn f26_of_a_batch_each_job_is_settled_alone(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("3.00").await;
        world.fault("create=422:times=1");
        let mut body = customer.order_body(IMAGE, &prompt("three of a kind"));
        body["count"] = json!(3);
        let batch = customer.post("/v1/jobs", Some("batch"), &body).await.expect(201);
        let mut states = Vec::new();
        for item in batch["items"].as_array().unwrap() {
            states.push(customer.until_final(item["id"].as_str().unwrap()).await.state().to_owned());
        }
        states.sort();
        assert_eq!(states, ["done", "done", "failed"]);
        assert_eq!(customer.balance().await, (100, 0));
        world.finish().await;
    }

    async fn f26_two_of_a_batch_arrive_one_is_refused_and_one_is_still_held(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("4.00").await;
        world.fault("create=422:times=1");
        let mut body = customer.order_body(IMAGE, &prompt("[sim:duration=1h] four of a kind"));
        body["count"] = json!(4);
        let batch = customer.post("/v1/jobs", Some("four"), &body).await.expect(201);
        let ids: Vec<&str> = batch["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
        let mut running = Vec::new();
        for id in &ids {
            let sent = customer.until_job(id, "was answered", |job| matches!(job.state(), "running" | "failed")).await;
            match sent.state() {
                "failed" => assert_eq!((sent.cause(), sent.money()), ("invalid_input", [100, 100, 0, 100, 0])),
                _ => running.push(*id),
            }
        }
        assert_eq!((running.len(), customer.balance().await), (3, (100, 300)), "one was released at once");
        let late = running.pop().unwrap();
        for id in &running {
            assert!(world.sim.succeed_now(&world.row(id).await.task_id.unwrap()));
            let done = customer.until_final(id).await;
            assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]));
        }
        world.advance(Duration::from_mins(5));
        let held = customer.until_job(late, "is told to be late", |job| job.0["late"] == true).await;
        assert_eq!((held.state(), held.money()), ("running", [100, 100, 0, 0, 0]));
        assert_eq!(customer.balance().await, (100, 100), "two captured, one released, one held");
        assert!(world.sim.succeed_now(&world.row(late).await.task_id.unwrap()));
        assert_eq!(customer.until_final(late).await.money(), [100, 100, 100, 0, 0]);
        assert_eq!(customer.balance().await, (100, 0));
        world.finish().await;
    }

    async fn f26_of_three_outputs_one_is_lost_and_two_thirds_are_captured(db) {
        // Without callbacks only the schedule tries a lost output again.
        let world = World::builder(db).callbacks(false).start().await;
        let customer = world.account_with("1.00").await;
        // The first output and its fresh link are dead, and the others arrive.
        world.fault("result=404:times=2");
        let job = customer.order(IMAGE, prompt("[sim:count=3] one of three")).await;
        let id = job.id().parse().unwrap();
        let held = customer.until_state(job.id(), "storing").await;
        assert_eq!(held.money(), [100, 100, 0, 0, 0], "nothing is captured before the last is decided");
        until("two of three are stored", async || {
            let outputs = world.store.assets_of(&[id]).await.unwrap();
            let stored = outputs.iter().filter(|output| output.state == AssetState::Stored).count();
            (stored == 2).then(|| assert_eq!(outputs[0].tries, 1, "{outputs:#?}"))
        })
        .await;
        // From now on all is dead, also what is tried again.
        world.fault("result=404");
        let mut seen = 0;
        let ended = loop {
            let outputs = until("the lost output is tried again", async || {
                let outputs = world.store.assets_of(&[id]).await.unwrap();
                let over = outputs[0].state != AssetState::Pending;
                (over || (outputs[0].tries > seen && world.is_asleep(job.id()).await)).then_some(outputs)
            })
            .await;
            if outputs[0].state != AssetState::Pending {
                break customer.until_final(job.id()).await;
            }
            seen = outputs[0].tries;
            assert_eq!(customer.job(job.id()).await.money()[2..4], [0, 0], "held to the end");
            world.advance(Duration::from_hours(14));
        };
        let states: Vec<&str> = ended.outputs().iter().map(|output| output["state"].as_str().unwrap()).collect();
        assert_eq!((ended.state(), states), ("done", vec!["lost", "stored", "stored"]));
        assert_eq!(ended.money(), [100, 100, 66, 34, 0], "two thirds, rounded down");
        assert_eq!((customer.balance().await, seen), ((34, 0), 7));
        world.finish().await;
    }

    async fn a_draft_is_confirmed_within_the_limit_of_open_generations(db) {
        let world = World::builder(db).flag("--max-open-jobs", "1").start().await;
        let customer = world.account_with("3.00").await;
        let mut body = customer.order_body(IMAGE, &prompt("a draft"));
        body["draft"] = json!(true);
        let draft = Job(customer.post("/v1/jobs", Some("draft"), &body).await.expect(201));
        let open = customer.order(IMAGE, prompt("[sim:duration=1h] slow")).await;
        let confirm = async || customer.act(&format!("/v1/jobs/{}/confirm", draft.id())).await;
        let order = customer.order_body(IMAGE, &prompt("one more"));
        for refused in [customer.post("/v1/jobs", Some("more"), &order).await, confirm().await] {
            let problem = refused.expect(429);
            assert_eq!((&problem["type"], &problem["limit"]), (&json!("too-many-open"), &json!(1)), "{problem}");
        }
        assert_eq!((customer.job(draft.id()).await.state(), customer.balance().await), ("draft", (200, 100)));
        let open = customer.until_state(open.id(), "running").await;
        assert!(world.sim.succeed_now(&world.row(open.id()).await.task_id.unwrap()));
        customer.until_final(open.id()).await;
        confirm().await.expect(200);
        assert_eq!(customer.until_final(draft.id()).await.state(), "done");
        world.finish().await;
    }

    async fn a_draft_costs_nothing_until_it_is_confirmed(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("0.50").await;
        let mut body = customer.order_body(IMAGE, &prompt("later"));
        let short = customer.post("/v1/jobs", Some("k1"), &body).await;
        assert_eq!((short.status, &short.body["required"], &short.body["available"]), (402, &json!(100), &json!(50)));
        body["draft"] = json!(true);
        let draft = customer.post("/v1/jobs", Some("k2"), &body).await.expect(201);
        let id = draft["id"].as_str().unwrap();
        assert_eq!((draft["state"].as_str(), customer.balance().await), (Some("draft"), (50, 0)));
        assert_eq!(customer.act(&format!("/v1/jobs/{id}/confirm")).await.status, 402);
        let ids = world.ids();
        operations::top_up(&*world.store, &ids, customer.id, "1.00", ("more", "a story")).await.unwrap();
        assert_eq!(world.creates(), 0, "a top-up never buys by itself");
        customer.act(&format!("/v1/jobs/{id}/confirm")).await.expect(200);
        assert_eq!(customer.until_final(id).await.state(), "done");
        assert_eq!(customer.balance().await, (50, 0));
        world.finish().await;
    }

    async fn a_job_that_was_not_sent_can_be_canceled_and_one_that_was_cannot(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("2.00").await;
        world.fault("create=429");
        let waiting = customer.order(IMAGE, prompt("never mind")).await;
        customer.until_job(waiting.id(), "was refused once", |job| job.0["attempts"] == 1 && job.state() == "pending").await;
        let path = format!("/v1/jobs/{}/cancel", waiting.id());
        let canceled = customer.act(&path).await.expect(200);
        assert_eq!(canceled["state"], "canceled");
        customer.act(&path).await.expect(200);
        assert_eq!(customer.balance().await, (200, 0));
        world.sim.clear_scripts();

        let sent = customer.order(IMAGE, prompt("too late [sim:duration=2s]")).await;
        customer.until_state(sent.id(), "running").await;
        let refused = customer.act(&format!("/v1/jobs/{}/cancel", sent.id())).await;
        assert_eq!((refused.status, &refused.body["state"]), (409, &json!("running")));
        assert_eq!(customer.until_final(sent.id()).await.state(), "done");
        world.finish().await;
    }

    async fn an_upload_is_swapped_for_a_copy_at_the_provider_and_the_stored_input_keeps_ours(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1000.00").await;
        let first = customer.order_and_wait(IMAGE, prompt("a source picture")).await;
        let (_, picture) = customer.download(first.outputs()[0]["url"].as_str().unwrap()).await;
        let request = customer
            .request(Method::POST, "/v1/uploads")
            .header("content-type", "image/png")
            .body(picture);
        let upload = customer.send(request).await.expect(201);
        let ours = upload["url"].as_str().unwrap().to_owned();
        let input = json!({ "prompt": "more wind", "image_urls": [ours] });
        let job = customer.order_and_wait("google/nano-banana-edit", input.clone()).await;
        assert_eq!(job.state(), "done");
        assert_eq!(job.0["input"]["image_urls"][0], upload["url"], "the stored input keeps our address");
        let sent = world.sim.tasks().pop().unwrap().input["image_urls"][0].clone();
        let sent = sent.as_str().unwrap();
        assert!(sent.starts_with(world.sim.url().as_str()), "the provider got a copy of its own, not {sent}");

        let stranger = world.account_with("1000.00").await;
        let body = stranger.order_body("google/nano-banana-edit", &input);
        let refused = stranger.post("/v1/jobs", Some("k"), &body).await.expect(422);
        assert_eq!(refused["errors"][0]["pointer"], "/input/image_urls/0");
        world.finish().await;
    }

    async fn f06_a_wrong_payload_is_refused_before_the_hold_with_its_place(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("10.00").await;
        let wrong = [
            (json!({ "prompt": 7 }), "/input/prompt"),
            (json!({}), "/input/prompt"),
            (json!({ "prompt": "x", "aspect_ratio": "7:3" }), "/input/aspect_ratio"),
            (json!({ "prompt": "x", "colour": "red" }), "/input/colour"),
            (json!({ "prompt": "x".repeat(5001) }), "/input/prompt"),
        ];
        for (input, pointer) in wrong {
            let body = customer.order_body(IMAGE, &input);
            let refused = customer.post("/v1/jobs", Some(&customer.fresh_key()), &body).await.expect(422);
            assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
        }
        let empty = customer.get("/v1/jobs").await.expect(200);
        assert_eq!((customer.balance().await, empty["items"].as_array().unwrap().len()), ((1000, 0), 0));
        assert_eq!(world.creates(), 0);
        world.finish().await;
    }

    async fn f29_a_result_waits_in_the_library_for_a_customer_who_left(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let body = json!({ "model": IMAGE, "input": prompt("I am gone") });
        let job = customer.post("/v1/jobs", Some("k"), &body).await.expect(201);
        let id = job["id"].as_str().unwrap();
        until("the worker is done by itself", async || {
            (world.row(id).await.state.as_str() == "done").then_some(())
        })
        .await;
        let library = customer.get("/v1/jobs?state=done").await.expect(200);
        assert_eq!(library["items"][0]["id"], id);
        tokio::time::timeout(Duration::from_secs(5), customer.download(library["items"][0]["outputs"][0]["url"].as_str().unwrap()))
            .await
            .unwrap();
        world.finish().await;
    }
}
