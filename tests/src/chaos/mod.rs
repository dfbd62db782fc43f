//! The chaos run: a whole shop of real processes under load, in which everything that can break breaks, again and again.
//!
//! Two `kie-web`, a `kie-reconciler`, a PostgreSQL server, an S3-compatible server and the simulated provider, each a
//! process, with a line between every two of them that can be cut. What is done to them and what customers order is a
//! pure function of the seed; how the processes meet it is not, so a seed repeats the storm, not every raindrop.

mod acts;
mod cluster;
mod dice;
mod keeper;
mod orders;
mod people;
mod ports;
mod proof;
mod provider;
mod report;
mod stage;
mod storm;
mod tally;
mod watch;
mod wire;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use report::Report;

use people::People;
use stage::Stage;
use watch::Lateness;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Decides every act and every order.
    pub seed: u64,
    /// Jobs that are ordered.
    pub jobs: u32,
    /// Processes that are killed; as many other things go wrong.
    pub kills: u32,
    /// How long things go wrong.
    pub storm: Duration,
}

/// How long the shop may do nothing for those who wait once nothing goes wrong any more. A create that was killed waits for
/// its lease (33 s) and is unclear for 10 s more; a task that was given up at 60 s is looked for when its callback comes.
const PATIENCE: Duration = Duration::from_mins(3);

/// Lives through one storm and proves what is left. Files are kept if something is wrong; the report says where.
pub async fn run(scale: &Scale) -> Report {
    let begun = Instant::now();
    let stage = Arc::new(Stage::start(scale).await);
    let people = Arc::new(People::gather(stage.clone()).await);
    let (lateness, stop, tasks) =
        (Arc::new(Mutex::new(Lateness::default())), CancellationToken::new(), TaskTracker::new());
    tasks.spawn(watch::watch(stage.clone(), lateness.clone(), stop.clone()));
    let started = begun.elapsed();
    let (acts, orders) = (acts::acts(scale), orders::orders(scale));
    tokio::join!(storm::storm(&stage, acts, scale.seed), people.live(orders, scale.storm));
    let stormed = begun.elapsed();
    let rest = storm::settle(&stage, &people, PATIENCE).await;
    let settled = begun.elapsed();
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    let mut proof = proof::prove(&stage, &people).await;
    proof.lost.extend(rest);
    for who in storm::EVERYBODY {
        if !stage.keeper(who).stop().await && who != acts::Who::Reconciler {
            proof.others.push(format!("{who:?} did not stop in order"));
        }
    }
    let times = [started, stormed.saturating_sub(started), settled.saturating_sub(stormed), begun.elapsed()];
    let lateness = std::mem::take(&mut *lateness.lock().unwrap());
    let mut report = Report::new(scale, &stage, &people, proof, &lateness, times);
    drop(people);
    if !report.is_clean() {
        report.files = Arc::into_inner(stage).and_then(|mut stage| stage.keep_files());
    }
    report
}
