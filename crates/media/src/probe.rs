//! A trial of the storage: does it take, give back and forget what we keep?

use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use futures_util::{TryStreamExt, future::join_all};

use crate::{error::MediaError, key, store::MediaStore, writer::ObjectWriter};

/// Small bodies of the types that results and thumbnails have.
const PROBES: [(&str, &[u8]); 6] = [
    ("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\0\x01\0\0\x05\0\x01\r\n-\xb4\0\0\0\0IEND\xaeB`\x82"),
    ("image/jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xd9"),
    ("image/webp", b"RIFF\x1a\0\0\0WEBPVP8L\r\0\0\0/\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0"),
    ("video/mp4", b"\0\0\0\x18ftypisom\0\0\x02\0isommp41\0\0\0\x08mdat\0\0\0\x08moov"),
    ("audio/mpeg", b"ID3\x04\0\0\0\0\0\0\xff\xfb\x90\x64\0\0\0\0"),
    ("application/json", b"{\"probe\":true}"),
];

/// See [`MediaStore::probe`].
pub(crate) async fn probe(store: &MediaStore) -> Result<(), MediaError> {
    // Several processes may start together; none may delete another's probe before it is read.
    let nonce = RandomState::new().hash_one(std::process::id());
    let probes = PROBES.iter().enumerate().map(|(index, (content_type, body))| {
        let name = format!("{}/{nonce:016x}-{index}", key::PROBE_PREFIX);
        async move {
            let verdict = probe_one(store, &name, content_type, body).await;
            let deleted = store.delete(&name).await;
            verdict.and(deleted)
        }
    });
    // All run to their end, so that a refused one does not leave the others' objects behind.
    join_all(probes).await.into_iter().collect()
}

async fn probe_one(
    store: &MediaStore,
    name: &str,
    content_type: &'static str,
    body: &'static [u8],
) -> Result<(), MediaError> {
    let body = Bytes::from_static(body);
    if content_type.starts_with("video/") {
        // Long files come in parts, for which a bucket may have rights of their own.
        let mut writer = ObjectWriter::new(store, name, content_type, None)?;
        writer.send_part(body.clone()).await?;
        writer.finish(Bytes::new()).await?;
    } else {
        store.put_bytes(name, content_type, body.clone()).await?;
    }
    let object = store.get(name, None).await?;
    let read: Vec<Bytes> = object.stream.try_collect().await?;
    if read.concat() == body { Ok(()) } else { Err(MediaError::Unfaithful { content_type }) }
}
