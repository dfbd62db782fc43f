//! Copies into a bucket: parts, types, refusals.

use domain::MediaKind;
use futures_util::TryStreamExt;
use media::{CopyError, CopyRequest, MediaError, MediaStore, Stored, copy};

use crate::{
    bucket::{Bucket, Rules},
    copying::{fetcher, limits},
    samples,
    source::SourceServer,
};

const NAME: &str = "01990000-0000-7000-8000-000000000001/video/01990000-0000-7000-8000-000000000002";

async fn copy_to(store: &MediaStore, path: &str, expected: MediaKind) -> Result<Stored, CopyError> {
    let source = SourceServer::start().await;
    let url = source.url(path);
    let request = CopyRequest { source: &url, object: NAME, expected: Some(expected) };
    copy(&fetcher(&source.allow(), limits()), store, request).await
}

#[tokio::test]
async fn a_long_film_arrives_in_parts_with_its_type() {
    let bucket = Bucket::start(Rules::default()).await;
    let store = bucket.store();
    let stored = copy_to(&store, "film", MediaKind::Video).await.unwrap();
    assert_eq!(stored.bytes, samples::mp4(20 << 20).len() as u64);
    assert_eq!(store.digest(NAME).await.unwrap(), (stored.bytes, stored.sha256));
    assert_eq!((bucket.asked("begin video/mp4"), bucket.asked("part"), bucket.asked("put")), (1, 5, 0));
    let tail = store.get(NAME, Some(media::ByteRange::Last(1000))).await.unwrap();
    let tail: Vec<_> = tail.stream.try_collect().await.unwrap();
    assert!(samples::mp4(20 << 20).ends_with(&tail.concat()));
}

#[tokio::test]
async fn a_picture_arrives_at_once_with_its_type() {
    let bucket = Bucket::start(Rules::default()).await;
    let stored = copy_to(&bucket.store(), "octet", MediaKind::Image).await.unwrap();
    assert_eq!(bucket.store().digest(NAME).await.unwrap(), (stored.bytes, stored.sha256));
    assert_eq!((bucket.asked("put image/png"), bucket.asked("begin")), (1, 0));
}

#[tokio::test]
async fn a_cut_film_leaves_no_object_and_no_parts() {
    let bucket = Bucket::start(Rules::default()).await;
    let error = copy_to(&bucket.store(), "film-cut", MediaKind::Video).await.unwrap_err();
    assert!(matches!(error, CopyError::Unusable { .. }), "{error:?}");
    assert!(matches!(bucket.store().head(NAME).await, Err(MediaError::NotFound { .. })));
    assert_eq!(bucket.asked("begin"), 2, "a cut download is asked for once more");
    assert_eq!(bucket.asked("abort"), 2);
}

#[tokio::test]
async fn a_bucket_that_refuses_types_is_our_trouble_and_found_at_start() {
    let rules = Rules { types: vec!["image/png", "image/jpeg", "application/json"], bytes_max: None };
    let bucket = Bucket::start(rules).await;
    let store = bucket.store();
    assert!(copy_to(&store, "png", MediaKind::Image).await.is_ok());
    for path in ["mp4", "film"] {
        let error = copy_to(&store, path, MediaKind::Video).await.unwrap_err();
        assert!(error.is_our_trouble(), "{path}: {error:?}");
    }
    let error = store.probe().await.unwrap_err();
    assert!(matches!(error, MediaError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_bucket_that_refuses_long_files_is_our_trouble() {
    let bucket = Bucket::start(Rules { types: Vec::new(), bytes_max: Some(6 << 20) }).await;
    let store = bucket.store();
    let error = copy_to(&store, "film", MediaKind::Video).await.unwrap_err();
    assert!(error.is_our_trouble(), "{error:?}");
    assert_eq!(bucket.asked("abort"), 1);
    assert!(copy_to(&store, "wide-film", MediaKind::Video).await.is_ok());
}

#[tokio::test]
async fn wrong_credentials_and_a_missing_server_are_found_at_start() {
    let bucket = Bucket::start(Rules::default()).await;
    let error = bucket.store_with("some-other-secret").probe().await.unwrap_err();
    assert!(matches!(error, MediaError::Unavailable { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("some-other-secret"));

    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let options =
        [("AWS_ENDPOINT", endpoint.as_str()), ("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let absent = MediaStore::open("s3://shop", options).unwrap();
    let error = absent.ping().await.unwrap_err();
    assert!(matches!(error, MediaError::Unavailable { .. }), "{error:?}");
}
