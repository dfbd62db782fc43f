//! A database for one test, dropped with its owner.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

/// Which database a story runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Db {
    /// A file in the story's folder.
    Sqlite,
    /// A database of its own on the server that `TEST_DATABASE_URL` names.
    Postgres,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Database {
    url: String,
    server: Option<(PgConnectOptions, String)>,
}

impl Database {
    pub(crate) async fn create(db: Db, folder: &Path) -> Self {
        match db {
            Db::Sqlite => Self { url: format!("sqlite://{}", folder.join("kie.db").display()), server: None },
            Db::Postgres => Self::create_on_server().await,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one setting of these tests")]
    async fn create_on_server() -> Self {
        let url = std::env::var("TEST_DATABASE_URL").expect(
            "TEST_DATABASE_URL must name a PostgreSQL server on which these tests may create databases; \
             `make test` brings one",
        );
        let server: PgConnectOptions = url.parse().expect("TEST_DATABASE_URL is a PostgreSQL URL");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("kie_acceptance_{}_{number}", std::process::id());
        run(&server, format!("drop database if exists {name} with (force)")).await;
        run(&server, format!("create database {name}")).await;
        Self { url: server.clone().database(&name).to_url_lossy().to_string(), server: Some((server, name)) }
    }

    /// From now on nobody can write to it.
    pub(crate) async fn block(&self) -> Outage {
        let Some((server, name)) = &self.server else {
            let options: SqliteConnectOptions = self.url.parse().unwrap();
            let mut connection = options.connect().await.unwrap();
            connection.execute("begin immediate").await.unwrap();
            return Outage::Locked(connection);
        };
        run(server, format!("alter database {name} with allow_connections false")).await;
        self.cut(server, name).await;
        Outage::Away(server.clone(), name.clone())
    }

    /// A copy of everything as it is now; nobody may be connected.
    pub(crate) async fn back_up(&self) {
        let Some((server, name)) = &self.server else {
            let copy = format!("{}.copy", self.file().display());
            let options: SqliteConnectOptions = self.url.parse().unwrap();
            let mut connection = options.connect().await.unwrap();
            sqlx::query("vacuum into ?1").bind(copy).execute(&mut connection).await.unwrap();
            return connection.close().await.unwrap();
        };
        run(server, format!("drop database if exists {name}_copy")).await;
        self.cut(server, name).await;
        run(server, format!("create database {name}_copy template {name}")).await;
    }

    /// Everything as it was when it was backed up; nobody may be connected.
    pub(crate) async fn restore(&self) {
        let Some((server, name)) = &self.server else {
            let file = self.file();
            for ending in ["-wal", "-shm"] {
                drop(std::fs::remove_file(format!("{}{ending}", file.display())));
            }
            std::fs::rename(format!("{}.copy", file.display()), file).unwrap();
            return;
        };
        run(server, format!("drop database {name} with (force)")).await;
        run(server, format!("alter database {name}_copy rename to {name}")).await;
    }

    /// Something slow begins that reads; it lasts until the answer is dropped.
    pub(crate) async fn read_slowly(&self) -> SlowReader {
        match &self.server {
            None => {
                let options: SqliteConnectOptions = self.url.parse().unwrap();
                let mut connection = options.connect().await.unwrap();
                connection.execute("begin; select count(*) from job").await.unwrap();
                SlowReader::Sqlite(connection)
            }
            Some((server, name)) => {
                let mut connection = server.clone().database(name).connect().await.unwrap();
                // The overview reads this table, and customers do not.
                connection.execute("begin; lock table kie.orphan in access exclusive mode").await.unwrap();
                SlowReader::Postgres(connection)
            }
        }
    }

    fn file(&self) -> PathBuf {
        PathBuf::from(self.url.trim_start_matches("sqlite://"))
    }

    async fn cut(&self, server: &PgConnectOptions, name: &str) {
        let cut = "select pg_terminate_backend(pid) from pg_stat_activity where datname =";
        run(server, format!("{cut} '{name}'")).await;
    }

    /// Runs a statement past everybody.
    pub(crate) async fn edit(&self, statement: &str) {
        if let Some((server, name)) = &self.server {
            return run(&server.clone().database(name), statement.to_owned()).await;
        }
        let options: SqliteConnectOptions = self.url.parse().unwrap();
        let mut connection = options.busy_timeout(crate::PATIENCE).connect().await.unwrap();
        connection.execute(AssertSqlSafe(statement.replace("kie.", ""))).await.unwrap();
        connection.close().await.unwrap();
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let statement = format!("select count(*) from {table}");
        if let Some((server, name)) = &self.server {
            let mut connection = server.clone().database(name).connect().await.unwrap();
            return sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&mut connection).await.unwrap();
        }
        let options: SqliteConnectOptions = self.url.parse().unwrap();
        let mut connection = options.busy_timeout(crate::PATIENCE).connect().await.unwrap();
        let statement = statement.replace("kie.", "");
        sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&mut connection).await.unwrap()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// A transaction that reads for long; dropping it ends it.
pub enum SlowReader {
    /// Keeps its snapshot of the file.
    Sqlite(SqliteConnection),
    /// Has a table that reports read for itself.
    Postgres(PgConnection),
}

/// A database that takes no writes; [`Outage::end`] brings it back.
#[expect(clippy::large_enum_variant, reason = "one of them lives in a test")]
pub enum Outage {
    /// Another process holds the SQLite file's write lock.
    Locked(SqliteConnection),
    /// PostgreSQL has cut all connections to the database and lets none in.
    Away(PgConnectOptions, String),
}

impl Outage {
    /// Ends it.
    pub async fn end(self) {
        match self {
            Self::Locked(mut connection) => {
                connection.execute("rollback").await.unwrap();
                connection.close().await.unwrap();
            }
            Self::Away(server, name) => {
                run(&server, format!("alter database {name} with allow_connections true")).await;
            }
        }
    }
}

async fn run(server: &PgConnectOptions, statement: String) {
    let mut connection = server.connect().await.expect("the PostgreSQL server of TEST_DATABASE_URL answers");
    connection.execute(AssertSqlSafe(statement)).await.unwrap();
    connection.close().await.unwrap();
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((server, name)) = self.server.take() else { return };
        // Dropping is asynchronous and the test's runtime may be going: a thread with one of its own.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            for name in [format!("{name}_copy"), name] {
                runtime.block_on(run(&server, format!("drop database if exists {name} with (force)")));
            }
        });
        drop(dropping.join());
    }
}
