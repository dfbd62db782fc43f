//! Tokens of the shop's own identity provider.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};
use web::{JwksSettings, Settings};

use crate::shop::{Shop, open_with, problem, read, settings};

/// A P-256 key made for this test alone (PKCS #8) and its public point.
const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg7YItIeIsFDhhly7q4o6m+K5Y7fj9BU4BlGY7tGTojhehRANCAAStcdugRhDIfv0fm84hBxRvKvL2PXSKqHcQ3WVum42kneeJSvcVqy1+OMQnXaaJIfF+IMC5yKFg5XBSMpiWhSv4";
const X: &str = "rXHboEYQyH79H5vOIQcUbyry9j10iqh3EN1lbpuNpJ0";
const Y: &str = "54lK9xWrLX44xCddpokh8X4gwLnIoWDlcFIymJaFK_g";

fn token(header: &Header, claims: &Value) -> String {
    let key = EncodingKey::from_ec_der(&BASE64_STANDARD.decode(KEY).unwrap());
    encode(header, claims, &key).unwrap()
}

fn header(kid: &str) -> Header {
    Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) }
}

/// A shop whose identity provider counts how often its keys are read.
#[expect(clippy::disallowed_methods, reason = "the provider ends with the test's runtime")]
async fn shop_with_provider() -> (Shop, Arc<AtomicUsize>) {
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = reads.clone();
    let keys = async move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Json(
            json!({ "keys": [{ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "one", "use": "sig", "x": X, "y": Y }] }),
        )
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/jwks", get(keys))).await });
    let jwks = Some(JwksSettings { url, audience: Some("shop".to_owned()) });
    (open_with(Settings { jwks, ..settings() }).await, reads)
}

#[tokio::test]
async fn a_genuine_token_opens_its_account_at_first_sight() {
    let (shop, reads) = shop_with_provider().await;
    let exp = shop.lifecycle.ids().now().as_second() + 600;
    let good = json!({ "sub": "user-9", "aud": "shop", "exp": exp });
    let ask = |token: String| shop.request(Method::GET, "/v1/balance").bearer_auth(token).send();
    let (status, balance) = read(ask(token(&header("one"), &good)).await.unwrap()).await;
    assert_eq!((status, &balance["available"]), (200, &json!(0)));
    let store = shop.lifecycle.store();
    assert!(store.find_account_by_external_id("user-9").await.unwrap().is_some());
    for (kid, claims) in [
        ("one", json!({ "sub": "user-9", "aud": "other", "exp": exp })),
        ("one", json!({ "sub": "user-9", "aud": "shop", "exp": 1_000 })),
        ("one", json!({ "sub": "user-9", "aud": "shop" })),
        ("one", json!({ "sub": "", "aud": "shop", "exp": exp })),
        ("two", good.clone()),
        ("three", good.clone()),
    ] {
        problem(ask(token(&header(kid), &claims)).await.unwrap(), 401, "unauthorized").await;
    }
    let genuine = token(&header("one"), &good);
    let forged = format!("{}A", &genuine[..genuine.len() - 1]);
    if forged != genuine {
        problem(ask(forged).await.unwrap(), 401, "unauthorized").await;
    }
    let symmetric = encode(&Header::default(), &good, &EncodingKey::from_secret(X.as_bytes())).unwrap();
    problem(ask(symmetric).await.unwrap(), 401, "unauthorized").await;
    assert_eq!(reads.load(Ordering::SeqCst), 1, "unknown keys do not make us ask again at once");
}
