//! A whole shop in one process: the router on a free port, with everything behind it.

use std::sync::Arc;
use std::time::Duration;

use delivery::Guard;
use domain::{AccountId, Chance, Clock, Role, Timestamp, TokenId};
use kie_catalogue::Catalogue;
use kie_client::{Client, RetryPolicy};
use kie_sim::{Durations, Sim, SimConfig};
use ledger::Ids;
use lifecycle::{
    GiveUp, KieProvider, Lifecycle, MediaVault, Offers, Policy, Ports, PriceList, Pricing, SecretKeys,
    UnclearPolicy, Worker, WorkerOptions,
};
use media::{FetchLimits, Fetcher, LinkMode, LinkSigner, MediaStore, ThumbnailLimits, Thumbnailer};
use rand::Rng;
use reqwest::{Method, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use store::{NewAccount, NewToken, Store};
use store_sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use web::{App, Settings};

pub(crate) const SECRET: &str = "canary-secret-7f3a9c1e5b8d2046f1e3c5a7";
pub(crate) const LINK_KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "these tests run in real time")]
    fn now(&self) -> Timestamp {
        domain::to_micros(Timestamp::now())
    }
}

struct RealChance;

impl Chance for RealChance {
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

/// A customer with a token.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) account: AccountId,
    pub(crate) token: String,
}

pub(crate) struct Shop {
    pub(crate) url: String,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) app: App,
    pub(crate) operator: Person,
    pub(crate) sim: Sim,
    pub(crate) stop: CancellationToken,
    client: reqwest::Client,
    _stop: DropGuard,
    _folder: TempDir,
}

pub(crate) fn settings() -> Settings {
    Settings {
        version: "0.0.0-test",
        hmac_key: None,
        rate_limit: None,
        trusted_proxies: Vec::new(),
        allowed_origins: Vec::new(),
        upload_max_bytes: 1024 * 1024,
        legacy_callbacks: vec!["/api/old/callback".to_owned()],
        jwks: None,
        demo_token: None,
        default_language: "en".to_owned(),
    }
}

pub(crate) async fn open() -> Shop {
    open_with(settings()).await
}

pub(crate) async fn open_with(settings: Settings) -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let short = Duration::from_millis(50);
    let duration = Durations { image: short, video: short, audio: short, text: short };
    let sim = Sim::start(SimConfig { duration, creates_per_10s: 0, ..SimConfig::default() }).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let database = format!("sqlite://{}", folder.path().join("kie.db").display());
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::connect(&database, SqliteOptions::default()).await.unwrap());
    let media_url = url::Url::from_file_path(folder.path().join("media")).unwrap();
    let media = MediaStore::open(media_url.as_str(), Vec::<(String, String)>::new()).unwrap();
    let lifecycle = Arc::new(lifecycle(store, media.clone(), &sim, &url).await);
    let links = LinkSigner::new(LinkMode::Signed, LINK_KEY, []);
    let app = App { lifecycle: lifecycle.clone(), media, links, settings };
    let stop = CancellationToken::new();
    serve(app.clone(), listener, stop.clone());
    let operator = person(&lifecycle, Role::Operator, None).await;
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap();
    let guard = stop.clone().drop_guard();
    Shop { url, lifecycle, app, operator, sim, stop, client, _stop: guard, _folder: folder }
}

#[expect(clippy::disallowed_methods, reason = "the server ends with its token, which the test's end cancels")]
fn serve(app: App, listener: tokio::net::TcpListener, stop: CancellationToken) {
    let router = web::router(app).unwrap();
    tokio::spawn(web::serve(listener, router, stop));
}

async fn lifecycle(store: Arc<dyn Store>, media: MediaStore, sim: &Sim, url: &str) -> Lifecycle {
    let client = Client::builder(sim.api_key().to_owned())
        .base_url(sim.url())
        .upload_url(sim.url())
        .create_timeout(Duration::from_secs(5))
        .retry(RetryPolicy::new(2, Duration::from_secs(1)))
        .build()
        .unwrap();
    let loopback = Guard::new("127.0.0.0/8".parse().unwrap());
    let fetcher = Fetcher::new(&loopback, FetchLimits::default()).unwrap();
    let ids = Ids { clock: Arc::new(RealClock), chance: Arc::new(RealChance) };
    store.open_shop("RUB:2", ids.now()).await.unwrap();
    let ports = Ports {
        store,
        provider: Arc::new(KieProvider::new(client)),
        vault: Arc::new(MediaVault::new(media, fetcher, Thumbnailer::new(ThumbnailLimits::default()))),
        channels: Vec::new(),
        outbound: Guard::new("".parse().unwrap_or_default()),
        ids,
    };
    let pricing = Pricing {
        currency: "RUB".parse().unwrap(),
        usd_rate: "78".parse().unwrap(),
        markup: "2".parse().unwrap(),
        list: PriceList::default(),
        free: ["qwen/text-to-image".to_owned()].into(),
    };
    let offers = Offers::new(Arc::new(Catalogue::packed().unwrap()), pricing);
    let keys = SecretKeys::new(SecretString::from(SECRET.to_owned()), Vec::new()).unwrap();
    Lifecycle::new(ports, policy(url), offers, keys)
}

fn policy(url: &str) -> Policy {
    let hour = Duration::from_hours(1);
    Policy {
        currency: "RUB".parse().unwrap(),
        public_url: url.parse().unwrap(),
        callbacks: true,
        create_slots: None,
        create_timeout: Duration::from_secs(5),
        unclear_after: hour,
        unclear_policy: UnclearPolicy::Release,
        pending_after: hour,
        give_up: GiveUp { image: hour, audio: hour, video: hour },
        max_open_jobs: 200,
        free_per_day: 10,
        lease: Duration::from_secs(20),
    }
}

/// An account with a token of a role.
pub(crate) async fn person(lifecycle: &Lifecycle, role: Role, telegram_id: Option<i64>) -> Person {
    let ids = lifecycle.ids();
    let at = ids.now();
    let account = AccountId::generate(at, &*ids.chance);
    let new = NewAccount {
        id: account,
        external_id: None,
        name: None,
        telegram_id,
        webhook_key: [7; 32],
        demo: false,
        at,
    };
    lifecycle.store().add_account(&new).await.unwrap();
    let token = lifecycle::account_token(&*ids.chance);
    let hash = lifecycle::token_hash(token.expose_secret());
    let id = TokenId::generate(at, &*ids.chance);
    lifecycle.store().add_token(&NewToken { id, account, role, hash, at }).await.unwrap();
    Person { account, token: token.expose_secret().to_owned() }
}

impl Shop {
    /// A customer with this much money, in kopecks.
    pub(crate) async fn customer(&self, minor: i64) -> Person {
        let person = person(&self.lifecycle, Role::Customer, None).await;
        if minor > 0 {
            let path = format!("/v1/accounts/{}/topups", person.account);
            let body = json!({ "amount": minor, "currency": "RUB" });
            let key = person.account.to_string();
            let answer = self.post(&self.operator, &path, &body).header("Idempotency-Key", key).send().await;
            assert_eq!(answer.unwrap().status(), 201);
        }
        person
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) fn get(&self, who: &Person, path: &str) -> RequestBuilder {
        self.request(Method::GET, path).bearer_auth(&who.token)
    }

    pub(crate) fn post(&self, who: &Person, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).bearer_auth(&who.token).json(body)
    }

    /// An order under a key.
    pub(crate) async fn order(&self, who: &Person, key: &str, body: &Value) -> (u16, Value) {
        read(self.post(who, "/v1/jobs", body).header("Idempotency-Key", key).send().await.unwrap()).await
    }

    /// A good order; its job.
    pub(crate) async fn ordered(&self, who: &Person, key: &str) -> Value {
        let (status, job) = self.order(who, key, &order_body()).await;
        assert_eq!(status, 201, "{job}");
        job
    }

    /// A worker beside the router.
    #[expect(
        clippy::disallowed_methods,
        reason = "the worker ends with its token, which the test's end cancels"
    )]
    pub(crate) fn work(&self) {
        let worker = Worker::new(self.lifecycle.clone(), WorkerOptions::default());
        let stop = self.stop.clone();
        tokio::spawn(async move { worker.run(stop).await });
    }

    /// Reads a job until it has this state.
    pub(crate) async fn until(&self, who: &Person, id: &str, state: &str) -> Value {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let (_, job) = read(self.get(who, &format!("/v1/jobs/{id}")).send().await.unwrap()).await;
            if job["state"] == state {
                return job;
            }
            assert!(tokio::time::Instant::now() < deadline, "never {state}: {job}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub(crate) fn order_body() -> Value {
    json!({ "model": "z-image", "input": { "prompt": "a fox", "aspect_ratio": "1:1" } })
}

/// Status and JSON.
pub(crate) async fn read(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// That a problem has this status and type; gives it.
pub(crate) async fn problem(answer: Response, status: u16, slug: &str) -> Value {
    let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    let request_id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let (given, body) = read(answer).await;
    assert_eq!((given, body["type"].as_str()), (status, Some(slug)), "{body}");
    assert_eq!(content_type, "application/problem+json");
    assert_eq!(body["request_id"], request_id);
    assert!(body["title"].is_string() && body["status"] == status);
    body
}
