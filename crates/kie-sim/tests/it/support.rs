//! A simulator with a caller, and a receiver of callbacks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use kie_sim::{Durations, Sim, SimConfig};
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

pub(crate) const KEY: &str = "test-key";
pub(crate) const HMAC_KEY: &str = "whk_test";
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn quick() -> SimConfig {
    let short = Duration::from_millis(60);
    SimConfig {
        api_key: KEY.to_owned(),
        hmac_key: Some(HMAC_KEY.to_owned()),
        duration: Durations { image: short, video: short, audio: short, text: short },
        creates_per_10s: 0,
        reads_per_second: 0,
        models_per_second: 0,
        callback_retry: vec![Duration::from_millis(20); 3],
        callback_timeout: Duration::from_secs(5),
        seed: 7,
        ..SimConfig::default()
    }
}

pub(crate) struct Bench {
    pub(crate) sim: Sim,
    pub(crate) http: reqwest::Client,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(quick()).await
    }

    pub(crate) async fn with(config: SimConfig) -> Self {
        let sim = Sim::start(config).await.unwrap();
        let http =
            reqwest::Client::builder().no_proxy().user_agent("test").timeout(PATIENCE).build().unwrap();
        Self { sim, http }
    }

    pub(crate) fn at(&self, path: &str) -> String {
        self.sim.url().join(path).unwrap().to_string()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.http.post(self.at(path)).bearer_auth(KEY).json(body)
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(self.at(path)).bearer_auth(KEY)
    }

    /// The envelope of an answer that must be HTTP 200.
    pub(crate) async fn envelope(request: reqwest::RequestBuilder) -> Value {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    pub(crate) async fn order(&self, body: &Value) -> Value {
        Self::envelope(self.post("api/v1/jobs/createTask", body)).await
    }

    /// Orders a picture and gives the answer of createTask.
    pub(crate) async fn picture(&self, prompt: &str) -> Value {
        self.order(&image(prompt, None)).await
    }

    /// Orders a picture that must be accepted, and gives its id.
    pub(crate) async fn accepted(&self, prompt: &str, callback: Option<&str>) -> String {
        let answer = self.order(&image(prompt, callback)).await;
        assert_eq!(answer["code"], 200, "{answer}");
        answer["data"]["taskId"].as_str().unwrap().to_owned()
    }

    pub(crate) fn read(&self, id: &str) -> reqwest::RequestBuilder {
        self.get(&format!("api/v1/jobs/recordInfo?taskId={id}"))
    }

    pub(crate) async fn record(&self, id: &str) -> Value {
        Self::envelope(self.read(id)).await
    }

    /// Reads until the state is final, and gives the data.
    pub(crate) async fn finished(&self, id: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let record = self.record(id).await;
            assert_eq!(record["code"], 200, "{record}");
            if matches!(record["data"]["state"].as_str(), Some("success" | "fail")) {
                return record["data"].clone();
            }
            assert!(Instant::now() < deadline, "still {record}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks again until the HTTP status is this.
    pub(crate) async fn until_status(&self, url: &str, status: u16) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let got = self.http.get(url).send().await.unwrap().status().as_u16();
            if got == status {
                return;
            }
            assert!(Instant::now() < deadline, "still {got}: {url}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks again until the code of the envelope is, or is not, this one.
    pub(crate) async fn until_code(&self, path: &str, code: i64, wanted: bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let body = Self::envelope(self.get(path)).await;
            if (body["code"] == code) == wanted {
                return body;
            }
            assert!(Instant::now() < deadline, "still {body}: {path}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Orders a picture, waits for its end and gives its URLs.
    pub(crate) async fn urls(&self, prompt: &str) -> Vec<String> {
        let id = self.accepted(prompt, None).await;
        result_urls(&self.finished(&id).await)
    }

    pub(crate) async fn until(&self, what: &str, done: impl Fn(&Sim) -> bool) {
        until(what, || done(&self.sim)).await;
    }
}

pub(crate) async fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn image(prompt: &str, callback: Option<&str>) -> Value {
    let mut body = json!({"model": "z-image", "input": {"prompt": prompt, "aspect_ratio": "1:1"}});
    if let Some(callback) = callback {
        body["callBackUrl"] = json!(callback);
    }
    body
}

pub(crate) fn result_urls(data: &Value) -> Vec<String> {
    let result: Value = serde_json::from_str(data["resultJson"].as_str().unwrap()).unwrap();
    result["resultUrls"].as_array().unwrap().iter().map(|url| url.as_str().unwrap().to_owned()).collect()
}

/// A callback as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) at: Instant,
}

impl Arrived {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Receives callbacks and answers with the given statuses in turn, then with 200.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    answers: Arc<Mutex<Vec<u16>>>,
}

impl Receiver {
    pub(crate) async fn start(answers: &[u16]) -> Self {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}/cb?token=k1", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(answers.iter().rev().copied().collect()));
        let receiver = Self { url, arrived: Arc::default(), answers };
        let app = Router::new().route("/cb", post(receive)).with_state(receiver.clone());
        TaskTracker::new().spawn(async move { axum::serve(listener, app).await.unwrap() });
        receiver
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Arrived> {
        until(&format!("{count} callbacks"), || self.arrived().len() >= count).await;
        self.arrived()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let body = String::from_utf8_lossy(&body).into_owned();
    receiver.arrived.lock().unwrap().push(Arrived { headers, body, at: Instant::now() });
    let status = receiver.answers.lock().unwrap().pop().unwrap_or(200);
    StatusCode::from_u16(status).unwrap()
}
