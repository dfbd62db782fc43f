//! Copying: what is tried, for how long, what is lost, and what that costs.

use std::time::Duration;

use domain::{AssetRole, AssetState, Cause, JobId, JobState, TransferKind};
use store::{Blocked, ReportStore};

use crate::cabinet::Link;
use crate::kie::{End, Life, Reply};
use crate::shop::{DRAW, POSTER, SONG};
use crate::world::{World, story};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);

async fn posters(n: u32) -> (World, JobId) {
    let world = World::new(6).await;
    let account = world.customer(100).await;
    let job = world.order_many(account, POSTER, n).await;
    (world, job)
}

#[test]
fn one_of_three_lost_is_not_paid_for() {
    story(async {
        let (world, job) = posters(3).await;
        world.cabinet.set("out1", Link::Gone);
        let storing = world.run_to(job, JobState::Storing, MINUTE).await;
        world.run(HOUR * 20).await;
        assert_eq!(world.job(job).await.state, JobState::Storing);
        let done = world.run_to(job, JobState::Done, DAY * 2).await;
        assert_eq!(world.money(job).await, (100, 66, 34));
        assert_eq!(
            world.transfers(job).await,
            [TransferKind::Hold, TransferKind::Capture, TransferKind::Release]
        );
        assert!(done.entered_at.duration_since(storing.entered_at) >= DAY.try_into().unwrap());
        let states: Vec<_> = world.assets(job).await.iter().map(|asset| (asset.state, asset.tries)).collect();
        assert_eq!(
            [states[0].0, states[1].0, states[2].0],
            [AssetState::Stored, AssetState::Lost, AssetState::Stored]
        );
        let tried = world.cabinet.tried().iter().filter(|url| url.ends_with("out1")).count();
        assert!((8..=12).contains(&tried), "{tried}");
        world.run(MINUTE).await;
        world.prove().await;
    });
}

#[test]
fn fewer_results_than_ordered_cost_their_share() {
    story(async {
        let world = World::new(6).await;
        let account = world.customer(100).await;
        world
            .kie
            .plan(Reply::Accepted, Life::ending(End::Made { results: Some(2), extras: 0, credits: None }));
        let job = world.order_many(account, POSTER, 3).await;
        world.run_to(job, JobState::Done, MINUTE).await;
        assert_eq!(world.money(job).await, (100, 66, 34));
        world.run(MINUTE).await;
        world.prove().await;
    });
}

#[test]
fn a_private_address_is_given_up_at_once() {
    story(async {
        let (world, job) = posters(1).await;
        world.cabinet.set("out0", Link::Blocked);
        let failed = world.run_to(job, JobState::Failed, MINUTE).await;
        assert_eq!((failed.cause, world.money(job).await), (Some(Cause::NoResult), (100, 0, 100)));
        assert_eq!(world.cabinet.tried().len(), 1);
        let told = world.store.overview(failed.entered_at, world.now()).await.unwrap().blocked;
        assert_eq!(told, Some(Blocked { results: 1, job }));
        world.prove().await;
    });
}

#[test]
fn trouble_of_our_storage_never_counts_and_ends_with_the_providers_retention() {
    story(async {
        let (world, job) = posters(2).await;
        world.cabinet.set_broken(true);
        let storing = world.run_to(job, JobState::Storing, MINUTE).await;
        world.run(HOUR).await;
        world.skip(DAY * 13).await;
        assert_eq!(world.job(job).await.state, JobState::Storing);
        assert!(world.assets(job).await.iter().all(|asset| asset.tries == 0));
        world.skip(HOUR * 22).await;
        let failed = world.run_to(job, JobState::Failed, HOUR * 2).await;
        assert!(failed.entered_at.duration_since(storing.entered_at) >= (DAY * 14).try_into().unwrap());
        assert_eq!((failed.cause, world.money(job).await), (Some(Cause::NoResult), (100, 0, 100)));
        world.prove().await;
    });
    story(async {
        let (world, job) = posters(2).await;
        world.cabinet.set_broken(true);
        world.run_to(job, JobState::Storing, MINUTE).await;
        world.run(HOUR).await;
        world.skip(DAY * 5).await;
        world.cabinet.set_broken(false);
        world.run_to(job, JobState::Done, MINUTE * 6).await;
        assert_eq!(world.money(job).await, (100, 100, 0));
        world.prove().await;
    });
}

/// The result's own link has died, a fresh one would do, and our storage takes nothing for two days.
#[test]
fn trouble_of_our_storage_does_not_count_behind_a_dead_link_either() {
    story(async {
        let (world, job) = posters(1).await;
        world.cabinet.set("out0", Link::Gone);
        world.cabinet.set("?fresh", Link::Storage);
        world.run_to(job, JobState::Storing, MINUTE).await;
        world.run(DAY * 2).await;
        assert_eq!(world.job(job).await.state, JobState::Storing);
        world.cabinet.set("?fresh", Link::Good);
        world.run_to(job, JobState::Done, DAY).await;
        assert_eq!(world.money(job).await, (100, 100, 0));
        world.prove().await;
    });
}

#[test]
fn a_dead_link_is_renewed_by_a_download_link() {
    story(async {
        let (world, job) = posters(1).await;
        world.cabinet.set("out0", Link::Gone);
        world.cabinet.set("?fresh", Link::Good);
        world.run_to(job, JobState::Done, MINUTE).await;
        assert_eq!(world.cabinet.tried().len(), 2);
        world.prove().await;
    });
}

#[test]
fn a_dead_link_is_renewed_by_the_record() {
    story(async {
        let (world, job) = posters(2).await;
        world.cabinet.set("v0/", Link::Gone);
        world.kie.refuse_fresh_links();
        world.run_to(job, JobState::Storing, MINUTE).await;
        world.run(HOUR).await;
        assert_eq!(world.job(job).await.state, JobState::Storing);
        world.kie.move_links();
        world.run_to(job, JobState::Done, DAY).await;
        assert_eq!(world.money(job).await, (100, 100, 0));
        world.prove().await;
    });
}

#[test]
fn unusable_bytes_and_a_source_in_trouble_are_tried_again() {
    for trouble in [Link::Unusable, Link::Source] {
        story(async {
            let (world, job) = posters(1).await;
            world.cabinet.set("out0", trouble);
            world.run_to(job, JobState::Storing, MINUTE).await;
            world.run(HOUR).await;
            assert_eq!(world.job(job).await.state, JobState::Storing);
            world.cabinet.set("out0", Link::Good);
            world.run_to(job, JobState::Done, HOUR * 5).await;
            assert_eq!(world.money(job).await, (100, 100, 0));
            world.prove().await;
        });
    }
}

#[test]
fn extras_are_kept_if_possible_and_hold_nothing_up() {
    for (link, kept) in [
        (Link::Good, AssetState::Stored),
        (Link::Gone, AssetState::Lost),
        (Link::Unusable, AssetState::Lost),
        (Link::Storage, AssetState::Lost),
    ] {
        story(async {
            let world = World::new(6).await;
            let account = world.customer(1_000).await;
            world.cabinet.set("extra", link);
            world
                .kie
                .plan(Reply::Accepted, Life::ending(End::Made { results: None, extras: 2, credits: None }));
            let job = world.order(account, SONG).await;
            world.run_to(job, JobState::Done, MINUTE * 2).await;
            assert_eq!(world.money(job).await, (390, 390, 0));
            let assets = world.assets(job).await;
            let extras: Vec<_> = assets.iter().filter(|asset| asset.role == AssetRole::Extra).collect();
            assert!(extras.len() == 2 && extras.iter().all(|asset| asset.state == kept), "{link:?}");
            world.prove().await;
        });
    }
}

#[test]
fn a_copy_that_outlives_its_lease_changes_nothing_when_another_worker_has_the_job() {
    story(async {
        let (world, job) = posters(1).await;
        world.cabinet.set_broken(true);
        world.run_to(job, JobState::Storing, MINUTE).await;
        world.cabinet.set_broken(false);
        world.cabinet.set("out0", Link::Slow(MINUTE * 5));
        world.set(world.next_event().await);
        // The first worker stands after its copy, its lease over; the second takes the job to its end.
        let mut slow = world.claim(8).await.remove(0);
        let before = world.now();
        while world.now() == before {
            world.gate.go_on(&mut slow).await;
        }
        world.cabinet.set("out0", Link::Good);
        world.run_to(job, JobState::Done, MINUTE * 2).await;
        assert!(world.gate.finish(slow).await);
        assert_eq!(world.transfers(job).await, [TransferKind::Hold, TransferKind::Capture]);
        world.prove().await;
    });
}

#[test]
fn a_batch_is_captured_job_by_job() {
    story(async {
        let world = World::new(6).await;
        let account = world.customer(10_000).await;
        let mut request = world.request(account, DRAW, serde_json::json!({"prompt": "kite"}));
        request.count = Some(4);
        world.kie.plan(Reply::Accepted, Life::default());
        world.kie.plan(Reply::Accepted, Life::ending(End::Failed { moderation: true }));
        world.kie.plan(Reply::Accepted, Life::ending(End::Never));
        world.kie.plan(Reply::Accepted, Life::default());
        let jobs = world.place(&request).await.jobs;
        assert_eq!(world.balance(account).await, (10_000 - 4 * 780, 4 * 780));
        world.run(MINUTE * 2).await;
        assert_eq!(world.balance(account).await, (10_000 - 3 * 780, 780));
        world.run(HOUR).await;
        assert_eq!(world.balance(account).await, (10_000 - 2 * 780, 0));
        assert!(jobs.iter().all(|job| job.batch == jobs[0].batch && job.batch.is_some()));
        world.prove().await;
    });
}
