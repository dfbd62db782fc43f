//! Opening the database: made and brought up to date, or as it is.

use std::sync::Arc;

use anyhow::bail;
use secrecy::ExposeSecret;
use store::Store;
use store_postgres::{PostgresOptions, PostgresStore};
use store_sqlite::{SqliteOptions, SqliteStore};

use crate::config::DatabaseConfig;

/// Opens the database and brings its schema up to date.
///
/// # Errors
/// When it cannot be reached, or its schema is foreign, drifted or newer than this program.
pub async fn open_store(config: &DatabaseConfig) -> anyhow::Result<Arc<dyn Store>> {
    #[cfg(feature = "failpoints")]
    arm(config);
    let url = config.database_url.secret().expose_secret();
    match engine(url)? {
        Engine::Sqlite => Ok(Arc::new(SqliteStore::connect(url, SqliteOptions::default()).await?)),
        Engine::Postgres => Ok(Arc::new(PostgresStore::connect(url, postgres_options(config)).await?)),
    }
}

/// Opens the database as it is: nothing of it is made or migrated, and a schema that is not this program's is refused.
///
/// # Errors
/// When it cannot be reached, is not there, or needs a migration.
pub async fn open_store_as_it_is(config: &DatabaseConfig) -> anyhow::Result<Arc<dyn Store>> {
    #[cfg(feature = "failpoints")]
    arm(config);
    let url = config.database_url.secret().expose_secret();
    match engine(url)? {
        Engine::Sqlite => {
            Ok(Arc::new(SqliteStore::connect_without_migrating(url, SqliteOptions::default()).await?))
        }
        Engine::Postgres => {
            Ok(Arc::new(PostgresStore::connect_without_migrating(url, postgres_options(config)).await?))
        }
    }
}

/// Prepares this process to be killed, broken and delayed by a test.
#[cfg(feature = "failpoints")]
fn arm(config: &DatabaseConfig) {
    if let Some(folder) = &config.crash.fail_points {
        store::failpoints::install(folder.clone());
    }
}

enum Engine {
    Sqlite,
    Postgres,
}

fn engine(url: &str) -> anyhow::Result<Engine> {
    if url.starts_with("sqlite:") {
        Ok(Engine::Sqlite)
    } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        Ok(Engine::Postgres)
    } else {
        bail!("DATABASE_URL must begin with sqlite:// or postgres://")
    }
}

fn postgres_options(config: &DatabaseConfig) -> PostgresOptions {
    PostgresOptions { max_connections: config.database_pool_max, ..PostgresOptions::default() }
}
