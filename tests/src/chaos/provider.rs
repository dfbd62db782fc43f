//! The simulated provider as those see it who look at its books.

use std::net::SocketAddr;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Its administration, past the line.
pub(crate) struct Provider {
    base: String,
    http: reqwest::Client,
}

/// A task in its books.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) callback_url: Option<String>,
    pub(crate) completed_ms: Option<u64>,
    pub(crate) told: bool,
}

/// A callback that it sent.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sent {
    pub(crate) task_id: String,
    pub(crate) url: String,
    pub(crate) status: Option<u16>,
    pub(crate) body: String,
}

impl Provider {
    pub(crate) fn new(address: SocketAddr, http: reqwest::Client) -> Self {
        Self { base: format!("http://{address}/sim"), http }
    }

    /// From now on this happens on every occasion with a chance of so many per cent.
    pub(crate) async fn begin(&self, fault: &str, percent: u32, seed: u64) {
        let script = json!({ "fault": fault, "probability": f64::from(percent) / 100.0, "seed": seed });
        let url = format!("{}/script", self.base);
        let answer = self.http.post(url).json(&script).send().await.expect("the simulator answers");
        assert!(answer.status().is_success(), "{script} is refused");
    }

    /// Ends all of that.
    pub(crate) async fn calm(&self) {
        let answer = self.http.delete(format!("{}/script", self.base)).send().await;
        answer.expect("the simulator answers");
    }

    pub(crate) async fn tasks(&self) -> Vec<Task> {
        self.list("tasks").await
    }

    pub(crate) async fn callbacks(&self) -> Vec<Sent> {
        self.list("callbacks").await
    }

    async fn list<T: DeserializeOwned>(&self, what: &str) -> Vec<T> {
        let url = format!("{}/{what}?limit=1000000", self.base);
        let answer = self.http.get(url).send().await.expect("the simulator answers");
        let mut body: Value = answer.json().await.expect("its answer is JSON");
        serde_json::from_value(body[what].take()).expect("its answer is a list")
    }
}
