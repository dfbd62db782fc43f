//! Objects that lie in the storage already: measured where they are, never changed.

use bytes::Bytes;
use domain::MediaKind;
use media::{CopyError, FetchLimits, Flaw, adopt, key};

use crate::copying::{fetcher, folder_store, limits};
use crate::samples;

#[tokio::test]
async fn an_object_is_adopted_as_a_copy_of_it_would_be() {
    let folder = tempfile::tempdir().unwrap();
    let (store, fetcher) = (folder_store(&folder), fetcher("", limits()));
    let clip = samples::mp4(3 << 20);
    for (name, body) in [("gallery/a.png", samples::png()), ("gallery/b", clip)] {
        store.put_bytes(name, "application/octet-stream", Bytes::from(body.clone())).await.unwrap();
        let adopted = adopt(&fetcher, &store, name, None).await.unwrap();
        assert_eq!((adopted.object.as_str(), adopted.bytes), (name, body.len() as u64));
        assert_eq!((adopted.bytes, adopted.sha256), store.digest(name).await.unwrap());
        assert_eq!(store.get_bytes(name, 1 << 30).await.unwrap(), body, "it stays as it was");
    }
    let picture = adopt(&fetcher, &store, "gallery/a.png", Some(MediaKind::Image)).await.unwrap();
    assert!(picture.width.is_some() && picture.content_type == "image/png", "{picture:?}");
}

#[tokio::test]
async fn what_is_absent_or_no_result_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder_store(&folder);
    let fetch = fetcher("", limits());
    store.put_bytes("a.png", "image/png", Bytes::from(samples::png())).await.unwrap();
    store
        .put_bytes("a.html", "image/png", Bytes::from_static(b"<html><body>no</body></html>"))
        .await
        .unwrap();
    let absent = adopt(&fetch, &store, "b.png", None).await.unwrap_err();
    assert!(matches!(absent, CopyError::Gone { .. }), "{absent:?}");
    let outside = adopt(&fetch, &store, "../a.png", None).await.unwrap_err();
    assert!(matches!(outside, CopyError::Gone { .. }), "{outside:?}");
    let page = adopt(&fetch, &store, "a.html", None).await.unwrap_err();
    assert!(matches!(page, CopyError::Unusable { flaw: Flaw::Html }), "{page:?}");
    let wrong = adopt(&fetch, &store, "a.png", Some(MediaKind::Video)).await.unwrap_err();
    assert!(matches!(wrong, CopyError::Unusable { flaw: Flaw::Type { .. } }), "{wrong:?}");
    let small = fetcher("", FetchLimits { bytes_max: 10, ..limits() });
    let long = adopt(&small, &store, "a.png", None).await.unwrap_err();
    assert!(matches!(long, CopyError::TooLarge { bytes_max: 10 }), "{long:?}");
}

#[test]
fn a_thumbnail_belongs_to_its_object() {
    assert_eq!(key::original(&key::thumbnail("gallery/a.png")), "gallery/a.png");
    assert_eq!(key::original("gallery/a.png"), "gallery/a.png");
}
