//! A provider's file server with every bad habit.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use futures_util::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::samples;

pub(crate) struct SourceServer {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl SourceServer {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let router = Router::new()
            .route("/{what}", get(file))
            .route(
                "/status/{status}",
                get(|Path(status): Path<u16>| async move { StatusCode::from_u16(status).unwrap() }),
            )
            .route(
                "/to",
                get(|RawQuery(target): RawQuery| async move { Redirect::temporary(&target.unwrap()) }),
            )
            .with_state(Arc::clone(&asked));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    pub(crate) fn allow(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn times_asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// Answers one request with exactly these bytes and closes: no length, no chunks.
pub(crate) async fn serve_raw(answer: Vec<u8>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _read = socket.read(&mut request).await.unwrap();
            socket.write_all(&answer).await.unwrap();
            socket.shutdown().await.unwrap();
        }
    });
    address
}

async fn file(
    State(asked): State<Arc<AtomicUsize>>,
    Path(what): Path<String>,
    headers: HeaderMap,
) -> Response {
    let before = asked.fetch_add(1, Ordering::Relaxed);
    assert!(!headers.contains_key(header::AUTHORIZATION), "no credentials go to a source");
    assert!(headers.contains_key(header::USER_AGENT), "delivery networks refuse requests without a name");
    let png = samples::png();
    let half = png[..png.len() / 2].to_vec();
    match what.as_str() {
        "octet" => typed("application/octet-stream", png),
        "html-as-png" => typed("image/png", b"<!DOCTYPE html><html>gone</html>".to_vec()),
        "json" => typed("image/png", b"{\"error\":\"expired\"}".to_vec()),
        "empty" => typed("image/png", Vec::new()),
        "half" => typed("image/png", half),
        "zip" => typed("image/png", b"PK\x03\x04\x14\0\0\0\x08\0".to_vec()),
        "mp4" => typed("text/html", samples::mp4(10_000)),
        "film" => typed("video/mp4", samples::mp4(20 << 20)),
        "film-cut" => cut(&samples::mp4(20 << 20), 12 << 20),
        "film-stall" => Body::from_stream(
            pieces_of(&samples::mp4(20 << 20)[..12 << 20], 64 << 10).chain(stream::pending()),
        )
        .into_response(),
        "wide-film" => typed("video/mp4", samples::mp4(5 << 20)),
        "gzip" => ([(header::CONTENT_ENCODING, "gzip")], png).into_response(),
        "lyrics" => typed("text/html", "слова песни".into()),
        "chunked" => Body::from_stream(pieces(&png)).into_response(),
        "cut" => cut(&png, png.len() / 2),
        "cut-once" if before == 0 => cut(&png, png.len() / 2),
        "png" | "cut-once" => typed("image/png", png),
        "endless" => Body::from_stream(
            pieces(&samples::mp4_head(u32::MAX - 8))
                .chain(stream::repeat(Ok(Bytes::from_static(&[7; 4096])))),
        )
        .into_response(),
        "announced" => (
            [(header::CONTENT_LENGTH, "99999999999")],
            Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()),
        )
            .into_response(),
        "stall" => Body::from_stream(pieces(&half).chain(stream::pending())).into_response(),
        other => panic!("no such file: {other}"),
    }
}

fn typed(content_type: &'static str, body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

fn pieces(body: &[u8]) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> + use<> {
    pieces_of(body, 100)
}

fn pieces_of(
    body: &[u8],
    bytes: usize,
) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> + use<> {
    let pieces: Vec<_> = body.chunks(bytes).map(Bytes::copy_from_slice).map(Ok).collect();
    stream::iter(pieces)
}

/// Announces the whole, sends the first bytes, breaks the connection.
fn cut(body: &[u8], bytes: usize) -> Response {
    let length = body.len().to_string();
    let sent =
        body[..bytes].chunks(64 << 10).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect::<Vec<_>>();
    // The pause lets the first bytes leave before the break, as on a real line.
    let broken = stream::once(async {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        Err(std::io::Error::other("broken line"))
    });
    ([(header::CONTENT_LENGTH, length)], Body::from_stream(stream::iter(sent).chain(broken))).into_response()
}
