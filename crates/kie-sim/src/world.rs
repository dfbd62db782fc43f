//! The state of one simulator, shared by its routes.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::callback;
use crate::clock::now_ms;
use crate::config::SimConfig;
use crate::dispatch::Dispatch;
use crate::family::FamilyRecords;
use crate::fault::{CallbackFault, Fault, Moment};
use crate::ids::task_id;
use crate::journal::{Journal, Remembered};
use crate::limiter::Window;
use crate::lock::locked;
use crate::marks::MarkMemory;
use crate::models::{Kind, Models};
use crate::record;
use crate::renders::Renders;
use crate::ring::Ring;
use crate::script::Scripts;
use crate::task::{Order, Outcome, Progress, Task};
use crate::telegram::{Bot, Surroundings};
use crate::uploads::Uploads;
use crate::views::{LoggedRequest, SentCallback, TaskView};

/// Callbacks under way at once.
const CALLBACKS_AT_ONCE: usize = 512;

/// The tasks together are not longer than this, as long as there are finished ones to forget.
const TASK_BYTES_MAX: usize = 256 << 20;

/// Among so many of the oldest tasks a finished one is sought when one must be forgotten.
const LOOKED_AT: usize = 64;

/// The tasks by age, with their length.
#[derive(Default)]
struct Line {
    tasks: VecDeque<Arc<Task>>,
    bytes: usize,
}

impl Line {
    /// Adds a task, and gives the finished ones that are forgotten for it.
    fn add(&mut self, task: Arc<Task>, tasks_kept: usize, bytes_max: usize) -> Vec<Arc<Task>> {
        self.bytes += task.bytes;
        self.tasks.push_back(task);
        let mut forgotten = Vec::new();
        while self.tasks.len() > tasks_kept || self.bytes > bytes_max {
            let oldest = self.tasks.iter().take(LOOKED_AT).position(|task| task.is_final());
            let Some(task) = oldest.and_then(|place| self.tasks.remove(place)) else { break };
            self.bytes = self.bytes.saturating_sub(task.bytes);
            forgotten.push(task);
        }
        forgotten
    }
}

/// Everything the routes share.
pub(crate) struct World {
    pub(crate) config: SimConfig,
    /// Base of all links, without a trailing slash.
    pub(crate) base: String,
    pub(crate) seed: u64,
    pub(crate) models: Models,
    pub(crate) scripts: Arc<Scripts>,
    pub(crate) requests: Ring<LoggedRequest>,
    pub(crate) callbacks: Ring<SentCallback>,
    pub(crate) creates: Window,
    pub(crate) model_calls: Window,
    pub(crate) mark_memory: MarkMemory,
    pub(crate) families: FamilyRecords,
    pub(crate) dispatch: Dispatch,
    /// The messenger.
    pub(crate) telegram: Arc<Bot>,
    pub(crate) renders: Renders,
    pub(crate) uploads: Uploads,
    pub(crate) http: reqwest::Client,
    pub(crate) callback_slots: Semaphore,
    pub(crate) stop: CancellationToken,
    pub(crate) running: TaskTracker,
    tasks: RwLock<HashMap<String, Arc<Task>>>,
    line: Mutex<Line>,
    seq: AtomicU64,
    balance_micro: Mutex<u64>,
    journal: Option<Journal>,
}

impl World {
    /// `base` is the address under which callers reach the simulator.
    pub(crate) fn open(config: SimConfig, base: String) -> anyhow::Result<Arc<Self>> {
        let (journal, remembered) = match &config.folder {
            Some(folder) => {
                Journal::open(folder, config.tasks_kept).map(|(journal, old)| (Some(journal), old))?
            }
            None => (None, Remembered::default()),
        };
        let seed = if config.seed == 0 { rand::random() } else { config.seed };
        let http = reqwest::Client::builder()
            .timeout(config.callback_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("kie-sim/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .build()
            .context("the client for callbacks could not be made")?;
        let (scripts, stop, running) =
            (Arc::<Scripts>::default(), CancellationToken::new(), TaskTracker::new());
        let around = Surroundings {
            scripts: Arc::clone(&scripts),
            stop: stop.clone(),
            running: running.clone(),
            seed,
            log_entries: config.log_entries,
            base: base.clone(),
        };
        let world = Arc::new(Self {
            models: Models::new(config.catalogue.clone(), config.unknown_cost)?,
            telegram: Bot::new(config.telegram.clone(), around)?,
            scripts,
            requests: Ring::new(config.log_entries),
            callbacks: Ring::new(config.log_entries),
            creates: Window::new(config.creates_per_10s, 10_000),
            model_calls: Window::new(config.models_per_second, 1000),
            mark_memory: MarkMemory::default(),
            families: FamilyRecords::default(),
            dispatch: Dispatch::default(),
            renders: Renders::default(),
            uploads: Uploads::open(config.folder.as_deref(), config.upload_life)?,
            callback_slots: Semaphore::new(CALLBACKS_AT_ONCE),
            stop,
            running,
            tasks: RwLock::default(),
            line: Mutex::default(),
            seq: AtomicU64::new(remembered.seq),
            balance_micro: Mutex::new(remembered.balance_micro.unwrap_or(config.credits)),
            journal,
            config,
            base,
            seed,
            http,
        });
        world.write_account();
        remembered.tasks.into_iter().for_each(|task| world.resume(task));
        Ok(world)
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Task>> {
        self.tasks.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// All tasks, oldest first.
    pub(crate) fn tasks(&self) -> Vec<Arc<Task>> {
        locked(&self.line).tasks.iter().cloned().collect()
    }

    pub(crate) fn task_count(&self) -> usize {
        locked(&self.line).tasks.len()
    }

    pub(crate) fn view(&self, task: &Task) -> TaskView {
        let progress = task.progress();
        let success = progress.outcome == Some(Outcome::Success);
        let state = task.state(&progress, self.config.stages, now_ms());
        TaskView {
            id: task.order.id.clone(),
            model: task.order.model.clone(),
            kind: task.order.kind,
            state: state.to_owned(),
            input: task.order.input.clone(),
            callback_url: task.order.callback_url.clone(),
            created_ms: task.order.created_ms,
            due_ms: task.order.due_ms,
            completed_ms: progress.outcome.is_some().then_some(progress.done_ms),
            charged_micro: if success { task.order.cost_micro } else { 0 },
            result_urls: if success && task.order.kind != Kind::Text {
                record::file_urls(self, task)
            } else {
                Vec::new()
            },
            unknown_marks: task.unknown_marks.clone(),
            told: progress.told,
        }
    }

    pub(crate) fn balance_micro(&self) -> u64 {
        *locked(&self.balance_micro)
    }

    pub(crate) fn set_balance_micro(&self, micro: u64) {
        *locked(&self.balance_micro) = micro;
        self.write_account();
    }

    /// Takes the cost from the balance, or leaves it as it is when it does not suffice.
    pub(crate) fn charge(&self, micro: u64) -> bool {
        let mut balance = locked(&self.balance_micro);
        let rest = balance.checked_sub(micro);
        *balance = rest.unwrap_or(*balance);
        rest.is_some()
    }

    pub(crate) fn file_url(&self, task: &Task, name: &str) -> String {
        format!("{}/r/{}/{name}", self.base, task.order.id)
    }

    /// The number of the next task.
    pub(crate) fn next_seq(&self) -> u64 {
        self.seq.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Makes a task of an order that is paid; `documented_id` gives it the form of the documentation.
    pub(crate) fn add(self: &Arc<Self>, draft: Draft, documented_id: bool) -> Arc<Task> {
        let seq = self.next_seq();
        let hex = task_id(self.seed, seq);
        let order = Order {
            id: if documented_id { format!("task_{}", &hex[..12]) } else { hex },
            seq,
            model: draft.model,
            kind: draft.kind,
            input: draft.input,
            callback_url: draft.callback_url,
            created_ms: draft.created_ms,
            due_ms: crate::task::due(draft.created_ms, draft.runs),
            cost_micro: draft.cost_micro,
            count: draft.count,
            bytes: draft.bytes,
        };
        if let Some(journal) = &self.journal {
            journal.created(&order);
        }
        let task = Task::new(order, Progress::default());
        if !task.unknown_marks.is_empty() {
            tracing::warn!(task = task.order.id, marks = ?task.unknown_marks, "task.unknown_marks");
        }
        self.insert(Arc::clone(&task));
        task
    }

    /// Lets a task run to its end in the background.
    pub(crate) fn run(self: &Arc<Self>, task: Arc<Task>) {
        let world = Arc::clone(self);
        self.running.spawn(async move {
            let stop = world.stop.clone();
            stop.run_until_cancelled(world.live(&task)).await;
        });
    }

    async fn live(self: &Arc<Self>, task: &Arc<Task>) {
        let start = self.callback_faults(task, Moment::Start);
        let left = |until: u64| Duration::from_millis(until.saturating_sub(now_ms()));
        if start.contains(&CallbackFault::Early) {
            let half = task.order.created_ms.midpoint(task.order.due_ms);
            tokio::time::sleep(left(half)).await;
            callback::send_early(self, task).await;
        }
        tokio::time::sleep(left(task.order.due_ms)).await;
        if self.end(task, None) {
            callback::send_final(self, task).await;
        }
    }

    /// Ends a task once; `None` lets its marks and the scripts decide.
    pub(crate) fn end(&self, task: &Task, outcome: Option<Outcome>) -> bool {
        if task.is_final() {
            return false;
        }
        let outcome = outcome.unwrap_or_else(|| self.fate(task));
        let now = now_ms();
        if !task.end(outcome.clone(), now) {
            return false;
        }
        let failed = outcome != Outcome::Success;
        tracing::info!(task = task.order.id, model = task.order.model, failed, "task.ended");
        if let Some(journal) = &self.journal {
            journal.ended(&task.order.id, now, outcome);
        }
        if failed {
            let mut balance = locked(&self.balance_micro);
            *balance = balance.saturating_add(task.order.cost_micro);
        }
        true
    }

    /// Ends a task from outside and delivers its callback in the background.
    pub(crate) fn end_now(self: &Arc<Self>, task: &Arc<Task>, outcome: Option<Outcome>) -> bool {
        let ended = self.end(task, outcome);
        if ended {
            drop(self.tell(Arc::clone(task)));
        }
        ended
    }

    pub(crate) fn set_told(&self, task: &Task) {
        task.set_told();
        if let Some(journal) = &self.journal {
            journal.told(&task.order.id);
        }
    }

    /// The callback faults of a moment, from marks and scripts.
    pub(crate) fn callback_faults(&self, task: &Task, moment: Moment) -> Vec<CallbackFault> {
        let faults = task.pick(moment).into_iter().chain(self.scripts.pick(moment, &task.scene()));
        faults
            .filter_map(|fault| if let Fault::Callback(fault) = fault { Some(fault) } else { None })
            .collect()
    }

    /// Forgets tasks, logs and scripts; the balance is that of the start.
    pub(crate) fn reset(&self) -> anyhow::Result<()> {
        self.tasks.write().unwrap_or_else(PoisonError::into_inner).clear();
        let line = std::mem::take(&mut *locked(&self.line));
        for task in line.tasks {
            task.end(Outcome::Fail { code: "500".to_owned(), message: "forgotten".to_owned() }, now_ms());
        }
        self.scripts.clear();
        self.mark_memory.clear();
        self.families.clear();
        self.telegram.reset();
        self.requests.clear();
        self.callbacks.clear();
        if let Some(journal) = &self.journal {
            journal.clear()?;
        }
        self.set_balance_micro(self.config.credits);
        Ok(())
    }

    fn fate(&self, task: &Task) -> Outcome {
        let faults = task.pick(Moment::End).into_iter().chain(self.scripts.pick(Moment::End, &task.scene()));
        let mut failed = faults.filter_map(|fault| match fault {
            Fault::Fail(code, message) => Some(Outcome::Fail { code, message }),
            _ => None,
        });
        failed.next_back().unwrap_or(Outcome::Success)
    }

    /// Delivers the final callback in the background.
    pub(crate) fn tell(self: &Arc<Self>, task: Arc<Task>) -> tokio::task::JoinHandle<()> {
        let world = Arc::clone(self);
        self.running.spawn(async move {
            let stop = world.stop.clone();
            stop.run_until_cancelled(callback::send_final(&world, &task)).await;
        })
    }

    fn resume(self: &Arc<Self>, task: Arc<Task>) {
        self.insert(Arc::clone(&task));
        let progress = task.progress();
        if progress.outcome.is_none() {
            self.run(task);
        } else if !progress.told {
            drop(self.tell(task));
        }
    }

    fn insert(&self, task: Arc<Task>) {
        let forgotten = locked(&self.line).add(Arc::clone(&task), self.config.tasks_kept, TASK_BYTES_MAX);
        let mut tasks = self.tasks.write().unwrap_or_else(PoisonError::into_inner);
        tasks.insert(task.order.id.clone(), task);
        for old in forgotten {
            tasks.remove(&old.order.id);
        }
    }

    fn write_account(&self) {
        if let Some(journal) = &self.journal {
            journal.account(self.balance_micro(), self.seq.load(Ordering::Relaxed));
        }
    }
}

/// An order before it has an id.
pub(crate) struct Draft {
    pub(crate) model: String,
    pub(crate) kind: Kind,
    pub(crate) input: Map<String, Value>,
    pub(crate) callback_url: Option<String>,
    pub(crate) created_ms: u64,
    pub(crate) runs: Duration,
    pub(crate) cost_micro: u64,
    pub(crate) count: u32,
    pub(crate) bytes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str, done: bool) -> Arc<Task> {
        let order = Order {
            id: id.to_owned(),
            seq: 1,
            model: "z-image".to_owned(),
            kind: Kind::Image,
            input: Map::from_iter([("prompt".to_owned(), Value::from("x".repeat(1000)))]),
            callback_url: None,
            created_ms: 0,
            due_ms: 0,
            cost_micro: 0,
            count: 1,
            bytes: None,
        };
        let progress = if done { Progress::ended(Outcome::Success, 0) } else { Progress::default() };
        Task::new(order, progress)
    }

    #[test]
    fn finished_tasks_are_forgotten_by_count_and_by_length() {
        let ids = |tasks: &[Arc<Task>]| tasks.iter().map(|task| task.order.id.clone()).collect::<Vec<_>>();
        let mut line = Line::default();
        assert!(line.add(task("a", false), 2, usize::MAX).is_empty());
        assert!(line.add(task("b", true), 2, usize::MAX).is_empty());
        assert_eq!(ids(&line.add(task("c", true), 2, usize::MAX)), ["b"]);
        let two = line.bytes;
        assert!(two >= 4000, "{two}");
        assert_eq!(ids(&line.add(task("d", true), 9, two)), ["c"]);
        assert_eq!(line.bytes, two);
        assert_eq!(ids(&line.add(task("e", false), 9, 0)), ["d"], "running tasks are never forgotten");
        assert_eq!(line.tasks.len(), 2);
    }
}
