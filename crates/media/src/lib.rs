//! Results kept in object storage: fetch, check, store, thumbnail, serve.
