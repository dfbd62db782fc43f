//! Rates, origins, and settings that cannot be served.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use web::{Settings, SettingsError};

use crate::shop::{open, open_with, problem, settings};

#[tokio::test]
async fn a_token_that_asks_too_often_is_told_to_wait() {
    let shop = open_with(Settings { rate_limit: Some(5), ..settings() }).await;
    let customer = shop.customer(0).await;
    let mut refused = None;
    for _ in 0..50 {
        let answer = shop.get(&customer, "/v1/balance").send().await.unwrap();
        if answer.status() == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("fifty requests are too many for five a second");
    assert_eq!(refused.headers()["retry-after"], "1");
    problem(refused, 429, "rate-limited").await;
}

#[tokio::test]
async fn only_named_origins_may_call_from_a_browser() {
    let shop =
        open_with(Settings { allowed_origins: vec!["https://shop.example".to_owned()], ..settings() }).await;
    let ask = async |origin: &str| {
        let request = shop.request(Method::OPTIONS, "/v1/jobs").header("Origin", origin);
        let request = request.header("Access-Control-Request-Method", "POST");
        let request = request.header("Access-Control-Request-Headers", "authorization,idempotency-key");
        request.send().await.unwrap().headers().get("access-control-allow-origin").cloned()
    };
    assert_eq!(ask("https://shop.example").await.unwrap(), "https://shop.example");
    assert_eq!(ask("https://evil.example").await, None);
}

#[tokio::test]
async fn settings_that_cannot_be_served_are_named() {
    let app = open().await.app;
    let with = |change: fn(&mut Settings)| {
        let mut app = app.clone();
        change(&mut app.settings);
        web::router(app).map(drop).unwrap_err()
    };
    assert!(matches!(with(|s| s.trusted_proxies.push("x".into())), SettingsError::Proxy(_)));
    for path in ["callback", "/v1/jobs", "/media", "/a/{b}", "/", "/a b"] {
        let mut app = app.clone();
        app.settings.legacy_callbacks = vec![path.to_owned()];
        assert!(matches!(web::router(app).map(drop), Err(SettingsError::LegacyCallback(_))), "{path}");
    }
    assert!(matches!(
        with(|s| s.legacy_callbacks.push("/api/old/callback".into())),
        SettingsError::LegacyCallback(_)
    ));
    assert!(matches!(with(|s| s.allowed_origins.push("shop.example".into())), SettingsError::Origin(_)));
    assert!(matches!(
        with(|s| s.allowed_origins.push("https://a.example/".into())),
        SettingsError::Origin(_)
    ));
    assert!(matches!(with(|s| s.default_language = "de".into()), SettingsError::Language(_)));
}

#[tokio::test]
async fn request_ids_are_taken_or_made() {
    let shop = open().await;
    let ask = async |id: &str| {
        let answer = shop.request(Method::GET, "/healthz").header("X-Request-Id", id).send().await.unwrap();
        answer.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(ask("abc-1.2_3").await, "abc-1.2_3");
    assert_eq!(ask("a b").await.len(), 32);
}

#[tokio::test]
async fn a_callbacks_router_serves_hints_and_health_alone() {
    let shop = open().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = web::callbacks_router(shop.app.clone()).unwrap();
    let metrics = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let metrics_url = format!("http://{}/metrics", metrics.local_addr().unwrap());
    let numbers = web::metrics_router(shop.app.clone()).unwrap();
    let ending = shop.stop.clone();
    let asking = async {
        let status = async |path: &str| reqwest::get(format!("{url}{path}")).await.unwrap().status().as_u16();
        assert_eq!(status("/healthz").await, 200);
        assert_eq!(status("/readyz").await, 200);
        assert_eq!(status("/callbacks/kie/x").await, 405);
        assert_eq!(status("/v1/jobs").await, 404);
        assert_eq!(status("/library").await, 404);
        let text = reqwest::get(&metrics_url).await.unwrap().text().await.unwrap();
        assert!(
            text.contains(
                "kie_http_request_duration_seconds_count{method=\"GET\",route=\"/healthz\",status=\"200\"}"
            ),
            "{text}"
        );
        assert!(text.contains("# TYPE kie_jobs gauge"));
        ending.cancel();
    };
    tokio::join!(
        web::serve(listener, router, ending.clone()),
        web::serve(metrics, numbers, ending.clone()),
        asking
    );
}

/// The clock stands still while anybody works, so the 75 s pass at once.
#[tokio::test(start_paused = true)]
async fn whoever_does_not_finish_the_head_of_a_request_is_disconnected() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = web::serve(listener, Router::new().route("/", get(async || "well")), stop.clone());
    let asking = async {
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nhost: shop\r\n").await.unwrap();
        let begun = tokio::time::Instant::now();
        let mut answer = Vec::new();
        slow.read_to_end(&mut answer).await.unwrap();
        assert!(!String::from_utf8_lossy(&answer).contains("200"));
        let waited = begun.elapsed();
        assert!((70..80).contains(&waited.as_secs()), "{waited:?}");
        // Whoever finishes it in that time is answered, and may go on.
        let mut whole = TcpStream::connect(address).await.unwrap();
        whole.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_mins(1)).await;
        whole.write_all(b"host: shop\r\nconnection: close\r\n\r\n").await.unwrap();
        answer.clear();
        whole.read_to_end(&mut answer).await.unwrap();
        assert!(String::from_utf8_lossy(&answer).ends_with("well"));
        stop.cancel();
    };
    tokio::join!(serving, asking);
}

/// An endless answer; the channel closes when the server has let go of it.
fn endless() -> (Router, tokio::sync::mpsc::Receiver<()>) {
    let (kept, gone) = tokio::sync::mpsc::channel::<()>(1);
    let kept = Arc::new(Mutex::new(Some(kept)));
    let answer = move || {
        let kept = kept.lock().unwrap().take();
        let pieces = futures_util::stream::repeat_with(move || {
            let _held = &kept;
            Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[7; 16 * 1024]))
        });
        std::future::ready(axum::body::Body::from_stream(pieces))
    };
    (Router::new().route("/", get(answer)), gone)
}

/// Moves the clock of time limits, and nothing else: bytes under way need real time.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn whoever_stops_reading_its_answer_is_disconnected() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let (router, mut gone) = endless();
    let serving = web::serve(listener, router, stop.clone());
    let asking = async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        let mut reader = socket.connect(address).await.unwrap();
        reader.write_all(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n").await.unwrap();
        // More than the buffers on the way hold, so that the server has written something since the pause.
        let mut piece = vec![0; 16 * 1024 * 1024];
        // Slow is not gone: whatever is taken begins the minute anew.
        for _ in 0..3 {
            reader.read_exact(&mut piece).await.unwrap();
            pass(40).await;
        }
        reader.read_exact(&mut piece).await.unwrap();
        let stopped = tokio::time::Instant::now();
        while tokio::time::timeout(Duration::from_millis(20), gone.recv()).await.is_err() {
            assert!(stopped.elapsed().as_secs() < 100, "the answer is kept for ever");
            pass(10).await;
        }
        assert!(stopped.elapsed().as_secs() >= 50, "{:?}", stopped.elapsed());
        stop.cancel();
    };
    tokio::join!(serving, asking);
}
