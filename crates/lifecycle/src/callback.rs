//! Callbacks: a hint is kept and wakes its job; nothing in it is believed.

use std::time::Duration;

use domain::Scope;
use kie_client::callback;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use store::{NewCallback, StoreError, WakeJob, WakeReason};

use crate::Lifecycle;

/// Bodies are taken up to this length, in bytes; no genuine one is longer.
pub const CALLBACK_BODY_MAX: usize = 256 * 1024;
/// How old a signature may be; whether the provider signs a repeated callback anew is not known, so a quarter of an hour.
const SIGNATURE_TOLERANCE: Duration = Duration::from_mins(15);

/// A callback as it came in.
#[derive(Debug, Clone)]
pub struct CallbackRequest<'a> {
    /// Our token from the path.
    pub token: &'a str,
    /// The body; `None` if it was longer than [`CALLBACK_BODY_MAX`].
    pub body: Option<&'a [u8]>,
    /// The query string.
    pub query: Option<&'a str>,
    /// `X-Webhook-Timestamp`.
    pub timestamp: Option<&'a str>,
    /// `X-Webhook-Signature`.
    pub signature: Option<&'a str>,
    /// The provider's signing key, if the deployer set one.
    pub hmac_key: Option<&'a SecretString>,
}

/// What is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackOutcome {
    /// 200: kept, or kept before.
    Kept,
    /// 401: the token is not ours; nothing was stored.
    BadToken,
    /// 401: the signature is missing or wrong; nothing was stored.
    BadSignature,
    /// 413: too long; the job was woken all the same.
    TooLarge,
}

impl Lifecycle {
    /// Whether a callback's token is ours, so that nobody else's body need be read.
    pub fn is_callback_token(&self, token: &str) -> bool {
        self.keys.read_callback_token(token).is_some()
    }

    /// Keeps a callback and wakes its job. [`StoreError`] means 503, so that the provider sends it again.
    pub async fn receive_callback(
        &self,
        request: &CallbackRequest<'_>,
    ) -> Result<CallbackOutcome, StoreError> {
        let Some((job, attempt)) = self.keys.read_callback_token(request.token) else {
            tracing::warn!("callback.refused: bad token");
            return Ok(CallbackOutcome::BadToken);
        };
        let at = self.ids().now();
        let Some(body) = request.body else {
            let wake = WakeJob {
                job,
                scope: Scope::All,
                at,
                reason: WakeReason::Callback,
                at_most_every: Duration::ZERO,
            };
            self.store().wake_job(&wake).await?;
            tracing::warn!(%job, "callback.too_large");
            return Ok(CallbackOutcome::TooLarge);
        };
        let hint = callback::read(body, request.query);
        let task = hint.task_id.as_ref().filter(|_| !hint.conflict).map(kie_client::TaskId::as_str);
        if !self.signature_holds(request, task) {
            tracing::warn!(%job, "callback.refused: bad signature");
            return Ok(CallbackOutcome::BadSignature);
        }
        let callback =
            NewCallback { job, attempt, body_hash: Sha256::digest(body).into(), body, task_id: task, at };
        store::fail_point!("callback.read");
        let added = self.store().add_callback(&callback).await;
        store::fail_point!("callback.kept");
        match added {
            Ok(fresh) => tracing::info!(%job, attempt, task, fresh, "callback.received"),
            // Our token names a job that this database does not have: a restore from a backup, perhaps.
            Err(StoreError::NotFound { .. }) => {
                tracing::error!(%job, task, "callback.orphan");
                self.store().add_orphan("callbacks/kie", task.unwrap_or("-"), Some(job), at).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(CallbackOutcome::Kept)
    }

    /// The signature covers the task id, so a body without a readable one has nothing to verify; it can only wake.
    fn signature_holds(&self, request: &CallbackRequest<'_>, task: Option<&str>) -> bool {
        let (Some(key), Some(task)) = (request.hmac_key, task) else { return true };
        let (Some(timestamp), Some(signature)) = (request.timestamp, request.signature) else { return false };
        let now = self.ids().now().as_second();
        callback::verify_signature(key, task, timestamp, signature, now, SIGNATURE_TOLERANCE).is_ok()
    }

    /// An old shop's callback address: a task id that we know wakes its job, at most once per 5 s; others are counted.
    pub async fn receive_legacy_callback(
        &self,
        path: &str,
        body: &[u8],
        query: Option<&str>,
    ) -> Result<(), StoreError> {
        let hint = callback::read(body, query);
        let at = self.ids().now();
        let task = hint.task_id.as_ref().filter(|_| !hint.conflict).map(kie_client::TaskId::as_str);
        let known = match task {
            Some(task) => self.store().find_job_by_task(task).await?,
            None => None,
        };
        let Some((job, _)) = known else {
            tracing::warn!(path, task, "callback.orphan");
            return self.store().add_orphan(path, task.unwrap_or("-"), None, at).await;
        };
        let every = Duration::from_secs(5);
        let wake = WakeJob {
            job: job.id,
            scope: Scope::All,
            at,
            reason: WakeReason::Callback,
            at_most_every: every,
        };
        self.store().wake_job(&wake).await?;
        tracing::info!(job = %job.id, task, "callback.received");
        Ok(())
    }
}
