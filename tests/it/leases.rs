//! Leases and clocks: a worker that froze and lost its job, clocks that jump, times that are signed.

use std::path::Path;
use std::time::Duration;

use acceptance::{Customer, IMAGE, World, prompt, stories, until};
use domain::Asset;
use futures_util::future::join_all;
use serde_json::json;

stories! {
    async fn f34_a_lease_lost_in_the_middle_of_a_copy_refuses_the_late_write(db) {
        let mut world = World::builder(db).programs(2).fail_points().start().await;
        let customer = world.account_with("1.00").await;
        for index in [0, 1] {
            world.arm(index, "keep.copied=delay:10000\nkeep.stored=note");
        }
        let job = customer.order(IMAGE, prompt("frozen between the copy and its row")).await;
        let frozen = first_at(&world, "keep.copied").await;
        let other = 1 - frozen;
        world.freeze_program(frozen).await;
        world.disarm(other);
        let customer = world.at(other, &customer);
        let done = customer.until_told(job.id()).await;
        assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]));
        let before = (world.row(job.id()).await, assets(&world, job.id()).await);

        world.program(frozen).thaw().await;
        until("the late write was tried", async || {
            world.reached(frozen).iter().any(|point| point == "keep.stored").then_some(())
        })
        .await;
        // It ends its open steps before it stops.
        assert!(world.program(frozen).terminate().await.success());
        assert_eq!((world.row(job.id()).await, assets(&world, job.id()).await), before, "nothing is written late");
        assert_eq!(files(&world.path("media")), 2, "one picture and its thumbnail");
        let told = world.receiver.calls_about(job.id());
        assert_eq!((told.len(), world.sim.tasks().len(), customer.balance().await), (1, 1, (0, 0)));
        world.finish().await;
    }

    async fn f34_a_lease_lost_in_the_middle_of_a_purchase_buys_nothing_twice(db) {
        let mut world = World::builder(db).programs(2).fail_points().callbacks(false).start().await;
        let customer = world.account_with("1.00").await;
        for index in [0, 1] {
            world.arm(index, "buy.answered=delay:10000");
        }
        let job = customer.order(IMAGE, prompt("frozen between the answer and its row")).await;
        let frozen = first_at(&world, "buy.answered").await;
        let other = 1 - frozen;
        world.freeze_program(frozen).await;
        world.disarm(other);
        // By the clock of the other, the lease of the sending is over.
        assert!(world.program(other).terminate().await.success());
        world.advance(Duration::from_secs(155));
        world.restart_program(other).await;
        let customer = world.at(other, &customer);
        let unclear = customer.until_state(job.id(), "unclear").await;
        assert_eq!(unclear.money(), [100, 100, 0, 0, 0], "the hold stays");

        world.program(frozen).thaw().await;
        let done = customer.until_told(job.id()).await;
        assert_eq!((done.state(), done.money(), &done.0["attempts"]), ("done", [100, 100, 100, 0, 0], &json!(1)));
        assert_eq!((world.creates(), world.sim.tasks().len(), customer.balance().await), (1, 1, (0, 0)));
        assert_eq!(world.receiver.calls_about(job.id()).len(), 1, "told once");
        world.finish().await;
    }

    async fn f37_a_clock_that_jumps_while_it_runs_takes_no_job_twice(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("20.00").await;
        let here = ordered(&customer, "[sim:create=slow:1500ms][sim:duration=1s] on their way", 8).await;
        until("all creates are open", async || (world.sim.tasks().len() == 8).then_some(())).await;
        // By this clock every lease is over, also those of open creates.
        world.set_ahead(1, Duration::from_secs(200));
        ended_well(&customer, &here).await;
        // Now it goes after all others, and what it leases is over for them.
        world.set_back(1, Duration::from_secs(400));
        let there = ordered(&world.at(1, &customer), "[sim:create=slow:1500ms] from the past", 8).await;
        ended_well(&customer, &there).await;
        assert_eq!((world.creates(), world.sim.tasks().len(), customer.balance().await), (16, 16, (400, 0)));
        world.finish().await;
    }

    async fn f37_a_clock_that_is_off_by_more_than_two_seconds_is_an_alarm(db) {
        let mut world = World::builder(db).programs(1).fail_points().start().await;
        let checked = world.reconciler(&["check", "--clock-ahead", "1s"]).await.expect(0);
        assert!(checked.contains("clock"), "{checked}");
        let checked = world.reconciler(&["check", "--clock-ahead", "3s"]).await.expect(1);
        assert!(checked.contains("the database's clock differs by"), "{checked}");
        assert!(!world.program(0).log().contains("clock.skew"));
        let clock = "a clock is off";
        let status = world.reconciler(&["status"]).await.out;
        assert!(!status.contains(clock), "{status}");
        world.program(0).terminate().await;
        world.advance(Duration::from_secs(3));
        world.restart_program(0).await;
        until("the program says so", async || world.program(0).log().contains("clock.skew").then_some(())).await;
        let status = world.reconciler(&["status"]).await.expect(1);
        let told = |line: &&str| line.contains(clock) && line.contains("'s machine is") && line.contains(" s fast");
        assert!(status.lines().any(|line| told(&line)), "{status}");
        world.finish().await;
    }

    async fn f37_signed_times_are_believed_within_a_quarter_of_an_hour(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("5.00").await;
        let minutes = Duration::from_mins;
        let both = |jump: &dyn Fn(usize)| [0, 1].into_iter().for_each(jump);
        both(&|index| world.set_ahead(index, minutes(14)));
        assert_eq!(first_callback(&world, &customer).await, 200, "fourteen minutes old");
        both(&|index| world.set_ahead(index, minutes(2)));
        assert_eq!(first_callback(&world, &customer).await, 401, "sixteen minutes old");
        both(&|index| world.set_back(index, minutes(30)));
        assert_eq!(first_callback(&world, &customer).await, 200, "fourteen minutes early");
        both(&|index| world.set_back(index, minutes(2)));
        assert_eq!(first_callback(&world, &customer).await, 401, "sixteen minutes early");
        world.finish().await;
    }
}

/// The first of two programs that reaches this fail point.
async fn first_at(world: &World, point: &str) -> usize {
    until(&format!("{point} is reached"), async || {
        [0, 1].into_iter().find(|index| world.reached(*index).iter().any(|visit| visit.starts_with(point)))
    })
    .await
}

async fn assets(world: &World, job: &str) -> Vec<Asset> {
    world.store.assets_of(&[job.parse().unwrap()]).await.unwrap()
}

/// Files in a folder and below.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

async fn ordered(customer: &Customer, text: &str, count: usize) -> Vec<acceptance::Job> {
    join_all((0..count).map(|number| customer.order(IMAGE, prompt(&format!("{text} {number}"))))).await
}

async fn ended_well(customer: &Customer, jobs: &[acceptance::Job]) {
    for job in jobs {
        let done = customer.until_told(job.id()).await;
        assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]));
        assert_eq!(done.0["attempts"], 1, "bought once");
    }
}

/// What the first callback of a job was answered that ends well whatever it was.
async fn first_callback(world: &World, customer: &Customer) -> u16 {
    let done = customer.order_and_wait(IMAGE, prompt("signed by the provider's clock")).await;
    assert_eq!((done.state(), done.money()[2]), ("done", 100), "the record decides");
    let task = world.row(done.id()).await.task_id.unwrap();
    until("the callback is answered", async || {
        world.sim.callbacks().into_iter().find(|sent| sent.task_id == task)?.status
    })
    .await
}
