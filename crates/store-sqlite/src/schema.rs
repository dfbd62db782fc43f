//! The schema: embedded migrations, and the refusal of any database that is not exactly ours.

use std::collections::BTreeSet;
use std::path::Path;

use sqlx::migrate::{Migrate, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use store::StoreError;

use crate::error::has_code;
use crate::writer::Meaning;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");
const MIGRATIONS_TABLE: &str = "_sqlx_migrations";
/// SQLite's result code for a file that is something else.
const NOT_A_DATABASE: i32 = 26;

/// How the schema of a file stands to ours, if it is ours at all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing is in the file.
    Empty,
    /// Migrations of ours have not run yet.
    Behind,
    /// All have.
    Current,
}

impl Standing {
    /// Refuses to go on unless all migrations ran.
    pub(crate) fn require_current(self, file: &Path) -> Result<(), StoreError> {
        if self == Self::Current {
            return Ok(());
        }
        Err(StoreError::NotMigrated(format!(
            "the schema of {} is not up to date: start kie-web or kie-bot of this version once to bring it there",
            file.display()
        )))
    }
}

/// Looks at a file without changing anything of it, and refuses what is not ours.
pub(crate) async fn inspect(file: &SqliteConnectOptions) -> Result<Standing, StoreError> {
    let path = file.get_filename();
    let inspected = async {
        let mut connection = file.connect().await.meaning()?;
        let standing = standing(&mut connection, path).await;
        connection.close().await.meaning()?;
        standing
    };
    inspected.await.map_err(|error| {
        if !has_code(&error, NOT_A_DATABASE) {
            return error;
        }
        StoreError::Schema(format!(
            "{} is not a SQLite database: point DATABASE_URL at another file, or move this one away",
            path.display()
        ))
    })
}

/// Brings the schema up to date under the write lock, so that of two processes one does it and the other finds it done.
pub(crate) async fn migrate(connection: &mut SqliteConnection, file: &Path) -> Result<(), StoreError> {
    sqlx::query("begin immediate").execute(&mut *connection).await.meaning()?;
    let migrated = migrate_locked(connection, file).await;
    let end = if migrated.is_ok() { "commit" } else { "rollback" };
    sqlx::query(end).execute(connection).await.meaning()?;
    migrated
}

/// The version of the last migration that was applied.
pub(crate) async fn version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let applied = connection.list_applied_migrations(MIGRATIONS_TABLE).await.map_err(migration_error)?;
    Ok(applied.last().map_or(0, |migration| migration.version))
}

async fn migrate_locked(connection: &mut SqliteConnection, file: &Path) -> Result<(), StoreError> {
    match standing(connection, file).await? {
        Standing::Current => {}
        Standing::Empty | Standing::Behind => apply(connection).await?,
    }
    refuse_drift(connection, file).await
}

/// Applies what is missing; each step is a statement of the surrounding transaction.
async fn apply(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    connection.ensure_migrations_table(MIGRATIONS_TABLE).await.map_err(migration_error)?;
    let applied = version(connection).await?;
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > applied) {
        sqlx::raw_sql(migration.sql.clone()).execute(&mut *connection).await.meaning()?;
        connection.skip(MIGRATIONS_TABLE, migration).await.map_err(migration_error)?;
        tracing::info!(version = migration.version, "schema.migrated");
    }
    Ok(())
}

async fn standing(connection: &mut SqliteConnection, file: &Path) -> Result<Standing, StoreError> {
    let tables = names(connection, "table").await?;
    if tables.is_empty() {
        return Ok(Standing::Empty);
    }
    if !tables.contains(MIGRATIONS_TABLE) {
        return Err(StoreError::Schema(format!(
            "{} holds tables of another program: point DATABASE_URL at an empty or new file",
            file.display()
        )));
    }
    let applied = connection.list_applied_migrations(MIGRATIONS_TABLE).await.map_err(migration_error)?;
    let newest = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    for row in &applied {
        match MIGRATIONS.iter().find(|migration| migration.version == row.version) {
            Some(ours) if ours.checksum == row.checksum => {}
            Some(_) => {
                return Err(drifted(file, &format!("migration {} was changed after it ran", row.version)));
            }
            None if row.version > newest => {
                return Err(StoreError::Schema(format!(
                    "the schema of {} is version {}, newer than this program's {newest}: install the newer program",
                    file.display(),
                    row.version
                )));
            }
            None => return Err(drifted(file, &format!("migration {} is not ours", row.version))),
        }
    }
    if applied.len() == MIGRATIONS.iter().count() { Ok(Standing::Current) } else { Ok(Standing::Behind) }
}

/// Compares columns, indexes and the whole text of every table with those of a fresh database in memory. The text alone has
/// the checks.
pub(crate) async fn refuse_drift(connection: &mut SqliteConnection, file: &Path) -> Result<(), StoreError> {
    let mut fresh = SqliteConnectOptions::new().in_memory(true).connect().await.meaning()?;
    apply(&mut fresh).await?;
    let (wanted, wanted_texts) = (parts(&mut fresh).await?, texts(&mut fresh).await?);
    fresh.close().await.meaning()?;
    if let Some(missing) = wanted.difference(&parts(connection).await?).next() {
        return Err(drifted(file, &format!("{missing} is missing")));
    }
    match wanted_texts.difference(&texts(connection).await?).next() {
        Some((name, _)) => Err(drifted(file, &format!("{name} is defined otherwise"))),
        None => Ok(()),
    }
}

fn drifted(file: &Path, how: &str) -> StoreError {
    StoreError::Schema(format!(
        "the schema of {} has drifted: {how}; restore a backup from before the change",
        file.display()
    ))
}

/// Every column and index, in words.
async fn parts(connection: &mut SqliteConnection) -> Result<BTreeSet<String>, StoreError> {
    let columns: Vec<String> = sqlx::query_scalar(
        "select 'column ' || t.name || '.' || c.name from sqlite_schema t, pragma_table_info(t.name) c \
         where t.type = 'table' and t.name not like 'sqlite\\_%' escape '\\'",
    )
    .fetch_all(&mut *connection)
    .await
    .meaning()?;
    let indexes = names(connection, "index").await?.into_iter().map(|name| format!("index {name}"));
    Ok(columns.into_iter().chain(indexes).collect())
}

/// How tables and indexes of ours were made, by name; the list of migrations is the library's.
async fn texts(connection: &mut SqliteConnection) -> Result<BTreeSet<(String, String)>, StoreError> {
    let texts: Vec<(String, String)> = sqlx::query_as(
        "select type || ' ' || name, coalesce(sql, '') from sqlite_schema \
         where name not like 'sqlite\\_%' escape '\\' and tbl_name <> ?1",
    )
    .bind(MIGRATIONS_TABLE)
    .fetch_all(connection)
    .await
    .meaning()?;
    Ok(texts.into_iter().collect())
}

async fn names(connection: &mut SqliteConnection, kind: &str) -> Result<BTreeSet<String>, StoreError> {
    let names: Vec<String> = sqlx::query_scalar(
        "select name from sqlite_schema where type = ?1 and name not like 'sqlite\\_%' escape '\\'",
    )
    .bind(kind)
    .fetch_all(connection)
    .await
    .meaning()?;
    Ok(names.into_iter().collect())
}

fn migration_error(error: sqlx::migrate::MigrateError) -> StoreError {
    match error {
        sqlx::migrate::MigrateError::Execute(error) => crate::error::store_error(error),
        other => StoreError::Internal(Box::new(other)),
    }
}
