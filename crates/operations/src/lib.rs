//! What operators do: audit, status, check, resolve.
