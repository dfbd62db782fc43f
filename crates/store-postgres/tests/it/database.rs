//! A database for one test.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use store_postgres::{PostgresOptions, PostgresStore};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A database that is dropped with its owner.
pub(crate) struct Database {
    server: PgConnectOptions,
    name: String,
}

impl Database {
    /// An empty database with a name of its own.
    #[expect(clippy::disallowed_methods, reason = "the one setting of these tests")]
    pub(crate) async fn create() -> Self {
        let url = std::env::var("TEST_DATABASE_URL").expect(
            "TEST_DATABASE_URL must name a PostgreSQL server on which these tests may create databases",
        );
        let server: PgConnectOptions = url.parse().expect("TEST_DATABASE_URL is a PostgreSQL URL");
        let name = format!("kie_test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let database = Self { server, name };
        let mut admin = database.server.connect().await.expect("the server is there");
        admin
            .execute(AssertSqlSafe(format!("drop database if exists {} with (force)", database.name)))
            .await
            .unwrap();
        admin.execute(AssertSqlSafe(format!("create database {}", database.name))).await.unwrap();
        admin.close().await.unwrap();
        database
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        self.server.clone().database(&self.name).to_url_lossy().to_string()
    }

    /// The store over it, migrated.
    pub(crate) async fn connect(&self) -> PostgresStore {
        PostgresStore::connect(&self.url(), Self::options()).await.expect("the store opens")
    }

    /// Few connections, but enough for the races of these tests.
    pub(crate) fn options() -> PostgresOptions {
        PostgresOptions {
            max_connections: 6,
            acquire_timeout: std::time::Duration::from_secs(30),
            ..PostgresOptions::default()
        }
    }

    /// A plain connection to it.
    pub(crate) async fn plain(&self) -> PgConnection {
        self.server.clone().database(&self.name).connect().await.unwrap()
    }

    /// Runs statements of the test itself.
    pub(crate) async fn run(&self, sql: &str) {
        let mut connection = self.plain().await;
        connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
        connection.close().await.unwrap();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // Dropping is asynchronous and the test's runtime may be going: a thread with one of its own.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let mut admin = server.connect().await.unwrap();
                let drop = format!("drop database if exists {name} with (force)");
                admin.execute(AssertSqlSafe(drop)).await.unwrap();
            });
        });
        drop(dropping.join());
    }
}
