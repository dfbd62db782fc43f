//! Refusals that concern all jobs, the breaker and the health of a model: the program dies while it writes them.

use std::time::Duration;

use acceptance::{Customer, Db, IMAGE, Job, World, prompt, stories, until};
use futures_util::future::join_all;
use reqwest::Method;

use super::rows::is_on;

/// Around the breaker.
const BLOCKING: &[&str] = &["refusal.blocked", "sqlite.breaker.renewed"];
/// Around the count of a model's refusals.
const COUNTING: &[&str] = &["refusal.counted", "sqlite.health.counted"];

/// Where these stories die.
pub(super) fn points() -> impl Iterator<Item = &'static str> {
    BLOCKING.iter().chain(COUNTING).copied()
}

stories! {
    async fn f07_killed_while_a_refusal_is_counted_the_next_one_counts(db) {
        join_all(cases(db, COUNTING).map(|(point, action)| counted(db, point, action))).await;
    }

    async fn f08_killed_while_the_breaker_opens_the_job_is_bought_once_it_may_be(db) {
        join_all(cases(db, BLOCKING).map(|(point, action)| blocked(db, point, action))).await;
    }
}

/// Each on a world of its own, because what it writes is for all jobs.
fn cases(db: Db, points: &'static [&str]) -> impl Iterator<Item = (&'static str, &'static str)> {
    let points = points.iter().copied().filter(move |point| is_on(db, point));
    points.flat_map(|point| ["kill", "error", "delay:40"].map(|action| (point, action)))
}

async fn world_with(db: Db) -> (World, Customer) {
    let world = World::builder(db).programs(1).log("info,web=warn").fail_points().start().await;
    let customer = world.account_with("3.00").await;
    (world, customer)
}

/// Orders something refused, and starts the program again, later, when it has met the point.
async fn refused_at(
    world: &mut World,
    customer: &Customer,
    (point, action): (&str, &str),
    mark: &str,
) -> Job {
    world.arm(0, &format!("{point}={action}"));
    let (key, body) =
        (customer.fresh_key(), customer.order_body(IMAGE, &prompt(&format!("{mark} at {point}"))));
    let order = || customer.request(Method::POST, "/v1/jobs").header("idempotency-key", &key).json(&body);
    // It may die before it has answered.
    drop(customer.try_send(order()).await);
    if action == "kill" {
        world.until_killed(0).await;
    } else {
        until("the point is reached", async || world.reached(0).iter().any(|at| at == point).then_some(()))
            .await;
        world.program(0).terminate().await;
    }
    assert_eq!(world.reached(0), [point]);
    world.disarm(0);
    // The lease is over, and the breaker takes a trial.
    world.advance(Duration::from_mins(2));
    world.restart_program(0).await;
    let replayed = customer.send(order()).await;
    assert!(replayed.replayed, "it was taken before: {}", replayed.body);
    Job(replayed.body)
}

/// The last refusal that a model is forgiven.
async fn counted(db: Db, point: &str, action: &str) {
    const GONE: &str = "[sim:create=505]";
    let (mut world, customer) = world_with(db).await;
    for _ in 0..2 {
        world.store.count_refusal(IMAGE, 3, world.now()).await.unwrap();
    }
    let job = refused_at(&mut world, &customer, (point, action), GONE).await;
    let failed = customer.until_told(job.id()).await;
    assert_eq!((failed.cause(), failed.money()), ("model_unavailable", [100, 100, 0, 100, 0]));
    // A count that was not committed is lost: it costs one more refusal.
    let is_lost = point == "sqlite.health.counted" && action != "delay:40";
    assert_eq!(world.store.models_off_sale().await.unwrap().is_empty(), is_lost);
    if is_lost {
        let next = customer.order_and_wait(IMAGE, prompt(&format!("{GONE} and again"))).await;
        assert_eq!(next.cause(), "model_unavailable");
    }
    until("it is off sale", async || {
        let body = customer.order_body(IMAGE, &prompt(&format!("{GONE} too late")));
        let answer = customer.post("/v1/jobs", Some(&customer.fresh_key()), &body).await;
        (answer.status == 409).then_some(())
    })
    .await;
    until("all of the money is back", async || (customer.balance().await == (300, 0)).then_some(())).await;
    assert_eq!(world.sim.tasks().len(), 0);
    world.finish().await;
}

async fn blocked(db: Db, point: &str, action: &str) {
    let (mut world, customer) = world_with(db).await;
    let job = refused_at(&mut world, &customer, (point, action), "[sim:create=402:times=1]").await;
    let done = customer.until_told(job.id()).await;
    assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]), "{}", done.0);
    assert_eq!((world.creates(), world.sim.tasks().len()), (2, 1), "one trial");
    until("the breaker is closed", async || world.store.breaker().await.unwrap().is_none().then_some(()))
        .await;
    assert_eq!(customer.balance().await, (200, 0));
    world.finish().await;
}
