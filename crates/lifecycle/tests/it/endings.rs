//! What a record may say, for how long it is asked, and what comes after the money went back.

use std::time::Duration;

use domain::{AccountId, Cause, Job, JobId, JobState, TransferKind};
use lifecycle::{Decision, ReadFailure};
use serde_json::json;
use store::ReportStore;

use crate::cabinet::Link;
use crate::kie::{End, Hint, Life, Reply};
use crate::shop::{DRAW, FILM, GIFT, WORDS};
use crate::world::{World, story};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);

async fn ordered(model: &str, life: Life) -> (World, AccountId, JobId) {
    let world = World::new(4).await;
    let account = world.customer(10_000).await;
    world.kie.plan(Reply::Accepted, life);
    let job = world.order(account, model).await;
    world.work().await;
    assert_eq!(world.job(job).await.state, JobState::Running);
    (world, account, job)
}

fn made() -> End {
    End::Made { results: None, extras: 0, credits: None }
}

#[test]
fn a_failed_record_releases_with_its_cause_and_is_left_alone() {
    for (moderation, cause) in [(true, Cause::Moderation), (false, Cause::ProviderError)] {
        story(async {
            let (world, account, job) = ordered(DRAW, Life::ending(End::Failed { moderation })).await;
            let failed = world.run_to(job, JobState::Failed, MINUTE).await;
            assert_eq!((failed.cause, world.balance(account).await), (Some(cause), (10_000, 0)));
            world.run(DAY * 20).await;
            assert_eq!(world.job(job).await.wake_at, None);
            world.prove().await;
        });
    }
}

#[test]
fn give_up_releases_and_a_late_success_is_a_gift_once() {
    story(async {
        let (world, account, job) = ordered(DRAW, Life::ending(End::Never)).await;
        let failed = world.run_to(job, JobState::Failed, HOUR).await;
        assert_eq!((failed.cause, world.balance(account).await), (Some(Cause::Expired), (10_000, 0)));
        let waited = failed.entered_at.duration_since(failed.created_at).as_secs();
        assert!((1200..1217).contains(&waited), "{waited} s: at the first read after its time");
        world.run(HOUR * 30).await;
        world.kie.end_all(&made());
        let done = world.run_to(job, JobState::Done, DAY).await;
        assert!(done.gift);
        assert_eq!(world.transfers(job).await, [TransferKind::Hold, TransferKind::Release]);
        world.run(DAY * 20).await;
        let told: Vec<_> =
            world.ears.heard().iter().map(|heard| (heard.event.as_str(), heard.gift)).collect();
        assert_eq!(told, [("job.failed", false), ("job.done", true)]);
        assert_eq!((world.balance(account).await, world.job(job).await.wake_at), ((10_000, 0), None));
        world.prove().await;
    });
}

#[test]
fn a_task_that_never_ends_is_read_daily_until_the_provider_forgets_it() {
    story(async {
        let (world, _, job) = ordered(DRAW, Life::ending(End::Never)).await;
        let failed = world.run_to(job, JobState::Failed, HOUR).await;
        let before = world.kie.reads("task-0001").len();
        world.run(DAY * 30).await;
        let reads = world.kie.reads("task-0001");
        assert_eq!((reads.len() - before, world.job(job).await.wake_at), (13, None));
        assert!(*reads.last().unwrap() <= failed.entered_at + DAY * 14);
        world.prove().await;
    });
}

#[test]
fn a_gift_whose_outputs_cannot_be_had_ends_failed_for_good() {
    story(async {
        let (world, account, job) = ordered(DRAW, Life::ending(End::Never)).await;
        world.run_to(job, JobState::Failed, HOUR).await;
        world.cabinet.set("files.kie", Link::Blocked);
        world.kie.end_all(&made());
        world.run(DAY * 2).await;
        let failed = world.job(job).await;
        assert_eq!(
            (failed.state, failed.gift, failed.cause),
            (JobState::Failed, true, Some(Cause::NoResult))
        );
        world.cabinet.set("files.kie", Link::Good);
        world.hint(job, 1, "task-0001").await;
        world.run(DAY * 20).await;
        let rests = world.job(job).await;
        assert_eq!(
            (rests.state, rests.wake_at, world.balance(account).await),
            (JobState::Failed, None, (10_000, 0))
        );
        assert_eq!(world.ears.heard().len(), 1, "the customer was told of the failure before");
        world.prove().await;
    });
}

#[test]
fn success_without_links_is_asked_for_an_hour() {
    story(async {
        let (world, account, job) = ordered(DRAW, Life::ending(End::Empty)).await;
        let failed = world.run_to(job, JobState::Failed, HOUR * 2).await;
        assert_eq!((failed.cause, world.balance(account).await), (Some(Cause::NoResult), (10_000, 0)));
        world.prove().await;
        let asked = world.kie.reads("task-0001");
        assert!(asked.len() > 10);
    });
    story(async {
        let (world, _, job) = ordered(FILM, Life::ending(End::Empty)).await;
        let failed = world.run_to(job, JobState::Failed, HOUR * 3).await;
        let asked = failed.entered_at.duration_since(failed.created_at).as_secs();
        assert!((3600..3700).contains(&asked), "{asked} s");
        world.prove().await;
    });
    story(async {
        let (world, _, job) = ordered(DRAW, Life::ending(End::EmptyAtFirst(MINUTE * 10))).await;
        assert!(!world.run_to(job, JobState::Done, MINUTE * 12).await.gift);
        world.prove().await;
    });
}

#[test]
fn an_unknown_word_is_neither_success_nor_failure() {
    story(async {
        let (world, _, job) = ordered(DRAW, Life::ending(End::Word("aborted"))).await;
        world.run(MINUTE * 5).await;
        assert_eq!(world.job(job).await.state, JobState::Running);
        assert!(world.history(job).await.iter().any(|(_, words)| words.contains("aborted")));
        let unknown = async || world.store.overview(world.now(), world.now()).await.unwrap().unknown_words;
        assert_eq!(unknown().await, [("aborted".to_owned(), 1)]);
        world.kie.end_all(&made());
        world.run_to(job, JobState::Done, MINUTE).await;
        assert_eq!(unknown().await, []);
        world.prove().await;
    });
}

#[test]
fn trouble_with_reading_changes_nothing() {
    story(async {
        let life = Life { young: Duration::from_secs(15), ..Life::default() };
        let (world, _, job) = ordered(DRAW, life).await;
        for number in 0..4 {
            world.kie.fail_next_read(ReadFailure::Trouble(format!("HTTP 50{number}")));
        }
        world.kie.fail_next_read(ReadFailure::Blocked("401".to_owned()));
        world.run_to(job, JobState::Done, MINUTE * 5).await;
        assert_eq!(world.kie.creates().len(), 1);
        world.prove().await;
    });
}

#[test]
fn a_record_that_is_gone_ends_by_give_up() {
    story(async {
        let life = Life { young: DAY * 365, ..Life::default() };
        let (world, account, job) = ordered(DRAW, life).await;
        let failed = world.run_to(job, JobState::Failed, HOUR).await;
        assert_eq!((failed.cause, world.balance(account).await), (Some(Cause::Expired), (10_000, 0)));
        world.prove().await;
    });
}

async fn film_that_took(credits: Option<&'static str>) -> (World, Job) {
    let end = End::Made { results: None, extras: 0, credits };
    let (world, _, job) = ordered(FILM, Life::ending(end)).await;
    let done = world.run_to(job, JobState::Done, MINUTE * 3).await;
    world.prove().await;
    (world, done)
}

#[test]
fn where_the_request_does_not_fix_the_cost_the_record_does() {
    // 50 credits at most are 39.00; a credit is 0.78.
    let cases = [
        (Some("20"), 1560, false),
        (Some("50"), 3900, false),
        (Some("80"), 3900, true),
        (None, 3900, true),
        (Some("0"), 3900, true),
    ];
    for (credits, captured, finding) in cases {
        story(async {
            let (world, done) = film_that_took(credits).await;
            assert_eq!(world.money(done.id).await, (3900, captured, 3900 - captured), "{credits:?}");
            assert_eq!(world.has_line(done.id, "finding.cost").await, finding, "{credits:?}");
            assert_eq!(world.balance(done.account).await, (10_000 - captured, 0));
        });
    }
}

#[test]
fn a_text_models_answer_is_stored_as_one_json_file() {
    story(async {
        let (world, _, job) = ordered(WORDS, Life::ending(End::Object(json!({"text": "kite"})))).await;
        world.run_to(job, JobState::Done, MINUTE).await;
        let assets = world.assets(job).await;
        assert_eq!(assets.len(), 1);
        assert_eq!(assets[0].content_type.as_deref(), Some("application/json"));
        assert_eq!(assets[0].bytes, Some(r#"{"text":"kite"}"#.len() as u64));
        assert_eq!((world.cabinet.tried().len(), world.money(job).await), (0, (78, 78, 0)));
        world.prove().await;
    });
}

#[test]
fn a_free_job_walks_the_same_path_without_transfers() {
    story(async {
        let world = World::new(5).await;
        let account = world.customer(0).await;
        let job = world.order(account, GIFT).await;
        world.run_to(job, JobState::Done, MINUTE).await;
        assert_eq!((world.transfers(job).await, world.money(job).await), (vec![], (0, 0, 0)));
        let unclear = world.order(account, GIFT).await;
        world.kie.plan(Reply::LostUnmade, Life::default());
        world.work().await;
        world.life.decide(unclear, &Decision::Release, "gone").await.unwrap();
        assert_eq!(world.transfers(unclear).await, []);
        world.work().await;
        world.prove().await;
    });
}

#[test]
fn twenty_callbacks_make_one_transition() {
    story(async {
        let mut life = Life::default();
        for number in 0..20 {
            life = life.hint(Duration::from_millis(20_000 + number), Hint::Genuine);
        }
        let (world, _, job) = ordered(DRAW, life).await;
        world.run_to(job, JobState::Done, MINUTE).await;
        world.run(HOUR).await;
        assert_eq!(world.transfers(job).await, [TransferKind::Hold, TransferKind::Capture]);
        assert_eq!(world.ears.heard().len(), 1);
        world.prove().await;
    });
}
