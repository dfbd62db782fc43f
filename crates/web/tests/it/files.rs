//! Uploads, and files by link and by token.

use std::time::Duration;

use domain::AssetId;
use media::{LinkMode, LinkSigner, Variant};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::shop::{LINK_KEY, Person, Shop, open, problem, read};

/// A picture of one pixel.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0,
    1, 8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 13, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0xf8,
    0xcf, 0xc0, 0xf0, 0x1f, 0, 5, 0, 1, 0xff, 0x89, 0x99, 0x3d, 0x1d, 0, 0, 0, 0, b'I', b'E', b'N', b'D',
    0xae, 0x42, 0x60, 0x82,
];

async fn upload(shop: &Shop, who: &Person, body: Vec<u8>) -> Response {
    let request = shop.request(Method::POST, "/v1/uploads").bearer_auth(&who.token);
    request.header("Content-Type", "image/png").body(body).send().await.unwrap()
}

fn path_of<'a>(shop: &Shop, file: &'a Value) -> &'a str {
    file["url"].as_str().unwrap().strip_prefix(&shop.url).unwrap()
}

#[tokio::test]
async fn an_upload_is_kept_checked_and_used_as_input() {
    let shop = open().await;
    let (customer, stranger) = (shop.customer(100_000).await, shop.customer(100_000).await);
    let (status, file) = read(upload(&shop, &customer, PNG.to_vec()).await).await;
    assert_eq!(
        (status, &file["content_type"], &file["bytes"]),
        (201, &json!("image/png"), &json!(PNG.len()))
    );
    assert_eq!(file["sha256"], hex(&Sha256::digest(PNG)));
    let boundary = "xyz";
    let mut form =
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n")
            .into_bytes();
    form.extend_from_slice(PNG);
    form.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let sent = shop.request(Method::POST, "/v1/uploads").bearer_auth(&customer.token);
    let sent =
        sent.header("Content-Type", format!("multipart/form-data; boundary={boundary}")).body(form).send();
    assert_eq!(read(sent.await.unwrap()).await.1["sha256"], file["sha256"]);
    problem(upload(&shop, &customer, b"<html>no</html>".to_vec()).await, 422, "invalid").await;
    problem(upload(&shop, &customer, Vec::new()).await, 422, "invalid").await;
    let mut large = PNG.to_vec();
    large.resize(2 * 1024 * 1024, 0);
    problem(upload(&shop, &customer, large).await, 413, "too-large").await;
    let input = json!({ "prompt": "x", "image_url": file["url"] });
    let order = json!({ "model": "qwen/image-to-image", "input": input });
    assert_eq!(shop.order(&customer, "own", &order).await.0, 201);
    let (status, refused) = shop.order(&stranger, "foreign", &order).await;
    assert_eq!((status, &refused["errors"][0]["pointer"]), (422, &json!("/input/image_url")));
}

#[tokio::test]
async fn files_are_read_whole_in_part_and_not_again() {
    let shop = open().await;
    let customer = shop.customer(0).await;
    let (_, file) = read(upload(&shop, &customer, PNG.to_vec()).await).await;
    let path = path_of(&shop, &file);
    let whole = shop.request(Method::GET, path).send().await.unwrap();
    let headers = whole.headers().clone();
    assert_eq!(whole.bytes().await.unwrap(), PNG);
    assert_eq!(headers["content-type"], "image/png");
    assert_eq!(headers["etag"], format!("\"{}\"", file["sha256"].as_str().unwrap()));
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert!(headers["content-security-policy"].to_str().unwrap().contains("sandbox"));
    assert!(headers["cache-control"].to_str().unwrap().starts_with("private, max-age="));
    let ranged = |range: &str| shop.request(Method::GET, path).header("Range", range).send();
    let part = ranged("bytes=1-3").await.unwrap();
    assert_eq!(
        (part.status().as_u16(), part.headers()["content-range"].clone()),
        (206, format!("bytes 1-3/{}", PNG.len()).parse().unwrap())
    );
    assert_eq!(part.bytes().await.unwrap(), &PNG[1..4]);
    let tail = ranged("bytes=-5").await.unwrap();
    assert_eq!(tail.bytes().await.unwrap(), &PNG[PNG.len() - 5..]);
    let beyond = ranged("bytes=9999-").await.unwrap();
    assert_eq!(beyond.headers()["content-range"], format!("bytes */{}", PNG.len()));
    problem(beyond, 416, "range-unsatisfiable").await;
    let other =
        shop.request(Method::GET, path).header("Range", "bytes=0-0").header("If-Range", "\"other\"").send();
    assert_eq!(other.await.unwrap().status(), 200);
    let again = shop
        .request(Method::GET, path)
        .header("If-None-Match", headers["etag"].clone())
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 304);
    let head = shop.request(Method::HEAD, path).send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), head.headers()["content-length"].clone()),
        (200, PNG.len().to_string().parse().unwrap())
    );
    let saved = shop.request(Method::GET, &format!("{path}&download=1")).send().await.unwrap();
    assert_eq!(saved.headers()["content-disposition"], "attachment; filename=\"upload.png\"");
}

#[tokio::test]
async fn links_that_ended_or_were_changed_open_nothing_but_for_the_owner() {
    let shop = open().await;
    let (customer, stranger) = (shop.customer(0).await, shop.customer(0).await);
    let (_, file) = read(upload(&shop, &customer, PNG.to_vec()).await).await;
    let path = path_of(&shop, &file);
    let asset: AssetId = file["id"].as_str().unwrap().parse().unwrap();
    let old = "2020-01-01T00:00:00Z".parse().unwrap();
    let expired =
        LinkSigner::new(LinkMode::Signed, LINK_KEY, []).link(asset, Variant::Original, "upload.png", old);
    problem(shop.request(Method::GET, &expired).send().await.unwrap(), 403, "link-expired").await;
    let bare = path.split('?').next().unwrap();
    for changed in [
        bare.to_owned(),
        path.replace("exp=", "exp=1"),
        path.replace("sig=", "sig=00"),
        path.replace("upload.png", "thumbnail"),
    ] {
        problem(shop.request(Method::GET, &changed).send().await.unwrap(), 403, "link-invalid").await;
    }
    assert_eq!(shop.get(&customer, bare).send().await.unwrap().status(), 200);
    assert_eq!(shop.get(&customer, &expired).send().await.unwrap().status(), 200);
    assert_eq!(shop.get(&shop.operator, bare).send().await.unwrap().status(), 200);
    problem(shop.get(&stranger, bare).send().await.unwrap(), 404, "not-found").await;
    problem(shop.get(&customer, &format!("/media/{asset}/preview")).send().await.unwrap(), 404, "not-found")
        .await;
    problem(shop.get(&customer, "/media/nonsense/x").send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test]
async fn a_file_that_is_not_as_long_as_its_row_says_is_no_broken_body() {
    let shop = open().await;
    let customer = shop.customer(0).await;
    let (_, file) = read(upload(&shop, &customer, PNG.to_vec()).await).await;
    let path = path_of(&shop, &file);
    let object = format!("{}/upload/{}", customer.account, file["id"].as_str().unwrap());
    shop.app.media.put_bytes(&object, "image/png", bytes::Bytes::from_static(b"torn")).await.unwrap();
    let whole = shop.request(Method::GET, path).send().await.unwrap();
    assert_eq!(whole.headers()["content-length"], "4");
    assert_eq!(&whole.bytes().await.unwrap()[..], b"torn");
    let part = shop.request(Method::GET, path).header("Range", "bytes=2-9").send().await.unwrap();
    assert_eq!(
        (part.status().as_u16(), part.headers()["content-range"].to_str().unwrap()),
        (206, "bytes 2-3/4")
    );
    assert_eq!(&part.bytes().await.unwrap()[..], b"rn");
    let beyond = shop.request(Method::GET, path).header("Range", "bytes=9-").send().await.unwrap();
    problem(beyond, 416, "range-unsatisfiable").await;
    let etag = whole_etag(&file);
    shop.app.media.delete(&object).await.unwrap();
    let known = shop.request(Method::GET, path).header("If-None-Match", etag).send().await.unwrap();
    assert_eq!(known.status(), 304, "the storage is not asked");
    problem(shop.request(Method::GET, path).send().await.unwrap(), 404, "not-found").await;
}

/// What is announced as too long is refused before it is kept, and a form may not hide its file.
#[tokio::test]
async fn uploads_are_bounded_in_length_time_and_number() {
    let shop = open().await;
    let customer = shop.customer(0).await;
    let stored = async || {
        let listed = shop.app.media.list(Some(&customer.account.to_string()));
        futures_util::StreamExt::count(listed).await
    };
    let address = shop.url.strip_prefix("http://").unwrap();
    let head = |rest: &str| {
        let token = &customer.token;
        format!("POST /v1/uploads HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer {token}\r\n{rest}\r\n\r\n")
    };
    let open_upload = async |rest: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head(rest).as_bytes()).await.unwrap();
        stream
    };
    let mut asking = open_upload("content-length: 9999999\r\nexpect: 100-continue").await;
    assert!(answer_of(&mut asking).await.starts_with("HTTP/1.1 413 "), "before a byte is sent");
    // One boundary that never comes, and one file that never begins.
    let form = "content-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked";
    for start in ["", "--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n"] {
        let mut hiding = open_upload(form).await;
        let chunk = format!("{:x}\r\n{}\r\n", 32 * 1024, "x".repeat(32 * 1024));
        let start =
            if start.is_empty() { String::new() } else { format!("{:x}\r\n{start}\r\n", start.len()) };
        hiding.write_all(start.as_bytes()).await.unwrap();
        for _ in 0..3 {
            hiding.write_all(chunk.as_bytes()).await.unwrap();
        }
        assert!(answer_of(&mut hiding).await.starts_with("HTTP/1.1 400 "), "{start:?}");
    }
    // Two at once, and no third; whoever sends nothing has half a minute.
    let before = stored().await;
    let mut waiting = Vec::new();
    for rest in ["", "content-type: image/png\r\n", "content-type: multipart/form-data; boundary=b\r\n"] {
        let mut stream = open_upload(&format!("{rest}content-length: 100")).await;
        waiting.push(Box::pin(async move { answer_of(&mut stream).await }));
    }
    let (refused, _, waiting) = futures_util::future::select_all(waiting).await;
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("retry-after: 5"), "{refused}");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    for answer in futures_util::future::join_all(waiting).await {
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("too slow"), "{answer}");
    }
    assert_eq!(stored().await, before);
    assert_eq!(upload(&shop, &customer, PNG.to_vec()).await.status(), 201, "the places are free again");
}

/// What comes until the other side closes or breaks off.
async fn answer_of(stream: &mut TcpStream) -> String {
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let read = tokio::time::timeout(Duration::from_mins(10), stream.read(&mut piece)).await.unwrap();
        match read {
            Ok(0) | Err(_) => break,
            Ok(read) => answer.extend_from_slice(&piece[..read]),
        }
        // The whole of an answer has come when its JSON ends.
        if answer.ends_with(b"}") {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn whole_etag(file: &Value) -> String {
    format!("\"{}\"", file["sha256"].as_str().unwrap())
}

fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}
