//! What SQLite's errors mean to a caller of the ports.

use sqlx::error::{DatabaseError, ErrorKind};
use store::StoreError;

/// Primary result codes after which the same call may succeed later: busy, locked, out of memory, read-only,
/// interrupted, I/O error, full, cannot open, lock protocol.
const PASSING_CODES: [i32; 9] = [5, 6, 7, 8, 9, 10, 13, 14, 15];
/// Somebody else holds the lock.
const BUSY_CODES: [i32; 2] = [5, 6];

/// Columns of unique keys as SQLite names them, and the value that belongs to another row.
const UNIQUE_VALUES: [(&str, &str); 15] = [
    ("transfer.", "transfer"),
    ("attempt.provider, attempt.task_id", "task"),
    ("attempt.", "attempt"),
    ("account.external_id", "external id"),
    ("account.telegram_id", "telegram id"),
    ("account.", "account"),
    ("token.", "token"),
    ("job.account_id, job.idem_key", "order key"),
    ("job.", "job"),
    ("asset.object", "object"),
    ("asset.", "asset"),
    ("imported.account_id", "imported account"),
    ("imported.", "source key"),
    ("delivery.", "delivery"),
    ("callback.", "callback"),
];

/// Checks of balances that would fall below zero.
const SHORT: [&str; 3] = ["account_available_check", "account_held_check", "job_money_check"];

/// Gives a failed statement its meaning.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(refused) => match database_meaning(refused.as_ref()) {
            Meaning::Short => StoreError::Short,
            Meaning::Taken(what) => StoreError::Taken { what },
            Meaning::NotFound => StoreError::NotFound { what: "row that is referred to" },
            Meaning::Passing => StoreError::Unavailable(Box::new(error)),
            Meaning::Defect => StoreError::Internal(Box::new(error)),
        },
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => StoreError::Unavailable(Box::new(error)),
        _ => StoreError::Internal(Box::new(error)),
    }
}

/// Whether the error says that another connection holds the lock right now.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(refused) if code_in(refused.as_ref(), &BUSY_CODES))
}

/// The same of an error that has been given its meaning.
pub(crate) fn is_lock(error: &StoreError) -> bool {
    BUSY_CODES.iter().any(|code| has_code(error, *code))
}

/// Whether the error comes from SQLite with this primary result code.
pub(crate) fn has_code(error: &StoreError, primary: i32) -> bool {
    let (StoreError::Unavailable(source) | StoreError::Internal(source)) = error else { return false };
    match source.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Database(refused)) => code_in(refused.as_ref(), &[primary]),
        _ => false,
    }
}

/// An outage in our own words.
pub(crate) fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.into())
}

enum Meaning {
    Short,
    Taken(&'static str),
    NotFound,
    Passing,
    Defect,
}

fn database_meaning(refused: &dyn DatabaseError) -> Meaning {
    let message = refused.message();
    match refused.kind() {
        ErrorKind::CheckViolation if SHORT.iter().any(|check| message.contains(check)) => Meaning::Short,
        ErrorKind::UniqueViolation => Meaning::Taken(unique_value(message)),
        ErrorKind::ForeignKeyViolation => Meaning::NotFound,
        _ if code_in(refused, &PASSING_CODES) => Meaning::Passing,
        _ => Meaning::Defect,
    }
}

fn unique_value(message: &str) -> &'static str {
    UNIQUE_VALUES.iter().find(|(columns, _)| message.contains(columns)).map_or("value", |(_, value)| *value)
}

fn code_in(refused: &dyn DatabaseError, primary: &[i32]) -> bool {
    let extended = refused.code().and_then(|code| code.parse::<i32>().ok());
    // The low byte of an extended result code is the primary one.
    extended.is_some_and(|code| primary.contains(&(code & 0xff)))
}
