//! The persistence ports on SQLite.
