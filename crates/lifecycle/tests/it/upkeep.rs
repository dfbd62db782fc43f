//! Upkeep: the provider's balance against our books, the end of its retention, files that are fetched again.

use std::time::Duration;

use domain::JobState;
use lifecycle::{RetryPlan, expiring_jobs};
use store::{CreditReading, ReadingStore};

use crate::cabinet::Link;
use crate::kie::{End, Life, Reply};
use crate::shop::{DRAW, FILM};
use crate::world::{World, story};

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

async fn newest(world: &World) -> CreditReading {
    world.store.list_readings(1).await.unwrap().remove(0)
}

#[test]
fn books_are_compared_once_a_day_and_a_drift_is_a_finding() {
    story(async {
        let world = World::new(21).await;
        let account = world.customer(100_000).await;
        world.kie.set_balance("10000");
        assert!(world.life.keep_house().await.unwrap().balance_compared);
        assert!(!world.life.keep_house().await.unwrap().balance_compared, "not twice a day");
        let end = End::Made { results: None, extras: 0, credits: Some("10") };
        world.kie.plan(Reply::Accepted, Life { end, ..Life::default() });
        let job = world.order(account, DRAW).await;
        world.run_to(job, JobState::Done, MINUTE).await;
        world.kie.set_balance("9990");
        world.skip(DAY).await;
        assert!(world.life.keep_house().await.unwrap().balance_compared);
        assert_eq!((newest(&world).await.drift_micro, newest(&world).await.is_finding()), (Some(0), false));

        world.kie.set_balance("9700");
        world.skip(DAY).await;
        world.life.keep_house().await.unwrap();
        let found = newest(&world).await;
        assert_eq!((found.number, found.drift_micro, found.is_finding()), (3, Some(290_000_000), true));

        world.kie.set_balance("20000");
        world.skip(DAY).await;
        world.life.keep_house().await.unwrap();
        assert_eq!(newest(&world).await.drift_micro, None, "a top-up is a new beginning");
        world.prove().await;
    });
}

#[test]
fn f38_what_is_not_stored_is_told_before_the_provider_deletes_it() {
    story(async {
        let world = World::new(22).await;
        let account = world.customer(100_000).await;
        let job = world.order(account, FILM).await;
        world.cabinet.set_broken(true);
        world.run_to(job, JobState::Storing, MINUTE * 30).await;
        let expiring = async || expiring_jobs(&*world.store, world.now(), 10).await.unwrap();
        world.skip(DAY * 10).await;
        assert_eq!(expiring().await, []);
        world.skip(DAY).await;
        assert_eq!(expiring().await.len(), 1);
        world.cabinet.set_broken(false);
        world.run_to(job, JobState::Done, DAY).await;
        assert_eq!(expiring().await, []);
        world.work().await;
        world.prove().await;
    });
}

#[test]
fn a_stored_file_that_is_gone_is_fetched_again() {
    story(async {
        let world = World::new(23).await;
        let account = world.customer(100_000).await;
        let job = world.order_many(account, DRAW, 2).await;
        let done = world.run_to(job, JobState::Done, MINUTE).await;
        let objects = world.cabinet.objects();
        assert_eq!(world.life.restore_files(job, "nothing is wrong").await.unwrap(), []);
        world.cabinet.remove(&objects[0]);
        let restored = world.life.restore_files(job, "the bucket lost it").await.unwrap();
        assert_eq!((restored.len(), &restored[0].trouble), (1, &None));
        assert_eq!(world.cabinet.objects(), objects);
        // Other bytes of the same length.
        world.cabinet.overwrite(&objects[1]);
        let plan = world.life.foresee_retry(&world.job(job).await).await.unwrap();
        let restored = world.life.restore_files(job, "somebody wrote over it").await.unwrap();
        assert_eq!(plan, RetryPlan::Fetch(restored.iter().map(|file| file.asset).collect()));
        assert_eq!((restored.len(), &restored[0].trouble), (1, &None));
        assert_eq!(world.life.foresee_retry(&world.job(job).await).await.unwrap(), RetryPlan::Nothing);
        let now = world.job(job).await;
        assert_eq!(
            (now.state, now.captured, now.entered_at),
            (JobState::Done, done.captured, done.entered_at)
        );
        assert!(world.history(job).await.iter().any(|(_, words)| words.contains("the bucket lost it")));
        world.work().await;
        world.prove().await;
    });
}

#[test]
fn other_bytes_are_not_taken_for_what_was_sold() {
    story(async {
        let world = World::new(24).await;
        let account = world.customer(100_000).await;
        let job = world.order(account, DRAW).await;
        world.run_to(job, JobState::Done, MINUTE).await;
        let object = world.cabinet.objects().remove(0);
        world.cabinet.remove(&object);
        world.cabinet.set("", Link::Other);
        let restored = world.life.restore_files(job, "look").await.unwrap();
        assert!(
            restored[0].trouble.as_deref().is_some_and(|words| words.contains("other bytes")),
            "{restored:?}"
        );
        assert!(restored[0].is_gone && world.cabinet.objects().is_empty());
        world.cabinet.set("", Link::Gone);
        let restored = world.life.restore_files(job, "look").await.unwrap();
        assert!(restored[0].trouble.is_some() && restored[0].is_gone, "the provider has it no more");
        for passing in [Link::Source, Link::Storage, Link::Blocked] {
            world.cabinet.set("", passing);
            let restored = world.life.restore_files(job, "look").await.unwrap();
            assert!(restored[0].trouble.is_some() && !restored[0].is_gone, "{passing:?}: {restored:?}");
        }
        world.cabinet.set_broken(true);
        assert!(!world.life.restore_files(job, "look").await.unwrap()[0].is_gone);
        world.cabinet.set_broken(false);
        world.cabinet.set("", Link::Good);
        assert_eq!(world.life.restore_files(job, "look").await.unwrap()[0].trouble, None);
        world.work().await;
        world.prove().await;
    });
}
