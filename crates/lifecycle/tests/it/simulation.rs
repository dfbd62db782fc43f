//! Random shops under random faults, two workers that die and overtake each other, days of virtual time.
//!
//! A seed decides everything, so a failing seed, which is printed, replays exactly:
//! `SIM_SEED=17 cargo test -p lifecycle --test it simulation`. `SIM_SEEDS=2000` changes how many are tried.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use domain::{AccountId, Answer, Cause, Chance, DeliveryState, Job, JobState, SeededChance, Timestamp};
use lifecycle::{Decision, GiveUp, OrderRequest, Policy, UnclearPolicy};
use serde_json::json;
use store::{DeliveryStore, Flags, JobFilter, JobStore};

use crate::gate::{Actor, Went};
use crate::kie::{End, Hint, Life, Reply};
use crate::shop::{self, DRAW, FILM, GIFT, POSTER, SONG, WORDS};
use crate::world::{World, story};

const DAY: Duration = Duration::from_hours(24);
/// Seeds of one normal run; four tests share them.
const SEEDS: u64 = 2000;
const SHARES: u64 = 4;

/// Chance with words.
struct Dice(SeededChance);

impl Dice {
    fn odds(&self, odds: f64) -> bool {
        self.0.fraction() < odds
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small counts"
    )]
    fn below(&self, end: usize) -> usize {
        ((self.0.fraction() * end as f64) as usize).min(end.saturating_sub(1))
    }

    fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    fn seconds(&self, most: f64) -> Duration {
        Duration::from_secs_f64(self.0.fraction() * most)
    }

    fn fork(&self) -> SeededChance {
        let mut seed = [0; 8];
        self.0.fill(&mut seed);
        SeededChance::new(u64::from_le_bytes(seed))
    }
}

fn policy(dice: &Dice) -> Policy {
    let unclear_policy = if dice.odds(0.8) { UnclearPolicy::Release } else { UnclearPolicy::Hold };
    let minutes = Duration::from_mins;
    Policy {
        unclear_policy,
        unclear_after: minutes(10),
        pending_after: minutes(30),
        give_up: GiveUp { image: minutes(4), audio: minutes(5), video: minutes(6) },
        create_slots: *dice.pick(&[None, Some(1), Some(3), Some(20)]).unwrap(),
        max_open_jobs: 12,
        ..shop::policy()
    }
}

/// What one createTask meets.
fn fate(dice: &Dice) -> (Reply, Life) {
    let answers = [
        Answer::Throttled,
        Answer::Blocked,
        Answer::NotSent,
        Answer::Refused(Cause::ModelUnavailable),
        Answer::Refused(Cause::Moderation),
        Answer::Refused(Cause::InvalidInput),
        Answer::Refused(Cause::ProviderError),
    ];
    let reply = match dice.below(20) {
        0 | 1 => Reply::LostButMade,
        2 => Reply::LostUnmade,
        3..=6 => Reply::Refused(*dice.pick(&answers).unwrap()),
        7 => Reply::RefusedWithTask(Answer::Refused(Cause::ProviderError)),
        8 => Reply::AcceptedLate(dice.seconds(300.0)),
        _ => Reply::Accepted,
    };
    let end = match dice.below(16) {
        0 => End::Never,
        1 => End::Empty,
        2 => End::EmptyAtFirst(dice.seconds(200.0)),
        3 | 4 => End::Failed { moderation: dice.odds(0.5) },
        5 => End::Word("pondering"),
        6 => End::Object(json!({"text": "kite"})),
        7 => End::Made { results: Some(1 + dice.below(4)), extras: dice.below(3), credits: Some("80") },
        _ => End::Made { results: None, extras: dice.below(2), credits: dice.odds(0.5).then_some("20") },
    };
    let mut life = Life::ending(end).after(dice.seconds(if dice.odds(0.8) { 60.0 } else { 900.0 }));
    if dice.odds(0.3) {
        life.young = dice.seconds(60.0);
    }
    life.shows_address = dice.odds(0.8);
    for _ in 0..dice.below(4) {
        let hint = match dice.below(10) {
            0 => Hint::Garbage,
            1 => Hint::WrongToken,
            2 => Hint::OtherTask(format!("task-{:04}", 1 + dice.below(9))),
            _ => Hint::Genuine,
        };
        life = life.hint(dice.seconds(if dice.odds(0.8) { 90.0 } else { 3000.0 }), hint);
    }
    (reply, life)
}

struct Sim {
    dice: Dice,
    world: World,
    accounts: Vec<AccountId>,
    orders: Vec<OrderRequest>,
    /// Two workers and the steps that each has in flight.
    crews: [Vec<Actor>; 2],
}

impl Sim {
    async fn new(seed: u64) -> Self {
        let dice = Dice(SeededChance::new(seed));
        let world = World::with(seed ^ 0x5eed, policy(&dice)).await;
        let create_dice = Dice(dice.fork());
        world.kie.set_dice(Some(Box::new(move || fate(&create_dice))), Some((dice.fork(), 0.1)));
        world.cabinet.set_weather(Some((dice.fork(), 0.25)));
        world.ears.set_weather(Some((dice.fork(), 0.3)));
        world.gate.set_weather(Some((dice.fork(), 0.004)));
        let mut accounts = Vec::new();
        for _ in 0..=dice.below(3) {
            let money = i64::try_from(dice.below(12_000)).unwrap();
            accounts.push(world.customer(money).await);
        }
        Self { dice, world, accounts, orders: Vec::new(), crews: [Vec::new(), Vec::new()] }
    }

    async fn jobs(&self) -> Vec<Job> {
        let filter = JobFilter { with_hidden: true, limit: 200, ..JobFilter::default() };
        self.world.store.list_jobs(&filter).await.unwrap()
    }

    async fn storm(&mut self) {
        for _ in 0..160 + self.dice.below(160) {
            match self.dice.below(100) {
                0..=4 => self.order().await,
                5..=8 => self.customer_acts().await,
                9 | 10 => self.operator_acts().await,
                11 => {
                    let crew = self.dice.below(2);
                    self.crews[crew].clear();
                }
                12..=24 => self.claim().await,
                25..=39 => self.let_time_pass().await,
                _ => self.go_on().await,
            }
        }
    }

    async fn order(&mut self) {
        if self.orders.len() >= 7 {
            // Double clicks and retries.
            let again = self.orders[self.dice.below(self.orders.len())].clone();
            drop(self.world.life.submit(&again).await);
            return;
        }
        let account = *self.dice.pick(&self.accounts).unwrap();
        let model = *self.dice.pick(&[DRAW, POSTER, FILM, SONG, GIFT, WORDS]).unwrap();
        let n = 1 + self.dice.below(3);
        let mut request = self.world.request(account, model, json!({"prompt": "kite", "n": n}));
        request.count = self.dice.odds(0.3).then(|| 1 + u32::try_from(self.dice.below(3)).unwrap());
        request.draft = self.dice.odds(0.2);
        drop(self.world.life.submit(&request).await);
        self.orders.push(request);
    }

    async fn customer_acts(&self) {
        let jobs = self.jobs().await;
        let Some(job) = self.dice.pick(&jobs) else { return };
        let life = &self.world.life;
        match self.dice.below(5) {
            0 => drop(life.cancel(job.id, job.account).await),
            1 => drop(life.confirm(job.id, job.account).await),
            2 => drop(life.redeliver(job.id, domain::Scope::Account(job.account)).await.unwrap()),
            3 => {
                let flags = Flags { favourite: None, hidden: Some(self.dice.odds(0.5)) };
                self.world.store.flag_job(job.id, job.account, flags, self.world.now()).await.unwrap();
            }
            _ => drop(life.retry(job.id, "the customer asked").await.unwrap()),
        }
    }

    async fn operator_acts(&self) {
        let jobs = self.jobs().await;
        let unclear: Vec<_> = jobs.iter().filter(|job| job.state == JobState::Unclear).collect();
        let Some(job) = self.dice.pick(&unclear) else { return };
        let task_id = format!("task-{:04}", 1 + self.dice.below(9));
        let decision = match self.dice.below(3) {
            0 => Decision::Adopt { task_id },
            1 => Decision::Resend,
            _ => Decision::Release,
        };
        drop(self.world.life.decide(job.id, &decision, "decided").await);
    }

    async fn claim(&mut self) {
        let crew = self.dice.below(2);
        let limit = 1 + u32::try_from(self.dice.below(6)).unwrap();
        self.crews[crew].extend(self.world.claim(limit).await);
    }

    async fn go_on(&mut self) {
        let crew = self.dice.below(2);
        if self.crews[crew].is_empty() {
            return self.claim().await;
        }
        let place = self.dice.below(self.crews[crew].len());
        for _ in 0..=self.dice.below(12) {
            if self.world.gate.go_on(&mut self.crews[crew][place]).await == Went::Ended {
                drop(self.crews[crew].swap_remove(place));
                return;
            }
        }
    }

    async fn let_time_pass(&mut self) {
        let next = self.world.next_event().await;
        let soon = self.world.now() + self.dice.seconds(400.0);
        self.world.set(if self.dice.odds(0.7) { next.min(soon) } else { soon });
        self.world.receive_posts().await;
    }

    /// Faults off: everything that stands goes on or dies, and the shop runs until all is final and told.
    async fn calm(&mut self) -> Timestamp {
        let crews = std::mem::take(&mut self.crews);
        self.world.kie.set_dice(None, None);
        self.world.kie.clear_faults();
        self.world.cabinet.set_weather(None);
        self.world.ears.set_weather(None);
        self.world.gate.set_weather(None);
        for actor in crews.into_iter().flatten() {
            if self.dice.odds(0.5) {
                self.world.gate.finish(actor).await;
            }
        }
        let policy = self.world.life.policy();
        let calm_since = self.world.now();
        self.world.run(policy.pending_after + policy.unclear_after + policy.give_up.video * 2).await;
        for job in self.jobs().await {
            if job.state == JobState::Unclear && policy.unclear_policy == UnclearPolicy::Hold {
                self.world.life.decide(job.id, &Decision::Release, "at the end").await.unwrap();
            }
        }
        calm_since
    }

    /// What was lost is given up within two days, a draft within one, a daily look finds what a callback named.
    async fn prove(&self, calm_since: Timestamp) {
        self.world.run(DAY * 2).await;
        for job in self.jobs().await {
            assert!(
                job.state.is_final(),
                "{} is {} since {}, calm since {calm_since}",
                job.id,
                job.state,
                job.entered_at
            );
        }
        self.world.run(DAY * 2).await;
        let ids: Vec<_> = self.jobs().await.iter().map(|job| job.id).collect();
        for delivery in self.world.store.deliveries_of(&ids).await.unwrap() {
            assert_ne!(delivery.state, DeliveryState::Pending, "{delivery:?}");
        }
        self.world.prove().await;
        self.prove_nothing_is_lost().await;
        self.world.skip(DAY * 16).await;
        self.world.run(DAY).await;
        assert_eq!(self.world.store.next_wake().await.unwrap(), None, "something is awake for ever");
        self.world.prove().await;
    }

    /// A task that a genuine callback named is known, if its job could still use it.
    async fn prove_nothing_is_lost(&self) {
        let mut known = BTreeSet::new();
        for job in self.jobs().await {
            known.extend(self.world.attempts(job.id).await.into_iter().filter_map(|attempt| attempt.task_id));
        }
        for post in self.world.kept().iter().filter(|post| post.genuine && !known.contains(&post.task)) {
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

    /// Everything that the seed decided, in words.
    async fn digest(&self) -> String {
        let mut digest = String::new();
        for job in self.jobs().await {
            writeln!(digest, "{job:?}\n{:?}", self.world.history(job.id).await).unwrap();
        }
        digest
    }
}

async fn simulate(seed: u64) -> String {
    let mut sim = Sim::new(seed).await;
    sim.storm().await;
    let calm_since = sim.calm().await;
    sim.prove(calm_since).await;
    sim.digest().await
}

#[expect(clippy::disallowed_methods, reason = "a switch of this test, not configuration")]
fn wanted(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn simulate_share(share: u64) {
    if let Some(seed) = wanted("SIM_SEED") {
        if share == 0 {
            story(simulate(seed));
        }
        return;
    }
    let seeds = wanted("SIM_SEEDS").unwrap_or(SEEDS);
    let failed: Vec<u64> = (0..seeds)
        .filter(|seed| seed % SHARES == share)
        .filter(|seed| catch_unwind(AssertUnwindSafe(|| story(simulate(*seed)))).is_err())
        .collect();
    assert!(failed.is_empty(), "failing seeds: {failed:?}; replay one with SIM_SEED=…");
}

#[test]
fn random_shops_keep_every_promise_first_share() {
    simulate_share(0);
}

#[test]
fn random_shops_keep_every_promise_second_share() {
    simulate_share(1);
}

#[test]
fn random_shops_keep_every_promise_third_share() {
    simulate_share(2);
}

#[test]
fn random_shops_keep_every_promise_fourth_share() {
    simulate_share(3);
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [3, 4] {
        assert_eq!(story(simulate(seed)), story(simulate(seed)));
    }
}
