//! Opening the database: pool, schema, signals.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection};
use store::StoreError;

use crate::error::store_error;
use crate::notify::Signals;
use crate::schema;

/// How the pool behaves. The defaults suit one process of a small shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Connections of the pool; one more listens for changes. Few are faster than many on hot rows.
    pub max_connections: u32,
    /// How long a caller waits for a connection before the database counts as unavailable.
    pub acquire_timeout: Duration,
    /// How long a statement may run.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a lock.
    pub lock_timeout: Duration,
    /// How long a transaction may do nothing.
    pub idle_in_transaction_timeout: Duration,
    /// How long an unused connection stays open.
    pub idle_timeout: Duration,
    /// The name that `pg_stat_activity` shows.
    pub application_name: String,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            max_connections: 8,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(10),
            idle_in_transaction_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_mins(10),
            application_name: "kie".to_owned(),
        }
    }
}

/// The ports on PostgreSQL. Clones share the pool; when the last one goes, so do its tasks.
#[derive(Clone)]
pub struct PostgresStore {
    pub(crate) pool: PgPool,
    pub(crate) signals: Arc<Signals>,
    place: Arc<str>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresStore").field(&self.place).finish()
    }
}

impl PostgresStore {
    /// Connects, brings the schema up to date and listens for changes of other processes.
    ///
    /// [`StoreError::Unavailable`] if the database cannot be reached; [`StoreError::Schema`] if its schema `kie` is not
    /// ours, has drifted or is newer than this program.
    pub async fn connect(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        let target = parse(url, &options)?;
        // A connection of its own: migrations may take longer than a statement of the pool may run.
        let mut connection = open(&target, options.acquire_timeout).await?;
        schema::migrate(&mut connection).await?;
        schema::check(&mut connection).await?;
        drop(connection.close().await);
        Ok(Self::over(target, &options))
    }

    /// Connects and changes nothing: refuses a schema that is not the one this program knows.
    pub async fn connect_without_migrating(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        let target = parse(url, &options)?;
        let mut connection = open(&target, options.acquire_timeout).await?;
        schema::check(&mut connection).await?;
        drop(connection.close().await);
        Ok(Self::over(target, &options))
    }

    fn over(target: PgConnectOptions, options: &PostgresOptions) -> Self {
        let database = target.get_database().unwrap_or_else(|| target.get_username());
        let (host, port) = (target.get_host(), target.get_port());
        let place = format!("postgres {host}:{port}/{database}, pool of {}", options.max_connections);
        let signals = Signals::start(target.clone());
        Self { pool: pool(target, options), signals: Arc::new(signals), place: place.into() }
    }

    /// Engine, address and pool, without credentials.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }
}

/// No start-up parameter beyond the plain ones: poolers between us and the server refuse others.
fn parse(url: &str, options: &PostgresOptions) -> Result<PgConnectOptions, StoreError> {
    let target = PgConnectOptions::from_str(url).map_err(|error| {
        // The error may quote the address with its password.
        drop(error);
        StoreError::Schema(
            "the database address is not a PostgreSQL URL: postgres://user:password@host:port/name".into(),
        )
    })?;
    Ok(target.application_name(&options.application_name).extra_float_digits(None))
}

async fn open(target: &PgConnectOptions, limit: Duration) -> Result<PgConnection, StoreError> {
    let connecting = tokio::time::timeout(limit, PgConnection::connect_with(target));
    let connected = connecting.await.map_err(|elapsed| StoreError::Unavailable(elapsed.into()))?;
    connected.map_err(|error| match error {
        // A wrong password or name may be put right without a restart of ours; it is no defect either.
        sqlx::Error::Database(_) => StoreError::Unavailable(error.into()),
        other => store_error(other),
    })
}

/// A connection that was idle for longer is tested before it is used.
const RESTED: Duration = Duration::from_secs(1);

fn pool(target: PgConnectOptions, options: &PostgresOptions) -> PgPool {
    let limits = [
        ("statement_timeout", options.statement_timeout),
        ("lock_timeout", options.lock_timeout),
        ("idle_in_transaction_session_timeout", options.idle_in_transaction_timeout),
    ]
    .map(|(name, limit)| (name, limit.as_millis().to_string()));
    let [statement, lock, idle] = limits;
    // The statements are long and their best plans do not depend on their parameters: planning each anew costs more than
    // running it. Reports, whose plans do depend on their window, ask for the opposite.
    let settings = [statement, lock, idle, ("plan_cache_mode", "force_generic_plan".to_owned())];
    PgPoolOptions::new()
        .max_connections(options.max_connections.max(1))
        .acquire_timeout(options.acquire_timeout)
        .idle_timeout(options.idle_timeout)
        // Under load a connection was used a moment ago; only one that rested may have died meanwhile.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > RESTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _meta| {
            let settings = settings.clone();
            Box::pin(async move {
                let (names, values): (Vec<_>, Vec<_>) = settings.into_iter().unzip();
                sqlx::query("select set_config(n.name, n.value, false) from unnest($1::text[], $2::text[]) n(name, value)")
                    .persistent(false)
                    .bind(names)
                    .bind(values)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .connect_lazy_with(target)
}
