//! Serving until told to stop, then letting open requests finish, for a bounded time.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::serve::Listener;
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

const FINISH_WITHIN: Duration = Duration::from_secs(10);
/// The head of a request is read in this time, and an idle connection ends after it. Proxies keep idle connections for
/// 60 s, and should be the first to close them.
const HEAD_WITHIN: Duration = Duration::from_secs(75);
/// Whoever takes no byte of its answer for so long is gone.
const TAKEN_WITHIN: Duration = Duration::from_mins(1);
/// Open at once; further ones wait in the listener's queue.
const CONNECTIONS_MAX: u64 = 4096;
const CONNECTIONS_MIN: u64 = 16;

/// The end of serving, for streams that have none of their own.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown(pub(crate) CancellationToken);

/// Serves until `shutdown`; open requests have 10 s to finish, streams of events end at once. Whoever sends no request
/// within 75 s, or takes nothing of its answer for 60 s, is disconnected.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    serve_at_once(listener, router, shutdown, places()).await;
}

async fn serve_at_once(
    mut listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    connections_max: usize,
) {
    let router = router.layer(Extension(Shutdown(shutdown.clone())));
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(connections_max));
    loop {
        let accepting = async {
            let place = places.clone().acquire_owned().await;
            (place, Listener::accept(&mut listener).await)
        };
        let (place, (stream, from)) = tokio::select! {
            accepted = accepting => accepted,
            () = shutdown.cancelled() => break,
        };
        let conversation = converse(stream, from, router.clone(), shutdown.clone());
        connections.spawn(async move {
            conversation.await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(FINISH_WITHIN, connections.wait()).await.is_err() {
        tracing::warn!("http.cut: open requests did not finish in time");
    }
}

/// Half of the files that this process may open: the other half is for the database, storage and calls outside.
fn places() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from((files / 2).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX)).unwrap_or(usize::MAX)
}

/// One connection, to its end.
async fn converse(stream: TcpStream, from: SocketAddr, router: Router, shutdown: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(TAKEN_WITHIN));
    let service = router.map_request(move |mut request: http::Request<_>| {
        request.extensions_mut().insert(ConnectInfo(from));
        request
    });
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    let mut connection =
        pin!(http.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(service)));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%from, %error, "http.broken");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// The clock stands still while anybody works, so what waits for a place is seen to wait.
    #[tokio::test(start_paused = true)]
    async fn connections_above_the_limit_wait_for_a_place() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let router = Router::new().route("/", get(async || "well"));
        let asking = async {
            let request = b"GET / HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n";
            let idle = TcpStream::connect(address).await.unwrap();
            let mut second = TcpStream::connect(address).await.unwrap();
            second.write_all(request).await.unwrap();
            let mut answer = Vec::new();
            let early = tokio::time::timeout(Duration::from_secs(30), second.read_to_end(&mut answer)).await;
            assert!(early.is_err(), "the only place is taken");
            drop(idle);
            second.read_to_end(&mut answer).await.unwrap();
            assert!(String::from_utf8_lossy(&answer).ends_with("well"));
            stop.cancel();
        };
        tokio::join!(serve_at_once(listener, router, stop.clone(), 1), asking);
        assert!(places() >= 16);
    }
}
