//! The persistence ports on PostgreSQL.
