//! A customer's server that answers as its path says, and remembers what it got.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, post},
};
use futures_util::StreamExt;
use tokio::{io::AsyncReadExt, net::TcpListener};

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Clone, Default)]
pub(crate) struct Receiver {
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Receiver {
    /// Starts the server; gives it and its address.
    pub(crate) async fn start() -> (Self, SocketAddr) {
        let receiver = Self::default();
        let router = Router::new()
            .route("/status/{code}", any(status))
            .route(
                "/busy",
                post(|| async { (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "120")]) }),
            )
            .route(
                "/moved",
                post(|| async { (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, "/status/200")]) }),
            )
            .route("/silent", post(silent))
            .route("/huge", post(huge))
            .route("/endless", post(endless))
            .with_state(receiver.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, address)
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

/// A server that reads a little and breaks the connection.
pub(crate) async fn start_resetting() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            // Closing with unread bytes makes the kernel answer with a reset.
            let _one_byte = socket.read_u8().await;
        }
    });
    address
}

async fn status(
    State(receiver): State<Receiver>,
    Path(code): Path<u16>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    receiver.calls.lock().unwrap().push(Call { headers, body });
    StatusCode::from_u16(code).unwrap()
}

async fn silent() -> StatusCode {
    std::future::pending().await
}

/// Taken, and then far more answer than anybody reads.
async fn huge() -> Response {
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let endless = futures_util::stream::repeat_with(move || Ok::<_, std::convert::Infallible>(chunk.clone()));
    Body::from_stream(endless).into_response()
}

/// Taken, and then an answer that never ends.
async fn endless() -> Response {
    let first = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from_static(b"."))]);
    Body::from_stream(first.chain(futures_util::stream::pending())).into_response()
}
