//! Callbacks: hints, kept for 30 days, once per (job, body).

use async_trait::async_trait;
use domain::{JobId, Timestamp};

use crate::StoreError;

/// A callback with a genuine token.
#[derive(Debug, Clone)]
pub struct NewCallback<'a> {
    /// The job that its token names.
    pub job: JobId,
    /// The attempt that its token names.
    pub attempt: u16,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
    /// The body, cut to what is worth keeping.
    pub body: &'a [u8],
    /// The task id in it, if it has one and no other.
    pub task_id: Option<&'a str>,
    /// When.
    pub at: Timestamp,
}

/// A callback as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCallback {
    /// The attempt that its token named.
    pub attempt: u16,
    /// The task id in it.
    pub task_id: Option<String>,
    /// When it came first.
    pub at: Timestamp,
}

/// A callback that no job knows.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Orphan {
    /// The name of the path that it came to.
    pub source: String,
    /// The task id in it, or `-`.
    pub task_id: String,
    /// The job that its token names, if it has a token of ours; of several, that of the last one.
    pub job: Option<JobId>,
    /// When it came first.
    pub at: Timestamp,
    /// When it came last.
    pub last_at: Timestamp,
    /// How often it came.
    pub times: u32,
}

/// Callbacks.
#[async_trait]
pub trait CallbackStore: Send + Sync {
    /// Keeps a callback and wakes its job ([`crate::WakeReason::Callback`]) in one transaction; false if it was kept
    /// before (the job is woken all the same). [`StoreError::NotFound`] if the job does not exist.
    async fn add_callback(&self, callback: &NewCallback<'_>) -> Result<bool, StoreError>;
    /// The callbacks of a job that carry a task id, oldest first, at most 32.
    async fn callbacks_with_task(&self, job: JobId) -> Result<Vec<KeptCallback>, StoreError>;
    /// Counts a callback that no job knows, by its task id (or `-`) and path's name, with the job that its token names, if
    /// it has one; kept for the reconciler.
    async fn add_orphan(
        &self,
        source: &str,
        task_id: &str,
        job: Option<JobId>,
        at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Callbacks that no job knows, of one task if it is given, that came at or after `since`; the last one first, at most
    /// `limit`.
    async fn list_orphans(
        &self,
        task_id: Option<&str>,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<Orphan>, StoreError>;
    /// Deletes callbacks that came before `before` and those without a job that did not come since, at most `limit` of
    /// either; how many.
    async fn delete_callbacks(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
