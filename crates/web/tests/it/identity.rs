//! Tokens of the shop's own identity provider.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
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

/// Another such key, to which the provider changes.
const NEXT_KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgBWZjFgT7H2R3UBs1GTd/GKxfqMn3eTpL9QqP2ljZb22hRANCAARazzDBdydawOOXq1nAPTGLKsDVPwFW4JIrM9VXADwB8ZE0uQjutKdWDjWSZyWPIXQaLEF17cPjFzGKO8pESQ01";
const NEXT_X: &str = "Ws8wwXcnWsDjl6tZwD0xiyrA1T8BVuCSKzPVVwA8AfE";
const NEXT_Y: &str = "kTS5CO60p1YONZJnJY8hdBosQXXtw-MXMYo7ykRJDTU";

fn signed(key: &str, header: &Header, claims: &Value) -> String {
    encode(header, claims, &EncodingKey::from_ec_der(&BASE64_STANDARD.decode(key).unwrap())).unwrap()
}

fn token(header: &Header, claims: &Value) -> String {
    signed(KEY, header, claims)
}

fn header(kid: &str) -> Header {
    Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) }
}

fn public(kid: &str, x: &str, y: &str) -> Value {
    json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": kid, "use": "sig", "x": x, "y": y })
}

/// An identity provider that counts how often its keys are read; without any it fails.
#[derive(Clone, Default)]
struct Provider {
    reads: Arc<AtomicUsize>,
    keys: Arc<Mutex<Vec<Value>>>,
}

impl Provider {
    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    fn has(&self, keys: Vec<Value>) {
        *self.keys.lock().unwrap() = keys;
    }

    fn answer(&self) -> Response {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let keys = self.keys.lock().unwrap().clone();
        if keys.is_empty() {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        Json(json!({ "keys": keys })).into_response()
    }
}

#[expect(clippy::disallowed_methods, reason = "the provider ends with the test's runtime")]
async fn shop_with_provider() -> (Shop, Provider) {
    let provider = Provider::default();
    provider.has(vec![public("one", X, Y)]);
    let answering = provider.clone();
    let keys = async move || answering.answer();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/jwks", get(keys))).await });
    let jwks = Some(JwksSettings { url, audience: Some("shop".to_owned()) });
    (open_with(Settings { jwks, ..settings() }).await, provider)
}

#[tokio::test]
async fn a_genuine_token_opens_its_account_at_first_sight() {
    let (shop, provider) = shop_with_provider().await;
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
    assert_eq!(provider.reads(), 1, "unknown keys do not make us ask again at once");
}

/// Moves the clock of time limits; nothing may be under way.
async fn pass(minutes: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(minutes)).await;
    tokio::time::resume();
}

/// The status for a new token each time: one that was let in is remembered for a moment.
async fn status(shop: &Shop, key: &str, header: &Header, n: i64) -> u16 {
    let exp = shop.lifecycle.ids().now().as_second() + 100_000 + n;
    let token = signed(key, header, &json!({ "sub": "user-9", "aud": "shop", "exp": exp }));
    shop.request(Method::GET, "/v1/balance").bearer_auth(token).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn keys_that_were_replaced_are_learnt_and_forgotten() {
    let (shop, provider) = shop_with_provider().await;
    let nameless = Header::new(Algorithm::ES256);
    assert_eq!(status(&shop, KEY, &nameless, 0).await, 200);
    provider.has(vec![public("two", NEXT_X, NEXT_Y)]);
    assert_eq!(status(&shop, NEXT_KEY, &nameless, 1).await, 401, "the set was read a moment ago");
    pass(2).await;
    assert_eq!(status(&shop, NEXT_KEY, &nameless, 2).await, 200, "a signature of no known key asks again");
    assert_eq!(provider.reads(), 2);
    assert_eq!(status(&shop, KEY, &nameless, 3).await, 401, "the old key is gone");
    // A withdrawn key that is known by name is forgotten, too, though no unknown key comes.
    provider.has(vec![public("one", X, Y)]);
    pass(11).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let mut n = 4;
    while status(&shop, NEXT_KEY, &header("two"), n).await != 401 {
        assert!(tokio::time::Instant::now() < deadline, "the withdrawn key still works");
        n += 1;
    }
    assert_eq!(provider.reads(), 3);
}

#[tokio::test]
async fn a_provider_that_is_away_is_no_fault_of_the_token() {
    let (shop, provider) = shop_with_provider().await;
    let one = header("one");
    provider.has(Vec::new());
    assert_eq!(status(&shop, KEY, &one, 0).await, 503, "nobody knows whether the token is genuine");
    provider.has(vec![public("one", X, Y)]);
    assert_eq!(status(&shop, KEY, &one, 1).await, 503, "it was asked a moment ago");
    pass(1).await;
    assert_eq!(status(&shop, KEY, &one, 2).await, 200);
    provider.has(Vec::new());
    pass(50).await;
    assert_eq!(status(&shop, KEY, &one, 3).await, 200, "old keys go on being used");
    pass(15).await;
    assert_eq!(status(&shop, KEY, &one, 4).await, 503, "but not for ever");
}
