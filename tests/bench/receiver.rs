//! A customer's webhook receiver that notes when it was told of a job.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::bail;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

type Told = Arc<Mutex<HashMap<String, (i64, String)>>>;

/// A server that takes webhooks; the first time of each job counts.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    told: Told,
    _server: AbortOnDropHandle<()>,
}

impl Receiver {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let told = Told::default();
        let router = Router::new().route("/hook", post(take)).with_state(told.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = TaskTracker::new().spawn(async move {
            // It ends with its owner; until then the listener is its own.
            drop(axum::serve(listener, router).await);
        });
        Ok(Self { address, told, _server: AbortOnDropHandle::new(serving) })
    }

    /// Waits until a job's webhook is here: when it came, in milliseconds since the epoch. It must tell of success.
    pub(crate) async fn wait(&self, job: &str, patience: Duration) -> anyhow::Result<i64> {
        let end = Instant::now() + patience;
        loop {
            let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).get(job).cloned();
            match told {
                Some((at_ms, event)) if event == "job.done" => return Ok(at_ms),
                Some((_, event)) => bail!("job {job} ended as {event}"),
                None if Instant::now() > end => bail!("job {job} was not delivered within {patience:?}"),
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

/// The clock that the simulated provider looks at, too: milliseconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "real time is what is measured here")]
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

async fn take(State(told): State<Told>, Json(message): Json<Value>) {
    let at_ms = now_ms();
    let text = |pointer| message.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    if let (Some(id), Some(event)) = (text("/data/id"), text("/type")) {
        told.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_insert((at_ms, event));
    }
}
