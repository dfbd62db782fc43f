//! The customers: they order over HTTP and repeat with the same key until they are answered, as the API's page says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::{AccountId, Role};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::orders::{CUSTOMERS, EDIT, Order, Then};
use super::stage::Stage;
use super::tally::Tally;
use crate::customer::Answer;

/// Requests that all customers together have open.
const DEVICES: usize = 48;
const PATIENCE: Duration = Duration::from_mins(4);
/// Before the same request is sent again; it doubles up to the second.
const PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(3)];
/// Minor units. The first one comes before the storm and would do for everything.
const FIRST_TOP_UP: i64 = 500_000_000;
const TOP_UP: i64 = 1_000;
const TOP_UPS: u32 = 10;
/// One red pixel.
const PICTURE: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 0x00, 0x00, 0x90, 0x77, 0x53, 0xde, 0x00,
    0x00, 0x00, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x08, 0xd7, 0x63, 0xf8, 0xcf, 0xc0, 0x00, 0x00, 0x03, 0x01,
    0x01, 0x00, 0x18, 0xdd, 0x8d, 0xb0, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60,
    0x82,
];

/// A customer.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: AccountId,
    token: String,
    /// A file of theirs, for models that want one.
    picture: String,
}

/// An order that was answered: these jobs exist.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) jobs: Vec<String>,
    pub(crate) told: bool,
}

/// Everything that the customers know when the day is over.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) placed: Vec<Placed>,
    /// Orders that were refused, with the answer.
    pub(crate) refused: Vec<(usize, Answer)>,
    /// What was paid in, by key: each once, however often it was sent.
    pub(crate) paid_in: BTreeMap<String, (AccountId, i64)>,
    /// What was refunded, by job.
    pub(crate) refunded: BTreeMap<String, i64>,
    /// What must not be.
    pub(crate) complaints: Vec<String>,
}

/// All customers and those who serve them.
pub(crate) struct People {
    stage: Arc<Stage>,
    pub(crate) persons: Vec<Person>,
    operator: String,
    payments: String,
    memory: Mutex<Memory>,
    devices: Semaphore,
}

impl People {
    /// Everybody with an account, some money and a file, before anything breaks.
    pub(crate) async fn gather(stage: Arc<Stage>) -> Self {
        let operator = Self::holder(&stage, Role::Operator).await.1;
        let payments = Self::holder(&stage, Role::Payments).await.1;
        let mut people = Self {
            stage: stage.clone(),
            persons: Vec::new(),
            operator,
            payments,
            memory: Mutex::default(),
            devices: Semaphore::new(DEVICES),
        };
        for _ in 0..CUSTOMERS {
            let (id, token) = Self::holder(&stage, Role::Customer).await;
            people.top_up(id, "first", FIRST_TOP_UP).await;
            let upload = || {
                let request = stage.http.post(stage.front("/v1/uploads")).bearer_auth(&token);
                request.header("content-type", "image/png").body(PICTURE)
            };
            let answer = people.insist("upload", upload).await.expect(201);
            let picture = answer["url"].as_str().unwrap().to_owned();
            people.persons.push(Person { id, token, picture });
        }
        people
    }

    async fn holder(stage: &Stage, role: Role) -> (AccountId, String) {
        let (store, ids) = (&*stage.store, &stage.ids);
        let added = operations::add_account(store, ids, None, None, None, false).await.unwrap();
        let id: AccountId = added.id.parse().unwrap();
        (id, operations::add_token(store, ids, id, role).await.unwrap().token)
    }

    /// Lives through all orders; returns when every customer has an answer to everything.
    pub(crate) async fn live(self: &Arc<Self>, orders: Vec<Order>, storm: Duration) {
        let begun = Instant::now();
        let mut all = JoinSet::new();
        for (number, order) in orders.into_iter().enumerate() {
            let people = self.clone();
            all.spawn(async move {
                tokio::time::sleep_until((begun + order.at).into()).await;
                people.order(number, &order).await;
            });
        }
        for (index, person) in self.persons.iter().enumerate() {
            for turn in 0..TOP_UPS {
                let (people, id) = (self.clone(), person.id);
                let at = storm.mul_f64((f64::from(turn) + 0.5) / f64::from(TOP_UPS));
                let late = Duration::from_millis(u64::try_from(index).unwrap() * 37);
                all.spawn(async move {
                    tokio::time::sleep_until((begun + at + late).into()).await;
                    let key = format!("turn-{turn}");
                    let pay = || people.top_up(id, &key, TOP_UP);
                    tokio::join!(pay(), pay());
                });
            }
        }
        while let Some(ended) = all.join_next().await {
            ended.unwrap();
        }
    }

    /// What they know.
    pub(crate) fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    /// The customer of this job presses "check now".
    pub(crate) async fn sync(&self, account: AccountId, job: &str) {
        if let Some(person) = self.persons.iter().find(|person| person.id == account) {
            drop(self.act(person, job, "sync").await);
        }
    }

    /// The customer of this draft does not want it any more.
    pub(crate) async fn cancel(&self, account: AccountId, job: &str) {
        if let Some(person) = self.persons.iter().find(|person| person.id == account) {
            drop(self.act(person, job, "cancel").await);
        }
    }

    async fn order(&self, number: usize, order: &Order) {
        let person = &self.persons[order.customer];
        let body = self.body(person, order);
        let key = format!("order-{number}");
        let send = || async {
            let request = || {
                self.request(&person.token, Method::POST, "/v1/jobs")
                    .header("idempotency-key", &key)
                    .json(&body)
            };
            self.insist("order", request).await
        };
        let answer = if order.twice {
            let (one, other) = tokio::join!(send(), send());
            if ids(&one.body) != ids(&other.body) {
                let words = format!("one key made two orders: {} and {}", one.body, other.body);
                self.memory().complaints.push(words);
            }
            one
        } else {
            send().await
        };
        if !matches!(answer.status, 200 | 201) {
            self.memory().refused.push((number, answer));
            return;
        }
        let jobs = ids(&answer.body);
        if jobs.len() != order.jobs as usize {
            self.memory().complaints.push(format!("{} jobs were ordered: {}", order.jobs, answer.body));
        }
        self.memory().placed.push(Placed { jobs: jobs.clone(), told: order.told });
        for job in &jobs {
            self.go_on(person, number, order, job).await;
        }
    }

    async fn go_on(&self, person: &Person, number: usize, order: &Order, job: &str) {
        if order.body["draft"] == true {
            drop(self.act(person, job, if number.is_multiple_of(4) { "cancel" } else { "confirm" }).await);
        }
        match order.then {
            Then::Rest => {}
            Then::Cancel(after) => {
                tokio::time::sleep(after).await;
                drop(self.act(person, job, "cancel").await);
            }
            Then::Sync(after) => {
                tokio::time::sleep(after).await;
                drop(self.act(person, job, "sync").await);
            }
            Then::Redeliver => {
                if self.is_final(person, job).await {
                    drop(self.act(person, job, "redeliver").await);
                }
            }
            Then::Refund => {
                if self.is_final(person, job).await {
                    self.refund(person, job).await;
                }
            }
        }
    }

    /// Waits for the job's end for a while; in a storm it may take longer.
    async fn is_final(&self, person: &Person, job: &str) -> bool {
        for _ in 0..20 {
            let body = self.read(person, job).await;
            if matches!(body["state"].as_str(), Some("done" | "failed" | "canceled")) {
                return true;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        false
    }

    async fn refund(&self, person: &Person, job: &str) {
        let captured = self.read(person, job).await["money"]["captured"].as_i64().unwrap_or_default();
        if captured < 2 {
            return;
        }
        let (path, key) = (format!("/v1/jobs/{job}/refund"), format!("refund-{job}"));
        let body = json!({ "amount": captured / 2, "reason": "half of it" });
        let send = || async {
            let request = || {
                self.request(&self.operator, Method::POST, &path).header("idempotency-key", &key).json(&body)
            };
            self.insist("refund", request).await
        };
        let (one, other) = tokio::join!(send(), send());
        if [one.status, other.status].iter().any(|status| matches!(status, 200 | 201)) {
            self.memory().refunded.insert(job.to_owned(), captured / 2);
        } else {
            self.memory().complaints.push(format!("a refund of {job} was refused: {}", one.body));
        }
    }

    async fn top_up(&self, account: AccountId, key: &str, amount: i64) {
        let key = format!("{account}-{key}");
        let body = json!({ "amount": amount, "currency": "RUB", "reason": "card" });
        let path = format!("/v1/accounts/{account}/topups");
        let request =
            || self.request(&self.payments, Method::POST, &path).header("idempotency-key", &key).json(&body);
        let answer = self.insist("top-up", request).await;
        let mut memory = self.memory();
        match answer.status {
            200 | 201 => drop(memory.paid_in.insert(key, (account, amount))),
            _ => memory.complaints.push(format!("a top-up was refused: {}", answer.body)),
        }
    }

    async fn act(&self, person: &Person, job: &str, act: &str) -> Answer {
        let path = format!("/v1/jobs/{job}/{act}");
        self.insist(act, || self.request(&person.token, Method::POST, &path)).await
    }

    async fn read(&self, person: &Person, job: &str) -> Value {
        let path = format!("/v1/jobs/{job}");
        let answer = self.insist("read", || self.request(&person.token, Method::GET, &path)).await;
        if answer.status != 200 {
            let words = format!("an acknowledged job cannot be read: {job}: {}", answer.body);
            self.memory().complaints.push(words);
        }
        answer.body
    }

    fn body(&self, person: &Person, order: &Order) -> Value {
        let mut body = order.body.clone();
        if body["model"] == EDIT {
            body["input"]["image_urls"] = json!([person.picture]);
        }
        if order.told {
            let hook = self.stage.hook(&format!("/hook/{}", person.id));
            body["deliver"] = json!([{ "channel": "webhook", "url": hook }]);
        }
        body
    }

    fn request(&self, token: &str, method: Method, path: &str) -> RequestBuilder {
        self.stage.http.request(method, self.stage.front(path)).bearer_auth(token)
    }

    /// Sends the same request until it is answered with anything but "for now not".
    async fn insist(&self, what: &str, request: impl Fn() -> RequestBuilder) -> Answer {
        let (begun, mut pause) = (Instant::now(), PAUSES[0]);
        loop {
            let answer = {
                let _device = self.devices.acquire().await.unwrap();
                once(request()).await
            };
            let word = answer.as_ref().map_or_else(|| "none".to_owned(), |answer| answer.status.to_string());
            self.stage.tally.count(Tally::ANSWERS, &format!("{what} {word}"));
            match answer {
                Some(answer) if answer.status < 500 && answer.status != 429 => return answer,
                other if begun.elapsed() > PATIENCE => {
                    let answer = other.unwrap_or(Answer { status: 0, replayed: false, body: Value::Null });
                    let words =
                        format!("{what} had no answer for {PATIENCE:?}: {} {}", answer.status, answer.body);
                    self.memory().complaints.push(words);
                    return answer;
                }
                _ => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(PAUSES[1]);
        }
    }
}

async fn once(request: RequestBuilder) -> Option<Answer> {
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    let replayed = answer.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
    let bytes = answer.bytes().await.ok()?;
    Some(Answer { status, replayed, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
}

/// The jobs of an order's answer.
fn ids(body: &Value) -> Vec<String> {
    let id = |job: &Value| job["id"].as_str().map(str::to_owned);
    match body["items"].as_array() {
        Some(items) => items.iter().filter_map(id).collect(),
        None => id(body).into_iter().collect(),
    }
}
