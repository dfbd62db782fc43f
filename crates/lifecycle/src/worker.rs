//! The worker: claims what is due in batches, runs it with bounded concurrency, sleeps until woken.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::{Delivery, Job};
use store::{ClaimJobs, StoreError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Lifecycle, error_chain::error_chain, shares::Shares};

/// How much a worker does at once, and how it looks for work.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Steps of jobs at once.
    pub jobs: usize,
    /// Deliveries at once.
    pub deliveries: usize,
    /// The due scan, whatever hints come or fail to come.
    pub scan_every: Duration,
    /// Name under which it tells that it is alive.
    pub name: String,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self { jobs: 128, deliveries: 32, scan_every: Duration::from_secs(1), name: "worker".to_owned() }
    }
}

/// What one pass until nothing is due did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PassReport {
    /// Steps of jobs.
    pub steps: u64,
    /// Tries of deliveries.
    pub deliveries: u64,
    /// Of both, those that failed and wait to be tried again.
    pub failures: u64,
}

#[derive(Debug, Default)]
struct Counters {
    steps: AtomicU64,
    deliveries: AtomicU64,
    failures: AtomicU64,
}

/// Claims and advances. Any number may run on one database.
pub struct Worker {
    lifecycle: Arc<Lifecycle>,
    options: WorkerOptions,
    tasks: TaskTracker,
    job_slots: Arc<Semaphore>,
    delivery_slots: Arc<Semaphore>,
    shares: Arc<Shares>,
    counters: Arc<Counters>,
}

/// House is kept, and life is shown, this often.
const HOUSEKEEPING_EVERY: Duration = Duration::from_mins(10);
const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);

impl Worker {
    /// A worker over these use cases.
    pub fn new(lifecycle: Arc<Lifecycle>, options: WorkerOptions) -> Self {
        Self {
            job_slots: Arc::new(Semaphore::new(options.jobs)),
            delivery_slots: Arc::new(Semaphore::new(options.deliveries)),
            shares: Shares::of(options.deliveries),
            tasks: TaskTracker::new(),
            counters: Arc::default(),
            lifecycle,
            options,
        }
    }

    /// Works until `shutdown`, then waits for open steps: a create that was sent is never left without its answer.
    pub async fn run(&self, shutdown: CancellationToken) {
        tokio::join!(self.work(&shutdown), self.chores(&shutdown));
        self.drain().await;
    }

    async fn work(&self, shutdown: &CancellationToken) {
        let mut changes = self.lifecycle.store().changes();
        while !shutdown.is_cancelled() {
            // The hint is marked as seen before the scan, so that none that comes during it is lost.
            changes.borrow_and_update();
            let claimed = self.claim(u32::MAX).await.unwrap_or_else(|error| {
                tracing::error!(error = &error as &dyn std::error::Error, "worker.cannot_claim");
                0
            });
            if claimed > 0 {
                continue;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = changes.changed() => {}
                () = tokio::time::sleep(self.options.scan_every) => {}
            }
        }
    }

    /// Side by side, so that a long round in the house does not look like death.
    async fn chores(&self, shutdown: &CancellationToken) {
        let (mut house, mut heartbeat) =
            (tokio::time::interval(HOUSEKEEPING_EVERY), tokio::time::interval(HEARTBEAT_EVERY));
        let keeping = async {
            loop {
                house.tick().await;
                self.keep_house().await;
            }
        };
        let beating = async {
            loop {
                heartbeat.tick().await;
                self.show_life().await;
            }
        };
        tokio::select! {
            never = keeping => never,
            never = beating => never,
            () = shutdown.cancelled() => {}
        }
    }

    /// One pass of a shop that has no other worker: keeps house, shows life, then works until nothing is due.
    pub async fn pass(&self, limit: u64, stop: &CancellationToken) -> Result<PassReport, StoreError> {
        self.keep_house().await;
        self.show_life().await;
        self.run_until_idle(limit, stop).await
    }

    /// Works until nothing is due, `limit` rows were claimed, or it shall stop. It never returns before its open steps,
    /// whatever goes wrong: a create that was sent is never left without its answer.
    pub async fn run_until_idle(
        &self,
        limit: u64,
        stop: &CancellationToken,
    ) -> Result<PassReport, StoreError> {
        let mut left = limit;
        let mut outcome = Ok(());
        while left > 0 && !stop.is_cancelled() {
            match self.claim(u32::try_from(left).unwrap_or(u32::MAX)).await {
                Ok(0) if self.tasks.is_empty() => break,
                Ok(0) => self.wait_for_tasks().await,
                Ok(claimed) => left = left.saturating_sub(claimed.into()),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        self.wait_for_tasks().await;
        outcome.map(|()| self.report())
    }

    /// What was done so far.
    pub fn report(&self) -> PassReport {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PassReport {
            steps: read(&self.counters.steps),
            deliveries: read(&self.counters.deliveries),
            failures: read(&self.counters.failures),
        }
    }

    async fn wait_for_tasks(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    async fn drain(&self) {
        let open = self.tasks.len();
        if open > 0 {
            tracing::info!(open, "worker.draining: waiting for open steps");
        }
        self.wait_for_tasks().await;
        tracing::info!("worker.stopped");
    }

    /// One claim of each kind, no more than there is room for and than `most`; how many rows.
    async fn claim(&self, most: u32) -> Result<u32, StoreError> {
        let lifecycle = &self.lifecycle;
        let now = lifecycle.ids().now();
        let lease_until = lifecycle.after(lifecycle.policy().lease);
        let room = |slots: &Semaphore| u32::try_from(slots.available_permits()).unwrap_or(u32::MAX);
        let mut claimed: u32 = 0;
        let limit = room(&self.job_slots).min(most);
        if limit > 0 {
            let claim = ClaimJobs { now, lease_until, limit, slots: lifecycle.policy().create_slots };
            for job in lifecycle.store().claim_jobs(&claim).await? {
                store::fail_point!("worker.claimed");
                claimed = claimed.saturating_add(1);
                self.start_job(job).await;
            }
        }
        let limit = room(&self.delivery_slots).min(most.saturating_sub(claimed));
        if limit > 0 {
            let channels = lifecycle.channels();
            for delivery in lifecycle.store().claim_deliveries(&channels, now, lease_until, limit).await? {
                store::fail_point!("worker.claimed_delivery");
                claimed = claimed.saturating_add(1);
                self.start_delivery(delivery).await;
            }
        }
        if claimed == 0 && room(&self.job_slots) == 0 {
            // Full: wait until one step ends instead of scanning; deliveries have slots of their own.
            let _ = tokio::time::timeout(self.options.scan_every, self.job_slots.acquire()).await;
        }
        Ok(claimed)
    }

    async fn start_job(&self, job: Job) {
        let (lifecycle, counters) = (self.lifecycle.clone(), self.counters.clone());
        self.start(&self.job_slots, async move {
            let outcome = step_under_lease(&lifecycle, &job).await;
            counters.steps.fetch_add(1, Ordering::Relaxed);
            if let Err(words) = outcome {
                counters.failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(job = %job.id, state = %job.state, error = words, "step.failed");
                if let Err(error) = lifecycle.postpone(&job, &words).await {
                    // The lease ends by itself, and the job is due again.
                    tracing::error!(job = %job.id, error = &error as &dyn std::error::Error, "step.not_postponed");
                }
            }
        })
        .await;
    }

    async fn start_delivery(&self, delivery: Delivery) {
        let (lifecycle, counters) = (self.lifecycle.clone(), self.counters.clone());
        let share = self.shares.take(delivery.account);
        self.start(&self.delivery_slots, async move {
            let outcome = if share.is_some() {
                counters.deliveries.fetch_add(1, Ordering::Relaxed);
                lifecycle.deliver(&delivery).await
            } else {
                lifecycle.put_off(&delivery).await
            };
            if let Err(error) = outcome {
                counters.failures.fetch_add(1, Ordering::Relaxed);
                let error = &error as &dyn std::error::Error;
                tracing::error!(delivery = %delivery.id, error, "delivery.not_tried");
            }
        })
        .await;
    }

    async fn start(&self, slots: &Arc<Semaphore>, work: impl Future<Output = ()> + Send + 'static) {
        // The claim asked for no more rows than there are permits, so this does not wait.
        let Ok(permit) = slots.clone().acquire_owned().await else { return };
        self.tasks.spawn(async move {
            work.await;
            drop(permit);
        });
    }

    async fn keep_house(&self) {
        match self.lifecycle.keep_house().await {
            Ok(report) if report != crate::HousekeepingReport::default() => {
                let (callbacks, assets) = (report.callbacks_deleted, report.assets_purged);
                tracing::info!(callbacks, assets, "house.kept");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "house.not_kept"),
        }
    }

    async fn show_life(&self) {
        let lifecycle = &self.lifecycle;
        let skew = lifecycle.measure_skew().await.ok();
        let of_machine = skew.map(|skew| lifecycle.of_machine(skew).micros);
        let seen = lifecycle.store().heartbeat(&self.options.name, lifecycle.ids().now(), of_machine).await;
        if let Err(error) = seen {
            tracing::warn!(error = &error as &dyn std::error::Error, "heartbeat.failed");
        }
        if let Err(error) = lifecycle.offers().refresh(lifecycle.store(), lifecycle.ids().now()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "offers.not_refreshed");
        }
        if let Some(skew) = skew.filter(|skew| skew.is_alarming()) {
            tracing::error!(
                skew_ms = skew.micros / 1000,
                "clock.skew: the database's clock differs from ours"
            );
        }
    }
}

/// Runs a step while its lease is prolonged; a panic is an error of this job alone.
async fn step_under_lease(lifecycle: &Arc<Lifecycle>, job: &Job) -> Result<(), String> {
    let step = {
        let (lifecycle, job) = (lifecycle.clone(), job.clone());
        async move { lifecycle.advance(&job).await }
    };
    let tracker = TaskTracker::new();
    let running = tracker.spawn(step);
    let renewing = renew(lifecycle, job);
    tokio::select! {
        outcome = running => match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error_chain(&error)),
            Err(join) => Err(format!("the step panicked: {join}")),
        },
        never = renewing => match never {},
    }
}

/// Prolongs the lease for as long as the fence is ours. It never ends, so that it cannot end the step beside it.
async fn renew(lifecycle: &Lifecycle, job: &Job) -> Infallible {
    let lease = lifecycle.policy().lease;
    loop {
        tokio::time::sleep(lease / 3).await;
        match lifecycle.store().renew_lease(job.id, job.fence, lifecycle.after(lease)).await {
            Ok(true) => {}
            Ok(false) => return std::future::pending().await,
            Err(error) => {
                tracing::warn!(job = %job.id, error = &error as &dyn std::error::Error, "lease.not_renewed");
            }
        }
    }
}
