//! From the database's errors to the ports' error, and the one retry of a lost race.

use sqlx::error::DatabaseError;
use store::StoreError;

/// Unique and foreign keys by name, and the noun that a caller reads.
const TAKEN: &[(&str, &str)] = &[
    ("account_external_id_key", "external id"),
    ("account_pkey", "account"),
    ("account_telegram_id_key", "telegram id"),
    ("asset_object_key", "object"),
    ("asset_pkey", "asset"),
    ("asset_place_key", "asset"),
    // An attempt keeps its first task for ever: see the statement in `jobs/record.rs`.
    ("attempt_number_check", "task"),
    ("attempt_pkey", "attempt"),
    ("attempt_task_key", "task"),
    ("delivery_pkey", "delivery"),
    ("imported_pkey", "source key"),
    ("imported_user", "imported account"),
    ("job_order_key", "order key"),
    ("job_pkey", "job"),
    ("token_hash_key", "token"),
    ("token_pkey", "token"),
    ("transfer_job_kind", "transfer"),
    ("transfer_key_key", "transfer"),
    ("transfer_pkey", "transfer"),
];
const ABSENT: &[(&str, &str)] = &[
    ("asset_account_id_fkey", "account"),
    ("asset_job_id_fkey", "job"),
    ("attempt_job_id_fkey", "job"),
    ("callback_job_id_fkey", "job"),
    ("delivery_job_id_fkey", "job"),
    ("imported_account_id_fkey", "account"),
    ("imported_job_id_fkey", "job"),
    ("job_account_id_fkey", "account"),
    ("timeline_job_id_fkey", "job"),
    ("token_account_id_fkey", "account"),
    ("transfer_account_id_fkey", "account"),
    ("transfer_job_id_fkey", "job"),
];
/// Balances that would fall below zero.
const SHORT: &[&str] = &["account_available_check", "account_held_check", "job_money_check"];

/// What a caller can do about a database error.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => StoreError::Unavailable(error.into()),
        sqlx::Error::Database(refused) => match constraint(&**refused) {
            Some(known) => known,
            None if is_passing(&**refused) => StoreError::Unavailable(error.into()),
            None => StoreError::Internal(error.into()),
        },
        _ => StoreError::Internal(error.into()),
    }
}

fn constraint(refused: &dyn DatabaseError) -> Option<StoreError> {
    let name = refused.constraint()?;
    let noun =
        |list: &[(&str, &'static str)]| list.iter().find(|(known, _)| *known == name).map(|(_, what)| *what);
    if SHORT.contains(&name) {
        return Some(StoreError::Short);
    }
    let absent = |what| StoreError::NotFound { what };
    noun(TAKEN).map(|what| StoreError::Taken { what }).or_else(|| noun(ABSENT).map(absent))
}

/// Whether the same statement may succeed later: connections (08), resources and full disks (53), system errors (58),
/// shutdown and failover, lost races, time limits, a database that takes no connections (55000).
fn is_passing(refused: &dyn DatabaseError) -> bool {
    let Some(code) = refused.code() else { return false };
    let class = code.get(..2).unwrap_or_default();
    matches!(class, "08" | "53" | "58")
        || matches!(
            &*code,
            "25006" | "40001" | "40P01" | "55000" | "55P03" | "57014" | "57P01" | "57P02" | "57P03" | "57P05"
        )
}

/// Whether a statement lost a race that it may win at once: a serialization failure or a deadlock.
fn lost_race(error: &StoreError) -> bool {
    let StoreError::Unavailable(source) = error else { return false };
    let Some(sqlx::Error::Database(refused)) = source.downcast_ref() else { return false };
    refused.code().is_some_and(|code| matches!(&*code, "40001" | "40P01"))
}

/// Runs a transaction, and once more if it lost a race.
pub(crate) async fn retrying<T, Run>(run: impl Fn() -> Run) -> Result<T, StoreError>
where
    Run: Future<Output = Result<T, StoreError>>,
{
    match run().await {
        Err(error) if lost_race(&error) => run().await,
        other => other,
    }
}

/// The name of the constraint that refused a statement.
pub(crate) fn broken_constraint(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error()?.constraint()
}
