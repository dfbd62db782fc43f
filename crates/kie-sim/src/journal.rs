//! Tasks on disk: an append-only log that is rewritten whole at each start.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::lock::locked;
use crate::task::{Order, Outcome, Progress, Task};

const FILE_NAME: &str = "tasks.jsonl";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Created(Box<Order>),
    Ended {
        id: String,
        at_ms: u64,
        outcome: Outcome,
    },
    Told {
        id: String,
    },
    /// The balance from here on, and the last sequence number.
    Account {
        balance_micro: u64,
        seq: u64,
    },
}

/// What an earlier run left behind.
#[derive(Default)]
pub(crate) struct Remembered {
    pub(crate) tasks: Vec<Arc<Task>>,
    pub(crate) balance_micro: Option<u64>,
    pub(crate) seq: u64,
}

/// The open log.
pub(crate) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    /// Reads what is there, rewrites it without what a crash cut off, and opens it for more.
    pub(crate) fn open(folder: &Path, tasks_kept: usize) -> anyhow::Result<(Self, Remembered)> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join(FILE_NAME);
        let mut remembered = read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        remembered.forget_oldest(tasks_kept);
        let file = rewrite(&path, &remembered).with_context(|| format!("cannot write {}", path.display()))?;
        Ok((Self { path, file: Mutex::new(file) }, remembered))
    }

    /// Also takes its cost from the balance when the log is read.
    pub(crate) fn created(&self, order: &Order) {
        self.append(&Entry::Created(Box::new(order.clone())));
    }

    /// A failure also gives its cost back when the log is read.
    pub(crate) fn ended(&self, id: &str, at_ms: u64, outcome: Outcome) {
        self.append(&Entry::Ended { id: id.to_owned(), at_ms, outcome });
    }

    pub(crate) fn account(&self, balance_micro: u64, seq: u64) {
        self.append(&Entry::Account { balance_micro, seq });
    }

    pub(crate) fn told(&self, id: &str) {
        self.append(&Entry::Told { id: id.to_owned() });
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) -> anyhow::Result<()> {
        let mut file = locked(&self.file);
        *file = rewrite(&self.path, &Remembered::default())?;
        Ok(())
    }

    /// One write call: a killed process leaves at most this line cut.
    fn append(&self, entry: &Entry) {
        let written = serde_json::to_vec(entry).map_err(anyhow::Error::from).and_then(|mut line| {
            line.push(b'\n');
            Ok(locked(&self.file).write_all(&line)?)
        });
        if let Err(error) = written {
            tracing::error!(%error, path = %self.path.display(), "the task log could not be written");
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Remembered> {
    let mut remembered = Remembered::default();
    if !path.exists() {
        return Ok(remembered);
    }
    let mut by_id = HashMap::new();
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        match serde_json::from_slice(&line?) {
            Ok(entry) => remembered.apply(entry, &mut by_id),
            Err(error) => tracing::warn!(%error, "a line of the task log was cut and is dropped"),
        }
    }
    Ok(remembered)
}

impl Remembered {
    /// Drops the oldest finished tasks above the limit.
    fn forget_oldest(&mut self, tasks_kept: usize) {
        let mut excess = self.tasks.len().saturating_sub(tasks_kept);
        self.tasks.retain(|task| {
            let drop = excess > 0 && task.is_final();
            excess -= usize::from(drop);
            !drop
        });
    }

    fn apply(&mut self, entry: Entry, by_id: &mut HashMap<String, Arc<Task>>) {
        match entry {
            Entry::Created(order) => {
                self.seq = self.seq.max(order.seq);
                self.balance_micro =
                    self.balance_micro.map(|balance| balance.saturating_sub(order.cost_micro));
                let task = Task::new(*order, Progress::default());
                by_id.insert(task.order.id.clone(), Arc::clone(&task));
                self.tasks.push(task);
            }
            Entry::Ended { id, at_ms, outcome } => {
                let Some(task) = by_id.get(&id) else { return };
                if outcome != Outcome::Success {
                    let refund = task.order.cost_micro;
                    self.balance_micro = self.balance_micro.map(|balance| balance.saturating_add(refund));
                }
                task.end(outcome, at_ms);
            }
            Entry::Told { id } => {
                by_id.get(&id).inspect(|task| task.set_told());
            }
            Entry::Account { balance_micro, seq } => {
                self.balance_micro = Some(balance_micro);
                self.seq = self.seq.max(seq);
            }
        }
    }
}

/// Writes beside the log, then takes its place in one step.
fn rewrite(path: &Path, remembered: &Remembered) -> anyhow::Result<File> {
    let fresh = path.with_extension("new");
    let mut out = BufWriter::new(File::create(&fresh)?);
    for task in &remembered.tasks {
        write_task(&mut out, task)?;
    }
    if let Some(balance_micro) = remembered.balance_micro {
        line(&mut out, &Entry::Account { balance_micro, seq: remembered.seq })?;
    }
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    std::fs::rename(&fresh, path)?;
    Ok(OpenOptions::new().append(true).open(path)?)
}

fn write_task(out: &mut impl Write, task: &Task) -> anyhow::Result<()> {
    let progress = task.progress();
    let id = task.order.id.clone();
    line(out, &Entry::Created(Box::new(task.order.clone())))?;
    if let Some(outcome) = progress.outcome {
        line(out, &Entry::Ended { id: id.clone(), at_ms: progress.done_ms, outcome })?;
    }
    if progress.told {
        line(out, &Entry::Told { id })?;
    }
    Ok(())
}

fn line(out: &mut impl Write, entry: &Entry) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, entry)?;
    Ok(out.write_all(b"\n")?)
}
