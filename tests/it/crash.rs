//! The real program, killed between every two steps of a job's life and between the statements of the stores; then the
//! same points with errors and with delays.

mod case;
mod refused;
mod rows;
mod takeover;
mod tool;

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use acceptance::{Db, IMAGE, PATIENCE, World, prompt, stories, until};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::Value;

use crate::repo;
use case::Case;
use rows::{Act, End, Row};

/// How long a claimed row rests after its worker was killed.
const LEASE: Duration = Duration::from_secs(20);
/// The same while createTask is sent.
const SENDING_LEASE: Duration = Duration::from_secs(150);
/// Places that one world dies at, one after the other. Its clock runs ahead of the provider's with each; the signatures of
/// callbacks bear a quarter of an hour.
const DEATHS: usize = 5;

stories! {
    async fn f04_killed_up_to_the_commit_of_sending_the_job_is_bought_once(db) {
        killed_at_each(db, rows::PLACING, "2h").await;
    }

    async fn f04_killed_between_the_purchase_and_its_record_the_task_is_adopted(db) {
        killed_at_each(db, rows::ADOPTED, "2h").await;
    }

    async fn f04_killed_there_without_a_callback_the_money_goes_back(db) {
        killed_at_each(db, rows::UNCLEAR, "1s").await;
    }

    async fn f41_killed_around_every_copy_there_is_one_object(db) {
        killed_at_each(db, rows::STORING, "2h").await;
    }

    async fn f41_killed_around_an_upload_it_can_be_sent_again(db) {
        killed_at_each(db, rows::UPLOADING, "2h").await;
    }

    async fn f41_stopped_in_the_middle_of_the_purge_the_bytes_go_in_a_later_round(db) {
        let points = rows::PURGING.iter().filter(|point| rows::is_on(db, point));
        let cases = points.flat_map(|point| ["kill", "error", "delay:40"].map(|action| (*point, action)));
        join_all(cases.map(|(point, action)| purged_despite(db, point, action))).await;
    }

    async fn f23_killed_at_every_statement_that_settles_a_job_the_money_moves_once(db) {
        killed_at_each(db, rows::SETTLING, "2h").await;
    }

    async fn f23_killed_between_paid_and_credited_the_money_moves_once(db) {
        killed_at_each(db, rows::CREDITING, "2h").await;
    }

    async fn f45_killed_around_every_message_it_is_told_at_least_once(db) {
        killed_at_each(db, rows::TELLING, "2h").await;
    }

    async fn with_an_error_at_every_point_all_jobs_end_right(db) {
        let (world, cases, taken) = at_every_point(db, "error", 4).await;
        for (case, taken) in cases.iter().zip(&taken) {
            case.prove_any(&world, taken).await;
        }
        world.finish().await;
    }

    async fn with_a_delay_at_every_point_all_jobs_end_right(db) {
        let (world, cases, taken) = at_every_point(db, "delay:40", 1).await;
        for (case, taken) in cases.iter().zip(&taken) {
            case.prove(&world, taken, case.natural_end()).await;
        }
        world.finish().await;
    }

    #[expect(clippy::disallowed_methods, reason = "compared with the time of a file")]
    async fn after_a_kill_the_oldest_due_row_is_acted_on_within_its_lease_and_two_seconds(db) {
        let mut world = World::builder(db).programs(1).fail_points().start().await;
        let customer = world.account_with("1.00").await;
        world.arm(0, "keep.begun=kill");
        let job = customer.order(IMAGE, prompt("[sim:duration=1s] left lying")).await;
        world.until_killed(0).await;
        let killed_at = SystemTime::now();
        world.arm(0, "worker.claimed=note");
        world.restart_program(0).await;
        let claimed_at = until("the row is claimed again", async || {
            let claimed = world.reached(0).iter().any(|visit| visit == "worker.claimed");
            claimed.then(|| world.last_reached_at(0))
        })
        .await;
        let waited = claimed_at.duration_since(killed_at).unwrap();
        assert!(waited <= LEASE + Duration::from_secs(2), "{waited:?}");
        assert_eq!(customer.until_told(job.id()).await.state(), "done");
        world.finish().await;
    }
}

async fn with_fail_points(db: Db, unclear_after: &str) -> World {
    World::builder(db)
        .programs(1)
        .log("info,web=warn")
        .fail_points()
        .flag("--unclear-after", unclear_after)
        // Until the killed program is back.
        .sim(|sim| sim.callback_retry = vec![Duration::from_millis(500); 60])
        .start()
        .await
}

async fn killed_at_each(db: Db, rows: &[Row], unclear_after: &str) {
    let rows = rows::on(db, rows);
    let chains = rows.chunks(DEATHS).map(|rows| async move {
        let mut world = with_fail_points(db, unclear_after).await;
        for row in rows {
            killed_at(&mut world, row).await;
        }
        world.finish().await;
    });
    join_all(chains).await;
}

async fn killed_at(world: &mut World, row: &Row) {
    let case = Case::prepare(world, row.act).await;
    let tasks = world.sim.tasks().len();
    world.arm(0, &format!("{}=kill", row.point));
    case.act().await;
    world.until_killed(0).await;
    assert_eq!(world.reached(0).last().map(String::as_str), Some(row.point));
    world.disarm(0);
    let lease = if matches!(row.end, End::Adopted | End::Unclear) { SENDING_LEASE } else { LEASE };
    world.advance(lease + Duration::from_secs(1));
    world.restart_program(0).await;
    let taken = case.act().await.expect("nothing is armed any more");
    case.prove(world, &taken, row.end).await;
    assert!(world.sim.tasks().len() - tasks <= 1, "{row:?}: never two tasks");
    if row.point == "deliver.sent" {
        assert_eq!(case.times_told(world, &taken), 2, "nobody knew that it was sent");
    }
    world.audit_clean().await;
}

async fn purged_despite(db: Db, point: &str, action: &str) {
    let mut world = with_fail_points(db, "2h").await;
    let customer = world.account_with("1.00").await;
    let job = customer.order(IMAGE, prompt("not wanted any more")).await;
    let job = customer.until_told(job.id()).await;
    customer.send(customer.request(Method::DELETE, &format!("/v1/jobs/{}", job.id()))).await.expect(204);
    let assets = world.store.assets_of(&[job.id().parse().unwrap()]).await.unwrap();
    let objects = [Some(&assets[0].object), assets[0].thumbnail.as_ref()].map(|name| name.unwrap().clone());
    world.program(0).terminate().await;
    world.advance(Duration::from_hours(24 * 31));
    world.arm(0, &format!("{point}={action}"));
    // A program keeps house when it starts.
    world.start_program(0);
    if action == "kill" {
        world.until_killed(0).await;
    } else {
        until("the point is reached", async || world.reached(0).iter().any(|at| at == point).then_some(()))
            .await;
        world.program(0).terminate().await;
    }
    world.disarm(0);
    world.restart_program(0).await;
    until("the bytes are gone", async || {
        let looks = objects.iter().map(|name| world.media.head(name));
        join_all(looks).await.iter().all(Result::is_err).then_some(())
    })
    .await;
    assert_eq!(world.count("kie.callback").await, 0, "those are deleted in the same round");
    let asset = world.store.assets_of(&[job.id().parse().unwrap()]).await.unwrap().remove(0);
    assert!(
        asset.deleted_at.is_some() && asset.sha256.is_some(),
        "a tombstone with the hash stays: {asset:?}"
    );
    world.finish().await;
}

/// Does every act so often while all points are armed with this action, and lets all time limits pass.
async fn at_every_point(db: Db, action: &str, times: usize) -> (World, Vec<Case>, Vec<Value>) {
    const UNCLEAR_AFTER: Duration = Duration::from_mins(10);
    let mut world = with_fail_points(db, "10m").await;
    let cases = prepare_all(&world, times).await;
    world.arm(0, &format!("*={action}"));
    let taken = act_until_all_is_reached(&world, db, &cases).await;
    world.disarm(0);
    // What came between a purchase and its record is found when the lease of the sending ends.
    later(&mut world, SENDING_LEASE + Duration::from_secs(1)).await;
    for (case, taken) in cases.iter().zip(&taken) {
        case.until_at_rest(&world, taken).await;
    }
    later(&mut world, UNCLEAR_AFTER).await;
    (world, cases, taken)
}

/// Stops the program and starts it again at a later time.
async fn later(world: &mut World, by: Duration) {
    let status = world.program(0).terminate().await;
    assert!(status.success(), "{status}\n{}", world.program(0).log());
    world.advance(by);
    world.restart_program(0).await;
}

/// Every act of the rows, so often.
async fn prepare_all(world: &World, times: usize) -> Vec<Case> {
    let acts: BTreeSet<Act> = rows::STORIES.iter().copied().flatten().map(|row| row.act).collect();
    let acts: Vec<Act> = acts.into_iter().collect();
    join_all(acts.repeat(times).into_iter().map(|act| Case::prepare(world, act))).await
}

/// Does everything at once, and waits until every fail point of this database was reached.
async fn act_until_all_is_reached(world: &World, db: Db, cases: &[Case]) -> Vec<Value> {
    let wanted: BTreeSet<&str> =
        rows::STORIES.iter().flat_map(|rows| rows::on(db, rows)).map(|row| row.point).collect();
    let taken = join_all(cases.iter().map(Case::act)).await;
    let missing = || {
        let reached = world.reached(0);
        wanted.iter().copied().filter(|point| !reached.iter().any(|visit| visit == point)).collect::<Vec<_>>()
    };
    let begun = Instant::now();
    while !missing().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {:?}", missing());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    taken.into_iter().map(|taken| taken.expect("nothing kills the program")).collect()
}

#[test]
fn every_fail_point_of_the_code_is_in_the_list_once_and_some_story_dies_there() {
    let known: BTreeSet<&str> = store::failpoints::POINTS.iter().copied().collect();
    assert_eq!(known.len(), store::failpoints::POINTS.len(), "the list has a name twice");
    let mut marked = BTreeSet::new();
    for path in repo::files("crates", ".rs").into_iter().filter(|path| path.contains("/src/")) {
        let text = repo::read(&path);
        for rest in text.split("fail_point!(\"").skip(1) {
            let name = rest.split('"').next().unwrap().to_owned();
            assert!(marked.insert(name.clone()), "{path}: {name} is marked twice");
        }
    }
    let told = rows::STORIES.iter().copied().flatten().map(|row| row.point);
    let points = told
        .chain(rows::PURGING.iter().copied())
        .chain(refused::points())
        .chain(tool::points())
        .chain(takeover::points());
    let died: BTreeSet<&str> = points.map(|point| point.split(':').next().unwrap()).collect();
    assert_eq!(
        marked.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        known,
        "left: the code; right: the list"
    );
    assert_eq!(died, known, "left: the stories; right: the list");
}
