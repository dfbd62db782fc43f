//! A program under a supervisor, as a deployment has it: whatever ends is started again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::tally::Tally;
use crate::program::built;

/// Before what ended by itself is started again.
const PAUSE: Duration = Duration::from_millis(500);
/// A run is killed at this age at the earliest: what is being started has nothing to lose yet.
const AWAKE: Duration = Duration::from_millis(600);
/// SIGTERM waits for open creates, whose time-out the run keeps short.
const STOP_WITHIN: Duration = Duration::from_mins(2);

/// Which program, with which words and variables.
#[derive(Debug, Clone)]
pub(crate) struct What {
    pub(crate) name: String,
    pub(crate) program: &'static str,
    pub(crate) words: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
}

enum Order {
    /// Ended at once, started again after the pause.
    Kill(Duration, oneshot::Sender<bool>),
    /// Asked to end, started again after the pause.
    Terminate(Duration, oneshot::Sender<bool>),
    /// Stopped in its tracks for this time.
    Freeze(Duration, oneshot::Sender<bool>),
    /// Asked to end; the supervisor ends, too.
    Stop(oneshot::Sender<bool>),
}

/// The supervisor of one program.
pub(crate) struct Keeper {
    orders: mpsc::Sender<Order>,
    log: PathBuf,
    _task: AbortOnDropHandle<()>,
}

impl Keeper {
    /// Starts it and keeps it running. Its log, of all its runs, is one file in `folder`.
    pub(crate) fn start(what: What, folder: &Path, tally: Arc<Tally>) -> Self {
        let (orders, taken) = mpsc::channel(16);
        let log = folder.join(format!("{}.log", what.name));
        let keeping = keep(what, log.clone(), taken, tally);
        let task = AbortOnDropHandle::new(TaskTracker::new().spawn(keeping));
        Self { orders, log, _task: task }
    }

    /// Whether it was running and is dead now.
    pub(crate) async fn kill(&self, pause: Duration) -> bool {
        self.ask(|done| Order::Kill(pause, done)).await
    }

    pub(crate) async fn terminate(&self, pause: Duration) -> bool {
        self.ask(|done| Order::Terminate(pause, done)).await
    }

    pub(crate) async fn freeze(&self, time: Duration) -> bool {
        self.ask(|done| Order::Freeze(time, done)).await
    }

    /// Whether it ended in order.
    pub(crate) async fn stop(&self) -> bool {
        self.ask(Order::Stop).await
    }

    /// What it wrote to standard error.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    async fn ask(&self, order: impl FnOnce(oneshot::Sender<bool>) -> Order) -> bool {
        let (done, answer) = oneshot::channel();
        if self.orders.send(order(done)).await.is_err() {
            return false;
        }
        answer.await.unwrap_or(false)
    }
}

async fn keep(what: What, log: PathBuf, mut orders: mpsc::Receiver<Order>, tally: Arc<Tally>) {
    let mut kept = None;
    loop {
        let mut run = Run::start(&what, &log);
        match run.tend(&mut orders, &mut kept, &tally).await {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return,
        }
    }
}

/// One run of the program.
struct Run {
    name: String,
    child: Child,
    id: String,
    begun: Instant,
}

impl Run {
    fn start(what: &What, log: &Path) -> Self {
        let child = Command::new(built(what.program))
            .args(&what.words)
            .env_clear()
            .envs(what.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(log.parent().unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::options().create(true).append(true).open(log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let id = child.id().map(|id| id.to_string()).unwrap_or_default();
        Self { name: what.name.clone(), child, id, begun: Instant::now() }
    }

    /// Follows orders until the run is over; then the pause before the next one, or nothing if there is to be none.
    /// `kept` is an order that the run before did not live to see.
    async fn tend(
        &mut self,
        orders: &mut mpsc::Receiver<Order>,
        kept: &mut Option<Order>,
        tally: &Tally,
    ) -> Option<Duration> {
        loop {
            let order = if let Some(order) = kept.take() {
                order
            } else {
                tokio::select! {
                    _ended = self.child.wait() => return Some(self.ended(tally)),
                    order = orders.recv() => order?,
                }
            };
            match order {
                Order::Kill(pause, done) => {
                    let left = AWAKE.saturating_sub(self.begun.elapsed());
                    if tokio::time::timeout(left, self.child.wait()).await.is_ok() {
                        *kept = Some(Order::Kill(pause, done));
                        self.ended(tally);
                        return Some(Duration::ZERO);
                    }
                    let _ = done.send(self.child.kill().await.is_ok());
                    self.clear();
                    return Some(pause);
                }
                Order::Terminate(pause, done) => {
                    let _ = done.send(self.terminate().await);
                    return Some(pause);
                }
                Order::Freeze(time, done) => {
                    let frozen = self.signal("-STOP").await;
                    tokio::time::sleep(time).await;
                    self.signal("-CONT").await;
                    let _ = done.send(frozen);
                }
                Order::Stop(done) => {
                    let _ = done.send(self.terminate().await);
                    return None;
                }
            }
        }
    }

    /// A pass of the reconciler ends by itself; whatever else does has its reason in its log.
    fn ended(&mut self, tally: &Tally) -> Duration {
        self.clear();
        let status =
            self.child.try_wait().ok().flatten().map(|status| status.to_string()).unwrap_or_default();
        tally.count(Tally::ENDED, &format!("{} ({status})", self.name));
        PAUSE
    }

    async fn terminate(&mut self) -> bool {
        self.signal("-TERM").await;
        let ended = tokio::time::timeout(STOP_WITHIN, self.child.wait()).await;
        if ended.is_err() {
            drop(self.child.kill().await);
        }
        self.clear();
        ended.is_ok_and(|status| status.is_ok_and(|status| status.success()))
    }

    async fn signal(&self, which: &str) -> bool {
        Command::new("kill").args([which, &self.id]).status().await.is_ok_and(|sent| sent.success())
    }

    /// What the library of the false clock leaves behind when it has no time to clear it.
    fn clear(&self) {
        for name in ["faketime_shm_", "sem.faketime_sem_"] {
            drop(std::fs::remove_file(format!("/dev/shm/{name}{}", self.id)));
        }
    }
}
