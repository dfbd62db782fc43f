//! The one error of all ports: what a caller can branch on.

use thiserror::Error;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why the store could not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database cannot be reached, is shutting down, is read-only or full: try again later.
    #[error("the database is not available")]
    Unavailable(#[source] Source),
    /// A row that must exist does not.
    #[error("there is no such {what}")]
    NotFound {
        /// The noun.
        what: &'static str,
    },
    /// A unique value belongs to another row.
    #[error("this {what} belongs to another row")]
    Taken {
        /// The value's name.
        what: &'static str,
    },
    /// An account would fall below zero.
    #[error("the balance does not suffice")]
    Short,
    /// The account has as many open jobs as it may.
    #[error("the account has too many open jobs")]
    TooManyOpen,
    /// A row says what no row may say; names table, column and id.
    #[error("a row of {table} has an impossible {column}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        #[source]
        source: Source,
    },
    /// The schema is not ours, has drifted or is newer than this program; says what to do.
    #[error("{0}")]
    Schema(String),
    /// There is no database, or our migrations have not all run in it: a start that migrates makes it; says so.
    #[error("{0}")]
    NotMigrated(String),
    /// The database refused a statement; a defect of ours.
    #[error("the database refused a statement")]
    Internal(#[source] Source),
}

impl StoreError {
    /// Whether the same call may succeed later without a change of ours.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
