//! The schema: embedded migrations under a lock, and the refusal of one that is not ours.

use sqlx::PgConnection;
use sqlx::migrate::{MigrateError, Migrator};
use store::StoreError;

use crate::error::store_error;

/// Run in order, checksummed; their list is the table `kie.migration`.
static MIGRATIONS: Migrator = sqlx::migrate!();

/// Tables and columns that this program reads and writes.
const TABLES: &[(&str, &str)] = &[
    ("account", "available closed_at created_at demo external_id held id name telegram_id webhook_key"),
    ("act", "at command reason seq subject"),
    (
        "asset",
        "account_id blocked bytes content_type created_at deleted_at doomed duration_ms first_try_at height id idx job_id kind \
         last_error object provider_copy provider_copy_until role sha256 source_url state thumbnail tries width",
    ),
    ("attempt", "answer job_id number provider sent_at task_at task_id"),
    ("breaker", "next_trial_at open_since provider reason"),
    ("callback", "at attempt body body_hash job_id task_id"),
    ("create_slot", "account_id free_at number"),
    ("credit_reading", "at balance drift in_flight number tolerance"),
    (
        "delivery",
        "account_id address attempts channel created_at delivered_at event fence id job_id last_error lease_until \
         state wake_at",
    ),
    ("free_use", "account_id allowed day used"),
    ("imported", "account_id amount at fingerprint job_id key noun shop version"),
    (
        "job",
        "account_id asked_at attempts basis batch_id captured cause cost created_at deadline_at entered_at failure \
         favourite fence fingerprint gift held hidden_at purged hints id idem_index idem_key input kind late lease_until model \
         outputs_ordered price prompt provider recipients recorded_at refunded released request_id state task_id tries updated_at \
         version wake_at wake_seq",
    ),
    ("migration", "checksum description execution_time installed_on success version"),
    ("model_health", "model off_since refusals"),
    ("orphan", "at job_id last_at source task_id times"),
    ("process", "name seen_at skew_micros"),
    ("shop", "currency one opened_at"),
    ("timeline", "at detail event fold job_id last_at seq source times"),
    ("token", "account_id created_at hash id role"),
    ("transfer", "account_id amount at credit debit id job_id key kind reason seq"),
];

/// What keeps money and evidence right: a schema without one of them is not ours.
const GUARDS: &[&str] = &[
    "account_available_check",
    "account_held_check",
    "asset_place_key",
    "attempt_task_key",
    "delivery_duty_key",
    "delivery_wake_check",
    "free_use_check",
    "imported_pkey",
    "imported_user",
    "job_money_check",
    "job_order_key",
    "job_wake_check",
    "timeline_fold",
    "transfer_job_kind",
    "transfer_key_key",
];

/// Runs what is missing; two processes may do so at once.
pub(crate) async fn migrate(connection: &mut PgConnection) -> Result<(), StoreError> {
    let found = inspect(connection).await?;
    if found.is_foreign() {
        return Err(foreign());
    }
    if found.applied.len() >= MIGRATIONS.iter().count() {
        // Nothing to run, so no right to create anything is needed.
        return Ok(());
    }
    MIGRATIONS.run_direct(None, connection, false).await.map_err(refused)
}

/// Refuses a schema that is not exactly the one this program knows.
pub(crate) async fn check(connection: &mut PgConnection) -> Result<(), StoreError> {
    let found = inspect(connection).await?;
    if found.is_foreign() {
        return Err(foreign());
    }
    if found.columns.is_empty() || found.applied.len() < MIGRATIONS.iter().count() {
        return Err(behind());
    }
    for (version, checksum) in &found.applied {
        let Some(known) = MIGRATIONS.iter().find(|known| known.version == *version) else {
            return Err(if *version > latest() {
                newer(*version)
            } else {
                drifted(&format!("migration {version} is unknown"))
            });
        };
        if known.checksum.as_ref() != checksum.as_slice() {
            return Err(drifted(&format!("migration {version} was another text when it ran")));
        }
    }
    match found.missing() {
        Some(missing) => Err(drifted(&format!("{missing} is missing"))),
        None => Ok(()),
    }
}

/// The version that this program knows.
pub(crate) fn latest() -> i64 {
    MIGRATIONS.iter().map(|known| known.version).max().unwrap_or(0)
}

/// What the schema `kie` has.
struct Found {
    columns: Vec<(String, String)>,
    guards: Vec<String>,
    applied: Vec<(i64, Vec<u8>)>,
}

impl Found {
    fn has_table(&self, table: &str) -> bool {
        self.columns.iter().any(|(found, _)| found == table)
    }

    /// Whether somebody else's tables are in our schema.
    fn is_foreign(&self) -> bool {
        !self.columns.is_empty() && !self.has_table("migration")
    }

    fn missing(&self) -> Option<String> {
        let column_of = |(table, columns): &(&'static str, &'static str)| {
            let table = *table;
            columns.split_whitespace().map(move |column| (table, column)).collect::<Vec<_>>()
        };
        let has = |table: &str, column: &str| self.columns.iter().any(|(t, c)| t == table && c == column);
        let column = TABLES.iter().flat_map(column_of).find(|(table, column)| !has(table, column));
        let guard = || GUARDS.iter().find(|guard| !self.guards.iter().any(|found| found == **guard));
        column
            .map(|(table, column)| format!("the column {column} of kie.{table}"))
            .or_else(|| guard().map(|guard| format!("the constraint or index {guard}")))
    }
}

/// Reads catalogues, not `information_schema`: that one hides what a role may not touch.
async fn inspect(connection: &mut PgConnection) -> Result<Found, StoreError> {
    let columns = sqlx::query_as(
        "select c.relname::text, a.attname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
         join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
         where n.nspname = 'kie' and c.relkind in ('r', 'p', 'v', 'm', 'f')",
    );
    let columns: Vec<(String, String)> = columns.fetch_all(&mut *connection).await.map_err(store_error)?;
    let guards = sqlx::query_scalar(
        "select o.conname::text from pg_constraint o join pg_namespace n on n.oid = o.connamespace \
         where n.nspname = 'kie' and o.convalidated \
         union select c.relname::text from pg_index i join pg_class c on c.oid = i.indexrelid \
         join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'kie' and i.indisunique and i.indisvalid",
    );
    let guards = guards.fetch_all(&mut *connection).await.map_err(store_error)?;
    let mut found = Found { columns, guards, applied: Vec::new() };
    if found.has_table("migration") {
        let applied = sqlx::query_as("select version, checksum from kie.migration order by version");
        found.applied = applied.fetch_all(connection).await.map_err(store_error)?;
    }
    Ok(found)
}

fn refused(error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(version) if version > latest() => newer(version),
        MigrateError::VersionMissing(version) => drifted(&format!("migration {version} is unknown")),
        MigrateError::VersionMismatch(version) => {
            drifted(&format!("migration {version} was another text when it ran"))
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => store_error(error),
        other => StoreError::Internal(other.into()),
    }
}

fn foreign() -> StoreError {
    StoreError::Schema(
        "the schema `kie` of this database has tables that this program did not make; \
         point DATABASE_URL at another database or move them to another schema"
            .to_owned(),
    )
}

fn behind() -> StoreError {
    StoreError::NotMigrated(
        "the schema of this database is not there yet or older than this program; \
         start a serving process of this version once, it brings the schema up to date"
            .to_owned(),
    )
}

fn newer(version: i64) -> StoreError {
    StoreError::Schema(format!(
        "the schema of this database has version {version}, newer than this program's {}; \
         start the newer program that made it",
        latest()
    ))
}

fn drifted(what: &str) -> StoreError {
    StoreError::Schema(format!(
        "the schema of this database is not the one that our migrations make: {what}; \
         restore it from a backup or put it back by hand before starting"
    ))
}
