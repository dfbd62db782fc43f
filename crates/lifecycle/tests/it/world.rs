//! A whole shop in virtual time: the use cases over a real SQLite file, and everything else scripted.
//!
//! Nothing sleeps: what is due now is run to its end, then the clock is set to the next wake or callback.

use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use domain::{
    AccountId, Asset, Attempt, Clock, Delivery, Job, JobId, JobState, ManualClock, Money, Recipient, Scope,
    SeededChance, Timestamp, TransferKind,
};
use ledger::{Ids, TopUp};
use lifecycle::{
    CallbackOutcome, CallbackRequest, Lifecycle, Offers, OrderRequest, Policy, Ports, SecretKeys, Submitted,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use store::{
    AccountStore, AssetStore, ClaimJobs, DeliveryStore, JobStore, NewAccount, Store, TransferFilter,
    TransferStore,
};
use store_sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

use crate::cabinet::Cabinet;
use crate::ears::Ears;
use crate::gate::{Actor, Gate};
use crate::gated_store::GatedStore;
use crate::kie::{Kie, Post};
use crate::shop;

pub(crate) const HOOK: &str = "https://customer.example/hook";

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) store: Arc<GatedStore<SqliteStore>>,
    pub(crate) kie: Arc<Kie>,
    pub(crate) cabinet: Arc<Cabinet>,
    pub(crate) ears: Arc<Ears>,
    pub(crate) life: Arc<Lifecycle>,
    keys: Cell<u64>,
    kept: std::cell::RefCell<Vec<Post>>,
    ids: Ids,
    _folder: TempDir,
}

/// No story has more moments in one stretch of time than this.
const ROUNDS: u32 = 5_000;

/// Runs a story on one thread.
pub(crate) fn story<F: Future>(story: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(story)
}

fn folder() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

impl World {
    pub(crate) async fn new(seed: u64) -> Self {
        Self::with(seed, shop::policy()).await
    }

    pub(crate) async fn with(seed: u64, policy: Policy) -> Self {
        let folder = folder();
        let file = folder.path().join("kie.db");
        shop::lay_database(&file);
        let options = SqliteOptions { readers: 2, ..SqliteOptions::default() };
        let inner = SqliteStore::connect_without_migrating(&format!("sqlite://{}", file.display()), options)
            .await
            .unwrap();
        let clock = Arc::new(ManualClock::new(shop::START.parse().unwrap()));
        let gate = Arc::new(Gate::default());
        let store = Arc::new(GatedStore { inner, gate: gate.clone() });
        let kie = Arc::new(Kie::new(clock.clone(), gate.clone()));
        let cabinet = Arc::new(Cabinet::new(clock.clone(), gate.clone()));
        let ears = Arc::new(Ears::new(gate.clone()));
        let ids = Ids { clock: clock.clone(), chance: Arc::new(SeededChance::new(seed)) };
        let ports = Ports {
            store: store.clone(),
            provider: kie.clone(),
            vault: cabinet.clone(),
            channels: vec![ears.clone()],
            outbound: outbound::Guard::default(),
            ids: ids.clone(),
        };
        let secret = SecretString::from("7f3a9c1e5b8d2046f1e3c5a79b8d6042".to_owned());
        let keys = SecretKeys::new(secret, Vec::new()).unwrap();
        let offers = Offers::new(shop::whole_catalogue(), shop::pricing());
        let life = Arc::new(Lifecycle::new(ports, policy, offers, keys));
        let (keys, kept) = (Cell::default(), std::cell::RefCell::default());
        Self { clock, gate, store, kie, cabinet, ears, life, keys, kept, ids, _folder: folder }
    }

    /// The same database and the same time under another catalogue and policy.
    pub(crate) fn reopened(&self, without: &[&str], policy: Policy) -> Lifecycle {
        let ports = Ports {
            store: self.store.clone(),
            provider: self.kie.clone(),
            vault: self.cabinet.clone(),
            channels: vec![self.ears.clone()],
            outbound: outbound::Guard::default(),
            ids: self.ids.clone(),
        };
        let offers = Offers::new(Arc::new(shop::catalogue(without)), shop::pricing());
        Lifecycle::new(ports, policy, offers, self.life.keys().clone())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) const fn ids(&self) -> &Ids {
        &self.ids
    }

    // People.

    pub(crate) async fn customer(&self, minor: i64) -> AccountId {
        let id = AccountId::generate(self.now(), &*self.ids.chance);
        let (external_id, name, telegram_id) = (None, None, None);
        let account = NewAccount {
            id,
            external_id,
            name,
            telegram_id,
            webhook_key: [1; 32],
            demo: false,
            at: self.now(),
        };
        self.store.add_account(&account).await.unwrap();
        if minor > 0 {
            let key = format!("top-{id}");
            let top_up = TopUp { account: id, amount: Money::from_minor(minor), key: &key, reason: None };
            ledger::top_up(&*self.store as &dyn Store, &self.ids, &top_up).await.unwrap();
        }
        id
    }

    pub(crate) fn request(&self, account: AccountId, model: &str, input: Value) -> OrderRequest {
        self.keys.set(self.keys.get() + 1);
        OrderRequest {
            account,
            linked_chat: None,
            key: format!("key-{}", self.keys.get()),
            fingerprint: lifecycle::fingerprint(&json!({"model": model, "input": input})),
            request_id: "request".to_owned(),
            model: model.to_owned(),
            input,
            count: None,
            recipients: Some(vec![Recipient::Webhook { url: HOOK.to_owned() }]),
            draft: false,
        }
    }

    pub(crate) async fn place(&self, request: &OrderRequest) -> Submitted {
        self.life.submit(request).await.unwrap()
    }

    pub(crate) async fn order(&self, account: AccountId, model: &str) -> JobId {
        self.place(&self.request(account, model, json!({"prompt": "kite"}))).await.jobs[0].id
    }

    pub(crate) async fn order_many(&self, account: AccountId, model: &str, n: u32) -> JobId {
        self.place(&self.request(account, model, json!({"prompt": "kite", "n": n}))).await.jobs[0].id
    }

    // Time.

    /// Claims what is due now, as a worker does; nothing runs yet.
    pub(crate) async fn claim(&self, limit: u32) -> Vec<Actor> {
        let policy = self.life.policy();
        let now = self.now();
        let lease_until = now.saturating_add(policy.lease).unwrap();
        let claim = ClaimJobs { now, lease_until, limit, slots: policy.create_slots };
        let mut actors: Vec<Actor> = Vec::new();
        for job in self.store.claim_jobs(&claim).await.unwrap() {
            let life = self.life.clone();
            actors.push(Box::pin(async move {
                if let Err(error) = life.advance(&job).await {
                    // A database that is away leaves the row to its lease.
                    drop(life.postpone(&job, &error.to_string()).await);
                }
            }));
        }
        for delivery in
            self.store.claim_deliveries(&self.life.channels(), now, lease_until, limit).await.unwrap()
        {
            let life = self.life.clone();
            actors.push(Box::pin(async move { drop(life.deliver(&delivery).await) }));
        }
        actors
    }

    /// Runs until nothing is due; false if the process died at the planned stop.
    pub(crate) async fn work(&self) -> bool {
        for _round in 0..10_000 {
            self.receive_posts().await;
            let actors = self.claim(16).await;
            if actors.is_empty() {
                return true;
            }
            for actor in actors {
                if !self.gate.finish(actor).await {
                    return false;
                }
            }
        }
        panic!("the shop is busy for ever at {}", self.now());
    }

    /// Lets time pass, with everything that happens in it.
    pub(crate) async fn run(&self, time: Duration) {
        self.run_until(self.now().saturating_add(time).unwrap(), || async { false }).await;
    }

    /// Lets time pass until the job is in this state, for at most `time`; the job.
    pub(crate) async fn run_to(&self, job: JobId, state: JobState, time: Duration) -> Job {
        let end = self.now().saturating_add(time).unwrap();
        self.run_until(end, || async { self.job(job).await.state == state }).await;
        let job = self.job(job).await;
        assert_eq!(job.state, state, "{:?} {:?} at {}", job.cause, job.failure, self.now());
        job
    }

    pub(crate) async fn run_until<F: Future<Output = bool>>(&self, end: Timestamp, enough: impl Fn() -> F) {
        for round in 0.. {
            assert!(
                round < ROUNDS,
                "time hardly passes at {}: {:?}",
                self.now(),
                self.store.next_wake().await
            );
            self.work().await;
            if enough().await {
                return;
            }
            let next = self.next_event().await.min(end);
            self.set(next);
            if next == end {
                self.work().await;
                return;
            }
        }
    }

    /// When something happens next, at the latest a second from now if a row waits for a slot or the breaker.
    pub(crate) async fn next_event(&self) -> Timestamp {
        let wake = self.store.next_wake().await.unwrap().unwrap_or(Timestamp::MAX);
        let soon = self.now().saturating_add(Duration::from_secs(1)).unwrap();
        let wake = if wake <= self.now() { soon } else { wake };
        wake.min(self.kie.next_post().unwrap_or(Timestamp::MAX))
    }

    pub(crate) fn set(&self, at: Timestamp) {
        self.clock.advance(Duration::try_from(at.duration_since(self.now())).unwrap_or_default());
    }

    /// Lets time pass in which no process works, then works off what is due.
    pub(crate) async fn skip(&self, time: Duration) {
        self.clock.advance(time);
        self.work().await;
    }

    pub(crate) async fn receive_posts(&self) {
        for post in self.kie.take_posts() {
            let outcome = self.post(&post.token, Some(&post.body)).await;
            if outcome == CallbackOutcome::Kept {
                self.kept.borrow_mut().push(post);
            }
        }
    }

    pub(crate) async fn post(&self, token: &str, body: Option<&[u8]>) -> CallbackOutcome {
        let request =
            CallbackRequest { token, body, query: None, timestamp: None, signature: None, hmac_key: None };
        self.life.receive_callback(&request).await.unwrap()
    }

    /// A callback with this attempt's genuine token that names this task.
    pub(crate) async fn hint(&self, job: JobId, attempt: u16, task: &str) {
        let token = self.life.keys().callback_token(job, attempt);
        assert_eq!(self.post(&token, Some(&crate::kie::hint_body(task))).await, CallbackOutcome::Kept);
    }

    // Looking.

    /// The callbacks that were kept so far.
    pub(crate) fn kept(&self) -> Vec<Post> {
        self.kept.borrow().clone()
    }

    pub(crate) async fn job(&self, id: JobId) -> Job {
        self.store.find_job(id, Scope::All).await.unwrap().unwrap()
    }

    pub(crate) async fn attempts(&self, id: JobId) -> Vec<Attempt> {
        self.store.attempts(id).await.unwrap()
    }

    pub(crate) async fn assets(&self, id: JobId) -> Vec<Asset> {
        self.store.assets_of(&[id]).await.unwrap()
    }

    pub(crate) async fn deliveries(&self, id: JobId) -> Vec<Delivery> {
        self.store.deliveries_of(&[id]).await.unwrap()
    }

    /// Available and held, minor units.
    pub(crate) async fn balance(&self, account: AccountId) -> (i64, i64) {
        let account = self.store.find_account(account).await.unwrap().unwrap();
        (account.available.minor(), account.held.minor())
    }

    /// Held, captured and released of a job, minor units.
    pub(crate) async fn money(&self, id: JobId) -> (i64, i64, i64) {
        let job = self.job(id).await;
        (job.held.minor(), job.captured.minor(), job.released.minor())
    }

    /// The kinds of a job's transfers, oldest first.
    pub(crate) async fn transfers(&self, id: JobId) -> Vec<TransferKind> {
        let filter = TransferFilter { job: Some(id), limit: 100, ..TransferFilter::default() };
        let mut found = self.store.list_transfers(&filter).await.unwrap();
        found.reverse();
        found.into_iter().map(|transfer| transfer.kind).collect()
    }

    /// Names and details of a job's history.
    pub(crate) async fn history(&self, id: JobId) -> Vec<(String, String)> {
        let lines = self.store.timeline(id).await.unwrap();
        lines.into_iter().map(|line| (line.event, line.detail.unwrap_or_default())).collect()
    }

    pub(crate) async fn has_line(&self, id: JobId, event: &str) -> bool {
        self.history(id).await.iter().any(|(name, _)| name == event)
    }
}
