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
    /// Where files break off in the middle.
    torn: SocketAddr,
    asked: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Habits {
    asked: Arc<AtomicUsize>,
    torn: SocketAddr,
}

impl SourceServer {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let torn = serve_torn().await;
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
            .with_state(Habits { asked: Arc::clone(&asked), torn });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, torn, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    pub(crate) fn allow(&self) -> String {
        format!("{},{}", self.address, self.torn)
    }

    pub(crate) fn times_asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// Answers each request with exactly these bytes and closes: no length, no chunks.
pub(crate) async fn serve_raw(answer: Vec<u8>) -> SocketAddr {
    serve_bytes(move |_request| answer.clone()).await
}

/// Announces a whole file, sends its first bytes, closes.
async fn serve_torn() -> SocketAddr {
    let (png, film) = (samples::png(), samples::mp4(20 << 20));
    serve_bytes(move |request| {
        let film_asked = request.starts_with(b"GET /film");
        let (body, sent) = if film_asked { (&film, 12 << 20) } else { (&png, png.len() / 2) };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        [head.as_bytes(), &body[..sent]].concat()
    })
    .await
}

async fn serve_bytes(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let read = socket.read(&mut request).await.unwrap();
            // A reader may hang up as soon as it has seen enough.
            let _ = socket.write_all(&answer(&request[..read])).await;
            let _ = socket.shutdown().await;
        }
    });
    address
}

async fn file(
    State(Habits { asked, torn }): State<Habits>,
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
        "film-cut" => Redirect::temporary(&format!("http://{torn}/film")).into_response(),
        "film-stall" => Body::from_stream(
            pieces_of(&samples::mp4(20 << 20)[..12 << 20], 64 << 10).chain(stream::pending()),
        )
        .into_response(),
        "wide-film" => typed("video/mp4", samples::mp4(5 << 20)),
        "gzip" => ([(header::CONTENT_ENCODING, "gzip")], png).into_response(),
        "lyrics" => typed("text/html", "слова песни".into()),
        "chunked" => Body::from_stream(pieces(&png)).into_response(),
        "cut" => Redirect::temporary(&format!("http://{torn}/png")).into_response(),
        "cut-once" if before == 0 => Redirect::temporary(&format!("http://{torn}/png")).into_response(),
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
