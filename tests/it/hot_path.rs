//! The hot path: those who look and order wait neither for a slow disk nor for a slow storage.

use std::time::{Duration, Instant};

use acceptance::{Customer, IMAGE, Media, World, prompt, stories};
use futures_util::future::join_all;

/// The product's bar for what a customer opens is a second; a debug build on a machine that others use gets three.
const SLOWEST: Duration = Duration::from_secs(3);

/// What a customer opens.
const LOOKS: &[&str] = &["/v1/models", "/v1/balance", "/v1/jobs", "/v1/transfers", "/balance", "/library"];

stories! {
    async fn f56_a_slow_storage_holds_up_nobody_who_looks_or_orders(db) {
        let mut world = World::builder(db).media(Media::S3).start().await;
        let customer = world.account_with("20.00").await;
        let server = world.storage.as_mut().unwrap();
        server.stop().await;
        // Storing one picture asks it several times.
        server.resume_slow(SLOWEST + Duration::from_secs(1)).await;
        let mut jobs = Vec::new();
        for number in 0..6 {
            let begun = Instant::now();
            jobs.push(customer.order(IMAGE, prompt(&format!("slowly kept {number}"))).await);
            assert!(begun.elapsed() < SLOWEST, "an order took {:?}", begun.elapsed());
        }
        for job in &jobs {
            customer.until_state(job.id(), "storing").await;
        }
        answers_at_once(&customer, LOOKS).await;
        for job in &jobs {
            assert_eq!(world.row(job.id()).await.state.as_str(), "storing", "the storage was slow all the while");
        }
        for job in &jobs {
            let done = customer.until_told(job.id()).await;
            assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]));
        }
        world.finish().await;
    }

    async fn f56_a_slow_disk_holds_up_nobody_who_looks(db) {
        let mut world = World::builder(db).programs(1).fail_points().start().await;
        let customer = world.account_with("20.00").await;
        let kept = customer.order_and_wait(IMAGE, prompt("kept before")).await;
        customer.until_told(kept.id()).await;
        // Every write of the lifecycle, and on SQLite every statement in it, takes so much longer.
        world.arm(0, "*=delay:700");
        let orders = (0..4).map(|number| customer.order(IMAGE, prompt(&format!("slowly written {number}"))));
        let (jobs, ()) = tokio::join!(join_all(orders), answers_at_once(&customer, LOOKS));
        answers_at_once(&customer, LOOKS).await;
        let open = customer.job(jobs[3].id()).await;
        assert!(!open.is_final(), "the disk was slow all the while: {}", open.0);
        assert!(!world.reached(0).is_empty());
        world.disarm(0);
        for job in &jobs {
            let done = customer.until_told(job.id()).await;
            assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]));
        }
        world.program(0).terminate().await;
        world.restart_program(0).await;
        world.finish().await;
    }
}

/// What a customer opens, ten times over.
async fn answers_at_once(customer: &Customer, paths: &[&str]) {
    for _ in 0..10 {
        for path in paths {
            let begun = Instant::now();
            let status = customer.get(path).await.status;
            assert!(status < 400, "{path} answered {status}");
            assert!(begun.elapsed() < SLOWEST, "{path} took {:?}", begun.elapsed());
        }
    }
}
