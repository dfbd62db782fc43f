//! Uploads, and files by link and by token.

use domain::AssetId;
use media::{LinkMode, LinkSigner, Variant};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

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

fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}
