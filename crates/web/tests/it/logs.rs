//! What is written to the log, and what never is.

use std::io::Write;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::json;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::fmt::MakeWriter;

use crate::shop::{SECRET, open, read};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// On one thread, so that a subscriber of this thread sees the server's lines, too.
#[test]
fn one_line_per_request_and_no_secret_in_any() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(captured.clone())
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .finish();
    // While there is but one, the thread that comes to a line first decides for all threads whether it is written.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _kept = tracing::subscriber::set_default(subscriber);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let secrets = runtime.block_on(provoke().with_current_subscriber());
    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    for secret in secrets {
        assert!(!text.contains(&secret), "the log has {secret}");
    }
    let line = text.lines().find(|line| line.contains("http.request") && line.contains("canary-request"));
    let line = line.expect("the order's line");
    for part in ["method=POST", "route=\"/v1/jobs\"", "status=201", "ms=", "account="] {
        assert!(line.contains(part), "{line}");
    }
    assert!(
        text.lines().any(|line| line.contains("job.created") && line.contains("canary-request")),
        "{text}"
    );
    assert!(text.contains("route=\"/callbacks/kie/{token}\""));
    assert!(text.contains("route=\"/media/{asset}/{name}\""));
}

/// Everything that could put a secret into a line; gives the secrets.
async fn provoke() -> Vec<String> {
    let shop = open().await;
    let customer = shop.customer(1000).await;
    let body = json!({ "model": "z-image", "input": { "prompt": "canary-prompt", "aspect_ratio": "1:1" } });
    let order = |body: &serde_json::Value, key: &str| {
        shop.post(&customer, "/v1/jobs", body)
            .header("Idempotency-Key", key)
            .header("X-Request-Id", "canary-request")
            .send()
    };
    let (status, job) = read(order(&body, "k1").await.unwrap()).await;
    assert_eq!(status, 201, "{job}");
    let mut bad = body.clone();
    bad["input"]["prompt"] = json!({ "canary-prompt": 1 });
    assert_eq!(order(&bad, "k2").await.unwrap().status(), 422);
    let id = job["id"].as_str().unwrap().parse().unwrap();
    let callback = shop.lifecycle.keys().callback_token(id, 1);
    let callback_path = format!("/callbacks/kie/{callback}?canary-query=1");
    assert_eq!(
        shop.request(Method::POST, &callback_path).body("canary-body").send().await.unwrap().status(),
        200
    );
    let media = "/media/0190f3a0-0000-7000-8000-000000000001/a.png?exp=1&sig=canary-signature";
    assert_eq!(shop.request(Method::GET, media).send().await.unwrap().status(), 403);
    let unknown = shop.request(Method::GET, "/v1/jobs").bearer_auth("kie_canary-token").send().await.unwrap();
    assert_eq!(unknown.status(), 401);
    assert_eq!(shop.request(Method::GET, "/canary-path").send().await.unwrap().status(), 404);
    let words = [
        "canary-prompt",
        "canary-query",
        "canary-body",
        "canary-signature",
        "canary-token",
        "canary-path",
        SECRET,
    ];
    let mut secrets: Vec<String> = words.map(str::to_owned).to_vec();
    secrets.extend([
        customer.token.clone(),
        shop.operator.token.clone(),
        callback,
        shop.sim.api_key().to_owned(),
    ]);
    secrets
}
