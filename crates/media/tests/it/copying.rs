//! From a source into a local folder: what is kept, what is refused, and how the refusal is called.

use std::time::Duration;

use bytes::Bytes;
use domain::MediaKind;
use futures_util::{TryStreamExt, stream};
use media::{
    CopyError, CopyRequest, FetchLimits, Fetcher, Flaw, MediaStore, SourceTrouble, Stored, copy, keep_upload,
};
use outbound::{Blocked, Guard};

use crate::{
    samples,
    source::{SourceServer, serve_raw},
};

const NAME: &str = "01990000-0000-7000-8000-000000000001/image/01990000-0000-7000-8000-000000000002";

pub(crate) fn limits() -> FetchLimits {
    FetchLimits { bytes_max: 64 << 20, idle_timeout: Duration::from_secs(5), ..FetchLimits::default() }
}

pub(crate) fn fetcher(allow: &str, limits: FetchLimits) -> Fetcher {
    Fetcher::new(&Guard::new(allow.parse().unwrap()), limits).unwrap()
}

pub(crate) fn folder_store(folder: &tempfile::TempDir) -> MediaStore {
    MediaStore::open(&format!("file://{}/media", folder.path().display()), [("AWS_REGION", "x")]).unwrap()
}

struct Desk {
    source: SourceServer,
    store: MediaStore,
    folder: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { source: SourceServer::start().await, store: folder_store(&folder), folder }
    }

    async fn copy(&self, path: &str, expected: MediaKind) -> Result<Stored, CopyError> {
        self.copy_within(path, expected, limits()).await
    }

    async fn copy_within(
        &self,
        path: &str,
        expected: MediaKind,
        limits: FetchLimits,
    ) -> Result<Stored, CopyError> {
        let fetcher = fetcher(&self.source.allow(), limits);
        let url = self.source.url(path);
        copy(&fetcher, &self.store, CopyRequest { source: &url, object: NAME, expected: Some(expected) })
            .await
    }

    async fn image_error(&self, path: &str) -> CopyError {
        self.copy(path, MediaKind::Image).await.unwrap_err()
    }

    /// Files in the folder, unfinished ones too.
    fn files(&self) -> Vec<std::path::PathBuf> {
        fn walk(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, found) } else { found.push(path) }
            }
        }
        let mut found = Vec::new();
        walk(self.folder.path(), &mut found);
        found
    }
}

fn flaw(error: &CopyError) -> &Flaw {
    match error {
        CopyError::Unusable { flaw } => flaw,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_good_picture_is_kept_whatever_its_header_says() {
    let desk = Desk::new().await;
    let png = samples::png();
    for path in ["png", "octet", "chunked"] {
        let stored = desk.copy(path, MediaKind::Image).await.unwrap();
        assert_eq!(stored.content_type, "image/png", "{path}");
        assert_eq!(stored.object, NAME);
        assert_eq!((stored.bytes, stored.width, stored.height), (png.len() as u64, Some(64), Some(48)));
        assert_eq!(desk.store.digest(NAME).await.unwrap(), (stored.bytes, stored.sha256));
        let kept: Vec<Bytes> = desk.store.get(NAME, None).await.unwrap().stream.try_collect().await.unwrap();
        assert!(kept.concat() == png, "{path}");
    }
    assert_eq!(desk.files().len(), 1, "copying again leaves one object");
}

#[tokio::test]
async fn a_clip_tells_its_length_and_a_text_is_kept_for_a_text_model() {
    let desk = Desk::new().await;
    let stored = desk.copy("mp4", MediaKind::Video).await.unwrap();
    assert_eq!((stored.content_type.as_str(), stored.duration_ms), ("video/mp4", Some(2000)));
    assert_eq!((stored.width, stored.height), (Some(640), Some(360)));
    let stored = desk.copy("lyrics", MediaKind::Text).await.unwrap();
    assert_eq!(stored.content_type, "text/plain");
}

#[tokio::test]
async fn a_long_clip_goes_through_in_parts() {
    let desk = Desk::new().await;
    for (path, bytes) in [("film", 20 << 20), ("wide-film", 5 << 20)] {
        let stored = desk.copy(path, MediaKind::Video).await.unwrap();
        assert_eq!(stored.bytes, samples::mp4(bytes).len() as u64);
        assert_eq!(desk.store.digest(NAME).await.unwrap(), (stored.bytes, stored.sha256));
    }
    assert_eq!(desk.files().len(), 1);
}

#[tokio::test]
async fn what_is_no_result_is_refused_and_leaves_nothing() {
    let desk = Desk::new().await;
    assert_eq!(*flaw(&desk.image_error("html-as-png").await), Flaw::Html);
    assert_eq!(*flaw(&desk.image_error("json").await), Flaw::Text);
    assert_eq!(*flaw(&desk.image_error("empty").await), Flaw::Empty);
    assert_eq!(*flaw(&desk.image_error("status/204").await), Flaw::Empty);
    assert_eq!(*flaw(&desk.image_error("gzip").await), Flaw::Encoded);
    assert_eq!(*flaw(&desk.image_error("zip").await), Flaw::Type { found: "application/zip" });
    assert_eq!(*flaw(&desk.image_error("mp4").await), Flaw::Type { found: "video/mp4" });
    let wrong = desk.copy("png", MediaKind::Audio).await.unwrap_err();
    assert_eq!(*flaw(&wrong), Flaw::Type { found: "image/png" });
    assert!(
        wrong.counts_against_output()
            && wrong.wants_new_link()
            && !wrong.is_our_trouble()
            && !wrong.is_final()
    );
    assert_eq!(desk.files(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn half_a_file_is_refused_however_it_is_cut() {
    let desk = Desk::new().await;
    let half = samples::png().len() as u64 / 2;
    assert_eq!(*flaw(&desk.image_error("half").await), Flaw::Cut { bytes: half });
    assert!(matches!(flaw(&desk.image_error("cut").await), Flaw::Cut { .. }));
    let film = desk.copy("film-cut", MediaKind::Video).await.unwrap_err();
    assert!(matches!(flaw(&film), Flaw::Cut { .. }));

    let png = samples::png();
    let answer = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &png[..png.len() / 2]].concat();
    let address = serve_raw(answer).await;
    let (fetcher, source) = (fetcher(&address.to_string(), limits()), format!("http://{address}/"));
    let request = CopyRequest { source: &source, object: NAME, expected: Some(MediaKind::Image) };
    let error = copy(&fetcher, &desk.store, request).await.unwrap_err();
    assert_eq!(*flaw(&error), Flaw::Cut { bytes: half });
    assert!(matches!(desk.store.head(NAME).await, Err(media::MediaError::NotFound { .. })));
    assert_eq!(desk.files(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_cut_download_is_asked_for_once_more() {
    let desk = Desk::new().await;
    let stored = desk.copy("cut-once", MediaKind::Image).await.unwrap();
    assert_eq!(stored.bytes, samples::png().len() as u64);
    assert_eq!(desk.source.times_asked(), 2);
}

#[tokio::test]
async fn dead_links_and_sick_sources_are_told_apart() {
    let desk = Desk::new().await;
    for status in [400, 401, 403, 404, 410, 451] {
        let error = desk.image_error(&format!("status/{status}")).await;
        assert!(matches!(error, CopyError::Gone { status: found } if found == status), "{error:?}");
        assert!(error.wants_new_link() && error.counts_against_output());
    }
    for status in [408, 429, 500, 502, 503] {
        let error = desk.image_error(&format!("status/{status}")).await;
        assert!(
            matches!(error, CopyError::Source(SourceTrouble::Status { status: found }) if found == status)
        );
        assert!(!error.counts_against_output() && !error.is_our_trouble());
    }
}

/// Waits for something that happens soon, but on another thread.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_abandoned_copy_leaves_nothing() {
    let desk = Desk::new().await;
    let mut copying = Box::pin(desk.copy("film-stall", MediaKind::Video));
    let begun = eventually("the upload has begun", || !desk.files().is_empty());
    tokio::select! {
        outcome = &mut copying => panic!("{outcome:?}"),
        () = begun => {}
    }
    drop(copying);
    assert!(matches!(desk.store.head(NAME).await, Err(media::MediaError::NotFound { .. })));
    eventually("its file is removed", || desk.files().is_empty()).await;
}

#[tokio::test]
async fn limits_of_length_and_time_hold() {
    let desk = Desk::new().await;
    let small = FetchLimits { bytes_max: 1 << 20, ..limits() };
    for path in ["endless", "announced"] {
        let error = desk.copy_within(path, MediaKind::Video, small.clone()).await.unwrap_err();
        assert!(matches!(error, CopyError::TooLarge { bytes_max: 1_048_576 }), "{path}: {error:?}");
    }
    let idle = FetchLimits { idle_timeout: Duration::from_millis(200), ..limits() };
    let error = desk.copy_within("stall", MediaKind::Image, idle).await.unwrap_err();
    assert!(matches!(error, CopyError::Source(SourceTrouble::Slow)), "{error:?}");
    let brief = FetchLimits { total_timeout: Duration::from_millis(200), ..limits() };
    let error = desk.copy_within("stall", MediaKind::Image, brief).await.unwrap_err();
    assert!(matches!(error, CopyError::Source(SourceTrouble::Slow)), "{error:?}");
    assert_eq!(desk.files(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn private_addresses_alone_are_final_at_every_hop() {
    let desk = Desk::new().await;
    let hidden = SourceServer::start().await;
    let image = MediaKind::Image;
    for target in [hidden.url("png"), "https://169.254.169.254/".to_owned(), "https://127.1/".to_owned()] {
        let error = desk.copy(&format!("to?{target}"), image).await.unwrap_err();
        assert!(matches!(error, CopyError::Blocked { .. }) && error.is_final(), "{target}: {error:?}");
        let guarded = fetcher("", limits());
        let request = CopyRequest { source: &target, object: NAME, expected: Some(image) };
        let error = copy(&guarded, &desk.store, request).await.unwrap_err();
        assert!(error.is_final(), "{target}: {error:?}");
    }
    assert_eq!(hidden.times_asked(), 0);
    // One bad redirect of a delivery network, or one bad answer of a name server, loses nothing that was bought.
    for target in [
        "https://localhost/".to_owned(),
        "https://user:pw@cdn.invalid/a.png".to_owned(),
        "ftp://cdn.invalid/a.png".to_owned(),
        "http://localhost/".to_owned(),
    ] {
        let error = desk.copy(&format!("to?{target}"), image).await.unwrap_err();
        let Flaw::Route { blocked } = flaw(&error) else { panic!("{target}: {error:?}") };
        assert_eq!(
            matches!(blocked, Blocked::Name { .. }),
            target.contains("localhost"),
            "http becomes https"
        );
        assert!(error.wants_new_link() && error.counts_against_output() && !error.is_final(), "{target}");
    }
    assert_eq!(hidden.times_asked(), 0);
    for source in ["", "not a link", "ftp://cdn.example/a.png", "data:image/png;base64,AAAA"] {
        let request = CopyRequest { source, object: NAME, expected: Some(image) };
        let error = copy(&fetcher("", limits()), &desk.store, request).await.unwrap_err();
        assert_eq!(*flaw(&error), Flaw::Address, "{source}");
    }
}

#[tokio::test]
async fn trouble_of_our_folder_never_counts_against_the_output() {
    let desk = Desk::new().await;
    let account = NAME.split_once('/').unwrap().0;
    std::fs::write(desk.folder.path().join("media").join(account), "in the way").unwrap();
    for (path, kind) in [("png", MediaKind::Image), ("film", MediaKind::Video)] {
        let error = desk.copy(path, kind).await.unwrap_err();
        assert!(error.is_our_trouble() && !error.counts_against_output() && !error.is_final(), "{error:?}");
    }
}

#[tokio::test]
async fn a_customers_file_is_judged_by_the_same_rules() {
    let desk = Desk::new().await;
    let upload = |body: Vec<u8>| {
        stream::iter(
            body.chunks(1000).map(Bytes::copy_from_slice).map(Ok::<_, std::io::Error>).collect::<Vec<_>>(),
        )
    };
    let stored = keep_upload(&desk.store, NAME, (None, 1 << 20), upload(samples::png())).await.unwrap();
    assert_eq!((stored.content_type.as_str(), stored.width), ("image/png", Some(64)));
    let error = keep_upload(&desk.store, NAME, (None, 1000), upload(samples::png())).await.unwrap_err();
    assert!(matches!(error, CopyError::TooLarge { bytes_max: 1000 }), "{error:?}");
    let unread = stream::pending::<Result<Bytes, std::io::Error>>();
    let error = keep_upload(&desk.store, NAME, (Some(1001), 1000), unread).await.unwrap_err();
    assert!(matches!(error, CopyError::TooLarge { bytes_max: 1000 }), "{error:?}");
    let error = keep_upload(&desk.store, NAME, (None, 1000), upload(b"<html>".to_vec())).await.unwrap_err();
    assert_eq!(*flaw(&error), Flaw::Html);
    let broken = stream::iter([Ok(Bytes::from(samples::png())), Err(std::io::Error::other("gone"))]);
    let error = keep_upload(&desk.store, NAME, (None, 1 << 20), broken).await.unwrap_err();
    assert!(matches!(error, CopyError::Source(SourceTrouble::Failed(_))), "{error:?}");
}
