//! Serving until told to stop, then letting open requests finish, for a bounded time.

use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::ListenerExt;
use axum::{Extension, Router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// The end of serving, for streams that have none of their own.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown(pub(crate) CancellationToken);

/// Serves until `shutdown`; open requests have 10 s to finish, streams of events end at once.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let router = router.layer(Extension(Shutdown(shutdown.clone())));
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "http.nodelay");
        }
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(FINISH_WITHIN).await;
    };
    tokio::select! {
        served = serving => served,
        () = late => {
            tracing::warn!("http.cut: open requests did not finish in time");
            Ok(())
        }
    }
}
