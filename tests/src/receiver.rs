//! A customer's webhook receiver: remembers what it got, and fails when told to.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// One request that came.
#[derive(Debug, Clone)]
pub struct Call {
    /// Where to.
    pub path: String,
    /// With these headers.
    pub headers: HeaderMap,
    /// The bytes that were signed.
    pub bytes: Bytes,
    /// What it was answered.
    pub status: u16,
}

impl Call {
    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// A header as text; empty if absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

#[derive(Default)]
struct Memory {
    calls: Mutex<Vec<Call>>,
    answers: Mutex<HashMap<String, VecDeque<u16>>>,
}

/// A server that takes webhooks at every path.
pub struct Receiver {
    address: SocketAddr,
    memory: Arc<Memory>,
    _server: AbortOnDropHandle<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let memory = Arc::new(Memory::default());
        let router = Router::new().fallback(take).with_state(memory.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = TaskTracker::new().spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, memory, _server: AbortOnDropHandle::new(serving) }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a path on this receiver.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers the next requests to a path so, one by one; 200 after that.
    pub fn answer_with(&self, path: &str, statuses: &[u16]) {
        self.memory.answers.lock().unwrap().insert(path.to_owned(), statuses.iter().copied().collect());
    }

    /// Everything that came, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.memory.calls.lock().unwrap().clone()
    }

    /// What came about this job.
    pub fn calls_about(&self, job: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.json()["data"]["id"] == job).collect()
    }
}

async fn take(
    State(memory): State<Arc<Memory>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let planned = memory.answers.lock().unwrap().get_mut(&path).and_then(VecDeque::pop_front);
    let status = planned.unwrap_or(200);
    memory.calls.lock().unwrap().push(Call { path, headers, bytes, status });
    let code = StatusCode::from_u16(status).unwrap();
    if code.is_redirection() {
        return (code, [(header::LOCATION, "/followed")]).into_response();
    }
    code.into_response()
}
