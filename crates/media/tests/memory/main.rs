//! Peak memory of copies, measured in a process of its own; source and bucket live in it too and count as ours.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::{convert::Infallible, net::SocketAddr};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Path,
    http::{Uri, header},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use domain::MediaKind;
use futures_util::{StreamExt, future::join_all, stream};
use media::{CopyRequest, FetchLimits, Fetcher, MediaStore, Stored, copy};
use outbound::Guard;

const MIB: u64 = 1024 * 1024;

/// The budget is for the whole process; one test alone keeps the figure honest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_take_bounded_memory() {
    let address = serve().await;
    let guard = Guard::new(address.to_string().parse().unwrap());
    let desk = Desk { address, fetcher: Fetcher::new(&guard, FetchLimits::default()).unwrap() };
    let folder = tempfile::tempdir().unwrap();
    let local = MediaStore::open(&format!("file://{}", folder.path().display()), [("", "")]).unwrap();
    let options = [
        ("AWS_ENDPOINT", format!("http://{address}")),
        ("AWS_ACCESS_KEY_ID", "k".into()),
        ("AWS_SECRET_ACCESS_KEY", "s".into()),
    ];
    let bucket = MediaStore::open("s3://shop", options).unwrap();

    desk.copy(&local, 1, "warm").await;
    desk.copy(&bucket, 1, "warm").await;
    let idle = resident("VmRSS");

    for (store, what) in [(&local, "folder"), (&bucket, "bucket")] {
        reset_peak();
        let stored = desk.copy(store, 256, what).await;
        assert!(stored.bytes > 256 * MIB);
        let grown = resident("VmHWM").saturating_sub(idle);
        assert!(grown < 40 * MIB, "one copy of 256 MiB into a {what} grew by {} MiB", grown / MIB);
    }

    reset_peak();
    let names: Vec<_> = (0..8).map(|n| format!("film-{n}")).collect();
    join_all(names.iter().map(|name| desk.copy(&bucket, 64, name))).await;
    let peak = resident("VmHWM");
    assert!(peak < 192 * MIB, "eight copies at once took {} MiB", peak / MIB);
}

/// A source and the fetcher that reaches it.
struct Desk {
    address: SocketAddr,
    fetcher: Fetcher,
}

impl Desk {
    async fn copy(&self, store: &MediaStore, mib: u64, name: &str) -> Stored {
        let address = self.address;
        let (source, object) = (format!("http://{address}/film/{mib}"), format!("a/video/{name}"));
        let request = CopyRequest { source: &source, object: &object, expected: Some(MediaKind::Video) };
        copy(&self.fetcher, store, request).await.unwrap()
    }
}

/// Generated films, and the least of S3 that swallows parts.
async fn serve() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/film/{mib}", get(|Path(mib): Path<u64>| async move { generated(mib) }))
        .route("/shop/{*name}", put(swallow).post(begin_or_finish));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

fn generated(mib: u64) -> Response {
    let media = u32::try_from(mib * MIB + 8).unwrap().to_be_bytes();
    let head = [b"\0\0\0\x10ftypisom\0\0\0\0", &b"\0\0\0\x08moov"[..], &media, b"mdat"].concat();
    let length = head.len() as u64 + mib * MIB;
    let piece = Bytes::from(vec![7; 64 * 1024]);
    let pieces = stream::repeat(piece).take(usize::try_from(mib * 16).unwrap());
    let body = stream::iter([Bytes::from(head)]).chain(pieces).map(Ok::<_, Infallible>);
    ([(header::CONTENT_LENGTH, length.to_string())], Body::from_stream(body)).into_response()
}

async fn swallow(body: Body) -> Response {
    let pieces =
        body.into_data_stream().fold(0, |sum, piece| async move { sum + piece.unwrap().len() }).await;
    ([(header::ETAG, format!("\"{pieces}\""))], "").into_response()
}

async fn begin_or_finish(uri: Uri) -> Response {
    let begins = uri.query().unwrap().starts_with("uploads");
    if begins {
        return "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
            .into_response();
    }
    "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>".into_response()
}

/// The kernel forgets the peak so far when 5 is written here.
fn reset_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

fn resident(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
