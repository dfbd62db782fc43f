//! Does the acts at their times, and calms everything down in the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::acts::{Act, Line, Who};
use super::people::People;
use super::stage::Stage;
use super::tally::Tally;
use super::wire::Mode;

/// Killed is what really was.
pub(crate) const KILLED: &str = "killed";

/// Returns when the last act is over; everything runs and passes again then.
pub(crate) async fn storm(stage: &Arc<Stage>, acts: Vec<(Duration, Act)>, seed: u64) {
    let begun = Instant::now();
    let mut all = JoinSet::new();
    for (number, (at, act)) in acts.into_iter().enumerate() {
        tokio::time::sleep_until((begun + at).into()).await;
        let stage = stage.clone();
        all.spawn(async move {
            stage.tally.count(Tally::ACTS, &act.kind());
            if perform(&stage, &act, seed ^ number as u64).await && act.kills() {
                stage.tally.count(KILLED, &act.kind());
            }
        });
    }
    while let Some(ended) = all.join_next().await {
        ended.unwrap();
    }
    calm(stage).await;
}

/// Every line is open, the database and the storage answer, the provider does nothing odd of its own any more.
async fn calm(stage: &Stage) {
    for line in Line::ALL {
        stage.line(line).set(Mode::Open);
    }
    stage.provider.calm().await;
    stage.cluster.resume().await;
    if let Some(clock) = &stage.false_clock {
        std::fs::write(clock, "+0\n").unwrap();
    }
}

/// Whether it could be done.
async fn perform(stage: &Stage, act: &Act, seed: u64) -> bool {
    match *act {
        Act::Kill(who, pause) => return stage.keeper(who).kill(pause).await,
        Act::Terminate(who, pause) => return stage.keeper(who).terminate(pause).await,
        Act::Freeze(who, time) => return stage.keeper(who).freeze(time).await,
        Act::KillStorage(pause) => {
            let mut storage = stage.storage.lock().await;
            storage.stop().await;
            tokio::time::sleep(pause).await;
            storage.resume().await;
        }
        Act::KillDatabase(pause) => {
            let _alone = stage.cluster.turn().await;
            stage.cluster.kill();
            tokio::time::sleep(pause).await;
            stage.cluster.resume().await;
        }
        Act::KillBackend => {
            let _alone = stage.cluster.turn().await;
            return stage.cluster.kill_backend().await;
        }
        Act::RestartDatabase { immediate } => {
            let _alone = stage.cluster.turn().await;
            stage.cluster.restart(immediate).await;
        }
        Act::CutSessions => stage.cluster.cut_sessions().await,
        Act::Cut(line) => stage.line(line).cut(),
        Act::Refuse(line, time) => during(stage, line, Mode::Refuse, time).await,
        Act::Silence(line, time) => during(stage, line, Mode::Silence, time).await,
        Act::Slow(line, delay, time) => during(stage, line, Mode::Slow(delay), time).await,
        Act::Answer(line, status, time) => during(stage, line, Mode::Answer(status), time).await,
        Act::Weather(fault, percent, time) => {
            stage.provider.begin(fault, percent, seed).await;
            tokio::time::sleep(time).await;
            // Weather that overlaps ends together.
            stage.provider.calm().await;
        }
        Act::Skew(milliseconds) => {
            let Some(clock) = &stage.false_clock else { return false };
            let sign = if milliseconds < 0 { '-' } else { '+' };
            let (seconds, rest) = (milliseconds.abs() / 1000, milliseconds.abs() % 1000);
            std::fs::write(clock, format!("{sign}{seconds}.{rest:03}\n")).unwrap();
        }
    }
    true
}

async fn during(stage: &Stage, line: Line, mode: Mode, time: Duration) {
    stage.line(line).set(mode);
    tokio::time::sleep(time).await;
    stage.line(line).set(Mode::Open);
}

/// Whoever is at work in a shop.
pub(crate) const EVERYBODY: [Who; 3] = [Who::Web(0), Who::Web(1), Who::Reconciler];

/// Rows that are not at their end, and whether they sleep; whether anything is due or owed.
const OPEN: &str = "select account_id, id::text, state, wake_at > clock_timestamp() + interval '4 seconds'
    from kie.job where state not in ('done', 'failed', 'canceled')";
const DUE: &str = "select (select count(*) from kie.job where wake_at <= clock_timestamp())
    + (select count(*) from kie.delivery where state = 'pending')";
/// A webhook that failed twice is tried again after minutes, then hours: nobody waits for that here.
const NOW: &str = "update kie.delivery set wake_at = clock_timestamp()
    where state = 'pending' and wake_at > clock_timestamp() + interval '6 seconds'";
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Waits until every job is final, nothing is due, everybody is told and the provider has told everything. Customers press
/// "check now" meanwhile, because what failed in the storm is tried again only after minutes or hours. What is not at its
/// end when nothing got better for that time, in words.
pub(crate) async fn settle(stage: &Stage, people: &People, patience: Duration) -> Vec<String> {
    let (mut better, mut best) = (Instant::now(), usize::MAX);
    let mut connection = stage.cluster.connect().await.expect("the database answers");
    loop {
        let open: Vec<(uuid::Uuid, String, String, bool)> =
            sqlx::query_as(OPEN).fetch_all(&mut connection).await.unwrap();
        let due: i64 = sqlx::query_scalar(DUE).fetch_one(&mut connection).await.unwrap();
        let quiet = open.is_empty() && due == 0;
        if quiet && stage.provider.tasks().await.iter().all(|task| task.completed_ms.is_some() && task.told) {
            // What the last callback woke is looked at, too.
            let due: i64 = sqlx::query_scalar(DUE).fetch_one(&mut connection).await.unwrap();
            if due == 0 {
                return Vec::new();
            }
        }
        let left = open.len() + usize::try_from(due).unwrap_or_default();
        if left < best {
            (better, best) = (Instant::now(), left);
        }
        if better.elapsed() > patience {
            let mut rest: Vec<String> =
                open.iter().map(|(_, id, state, _)| format!("job {id} is still {state}")).collect();
            rest.push(format!("{due} rows are due or owed, {} tasks open", open_tasks(stage).await));
            return rest;
        }
        sqlx::query(NOW).execute(&mut connection).await.unwrap();
        let asleep = open.iter().filter(|(_, _, _, asleep)| *asleep).take(32);
        let asked = asleep.map(|(account, id, state, _)| async move {
            let account = domain::AccountId::from_uuid(*account);
            if state == "draft" {
                people.cancel(account, id).await;
            } else {
                people.sync(account, id).await;
            }
        });
        futures_util::future::join_all(asked).await;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn open_tasks(stage: &Stage) -> usize {
    stage.provider.tasks().await.iter().filter(|task| task.completed_ms.is_none() || !task.told).count()
}
