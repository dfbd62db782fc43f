//! The one writer of a process: queued writes, run in groups, one commit for each group.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use store::StoreError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;

use crate::error::{is_busy, store_error, unavailable};

/// Writes that may wait; callers beyond it wait for a place.
const QUEUE_MAX: usize = 1024;
/// Writes of one group, hence of one commit.
const GROUP_MAX: usize = 64;
/// A group takes no further write after this time, so that the first is answered within 20 ms.
const GROUP_TIME: Duration = Duration::from_millis(15);
/// How long another process may hold the write lock before we give up.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// Pause between two tries for the lock. Much shorter than SQLite's own growing pauses, which starve a waiter.
const LOCK_PAUSE: Duration = Duration::from_millis(1);
/// After this time of unbroken writing the lock is left alone for [`BREATH`], so that other processes get a turn.
const STRETCH: Duration = Duration::from_millis(50);
/// Longer than [`LOCK_PAUSE`], so that one who waits finds the gap.
const BREATH: Duration = Duration::from_millis(2);

/// The future of one write inside the writer's transaction.
pub(crate) type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

type Running<'c, T> = Pin<Box<dyn Future<Output = T> + Send + 'c>>;

/// The queue in front of the one write connection; clones share it.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Box<dyn Write>>,
    changes: watch::Sender<u64>,
    tasks: TaskTracker,
    closing: Arc<watch::Sender<bool>>,
}

impl Writer {
    /// A writer on this connection; `options` open another when it breaks.
    pub(crate) fn new(options: SqliteConnectOptions, connection: SqliteConnection) -> Self {
        let (queue, writes) = mpsc::channel(QUEUE_MAX);
        let (closing, closed) = watch::channel(false);
        let changes = watch::Sender::new(0);
        let tasks = TaskTracker::new();
        let worker = Worker { options, connection: Some(connection), changes: changes.clone() };
        tasks.spawn(worker.run(writes, closed));
        tasks.close();
        Self { queue, changes, tasks, closing: Arc::new(closing) }
    }

    /// Runs `work` in the writer's transaction and answers after the commit; an error undoes it.
    /// `moved` says whether the answer means that a row became due or a job changed.
    pub(crate) async fn write<T, F>(&self, moved: fn(&T) -> bool, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let queued = Queued { work: Some(work), result: None, moved, reply };
        self.queue.send(Box::new(queued)).await.map_err(|_closed| unavailable("the writer is closed"))?;
        answer.await.map_err(|_gone| unavailable("the writer stopped before it answered"))?
    }

    /// Moves after every commit that made a row due or changed a job.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Takes no further write, finishes those that wait and closes the connection.
    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        self.tasks.wait().await;
    }
}

/// For writes that neither make a row due nor change a job.
pub(crate) fn never<T>(_answer: &T) -> bool {
    false
}

/// For writes that always do.
pub(crate) fn always<T>(_answer: &T) -> bool {
    true
}

/// How one write of a group ended.
enum Ran {
    /// To be committed.
    Kept,
    /// It failed and wants nothing of it kept.
    Undo,
    /// It failed in a way after which the transaction may be gone.
    Broken,
}

/// A queued write, whatever it answers.
trait Write: Send {
    fn is_abandoned(&self) -> bool;
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> Running<'c, Ran>;
    fn has_moved(&self) -> bool;
    /// Tells the caller what its write came to; `lost` says why what it did is not kept.
    fn answer(self: Box<Self>, lost: Option<&str>);
}

struct Queued<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    moved: fn(&T) -> bool,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Write for Queued<T, F>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T> + Send + 'static,
{
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> Running<'c, Ran> {
        Box::pin(async move {
            let Some(work) = self.work.take() else { return Ran::Undo };
            let result = work(connection).await;
            let ran = match &result {
                Ok(_) => Ran::Kept,
                // SQLite itself rolls back after a full disk, an I/O error and the like.
                Err(StoreError::Unavailable(_)) => Ran::Broken,
                Err(_) => Ran::Undo,
            };
            self.result = Some(result);
            ran
        })
    }

    fn has_moved(&self) -> bool {
        matches!(&self.result, Some(Ok(answer)) if (self.moved)(answer))
    }

    fn answer(self: Box<Self>, lost: Option<&str>) {
        let result = match (self.result, lost) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(_)), Some(why)) => Err(unavailable(why)),
            (Some(Ok(answer)), None) => Ok(answer),
            (None, why) => Err(unavailable(why.unwrap_or("the write was not run"))),
        };
        // A caller that went away does not want its answer.
        let _gone = self.reply.send(result);
    }
}

struct Worker {
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
    changes: watch::Sender<u64>,
}

impl Worker {
    async fn run(mut self, mut writes: mpsc::Receiver<Box<dyn Write>>, mut closed: watch::Receiver<bool>) {
        if let Some(connection) = self.connection.take() {
            self.connection = impatient(connection).await.ok();
        }
        let mut stretch = Instant::now();
        loop {
            let first = tokio::select! {
                biased;
                write = writes.recv() => write,
                _closing = closed.changed() => {
                    writes.close();
                    writes.recv().await
                }
            };
            let Some(first) = first else { break };
            self.run_group(first, &mut writes).await;
            if writes.is_empty() {
                stretch = Instant::now();
            } else if stretch.elapsed() >= STRETCH {
                tokio::time::sleep(BREATH).await;
                stretch = Instant::now();
            }
        }
        if let Some(connection) = self.connection.take() {
            // The file is whole without it; closing only folds the log back.
            let _closed = connection.close().await;
        }
    }

    /// Runs `first` and what waits behind it in one transaction, and answers all of them.
    async fn run_group(&mut self, first: Box<dyn Write>, writes: &mut mpsc::Receiver<Box<dyn Write>>) {
        let mut connection = match self.take_connection().await {
            Ok(connection) => connection,
            Err(error) => return refuse(first, writes, &error),
        };
        if let Err(error) = begin_immediate(&mut connection).await {
            // A lock that others hold says nothing against the connection; anything else does.
            if is_busy(&error) {
                self.connection = Some(connection);
            }
            return refuse(first, writes, &error);
        }
        let mut group = Group { done: Vec::new(), end: End::Commit };
        group.run(first, writes, &mut connection).await;
        let lost = Group::finish(group.end, &mut connection).await.err();
        if lost.is_none() {
            self.connection = Some(connection);
            if group.done.iter().any(|write| write.has_moved()) {
                self.changes.send_modify(|number| *number = number.wrapping_add(1));
            }
        }
        for write in group.done {
            write.answer(lost.as_deref());
        }
    }

    async fn take_connection(&mut self) -> Result<SqliteConnection, sqlx::Error> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => impatient(self.options.connect().await?).await,
        }
    }
}

/// SQLite is not to wait for the lock by itself: [`begin_immediate`] does.
async fn impatient(mut connection: SqliteConnection) -> Result<SqliteConnection, sqlx::Error> {
    sqlx::query("pragma busy_timeout = 0").execute(&mut connection).await?;
    Ok(connection)
}

struct Group {
    done: Vec<Box<dyn Write>>,
    end: End,
}

/// How a group's transaction is to end.
#[derive(Clone, Copy)]
enum End {
    Commit,
    Rollback,
    /// Whether there still is a transaction is unknown: the connection is given up.
    Drop,
}

impl Group {
    async fn run(
        &mut self,
        first: Box<dyn Write>,
        writes: &mut mpsc::Receiver<Box<dyn Write>>,
        connection: &mut SqliteConnection,
    ) {
        let started = Instant::now();
        let mut next = Some(first);
        while let Some(write) = next.take() {
            if !write.is_abandoned() {
                self.run_one(write, connection).await;
            }
            let takes_more = matches!(self.end, End::Commit)
                && self.done.len() < GROUP_MAX
                && started.elapsed() < GROUP_TIME;
            if takes_more {
                next = writes.try_recv().ok();
            }
        }
    }

    async fn run_one(&mut self, mut write: Box<dyn Write>, connection: &mut SqliteConnection) {
        // With nothing before it, the first write's savepoint is the transaction itself.
        let ran = if self.done.is_empty() {
            write.run(connection).await
        } else {
            run_in_savepoint(write.as_mut(), connection).await
        };
        self.end = match ran {
            Ran::Undo if self.done.is_empty() => End::Rollback,
            Ran::Kept | Ran::Undo => End::Commit,
            Ran::Broken => End::Drop,
        };
        self.done.push(write);
    }

    /// Ends the transaction; the error says why the group is lost.
    async fn finish(end: End, connection: &mut SqliteConnection) -> Result<(), String> {
        let statement = match end {
            End::Commit => "commit",
            End::Rollback => "rollback",
            End::Drop => return Err("a write of the same commit met an outage".to_owned()),
        };
        match sqlx::query(statement).execute(connection).await {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("the transaction could not be ended: {error}")),
        }
    }
}

async fn run_in_savepoint(write: &mut dyn Write, connection: &mut SqliteConnection) -> Ran {
    if sqlx::query("savepoint one").execute(&mut *connection).await.is_err() {
        return Ran::Broken;
    }
    let ran = write.run(connection).await;
    let undone = match ran {
        Ran::Kept => Ok(()),
        Ran::Undo => sqlx::query("rollback to one").execute(&mut *connection).await.map(drop),
        Ran::Broken => return Ran::Broken,
    };
    let released = sqlx::query("release one").execute(&mut *connection).await;
    if undone.is_ok() && released.is_ok() { ran } else { Ran::Broken }
}

/// Takes the write lock, waiting for other processes up to [`LOCK_WAIT`].
async fn begin_immediate(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let started = Instant::now();
    loop {
        match sqlx::query("begin immediate").execute(&mut *connection).await {
            Ok(_) => return Ok(()),
            Err(error) if is_busy(&error) && started.elapsed() < LOCK_WAIT => {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn refuse(first: Box<dyn Write>, writes: &mut mpsc::Receiver<Box<dyn Write>>, error: &sqlx::Error) {
    let why = error.to_string();
    // Those that wait have waited as long; they would meet the same one after the other.
    let waiting = std::iter::from_fn(|| writes.try_recv().ok()).take(QUEUE_MAX);
    for write in std::iter::once(first).chain(waiting) {
        write.answer(Some(&why));
    }
}

/// The meaning of a failed statement; shorter to write at every statement.
pub(crate) trait Meaning<T> {
    /// Gives the error its meaning.
    fn meaning(self) -> Result<T, StoreError>;
}

impl<T> Meaning<T> for Result<T, sqlx::Error> {
    fn meaning(self) -> Result<T, StoreError> {
        self.map_err(store_error)
    }
}
