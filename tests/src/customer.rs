//! A customer (or any other holder of a token) over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use domain::AccountId;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::wait::until;

/// Somebody with a token. Cloning makes another device of the same person.
#[derive(Debug, Clone)]
pub struct Customer {
    /// The account.
    pub id: AccountId,
    /// The bearer token.
    pub token: String,
    /// Where this customer's webhooks go.
    pub hook: String,
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
    pub(crate) keys: Arc<AtomicU32>,
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Whether it says that it repeats an earlier answer.
    pub replayed: bool,
    /// The body; null if it is not JSON.
    pub body: Value,
}

impl Answer {
    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

/// A job as its owner sees it.
#[derive(Debug, Clone)]
pub struct Job(
    /// Its JSON.
    pub Value,
);

impl Job {
    /// Its id.
    pub fn id(&self) -> &str {
        self.0["id"].as_str().unwrap_or_default()
    }

    /// Where it stands inside.
    pub fn state(&self) -> &str {
        self.0["state"].as_str().unwrap_or_default()
    }

    /// The customer's word.
    pub fn status(&self) -> &str {
        self.0["status"].as_str().unwrap_or_default()
    }

    /// Why it failed.
    pub fn cause(&self) -> &str {
        self.0["failure"]["cause"].as_str().unwrap_or_default()
    }

    /// Price, held, captured, released, refunded; minor units.
    pub fn money(&self) -> [i64; 5] {
        ["price", "held", "captured", "released", "refunded"]
            .map(|name| self.0["money"][name].as_i64().unwrap_or(i64::MIN))
    }

    /// Its outputs.
    pub fn outputs(&self) -> &[Value] {
        self.0["outputs"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// Its deliveries.
    pub fn deliveries(&self) -> &[Value] {
        self.0["deliveries"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether money is decided.
    pub fn is_final(&self) -> bool {
        matches!(self.state(), "done" | "failed" | "canceled")
    }
}

impl Customer {
    /// A key that was not used before.
    pub fn fresh_key(&self) -> String {
        format!("key-{}-{}", self.id, self.keys.fetch_add(1, Ordering::Relaxed))
    }

    /// An order with a webhook to this customer's hook, as a body.
    pub fn order_body(&self, model: &str, input: &Value) -> Value {
        json!({ "model": model, "input": input, "deliver": [{ "channel": "webhook", "url": self.hook }] })
    }

    /// Places an order that must be taken.
    pub async fn order(&self, model: &str, input: Value) -> Job {
        let body = self.order_body(model, &input);
        Job(self.post("/v1/jobs", Some(&self.fresh_key()), &body).await.expect(201))
    }

    /// Places an order and waits for its end.
    pub async fn order_and_wait(&self, model: &str, input: Value) -> Job {
        let job = self.order(model, input).await;
        self.until_final(job.id()).await
    }

    /// The job now.
    pub async fn job(&self, id: &str) -> Job {
        Job(self.get(&format!("/v1/jobs/{id}")).await.expect(200))
    }

    /// The job once `holds` holds.
    pub async fn until_job(&self, id: &str, what: &str, holds: impl Fn(&Job) -> bool) -> Job {
        until(&format!("the job {id} {what}"), async || {
            let job = self.job(id).await;
            holds(&job).then_some(job)
        })
        .await
    }

    /// The job once it is in this state.
    pub async fn until_state(&self, id: &str, state: &str) -> Job {
        self.until_job(id, &format!("is {state}"), |job| job.state() == state).await
    }

    /// The job once it ended.
    pub async fn until_final(&self, id: &str) -> Job {
        self.until_job(id, "is final", Job::is_final).await
    }

    /// The job once none of its deliveries is pending.
    pub async fn until_told(&self, id: &str) -> Job {
        let is_told = |job: &Job| {
            job.is_final() && job.deliveries().iter().all(|delivery| delivery["state"] != "pending")
        };
        self.until_job(id, "is told of", is_told).await
    }

    /// Available and held, minor units.
    pub async fn balance(&self) -> (i64, i64) {
        let balance = self.get("/v1/balance").await.expect(200);
        (balance["available"].as_i64().unwrap(), balance["held"].as_i64().unwrap())
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// Writes, with an `Idempotency-Key` if one is given.
    pub async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> Answer {
        let request = self.request(Method::POST, path).json(body);
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        self.send(request).await
    }

    /// Acts without a body.
    pub async fn act(&self, path: &str) -> Answer {
        self.send(self.request(Method::POST, path)).await
    }

    /// The bytes behind a link of ours, with the link's own authority alone.
    pub async fn download(&self, url: &str) -> (StatusCode, Vec<u8>) {
        let answer = self.http.get(url).send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap().to_vec())
    }

    /// A request with this customer's token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    /// Sends it; an instance that does not answer fails the story.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.expect("the shop answers")
    }

    /// Sends it to an instance that may be dying.
    pub async fn try_send(&self, request: RequestBuilder) -> reqwest::Result<Answer> {
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let replayed = answer.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
        let bytes = answer.bytes().await?;
        Ok(Answer { status, replayed, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
    }
}
