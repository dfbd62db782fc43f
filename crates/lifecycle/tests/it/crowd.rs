//! A thousand open jobs and a provider that takes its time.

use std::time::Duration;

use domain::{AccountId, Job, JobId, JobState, Timestamp};
use lifecycle::Policy;
use serde_json::json;
use store::{ClaimJobs, JobStore, SlotStore};

use crate::gate::Actor;
use crate::kie::{End, Life, Reply};
use crate::shop::{self, DRAW, FILM, SONG};
use crate::world::{World, story};

/// Steps that a worker takes at once.
const ROOM: usize = 128;
/// Every call of the provider takes so long.
const SLOW: Duration = Duration::from_millis(500);
/// How often the clock stands still.
const TICK: Duration = Duration::from_millis(250);
/// Creates in 10 s; the provider allows 20, which would make the story longer, not harder.
const SLOTS: u32 = 100;
/// What a due row may wait for its step, 99 times in 100.
const LATE_AFTER: Duration = Duration::from_secs(1);

/// One worker, whose steps last.
struct Crowd {
    world: World,
    running: Vec<(Timestamp, Actor)>,
    /// How long each row that was due had waited when its step began.
    waits: Vec<Duration>,
}

impl Crowd {
    async fn new() -> Self {
        let world = World::with(33, Policy { create_slots: Some(SLOTS), ..shop::policy() }).await;
        world.store.ensure_slots(SLOTS).await.unwrap();
        world.kie.plan_for_all(Some((Reply::Accepted, Life::ending(End::Never))));
        Self { world, running: Vec::new(), waits: Vec::new() }
    }

    /// Twenty batches of ten.
    async fn order_two_hundred(&self, account: AccountId) {
        for batch in 0..20 {
            let model = [DRAW, SONG, FILM][batch % 3];
            let mut request = self.world.request(account, model, json!({"prompt": "kite"}));
            request.count = Some(10);
            self.world.place(&request).await;
        }
    }

    /// Lets time pass as long as `goes_on` says.
    async fn run(&mut self, time: Duration, goes_on: impl AsyncFn(&World) -> bool) {
        let end = self.world.now() + time;
        while self.world.now() < end && goes_on(&self.world).await {
            self.end_steps().await;
            self.begin_steps().await;
            self.world.clock.advance(TICK);
        }
    }

    async fn end_steps(&mut self) {
        let now = self.world.now();
        let (over, running): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.running).into_iter().partition(|(ends, _)| *ends <= now);
        self.running = running;
        for (_, actor) in over {
            assert!(self.world.gate.finish(actor).await);
        }
    }

    async fn begin_steps(&mut self) {
        let (now, policy) = (self.world.now(), self.world.life.policy());
        let lease_until = now + policy.lease;
        while self.running.len() < ROOM {
            let limit = u32::try_from(ROOM - self.running.len()).unwrap();
            let claim = ClaimJobs { now, lease_until, limit, slots: policy.create_slots };
            let claimed = self.world.store.claim_jobs(&claim).await.unwrap();
            if claimed.is_empty() {
                return;
            }
            for job in claimed {
                // What waits for a slot is late by the provider's limit, not by ours.
                if job.state != JobState::Pending {
                    self.waits.push(now.duration_since(job.wake_at.unwrap()).try_into().unwrap());
                }
                let life = self.world.life.clone();
                self.running.push((now + SLOW, Box::pin(async move { life.advance(&job).await.unwrap() })));
            }
        }
    }

    /// Waits until a job is with the provider; how long that took.
    async fn until_running(&mut self, id: JobId) -> Duration {
        let begun = self.world.now();
        self.run(Duration::from_mins(5), async |world| world.job(id).await.state != JobState::Running).await;
        self.world.now().duration_since(begun).try_into().unwrap()
    }

    /// The pace of a kind at its slowest, with its jitter and the time of a step.
    fn longest_gap(job: &Job) -> Duration {
        let seconds = match job.model.as_str() {
            DRAW => 15,
            SONG => 30,
            _ => 60,
        };
        Duration::from_secs(seconds).mul_f64(1.1) + SLOW + LATE_AFTER + TICK
    }
}

#[test]
fn f33_a_thousand_open_jobs_are_asked_at_their_pace_and_starve_nobody() {
    story(async {
        let mut crowd = Crowd::new().await;
        for _ in 0..5 {
            let account = crowd.world.customer(10_000_000).await;
            crowd.order_two_hundred(account).await;
        }
        // Somebody new while hundreds wait to be sent: served in turn, with the next slots.
        crowd.run(Duration::from_secs(15), async |_| true).await;
        let newcomer = crowd.world.customer(10_000).await;
        let job = crowd.world.order(newcomer, DRAW).await;
        let waited = crowd.until_running(job).await;
        assert!(waited <= Duration::from_secs(12), "the newcomer waited {waited:?} behind the crowd");
        crowd.run(Duration::from_mins(4), async |world| world.kie.creates().len() < 1_001).await;
        crowd.run(Duration::from_secs(45), async |_| true).await;

        // Somebody new while a thousand are being asked about.
        let job = crowd.world.order(newcomer, DRAW).await;
        let waited = crowd.until_running(job).await;
        assert!(waited <= SLOW + LATE_AFTER, "the newcomer waited {waited:?} beside the crowd");

        let creates = crowd.world.kie.creates();
        assert_eq!(creates.len(), 1_002);
        for window in creates.windows(usize::try_from(SLOTS).unwrap() + 1) {
            let span = window[window.len() - 1].at.duration_since(window[0].at);
            assert!(span.as_secs_f64() >= 10.0, "{} creates in {span:?}", window.len());
        }
        crowd.waits.sort_unstable();
        let late = crowd.waits[crowd.waits.len() * 99 / 100];
        assert!(late <= LATE_AFTER, "one in a hundred of {} rows waited {late:?}", crowd.waits.len());
        for task in crowd.world.kie.tasks() {
            let (job, _) = crowd.world.store.find_job_by_task(&task).await.unwrap().unwrap();
            let reads = crowd.world.kie.reads(&task);
            let slowest = reads.windows(2).map(|pair| pair[1].duration_since(pair[0]).unsigned_abs()).max();
            assert!(slowest.is_none_or(|gap| gap <= Crowd::longest_gap(&job)), "{task}: {slowest:?}");
        }
    });
}
