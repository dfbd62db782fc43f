//! The demo's own webhook receiver: what a shop's server would be.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::{Json, Router, extract::State, routing::post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

type Told = Arc<Mutex<HashSet<String>>>;

/// Remembers which jobs it was told of.
pub(super) struct Receiver {
    address: SocketAddr,
    told: Told,
}

impl Receiver {
    /// On this port of the machine's own, 0 for a free one.
    pub(super) async fn start(
        port: u16,
        tasks: &TaskTracker,
        shutdown: CancellationToken,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let (address, told) = (listener.local_addr()?, Told::default());
        let router = Router::new().route("/hook", post(take)).with_state(told.clone());
        tasks.spawn(async move {
            let served =
                axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await;
            if let Err(error) = served {
                tracing::error!(%error, "demo.receiver_ended");
            }
        });
        Ok(Self { address, told })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn was_told_of(&self, job: &str) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).contains(job)
    }
}

async fn take(State(told): State<Told>, Json(message): Json<Value>) {
    if let Some(id) = message.pointer("/data/id").and_then(Value::as_str) {
        told.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
    }
}
