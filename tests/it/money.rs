//! Money: the last coin, double clicks, frozen prices, refunds, top-ups.

use acceptance::{IMAGE, IMAGES, World, prompt, stories};
use domain::{Money, Role};
use futures_util::future::join_all;
use ledger::{LedgerError, Reversal};
use serde_json::json;
use store::Credited;

stories! {
    async fn f20_a_hundred_parallel_orders_on_the_last_coins_give_exactly_what_can_be_paid(db) {
        let world = World::builder(db).workers(2).start().await;
        let customer = world.account_with("5.00").await;
        let orders = (0..100).map(|number| {
            let customer = customer.clone();
            async move {
                let body = customer.order_body(IMAGE, &prompt(&format!("coin {number}")));
                customer.post("/v1/jobs", Some(&format!("coin-{number}")), &body).await
            }
        });
        let answers = join_all(orders).await;
        let taken: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!(taken.len(), 5);
        assert_eq!(answers.iter().filter(|answer| answer.status == 402).count(), 95);
        for order in taken {
            assert_eq!(customer.until_final(order.body["id"].as_str().unwrap()).await.state(), "done");
        }
        assert_eq!((customer.balance().await, world.sim.tasks().len()), ((0, 0), 5));
        world.finish().await;
    }

    async fn f21_a_double_click_is_one_order_and_another_body_under_its_key_is_refused(db) {
        let world = World::builder(db).workers(2).start().await;
        let customer = world.account_with("5.00").await;
        let body = customer.order_body(IMAGE, &prompt("click"));
        let clicks = (0..10).map(|_| customer.post("/v1/jobs", Some("click"), &body));
        let answers = join_all(clicks).await;
        let ids: std::collections::HashSet<_> = answers.iter().map(|answer| answer.body["id"].to_string()).collect();
        assert_eq!(ids.len(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| answer.status == 201 && !answer.replayed).count(), 1);
        assert_eq!(answers.iter().filter(|answer| answer.status == 200 && answer.replayed).count(), 9);
        let other = customer.order_body(IMAGE, &prompt("another"));
        assert_eq!(customer.post("/v1/jobs", Some("click"), &other).await.status, 409);
        assert_eq!(customer.post("/v1/jobs", None, &body).await.status, 400);
        customer.until_final(answers[0].body["id"].as_str().unwrap()).await;
        assert_eq!((customer.balance().await, world.sim.tasks().len()), ((400, 0), 1));
        // After the end, too, the key gives the job as it is now.
        let later = customer.post("/v1/jobs", Some("click"), &body).await;
        assert_eq!((later.status, later.body["state"].as_str()), (200, Some("done")));
        world.finish().await;
    }

    async fn f22_release_and_refund_happen_once_however_often_they_are_asked(db) {
        let world = World::builder(db).workers(2).start().await;
        let customer = world.account_with("5.00").await;
        let operator = world.holder(Role::Operator).await;
        let unclear = customer.order(IMAGE, prompt("lost [sim:create=reset:none]")).await;
        customer.until_job(unclear.id(), "is unclear", |_| true).await;
        operator.until_state(unclear.id(), "unclear").await;
        let release = json!({ "action": "release", "reason": "the customer waits" });
        let path = format!("/v1/jobs/{}/resolve", unclear.id());
        let answers = join_all((0..8).map(|_| operator.post(&path, None, &release))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 7);
        assert_eq!((customer.job(unclear.id()).await.money(), customer.balance().await), ([100, 100, 0, 100, 0], (500, 0)));

        let done = customer.order_and_wait(IMAGE, prompt("not as described")).await;
        let path = format!("/v1/jobs/{}/refund", done.id());
        let part = json!({ "amount": 60, "reason": "blurred" });
        let answers = join_all((0..5).map(|_| operator.post(&path, Some("refund-1"), &part))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 4);
        let too_much = operator.post(&path, Some("refund-2"), &part).await;
        assert_eq!((too_much.status, &too_much.body["refundable"]), (409, &json!(40)));
        operator.post(&path, Some("refund-3"), &json!({ "reason": "the rest" })).await.expect(201);
        assert_eq!(customer.post(&path, Some("refund-4"), &part).await.status, 403);
        assert_eq!(customer.job(done.id()).await.money(), [100, 100, 100, 0, 100]);
        assert_eq!(customer.balance().await, (500, 0));
        world.finish().await;
    }

    async fn f24_the_price_of_the_order_is_captured_whatever_it_costs_by_then(db) {
        let mut world = World::builder(db).start().await;
        let customer = world.account_with("20.00").await;
        let job = customer.order(IMAGE, prompt("frozen [sim:duration=1500ms]")).await;
        customer.until_state(job.id(), "running").await;
        world.stop_shop(0).await;
        world.stop_shop(1).await;
        std::fs::write(world.path("dearer.toml"), "[[price]]\nmodel = \"google/nano-banana\"\namount = \"9.00\"\n").unwrap();
        let dearer = world.path("dearer.toml").display().to_string();
        for index in [0, 1] {
            world.start_shop(index, &[("--prices", &dearer), ("--usd-rate", "500")]).await;
        }
        assert_eq!(customer.until_final(job.id()).await.money(), [100, 100, 100, 0, 0]);
        assert_eq!(customer.order_and_wait(IMAGE, prompt("now")).await.money(), [900, 900, 900, 0, 0]);
        let receipt = customer.get(&format!("/v1/jobs/{}/receipt", job.id())).await.expect(200);
        assert_eq!((&receipt["price"], &receipt["basis"]["basis"]), (&json!(100), &json!("fixed")));
        assert!(receipt["basis"]["catalogue"].is_string());
        world.finish().await;
    }

    async fn of_three_outputs_two_are_paid_and_the_rest_is_released(db) {
        let world = World::builder(db).flag("--free-models", "z-image").price(IMAGES, "1.00").start().await;
        let customer = world.account_with("1.00").await;
        let input = json!({ "prompt": "two of three [sim:count=2]", "image_url": "https://example.com/in.png", "num_images": "3" });
        let job = customer.order_and_wait(IMAGES, input).await;
        assert_eq!((job.state(), job.outputs().len()), ("done", 2));
        assert_eq!(job.money(), [100, 100, 66, 34, 0]);
        assert_eq!(customer.balance().await, (34, 0));
        world.finish().await;
    }

    async fn f27_a_top_up_is_credited_once_by_those_who_may(db) {
        let world = World::builder(db).workers(2).start().await;
        let customer = world.account_with("1.00").await;
        let cashier = world.holder(Role::Payments).await;
        let path = format!("/v1/accounts/{}/topups", customer.id);
        let body = json!({ "amount": 500, "currency": "RUB" });
        let calls = join_all((0..6).map(|_| cashier.post(&path, Some("payment-1"), &body))).await;
        assert_eq!(calls.iter().filter(|answer| answer.status == 201).count(), 1, "{calls:?}");
        assert_eq!(calls.iter().filter(|answer| answer.status == 200).count(), 5);
        let other_amount = json!({ "amount": 900, "currency": "RUB" });
        assert_eq!(cashier.post(&path, Some("payment-1"), &other_amount).await.status, 409);
        // Keys of top-ups are unique in the whole shop.
        let stranger = world.account_with("1.00").await;
        let strange = format!("/v1/accounts/{}/topups", stranger.id);
        assert_eq!(cashier.post(&strange, Some("payment-1"), &body).await.status, 409);
        assert_eq!(cashier.post(&path, Some("payment-2"), &json!({ "amount": 500, "currency": "USD" })).await.status, 422);
        assert_eq!(cashier.post(&path, None, &body).await.status, 400);
        assert_eq!(customer.post(&path, Some("payment-3"), &body).await.status, 403);
        let nobody = reqwest::Client::builder().build().unwrap().post(format!("{}{path}", world.url)).json(&body);
        assert_eq!(nobody.header("idempotency-key", "payment-4").send().await.unwrap().status(), 401);
        assert_eq!((customer.balance().await, stranger.balance().await), ((600, 0), (100, 0)));
        world.finish().await;
    }

    async fn a_repeated_reversal_is_the_first_one_whatever_the_balance_is_now(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("5.00").await;
        customer.order_and_wait(IMAGE, prompt("spent")).await;
        let amount = Money::from_minor(500);
        let reversal = Reversal { account: customer.id, amount, key: "chargeback-1", reason: "chargeback" };
        let reverse = async |reversal: &Reversal<'_>| ledger::reverse(&*world.store, &world.ids(), reversal).await;
        let Ok(Credited::Applied(first)) = reverse(&reversal).await else { panic!("it is new") };
        assert_eq!(first.iter().map(|one| one.amount.minor()).collect::<Vec<_>>(), [400, 100]);
        let ids = (&world.ids(), customer.id);
        operations::top_up(&*world.store, ids.0, ids.1, "9.00", ("paid-again", "a story")).await.unwrap();
        assert_eq!(reverse(&reversal).await.unwrap(), Credited::Replayed(first));
        let other = Reversal { amount: Money::from_minor(400), ..reversal };
        assert!(matches!(reverse(&other).await, Err(LedgerError::KeyReused)));
        assert_eq!(customer.balance().await, (900, 0));
        world.finish().await;
    }

    async fn f25_a_cost_above_the_hold_captures_the_hold_and_no_more(db) {
        let world = World::builder(db).sim(|sim| sim.credits = 1_000_000_000_000).start().await;
        let customer = world.account_with("10000.00").await;
        // The request does not fix how long the clip is, so the documented maximum is held.
        let input = json!({ "audio_url": "https://example.com/voice.mp3", "image_url": "https://example.com/face.png", "prompt": "speak [sim:cost=90000]" });
        let job = customer.order_and_wait("kling/ai-avatar-standard", input).await;
        assert_eq!(job.state(), "done");
        let [price, held, captured, released, _] = job.money();
        assert_eq!((held, captured, released), (price, price, 0));
        let timeline = world.store.timeline(job.id().parse().unwrap()).await.unwrap();
        assert!(timeline.iter().any(|entry| entry.event == "finding.cost"), "{timeline:?}");
        world.finish().await;
    }

    async fn a_cost_below_the_hold_releases_the_difference(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("10000.00").await;
        let input = json!({ "audio_url": "https://example.com/voice.mp3", "image_url": "https://example.com/face.png", "prompt": "speak [sim:cost=16]" });
        let job = customer.order_and_wait("kling/ai-avatar-standard", input).await;
        let [price, held, captured, released, _] = job.money();
        // 16 credits at 0.005 USD, 78 RUB each, twice.
        assert_eq!((captured, released, held), (1248, price - 1248, price));
        world.finish().await;
    }
}
