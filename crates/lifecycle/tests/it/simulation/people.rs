//! People in the storm: what customers and operators ask of the web front.
//!
//! A request goes on stop by stop among the steps of the workers, meets the database's weather, and dies with its process.

use std::time::Duration;

use domain::{AccountId, AssetId, Job, JobId, JobState, Money, Scope};
use ledger::Refund;
use lifecycle::{CallbackOutcome, CallbackRequest, Decision, OrderRequest};
use serde_json::json;
use store::{AssetStore, Credited, Flags, JobStore};

use super::told::Told;
use super::{FRONT, Sim};
use crate::files::address;
use crate::gate::Went;
use crate::shop::{DRAW, FILM, GIFT, POSTER, SONG, WORDS};

/// Different orders of one shop; further ones are repeats of these.
const ORDERS: usize = 7;
const UPLOADS: usize = 5;

impl Sim {
    fn ask(&mut self, what: impl std::fmt::Display, request: impl Future<Output = ()> + 'static) {
        self.tell(what);
        self.crews[FRONT].push(Box::pin(request));
    }

    /// The callbacks that have set out by now come in; one that is answered 503 comes again.
    pub(super) fn receive_callbacks(&mut self) {
        for post in self.world.kie.take_posts() {
            let (life, kie, told) = (self.world.life.clone(), self.world.kie.clone(), self.told.clone());
            self.ask(format!("callback of {}", post.task), async move {
                let (token, body) = (post.token.as_str(), Some(post.body.as_slice()));
                let request = CallbackRequest {
                    token,
                    body,
                    query: None,
                    timestamp: None,
                    signature: None,
                    hmac_key: None,
                };
                match life.receive_callback(&request).await {
                    Ok(CallbackOutcome::Kept) => told.add(Told::Kept(post)),
                    Ok(_) => {}
                    Err(_) => kie.send_again(post),
                }
            });
        }
    }

    pub(super) async fn order(&mut self) {
        let request = if self.orders.len() < ORDERS {
            let request = self.new_order().await;
            self.orders.push(request.clone());
            request
        } else {
            // Double clicks and retries.
            self.dice.pick(&self.orders).unwrap().clone()
        };
        let (life, told) = (self.world.life.clone(), self.told.clone());
        self.ask(format!("order {} of {}", request.key, request.model), async move {
            if let Ok(placed) = life.submit(&request).await {
                let jobs = placed.jobs.iter().map(|job| job.id).collect();
                told.add(Told::Ordered { account: request.account, key: request.key, jobs });
            }
        });
    }

    async fn new_order(&self) -> OrderRequest {
        let account = *self.dice.pick(&self.accounts).unwrap();
        let model = *self.dice.pick(&[DRAW, POSTER, FILM, SONG, GIFT, WORDS]).unwrap();
        let mut input = json!({"prompt": "kite", "n": 1 + self.dice.below(3)});
        if let Some(file) = self.file_for(account).await {
            input["image_url"] = json!(address(file));
        }
        let mut request = self.world.request(account, model, input);
        request.count = self.dice.odds(0.3).then(|| 1 + u32::try_from(self.dice.below(3)).unwrap());
        request.draft = self.dice.odds(0.25);
        request
    }

    /// A file for an input: something that was made here, or an upload, whole or not, once in a while a stranger's.
    async fn file_for(&self, account: AccountId) -> Option<AssetId> {
        if self.dice.odds(0.4) {
            return None;
        }
        if self.dice.odds(0.3) {
            let made = self.world.store.list_stored_assets(Scope::Account(account), None, 50).await.unwrap();
            return self.dice.pick(&made).map(|asset| asset.id);
        }
        let strangers = self.dice.odds(0.05);
        let fitting = |(owner, _): &&(AccountId, AssetId)| (*owner == account) != strangers;
        let files: Vec<AssetId> = self.files.iter().filter(fitting).map(|(_, file)| *file).collect();
        self.dice.pick(&files).copied()
    }

    pub(super) fn upload(&mut self) {
        if self.files.len() >= UPLOADS {
            return;
        }
        let account = *self.dice.pick(&self.accounts).unwrap();
        let (file, uploading) = self.world.uploading(account);
        self.files.push((account, file));
        let told = self.told.clone();
        self.ask(format!("upload {file}"), async move {
            if uploading.await {
                told.add(Told::Uploaded(file));
            }
        });
    }

    pub(super) async fn customer_acts(&mut self) {
        let mut jobs = self.jobs().await;
        if self.dice.odds(0.5) {
            // What can be confirmed or canceled is rare.
            jobs.retain(|job| matches!(job.state, JobState::Draft | JobState::Pending));
        }
        let Some(job) = self.dice.pick(&jobs) else { return };
        // Two tabs of one page.
        for _ in 0..=usize::from(self.dice.odds(0.4)) {
            self.act_on(job).await;
        }
    }

    async fn act_on(&mut self, job: &Job) {
        let (id, account) = (job.id, job.account);
        match self.dice.below(10) {
            _ if job.state == JobState::Draft && self.dice.odds(0.5) => self.confirm(id, account),
            0..=2 => self.cancel(id, account),
            3..=5 => self.confirm(id, account),
            6 => self.redeliver(id, Scope::Account(account)),
            7 => self.hide(id, account, job.hidden_at.is_none()),
            8 => self.check_now(id, account).await,
            _ => {
                let (store, now) = (self.world.store.clone(), self.world.now());
                self.ask("open the library", async move {
                    drop(store.wake_account_jobs(account, now, Duration::from_secs(30)).await);
                });
            }
        }
    }

    fn cancel(&mut self, id: JobId, account: AccountId) {
        let (life, told) = (self.world.life.clone(), self.told.clone());
        self.ask(format!("cancel {id}"), async move {
            if life.cancel(id, account).await.is_ok() {
                told.add(Told::Canceled(id));
            }
        });
    }

    fn confirm(&mut self, id: JobId, account: AccountId) {
        let (life, told) = (self.world.life.clone(), self.told.clone());
        self.ask(format!("confirm {id}"), async move {
            if life.confirm(id, account).await.is_ok() {
                told.add(Told::Confirmed(id));
            }
        });
    }

    fn redeliver(&mut self, id: JobId, scope: Scope) {
        let life = self.world.life.clone();
        self.ask(format!("deliver {id} again"), async move { drop(life.redeliver(id, scope).await) });
    }

    pub(super) fn hide(&mut self, id: JobId, account: AccountId, hidden: bool) {
        let flags = Flags { favourite: None, hidden: Some(hidden) };
        let (store, now, told) = (self.world.store.clone(), self.world.now(), self.told.clone());
        if hidden {
            self.hidden.insert(id);
        }
        self.ask(format!("{} {id}", if hidden { "hide" } else { "restore" }), async move {
            let flagged = store.flag_job(id, account, flags, now).await;
            if hidden || !matches!(flagged, Ok(true)) {
                return;
            }
            // What the customer sees again.
            let Ok(assets) = store.assets_of(&[id]).await else { return };
            let there = assets.iter().filter(|asset| asset.deleted_at.is_none());
            told.add(Told::Restored(id, there.map(|asset| asset.id).collect()));
        });
    }

    /// The customer leaves the page while it waits for a change: that waiting is by the real clock, and changes nothing.
    async fn check_now(&mut self, id: JobId, account: AccountId) {
        self.tell(format!("check {id} now"));
        let life = self.world.life.clone();
        let mut asking: crate::gate::Actor =
            Box::pin(async move { drop(life.sync(id, Scope::Account(account)).await) });
        // Before and after the reading, before and after the wake.
        for _stop in 0..4 {
            if self.world.gate.go_on(&mut asking).await == Went::Ended {
                return;
            }
        }
    }

    pub(super) async fn operator_acts(&mut self) {
        let jobs = self.jobs().await;
        let waits = jobs.iter().any(|job| job.state == JobState::Unclear);
        match self.dice.below(8) {
            _ if waits && self.dice.odds(0.7) => self.decide(&jobs),
            0..=3 => self.decide(&jobs),
            4 => {
                let Some(id) = self.dice.pick(&jobs).map(|job| job.id) else { return };
                let life = self.world.life.clone();
                self.ask(format!("retry {id}"), async move { drop(life.retry(id, "a look").await) });
            }
            5 => {
                let Some(id) = self.dice.pick(&jobs).map(|job| job.id) else { return };
                self.redeliver(id, Scope::All);
            }
            _ => self.refund(&jobs),
        }
    }

    fn decide(&mut self, jobs: &[Job]) {
        let failed = |job: &Job| job.state == JobState::Failed && job.attempts > 0 && job.task_id.is_none();
        let doubtful: Vec<&Job> =
            jobs.iter().filter(|job| job.state == JobState::Unclear || failed(job)).collect();
        let Some(job) = self.dice.pick(&doubtful) else { return };
        let id = job.id;
        let decision = match self.dice.below(4) {
            0 | 1 => Decision::Adopt { task_id: self.task_for(id) },
            2 => Decision::Resend,
            _ => Decision::Release,
        };
        let life = self.world.life.clone();
        self.ask(format!("{decision:?} for {id}"), async move {
            drop(life.decide(id, &decision, "decided").await);
        });
    }

    /// A task of the job, if the provider has one; now and then any other.
    fn task_for(&self, id: JobId) -> String {
        let mut tasks = Vec::new();
        if self.dice.odds(0.7) {
            let creates = self.world.kie.creates().into_iter();
            let of_job = creates.filter(|create| self.world.attempt_of(create).0 == id);
            tasks.extend(of_job.filter_map(|create| create.task));
        }
        self.dice.pick(&tasks).cloned().unwrap_or_else(|| self.dice.some_task())
    }

    fn refund(&mut self, jobs: &[Job]) {
        let paid: Vec<&Job> = jobs.iter().filter(|job| job.captured.is_positive()).collect();
        let Some(id) = self.dice.pick(&paid).map(|job| job.id) else { return };
        // Few keys, so that some refunds are repeats.
        let key = format!("refund-{}", self.dice.below(4));
        let part = i64::try_from(1 + self.dice.below(3)).unwrap() * 50;
        let amount = self.dice.odds(0.5).then(|| Money::from_minor(part));
        let (life, told) = (self.world.life.clone(), self.told.clone());
        self.ask(format!("refund {id} by {key}"), async move {
            let Ok(Some(job)) = life.store().find_job(id, Scope::All).await else { return };
            let refund = Refund { job: &job, amount, key: &key, reason: "a complaint" };
            if let Ok(Credited::Applied(moved) | Credited::Replayed(moved)) =
                ledger::refund(life.store(), life.ids(), &refund).await
            {
                told.add(Told::Refunded(id, moved[0].id));
            }
        });
    }
}
