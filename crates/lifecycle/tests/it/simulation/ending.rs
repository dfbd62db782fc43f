//! The end of a storm: faults stop, the shop comes to rest within its bounds, and everything is proven.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::{AssetState, DeliveryState, Job, JobState, Scope, Timestamp};
use lifecycle::{Decision, Policy, UnclearPolicy};
use store::{AssetStore, DeliveryStore, JobStore, TransferFilter, TransferStore};

use super::told::Answers;
use super::{DAY, Sim};

impl Sim {
    /// Faults off: everything that stands goes on or dies, and the shop runs for as long as its patience lasts.
    pub(super) async fn calm(&mut self) {
        self.set_weather(false);
        self.finish_or_die().await;
        self.tell("calm");
        let policy = self.world.life.policy();
        self.world.run(policy.pending_after + policy.unclear_after + policy.give_up.video * 2).await;
        for job in self.jobs().await {
            if job.state == JobState::Unclear && policy.unclear_policy == UnclearPolicy::Hold {
                self.world.life.decide(job.id, &Decision::Release, "at the end").await.unwrap();
                continue;
            }
            // A draft waits for its owner; copies that were refused before are tried again up to half a day later.
            let patient = matches!(job.state, JobState::Draft | JobState::Storing);
            assert!(patient || job.state.is_final(), "{} since {}: {job:?}", job.state, job.entered_at);
        }
    }

    async fn finish_or_die(&mut self) {
        for actor in std::mem::take(&mut self.crews).into_iter().flatten() {
            if self.dice.odds(0.5) {
                self.world.gate.finish(actor).await;
            }
        }
    }

    /// What was lost is given up within two days, a draft within one, a daily look finds what a callback named.
    pub(super) async fn prove(&self) {
        self.world.run(DAY * 2).await;
        for job in self.jobs().await {
            assert!(job.state.is_final(), "{} since {}: {job:?}", job.state, job.entered_at);
        }
        self.world.run(DAY * 2).await;
        let ids: Vec<_> = self.jobs().await.iter().map(|job| job.id).collect();
        for delivery in self.world.store.deliveries_of(&ids).await.unwrap() {
            assert_ne!(delivery.state, DeliveryState::Pending, "{delivery:?}");
        }
        self.world.prove().await;
        self.prove_nothing_is_lost().await;
        self.prove_words_are_kept().await;
        self.world.skip(DAY * 16).await;
        self.world.run(DAY).await;
        assert_eq!(self.world.store.next_wake().await.unwrap(), None, "something is awake for ever");
    }

    /// A task that a genuine callback named is known, if its job could still use it.
    async fn prove_nothing_is_lost(&self) {
        let mut known = BTreeSet::new();
        for job in self.jobs().await {
            known.extend(self.world.attempts(job.id).await.into_iter().filter_map(|attempt| attempt.task_id));
        }
        let kept = self.kept_callbacks();
        for post in kept.iter().filter(|post| post.genuine && !known.contains(&post.task)) {
            let (id, number) = self.world.life.keys().read_callback_token(&post.token).unwrap();
            let job = self.world.job(id).await;
            let surplus = job.task_id.is_some() || job.state == JobState::Canceled;
            // A sender that stood still between its commitment and its sending: by its time the record disagrees.
            let sent_at = self.world.attempts(id).await[usize::from(number) - 1].sent_at;
            let creates = self.world.kie.creates();
            let made = creates.iter().find(|create| create.task.as_ref() == Some(&post.task)).unwrap().at;
            let stood = made > sent_at + self.world.life.policy().sending_lease() + Duration::from_mins(2);
            let history = self.world.history(id).await;
            let words = format!("{} of attempt {number} of {job:?}: {history:#?}", post.task);
            assert!(surplus || stood, "{words}");
        }
    }

    /// A month after owners hid some of their works: house is kept in bad weather, by workers that die, while owners
    /// change their minds; then exactly the bytes that must go are gone.
    pub(super) async fn purge(&mut self) {
        // What was restored in the storm is hidden again.
        self.told = Answers::default();
        for job in self.jobs().await {
            if self.dice.odds(0.6) {
                self.hide(job.id, job.account, true);
            }
        }
        self.finish_or_die().await;
        self.world.clock.advance(Policy::PURGE_AFTER + Duration::from_secs(1));
        self.set_weather(true);
        for _ in 0..30 {
            match self.dice.below(10) {
                0 | 1 => self.keep_house(),
                2 => self.die(),
                3 => {
                    let jobs = self.jobs().await;
                    let Some(job) = self.dice.pick(&jobs) else { continue };
                    self.hide(job.id, job.account, job.hidden_at.is_none());
                }
                _ => self.go_on().await,
            }
        }
        self.set_weather(false);
        self.finish_or_die().await;
        while self.world.life.keep_house().await.unwrap().assets_purged > 0 {}
        let hidden_before = self.world.now() - Policy::PURGE_AFTER;
        for job in self.jobs().await {
            self.prove_purged(&job, hidden_before).await;
        }
        self.world.prove().await;
        self.prove_words_are_kept().await;
        self.prove_uploads_are_decided().await;
    }

    async fn prove_purged(&self, job: &Job, hidden_before: Timestamp) {
        let must_go = job.hidden_at.is_some_and(|at| at < hidden_before);
        for asset in self.world.assets(job.id).await.iter().filter(|asset| asset.state == AssetState::Stored)
        {
            let gone = asset.deleted_at.is_some();
            assert!(gone || !must_go, "hidden since {:?}: {asset:?}", job.hidden_at);
            assert!(!gone || self.hidden.contains(&job.id), "nobody hid it: {asset:?}");
            assert!(!gone || !self.world.cabinet.objects().contains(&asset.object), "{asset:?}");
        }
    }

    /// An upload has arrived, or it is given up.
    async fn prove_uploads_are_decided(&self) {
        for (_, file) in &self.files {
            let Some(row) = self.world.store.find_asset(*file, Scope::All).await.unwrap() else {
                continue;
            };
            let stored = row.state == AssetState::Stored;
            assert_eq!(row.deleted_at.is_none(), stored, "{row:?}");
            assert_eq!(self.world.cabinet.objects().contains(&row.object), stored, "{row:?}");
        }
    }

    /// Everything that the seed decided, in words.
    pub(super) async fn tell_all(&self) {
        let world = &self.world;
        for stop in world.gate.trail() {
            self.trace.line(stop.to_owned());
        }
        for job in self.jobs().await {
            self.trace.line(format!("{job:?}"));
            self.trace.line(format!("{:?}", world.history(job.id).await));
            self.trace.line(format!("{:?} {:?}", world.attempts(job.id).await, world.assets(job.id).await));
            self.trace.line(format!("{:?}", world.deliveries(job.id).await));
        }
        for &account in &self.accounts {
            let filter = TransferFilter { account: Some(account), limit: 1000, ..TransferFilter::default() };
            self.trace.line(format!("{:?}", world.store.list_transfers(&filter).await.unwrap()));
        }
        self.trace.line(format!("{:?} {:?}", world.kie.creates(), world.kie.uploads()));
        self.trace.line(format!("{:?} {:?}", world.ears.heard(), world.cabinet.tried()));
        self.trace.line(format!("{:?}", world.cabinet.objects()));
    }
}
