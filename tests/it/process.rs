//! The real program: killed at the worst moments, asked to stop, started twice.

use std::collections::HashSet;
use std::time::Duration;

use acceptance::{Db, IMAGE, Job, LYRICS, Media, VIDEO, World, prompt, stories, until};
use domain::JobState;
use futures_util::{StreamExt, stream};
use serde_json::json;

stories! {
    async fn f41_killed_while_storing_it_goes_on_after_a_restart(db) {
        let mut world = World::builder(db).programs(1).start().await;
        let customer = world.account_with("1000.00").await;
        let input = json!({ "prompt": "[sim:size=3MiB][sim:result=pace:512KiB] long", "sound": false });
        let job = customer.order(VIDEO, input).await;
        customer.until_state(job.id(), "storing").await;
        until("the copy has begun", async || {
            world.sim.requests().iter().any(|request| request.path.starts_with("/r/")).then_some(())
        })
        .await;
        world.program(0).kill_9().await;
        assert_eq!(world.row(job.id()).await.state.as_str(), "storing", "killed in the middle of the copy");
        world.restart_program(0).await;
        ends_well(&world, &customer, &job).await;
        world.finish().await;
    }

    async fn f04_killed_while_running_it_goes_on_after_a_restart(db) {
        let mut world = World::builder(db).programs(1).media(Media::S3).start().await;
        let customer = world.account_with("1000.00").await;
        let job = customer.order(IMAGE, prompt("[sim:duration=1s] killed")).await;
        customer.until_state(job.id(), "running").await;
        world.program(0).kill_9().await;
        assert_eq!(world.row(job.id()).await.state.as_str(), "running");
        until("the provider finished while nobody listened", async || {
            world.sim.tasks()[0].completed_ms.map(|_| ())
        })
        .await;
        world.restart_program(0).await;
        ends_well(&world, &customer, &job).await;
        world.finish().await;
    }

    async fn f04_killed_between_sending_and_the_answer_the_task_is_adopted(db) {
        let mut world = World::builder(db).programs(1).start().await;
        let customer = world.account_with("1000.00").await;
        let job = customer.order(IMAGE, prompt("[sim:create=slow:5s][sim:duration=500ms][sim:callback=late:1s] cut")).await;
        until("the provider has the task", async || (!world.sim.tasks().is_empty()).then_some(())).await;
        assert_eq!(world.row(job.id()).await.state.as_str(), "submitting");
        world.program(0).kill_9().await;
        // Another instance takes over at the same address, two and a half minutes later by its clock.
        world.shops[0] = acceptance::Shop::Stopped;
        world.advance(Duration::from_secs(155));
        world.start_shop(0, &[]).await;
        ends_well(&world, &customer, &job).await;
        assert_eq!((world.creates(), world.sim.tasks().len()), (1, 1));
        world.finish().await;
    }

    async fn f52_sigterm_waits_for_open_creates_and_loses_nothing(db) {
        let mut world = World::builder(db).programs(1).start().await;
        let customer = world.account_with("1000.00").await;
        let mut jobs = Vec::new();
        for number in 0..5 {
            jobs.push(customer.order(IMAGE, prompt(&format!("[sim:create=slow:2s][sim:duration=3s] drain {number}"))).await);
        }
        until("all creates are open", async || (world.sim.tasks().len() == 5).then_some(())).await;
        let status = world.program(0).terminate().await;
        assert!(status.success(), "{status}\n{}", world.program(0).log());
        for job in &jobs {
            let row = world.row(job.id()).await;
            assert_eq!((row.state.as_str(), row.task_id.is_some()), ("running", true), "the answer was waited for");
        }
        world.restart_program(0).await;
        for job in &jobs {
            ends_well(&world, &customer, job).await;
        }
        assert_eq!(world.creates(), 5);
        world.finish().await;
    }

    async fn f52_a_rolling_restart_under_load_loses_nothing_and_buys_nothing_twice(db) {
        let mut world = World::builder(db).programs(2).log("warn").flag("--max-open-jobs", "1000").start().await;
        let customer = world.account_with("100000.00").await;
        let marks = ["", "[sim:duration=3s]", "[sim:create=slow:2s]", "[sim:create=429:times=1]", "[sim:result=slow:3s]"];
        let models = [LYRICS, LYRICS, LYRICS, LYRICS, IMAGE];
        let order = |number: usize| {
            let (customer, kind) = (customer.clone(), number % marks.len());
            async move { customer.order(models[kind], prompt(&format!("{} rolling {number}", marks[kind]))).await }
        };
        let orders = stream::iter(0..500).map(order).buffer_unordered(16).collect::<Vec<Job>>();
        let (jobs, mut seen) = tokio::join!(orders, restart_in_order(&mut world, 1));
        seen.extend(restart_in_order(&mut world, 0).await);
        let seen: HashSet<JobState> = seen.into_iter().collect();
        assert!(seen.len() >= 4, "jobs were in many states, not only {seen:?}");
        for job in &jobs {
            let done = customer.until_told(job.id()).await;
            let [price, held, captured, released, _] = done.money();
            assert_eq!((done.state(), held, captured, released), ("done", price, price, 0));
        }
        assert_eq!((world.sim.tasks().len(), world.creates()), (500, 600), "each was bought once; a hundred were refused first");
        world.finish().await;
    }

    async fn f51_two_processes_meet_on_an_empty_database_and_both_serve(db) {
        let world = World::builder(db).programs(2).start().await;
        let customer = world.account_with("10.00").await;
        for number in 0..6 {
            let job = customer.order(IMAGE, prompt(&format!("shared {number}"))).await;
            ends_well(&world, &customer, &job).await;
        }
        assert_eq!(world.creates(), 6);
        world.finish().await;
    }

    async fn f51_a_running_old_program_goes_on_when_a_newer_one_has_migrated(db) {
        let mut world = World::builder(db).programs(2).start().await;
        let customer = world.account_with("10.00").await;
        let before = customer.order(IMAGE, prompt("[sim:duration=3s] begun before")).await;
        customer.until_state(before.id(), "running").await;
        // What a migration of a newer version may do: it adds, and writes down that it was here.
        world.edit("create table kie.newer (id bigint primary key, words text not null)").await;
        world.edit("alter table kie.job add column newer_words text").await;
        world.edit(match db {
            Db::Postgres => "insert into kie.migration (version, description, success, checksum, execution_time)
                             values (9999, 'newer', true, 'x', 0)",
            Db::Sqlite => "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                           values (9999, 'newer', true, x'00', 0)",
        }).await;
        let mut jobs = vec![before];
        for number in 0..6 {
            let index = number % 2;
            jobs.push(world.at(index, &customer).order(IMAGE, prompt(&format!("beside a newer one {number}"))).await);
        }
        for job in &jobs {
            ends_well(&world, &customer, job).await;
        }
        assert_eq!(world.creates(), 7);
        // An old program that starts now is refused, and changes nothing for the one that runs.
        assert!(world.program(1).terminate().await.success());
        world.start_program(1);
        let status = world.program(1).wait_for_end().await;
        assert_eq!(status.code(), Some(1), "{}", world.program(1).log());
        assert!(world.program(1).log().contains("newer program"), "{}", world.program(1).log());
        let job = customer.order(IMAGE, prompt("still sold")).await;
        ends_well(&world, &customer, &job).await;
        world.finish().await;
    }

    async fn f51_when_one_of_two_processes_dies_the_other_goes_on(db) {
        let mut world = World::builder(db).programs(2).start().await;
        let customer = world.account_with("10.00").await;
        let mut jobs = Vec::new();
        for number in 0..6 {
            jobs.push(customer.order(IMAGE, prompt(&format!("[sim:duration=3s] half {number}"))).await);
        }
        // A create whose answer is not written yet would rest until its lease of 150 s is over.
        for job in &jobs {
            customer.until_job(job.id(), "is bought", |job| job.state() == "running").await;
        }
        world.program(0).kill_9().await;
        for job in &jobs {
            // The address of the callbacks is dead, and some leases are; the other process finds all by itself.
            until("the other process has stored it", async || (world.row(job.id()).await.state.as_str() == "done").then_some(())).await;
        }
        world.restart_program(0).await;
        for job in &jobs {
            ends_well(&world, &customer, job).await;
        }
        assert_eq!(world.creates(), 6);
        world.finish().await;
    }
}

/// Stops a program as a deployment does and starts it again; the states that jobs were in at that moment.
async fn restart_in_order(world: &mut World, index: usize) -> Vec<JobState> {
    let overview = world.store.overview(world.now(), world.now()).await.unwrap();
    let status = world.program(index).terminate().await;
    assert!(status.success(), "{status}\n{}", world.program(index).log());
    world.restart_program(index).await;
    overview.states.into_iter().filter(|(_, jobs)| *jobs > 0).map(|(state, _)| state).collect()
}

async fn ends_well(world: &World, customer: &acceptance::Customer, job: &Job) {
    let done = customer.until_told(job.id()).await;
    let [price, held, captured, released, _] = done.money();
    assert_eq!((done.state(), held, captured, released), ("done", price, price, 0));
    assert_eq!(done.deliveries()[0]["state"], "done");
    assert!(!world.receiver.calls_about(job.id()).is_empty());
    assert_eq!(customer.download(done.outputs()[0]["url"].as_str().unwrap()).await.0, 200);
}
