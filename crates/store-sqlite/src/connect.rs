//! Opening the database file: options, the pool of readers, the writer.

use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Sqlite, Transaction};
use store::StoreError;

use crate::error::is_lock;
use crate::schema;
use crate::writer::{Meaning, Work, Writer};

/// How long a reader waits for a lock (recovery of the log after a crash).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long opening may be held up by other processes that open or migrate the same file.
const OPEN_WAIT: Duration = Duration::from_secs(30);
const OPEN_PAUSE: Duration = Duration::from_millis(20);
/// The log is cut to this length after a checkpoint, so that a burst does not keep the disk for ever.
const LOG_BYTES_MAX: &str = "67108864";

/// How the store uses its file.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Connections for reading, opened when they are needed.
    pub readers: u32,
    /// Page cache of one connection, in units of 1024 bytes.
    pub cache_kib: u32,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { readers: 4, cache_kib: 1024 }
    }
}

/// The ports on one SQLite file; clones share the connections.
#[derive(Clone)]
pub struct SqliteStore {
    readers: SqlitePool,
    writer: Writer,
    description: String,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("description", &self.description).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the file of `url` (`sqlite://path`), creating folder and file, and brings its schema up to date.
    ///
    /// Must be called within a Tokio runtime. [`StoreError::Schema`] if the file holds something else than our schema,
    /// a changed one or a newer one, and then it is left as it was; [`StoreError::Unavailable`] if it cannot be opened
    /// or stays locked for 30 s.
    pub async fn connect(url: &str, options: SqliteOptions) -> Result<Self, StoreError> {
        let file = file_options(url, &options)?.create_if_missing(true);
        create_folder(file.get_filename()).await?;
        patiently(|| async {
            schema::inspect(&file).await?;
            let mut connection = logged(&file).connect().await.meaning()?;
            schema::migrate(&mut connection, file.get_filename()).await?;
            Ok(Self::new(&file, &options, connection))
        })
        .await
    }

    /// Opens a file that must be there with the schema of this program; changes nothing of either.
    ///
    /// Must be called within a Tokio runtime. [`StoreError::NotMigrated`] if the file is missing or its schema is not up to
    /// date, [`StoreError::Schema`] if it is not the one that [`SqliteStore::connect`] would leave.
    pub async fn connect_without_migrating(url: &str, options: SqliteOptions) -> Result<Self, StoreError> {
        let file = file_options(url, &options)?.create_if_missing(false);
        let path = file.get_filename();
        let is_there = tokio::fs::try_exists(path).await;
        if !is_there.map_err(|error| StoreError::Unavailable(Box::new(error)))? {
            return Err(StoreError::NotMigrated(format!(
                "there is no database at {}: check DATABASE_URL, or start kie-web or kie-bot once to create it",
                path.display()
            )));
        }
        patiently(|| async {
            schema::inspect(&file).await?.require_current(path)?;
            let mut connection = logged(&file).connect().await.meaning()?;
            schema::refuse_drift(&mut connection, path).await?;
            Ok(Self::new(&file, &options, connection))
        })
        .await
    }

    fn new(file: &SqliteConnectOptions, options: &SqliteOptions, connection: SqliteConnection) -> Self {
        let description =
            format!("sqlite {} (1 writer, {} readers)", file.get_filename().display(), options.readers);
        // No life times and no idle time: then the pool runs no task of its own.
        let readers = SqlitePoolOptions::new()
            .max_connections(options.readers.max(1))
            .min_connections(0)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .acquire_timeout(BUSY_TIMEOUT)
            .connect_lazy_with(file.clone().read_only(true).create_if_missing(false));
        let file = logged(file).create_if_missing(false);
        Self { readers, writer: Writer::new(file, connection), description }
    }

    /// The readers: every statement sees the last commit.
    pub(crate) const fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// A reading transaction: all its statements see the same commit.
    pub(crate) async fn snapshot(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.readers.begin().await.meaning()
    }

    /// The queue of the one writer.
    pub(crate) const fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Runs a write; see [`Writer::write`].
    pub(crate) async fn write<T, F>(&self, moved: fn(&T) -> bool, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T> + Send + 'static,
    {
        self.writer.write(moved, work).await
    }

    /// What start lines say of this store.
    pub(crate) fn description(&self) -> &str {
        &self.description
    }
}

/// What every connection has in common. How the file keeps its log is left alone: it may not be ours.
fn file_options(url: &str, options: &SqliteOptions) -> Result<SqliteConnectOptions, StoreError> {
    let unreadable = || {
        StoreError::Schema(format!("`{url}` is not the address of a database file: expected sqlite://path"))
    };
    if !url.starts_with("sqlite:") || url.contains(":memory:") {
        return Err(unreadable());
    }
    Ok(SqliteConnectOptions::from_str(url)
        .map_err(|_unreadable| unreadable())?
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("cache_size", format!("-{}", options.cache_kib.max(64)))
        .disable_statement_logging())
}

/// A connection that writes: to the log, and to the disk before a commit is answered.
fn logged(file: &SqliteConnectOptions) -> SqliteConnectOptions {
    file.clone()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("journal_size_limit", LOG_BYTES_MAX)
}

async fn create_folder(file: &Path) -> Result<(), StoreError> {
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    tokio::fs::create_dir_all(folder).await.map_err(|error| StoreError::Unavailable(Box::new(error)))
}

/// Tries again while other processes open or migrate the same file. SQLite refuses some of this at once, whatever the
/// busy time-out.
async fn patiently<T, F>(open: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let started = Instant::now();
    loop {
        match open().await {
            Err(error) if is_lock(&error) && started.elapsed() < OPEN_WAIT => {
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            opened => return opened,
        }
    }
}
