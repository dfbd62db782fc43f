//! How often a record is read.

use std::time::Duration;

use domain::JobState;
use lifecycle::ReadFailure;

use crate::kie::{End, Hint, Life, Reply};
use crate::shop::{DRAW, FILM, SONG};
use crate::world::{World, story};

async fn gaps(model: &str, life: Life, time: Duration) -> Vec<f64> {
    let world = World::new(10).await;
    let account = world.customer(10_000).await;
    world.kie.plan(Reply::Accepted, life);
    let job = world.order(account, model).await;
    world.run(time).await;
    assert_eq!(world.job(job).await.state, JobState::Running);
    let mut at = vec![world.kie.creates()[0].at];
    at.extend(world.kie.reads("task-0001"));
    at.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs_f64()).collect()
}

#[test]
fn the_pace_follows_the_kind_and_the_age() {
    for (model, least, most) in [(DRAW, 3.0, 15.0), (SONG, 10.0, 30.0), (FILM, 15.0, 60.0)] {
        story(async {
            let gaps = gaps(model, Life::ending(End::Never), Duration::from_mins(15)).await;
            let near = |gap: f64, wanted: f64| (wanted * 0.89..=wanted * 1.11).contains(&gap);
            assert!(near(gaps[0], least) && near(*gaps.last().unwrap(), most), "{model}: {gaps:?}");
            assert!(gaps.iter().all(|gap| *gap >= least * 0.89 && *gap <= most * 1.11), "{model}: {gaps:?}");
        });
    }
}

#[test]
fn a_callback_resets_the_pace_to_2_4_and_8_seconds() {
    story(async {
        let life = Life::ending(End::Never).hint(Duration::from_mins(10), Hint::Genuine);
        let gaps = gaps(FILM, life, Duration::from_mins(12)).await;
        let fast = gaps.iter().position(|gap| (*gap - 2.0).abs() < 0.01).expect("a fast read");
        assert!((gaps[fast + 1] - 4.0).abs() < 0.01 && (gaps[fast + 2] - 8.0).abs() < 0.01, "{gaps:?}");
        assert!(gaps[fast + 3] > 50.0, "{gaps:?}");
    });
}

#[test]
fn a_job_that_takes_longer_than_usual_is_late() {
    story(async {
        let world = World::new(10).await;
        let account = world.customer(1_000).await;
        world.kie.plan(Reply::Accepted, Life::default().after(Duration::from_mins(5)));
        let job = world.order(account, DRAW).await;
        world.run(Duration::from_mins(2)).await;
        assert!(!world.job(job).await.late);
        world.run(Duration::from_mins(2)).await;
        assert!(world.job(job).await.late);
        world.run_to(job, JobState::Done, Duration::from_mins(3)).await;
        world.prove().await;
    });
}

#[test]
fn trouble_slows_the_reading_down_to_five_minutes() {
    story(async {
        let world = World::new(10).await;
        let account = world.customer(10_000).await;
        world.kie.plan(Reply::Accepted, Life::default().after(Duration::from_mins(50)));
        let job = world.order(account, FILM).await;
        world.work().await;
        for _ in 0..14 {
            world.kie.fail_next_read(ReadFailure::Trouble("HTTP 500".to_owned()));
        }
        world.run(Duration::from_mins(45)).await;
        let at = world.kie.reads("task-0001");
        let gaps: Vec<_> = at.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs_f64()).collect();
        let slowest = gaps.iter().copied().fold(0.0, f64::max);
        assert!((270.0..=330.0).contains(&slowest), "{gaps:?}");
        world.run_to(job, JobState::Done, Duration::from_mins(10)).await;
        world.prove().await;
    });
}
