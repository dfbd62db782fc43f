//! A shop with people, money and generations, and its front end, for requests to it.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use domain::{AccountId, JobId, JobState, Money, Role, Scope, TokenId};
use futures_util::StreamExt;
use http::{HeaderMap, Request, StatusCode, header};
use ledger::TopUp;
use lifecycle::{Lifecycle, OrderRequest, Worker, WorkerOptions};
use media::{LinkMode, LinkSigner, Variant};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::{NewAccount, NewToken, TransferFilter, WakeJob, WakeReason};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use web::{App, Settings};

use super::shop::{PICTURE, SECRET, Shop, UNCLEAR};

/// The key of media links; no answer may hold it.
const LINK_KEY: &str = "canary-links-51b7d20e94c8fa36";
/// In a prompt of the other account; no answer to a customer may hold it.
const PRIVATE: &str = "canary-prompt-c41d";
/// What the customer and the other have, minor units.
const BEGUN_WITH: i64 = 1_000_000;
/// A hundred of the longest rows that inputs of 64 KiB can make.
const ANSWER_MAX: usize = 16 << 20;
/// A stream of events has no end; its first event comes at once.
const SOON: Duration = Duration::from_millis(100);

/// The customer asks, operators and payments may, too; the other never does.
pub(crate) struct World {
    router: Router,
    customer: AccountId,
    other: AccountId,
    /// What stands for what in requests.
    names: Vec<(&'static str, String)>,
    /// Tokens of those who may move money.
    pub(crate) trusted: [String; 2],
    /// What nobody may read.
    pub(crate) secrets: [String; 3],
    /// What a customer may not read.
    pub(crate) private: &'static str,
    // The last to go: it ends the runtime that the others live on.
    shop: Shop,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The value of a header; nothing if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl World {
    pub(crate) fn open() -> Self {
        let shop = Shop::open();
        let links = LinkSigner::new(LinkMode::Signed, LINK_KEY.as_bytes(), []);
        let (lifecycle, media) = (shop.lifecycle.clone(), shop.media.clone());
        let router =
            web::router(App { lifecycle, media, links: links.clone(), settings: settings() }).unwrap();
        let life = &*shop.lifecycle;
        let people = [Role::Customer, Role::Customer, Role::Operator, Role::Payments];
        let people = people.map(|role| shop.run(person(life, role)));
        let [(customer, token), (other, hidden), (_, operator), (_, payments)] = people;
        for account in [customer, other] {
            shop.run(top_up(life, account));
        }
        let done = shop.run(order(life, customer, "done", false));
        let others = shop.run(order(life, other, PRIVATE, false));
        let unclear = shop.run(order(life, customer, UNCLEAR, false));
        work(&shop);
        let state = |job| shop.run(life.store().find_job(job, Scope::All)).unwrap().unwrap().state;
        assert_eq!([done, others, unclear].map(state), [JobState::Done, JobState::Done, JobState::Unclear]);
        let job = shop.run(order(life, customer, "pending", false));
        let draft = shop.run(order(life, customer, "draft", true));
        let asset = shop.run(life.store().assets_of(&[done])).unwrap()[0].id;
        let filter = TransferFilter { account: Some(customer), limit: 1, ..TransferFilter::default() };
        let transfer = shop.run(life.store().list_transfers(&filter)).unwrap()[0].id;
        for job in [done, others, unclear, job, draft] {
            shop.run(ask_once(life, job));
        }
        let names = vec![
            ("{operator}", operator.clone()),
            ("{payments}", payments.clone()),
            ("{account}", customer.to_string()),
            ("{other}", other.to_string()),
            ("{job}", job.to_string()),
            ("{draft}", draft.to_string()),
            ("{done}", done.to_string()),
            ("{unclear}", unclear.to_string()),
            ("{others}", others.to_string()),
            ("{asset}", asset.to_string()),
            ("{transfer}", transfer.to_string()),
            ("{callback}", life.keys().callback_token(done, 1)),
            ("{link}", links.link(asset, Variant::Original, "kite.png", life.ids().now())),
        ];
        let secrets = [SECRET.to_owned(), LINK_KEY.to_owned(), hidden];
        let trusted = [operator, payments];
        let mut world = Self { router, customer, other, names, trusted, secrets, private: PRIVATE, shop };
        world.names.push(("{upload}", world.upload(&token)));
        world.names.push(("{customer}", token));
        world
    }

    /// The text with what its names stand for.
    pub(crate) fn filled(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    /// Asks the front end, and reads the whole answer.
    pub(crate) fn send(&self, request: Request<Body>) -> Answer {
        self.shop.run(async {
            let Ok(answer) = self.router.clone().oneshot(request).await;
            let (parts, body) = answer.into_parts();
            let kind = parts.headers.get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
            let body = if kind.is_some_and(|kind| kind.starts_with(b"text/event-stream")) {
                let first = tokio::time::timeout(SOON, body.into_data_stream().next()).await;
                first.ok().flatten().map(Result::unwrap).unwrap_or_default()
            } else {
                to_bytes(body, ANSWER_MAX).await.unwrap()
            };
            Answer { status: parts.status, headers: parts.headers, body }
        })
    }

    /// What no request of a customer changes: what it has with what is set aside, and both of the other.
    pub(crate) fn money(&self) -> [i64; 3] {
        let store = self.shop.lifecycle.store();
        let has = |id| {
            let account = self.shop.run(store.find_account(id)).unwrap().unwrap();
            (account.available.minor(), account.held.minor())
        };
        let ((available, held), (others, others_held)) = (has(self.customer), has(self.other));
        [available + held, others, others_held]
    }

    /// The address of a file of the customer's.
    fn upload(&self, token: &str) -> String {
        let request = Request::post("/v1/uploads").header("authorization", format!("Bearer {token}"));
        let answer = self.send(request.body(Body::from(PICTURE)).unwrap());
        let upload: Value = serde_json::from_slice(&answer.body).unwrap();
        upload["url"].as_str().unwrap_or_else(|| panic!("{upload}")).to_owned()
    }
}

fn settings() -> Settings {
    Settings {
        version: "0.0.0-fuzz",
        hmac_key: None,
        rate_limit: None,
        trusted_proxies: vec!["127.0.0.0/8".to_owned()],
        allowed_origins: vec!["https://pages.example".to_owned()],
        upload_max_bytes: 32 << 10,
        legacy_callbacks: vec!["/old/callback".to_owned()],
        jwks: None,
        demo_token: None,
        default_language: "en".to_owned(),
    }
}

async fn person(life: &Lifecycle, role: Role) -> (AccountId, String) {
    let (at, chance) = (life.ids().now(), &*life.ids().chance);
    let account = AccountId::generate(at, chance);
    let (external_id, name, telegram_id, demo) = (None, None, None, false);
    let new = NewAccount { id: account, external_id, name, telegram_id, webhook_key: [7; 32], demo, at };
    life.store().add_account(&new).await.unwrap();
    let token = lifecycle::account_token(chance).expose_secret().to_owned();
    let (id, hash) = (TokenId::generate(at, chance), lifecycle::token_hash(&token));
    life.store().add_token(&NewToken { id, account, role, hash, at }).await.unwrap();
    (account, token)
}

async fn top_up(life: &Lifecycle, account: AccountId) {
    let (amount, key) = (Money::from_minor(BEGUN_WITH), format!("begun-{account}"));
    let top_up = TopUp { account, amount, key: &key, reason: None };
    ledger::top_up(life.store(), life.ids(), &top_up).await.unwrap();
}

async fn order(life: &Lifecycle, account: AccountId, words: &str, draft: bool) -> JobId {
    let input = json!({ "prompt": words });
    let request = OrderRequest {
        account,
        linked_chat: None,
        key: words.to_owned(),
        fingerprint: lifecycle::fingerprint(&input),
        request_id: "world".to_owned(),
        model: "google/nano-banana".to_owned(),
        input,
        count: None,
        recipients: None,
        draft,
    };
    life.submit(&request).await.unwrap().jobs[0].id
}

/// Lets minutes pass with a worker.
fn work(shop: &Shop) {
    let worker = Worker::new(shop.lifecycle.clone(), WorkerOptions::default());
    let never = CancellationToken::new();
    for _minute in 0..20 {
        shop.run(worker.run_until_idle(100, &never)).unwrap();
        shop.clock.advance(Duration::from_mins(1));
    }
}

/// "Check now" waits for a change, but not twice within moments; here time stands still from now on.
async fn ask_once(life: &Lifecycle, job: JobId) {
    let (at, reason, at_most_every) = (life.ids().now(), WakeReason::Asked, Duration::ZERO);
    let wake = WakeJob { job, scope: Scope::All, at, reason, at_most_every };
    life.store().wake_job(&wake).await.unwrap();
}
