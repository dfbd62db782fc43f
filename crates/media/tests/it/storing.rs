//! The storage port itself, the same promises for a folder and for a bucket.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::TryStreamExt;
use media::{ByteRange, MediaError, MediaStore};

use crate::{
    bucket::{Bucket, Rules},
    copying::folder_store,
};

async fn read(store: &MediaStore, name: &str, range: Option<ByteRange>) -> Result<Vec<u8>, MediaError> {
    let object = store.get(name, range).await?;
    let announced = object.range.end - object.range.start;
    let body: Vec<Bytes> = object.stream.try_collect().await?;
    assert_eq!(body.concat().len() as u64, announced);
    Ok(body.concat())
}

/// Every promise of the port.
async fn put_get_list_delete(store: &MediaStore) {
    let body = Bytes::from_static(b"0123456789");
    store.put_bytes("a/text/1", "application/json", Bytes::from_static(b"old")).await.unwrap();
    store.put_bytes("a/text/1", "application/json", body.clone()).await.unwrap();
    store.put_bytes("b/text/2", "application/json", body.clone()).await.unwrap();

    assert_eq!(read(store, "a/text/1", None).await.unwrap(), b"0123456789");
    assert_eq!(read(store, "a/text/1", Some(ByteRange::Between(2, 5))).await.unwrap(), b"234");
    assert_eq!(read(store, "a/text/1", Some(ByteRange::Between(8, 50))).await.unwrap(), b"89");
    assert_eq!(read(store, "a/text/1", Some(ByteRange::From(7))).await.unwrap(), b"789");
    assert_eq!(read(store, "a/text/1", Some(ByteRange::Last(4))).await.unwrap(), b"6789");
    for outside in [ByteRange::From(10), ByteRange::Between(20, 30), ByteRange::Between(5, 5)] {
        let error = read(store, "a/text/1", Some(outside.clone())).await.unwrap_err();
        assert!(matches!(error, MediaError::OutOfRange), "{outside:?}: {error:?}");
    }
    let missing = read(store, "a/text/9", None).await.unwrap_err();
    assert!(matches!(missing, MediaError::NotFound { .. }), "{missing:?}");
    let missing = read(store, "a/text/9", Some(ByteRange::From(1))).await.unwrap_err();
    assert!(matches!(missing, MediaError::NotFound { .. }), "{missing:?}");
    assert_eq!(store.get_bytes("a/text/1", 10).await.unwrap(), body);
    assert!(matches!(store.get_bytes("a/text/1", 9).await, Err(MediaError::TooLong { bytes: 10 })));

    let info = store.head("a/text/1").await.unwrap();
    assert_eq!((info.name.as_str(), info.bytes), ("a/text/1", 10));
    assert!(info.modified > SystemTime::UNIX_EPOCH);

    let mut names: Vec<_> = store.list(None).map_ok(|info| info.name).try_collect().await.unwrap();
    names.sort_unstable();
    assert_eq!(names, ["a/text/1", "b/text/2"]);
    let names: Vec<_> = store.list(Some("a")).map_ok(|info| info.name).try_collect().await.unwrap();
    assert_eq!(names, ["a/text/1"]);

    store.ping().await.unwrap();
    store.probe().await.unwrap();
    let names: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(names.len(), 2, "probes leave nothing");

    store.delete("a/text/1").await.unwrap();
    store.delete("a/text/1").await.unwrap();
    assert!(matches!(store.head("a/text/1").await, Err(MediaError::NotFound { .. })));
    for name in ["", "/", "a//b", "a/../b"] {
        assert!(store.put_bytes(name, "image/png", body.clone()).await.is_err(), "{name:?} is no name");
    }
}

#[tokio::test]
async fn a_folder_keeps_the_promises() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder_store(&folder);
    put_get_list_delete(&store).await;
    assert_eq!(store.describe(), format!("file://{}/media", folder.path().display()));
}

#[tokio::test]
async fn a_bucket_keeps_the_promises() {
    let bucket = Bucket::start(Rules::default()).await;
    let store = bucket.store();
    put_get_list_delete(&store).await;
    assert_eq!(store.describe(), "s3://shop/media");
    assert!(bucket.asked("put image/webp") > 0 && bucket.asked("begin video/mp4") > 0, "{:?}", bucket.log);
}

#[tokio::test]
async fn unusable_addresses_say_what_to_write() {
    for (url, advice) in [
        ("data/media", "file:///absolute/folder"),
        ("file://data/media", "file:///absolute/folder"),
        ("ftp://host/x", "not ftp"),
        ("s3://key:secret@bucket/x", "into variables"),
    ] {
        let error = MediaStore::open(url, [("", "")]).unwrap_err();
        assert!(error.to_string().contains(advice), "{url}: {error}");
        assert!(!format!("{error:?}").contains("secret"));
    }
}

#[tokio::test]
async fn every_backend_opens_by_its_address_alone() {
    let azure = [
        ("AZURE_STORAGE_ACCOUNT_NAME", "shop"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0"),
        ("AWS_ENDPOINT", ""),
    ];
    let google = [("GOOGLE_SKIP_SIGNATURE", "true")];
    let amazon = [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "c2VjcmV0"), ("AWS_ENDPOINT", "")];
    for (url, options) in
        [("az://box/media", &azure[..]), ("gs://bucket/media/2", &google[..]), ("s3://bucket", &amazon[..])]
    {
        let store = MediaStore::open(url, options.iter().copied()).unwrap();
        assert_eq!(store.describe(), url);
        assert!(!format!("{store:?}").contains("c2VjcmV0"));
    }
}

#[tokio::test]
async fn torn_uploads_are_not_listed_and_are_removed_when_old() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder_store(&folder);
    store.put_bytes("a/video/1", "video/mp4", Bytes::from_static(b"x")).await.unwrap();
    let torn = folder.path().join("media/a/video/2#1");
    std::fs::write(&torn, "half").unwrap();
    let names: Vec<_> = store.list(None).map_ok(|info| info.name).try_collect().await.unwrap();
    assert_eq!(names, ["a/video/1"]);
    let written = std::fs::metadata(&torn).unwrap().modified().unwrap();
    assert_eq!(store.remove_torn_uploads(written).await.unwrap(), 0);
    assert_eq!(store.remove_torn_uploads(written + Duration::from_secs(1)).await.unwrap(), 1);
    assert!(!torn.exists() && store.head("a/video/1").await.is_ok());
}
