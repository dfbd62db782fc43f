//! Why an old shop cannot be read at all; each says what to do.

use thiserror::Error;

/// Why an old shop cannot be read at all.
#[derive(Debug, Error)]
pub enum OldShopError {
    /// The address names no database that we read.
    #[error("the old shop's database must be a SQLite file, sqlite://… or postgres://…")]
    Address(#[source] Option<sqlx::Error>),
    /// The database cannot be opened or a query failed.
    #[error("the old shop's database cannot be {doing}")]
    Database {
        /// What we were doing.
        doing: &'static str,
        /// What it said.
        #[source]
        source: sqlx::Error,
    },
    /// No table looks like a known layout.
    #[error(
        "no known layout: expected a table generations, jobs or generation_jobs with id, user_id and status \
         (PostgreSQL: in the search path)"
    )]
    NoLayout,
    /// More than one table does.
    #[error("several layouts are there ({0}): choose one with --layout")]
    Several(String),
    /// The layout that was asked for is not there.
    #[error("this is no layout `{layout}`: the table {table} lacks {missing}")]
    Missing {
        /// The layout.
        layout: &'static str,
        /// Its table.
        table: &'static str,
        /// The column, or the whole table.
        missing: String,
    },
}

impl OldShopError {
    pub(crate) fn database(doing: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| Self::Database { doing, source }
    }
}
