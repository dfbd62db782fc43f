//! A database for one test, dropped with its owner.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::PgConnectOptions;
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
        let cut = "select pg_terminate_backend(pid) from pg_stat_activity where datname =";
        run(server, format!("{cut} '{name}'")).await;
        Outage::Away(server.clone(), name.clone())
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

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
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
            runtime.block_on(run(&server, format!("drop database if exists {name} with (force)")));
        });
        drop(dropping.join());
    }
}
