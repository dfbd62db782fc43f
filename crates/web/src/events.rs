//! The hub of server-sent events: one watcher per account that somebody listens to, none otherwise.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{AccountId, Job, JobId, Scope, Timestamp};
use store::StoreError;
use tokio::sync::broadcast;
use tokio_util::task::TaskTracker;

use crate::api::money::Balance;
use crate::front::{Front, Shared};
use crate::problem::Problem;
use crate::view::{JobView, Viewer, view_jobs};

/// A listener that is so many events behind starts anew.
const QUEUE: usize = 256;
/// Changes that come together are read together.
const COALESCE: Duration = Duration::from_millis(50);
/// Changes of other processes on SQLite move no counter; the clock finds them.
const TICK: Duration = Duration::from_secs(1);
/// A change is seen with the time at which its transaction began, so the last moments are read again.
const OVERLAP: Duration = Duration::from_secs(5);
pub(crate) const PAGE: u32 = 200;

/// One event as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct HubEvent {
    /// `job` or `balance`.
    pub(crate) name: &'static str,
    /// Microseconds; what a listener resumes from.
    pub(crate) id: i64,
    /// JSON.
    pub(crate) json: Arc<str>,
}

type Key = (AccountId, Viewer);

/// Who is watched, by account and the way its rows are shown.
#[derive(Default)]
pub(crate) struct Hub {
    feeds: Mutex<HashMap<Key, broadcast::Sender<HubEvent>>>,
    tasks: TaskTracker,
}

/// What changes from now on; the watcher starts with the first listener and ends with the last.
pub(crate) fn subscribe(front: &Shared, account: AccountId, viewer: Viewer) -> broadcast::Receiver<HubEvent> {
    let mut feeds = front.hub.feeds.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (account, viewer);
    if let Some(feed) = feeds.get(&key) {
        return feed.subscribe();
    }
    let (feed, listener) = broadcast::channel(QUEUE);
    feeds.insert(key, feed.clone());
    let watcher = Watcher::new(key, front.now());
    front.hub.tasks.spawn(watch(front.clone(), key, feed, watcher));
    listener
}

/// Jobs as events, in their order of change.
pub(crate) async fn job_events(
    front: &Front,
    jobs: &[Job],
    viewer: Viewer,
) -> Result<Vec<HubEvent>, Problem> {
    let views = view_jobs(front, jobs, viewer).await?;
    let event = |view: &JobView| {
        let json = serde_json::to_string(view).map_err(Problem::internal)?.into();
        Ok(HubEvent { name: "job", id: view.updated_at.as_microsecond(), json })
    };
    views.iter().map(event).collect()
}

/// The balance as an event; none if there is no such account.
pub(crate) async fn find_balance(front: &Front, account: AccountId) -> Result<Option<Balance>, StoreError> {
    let currency = front.lifecycle().policy().currency.code();
    let found = front.store().find_account(account).await?;
    Ok(found.map(|account| Balance {
        available: account.available,
        held: account.held,
        currency: currency.to_owned(),
    }))
}

pub(crate) fn balance_event(balance: &Balance, at: Timestamp) -> Result<HubEvent, Problem> {
    let json = serde_json::to_string(balance).map_err(Problem::internal)?;
    Ok(HubEvent { name: "balance", id: at.as_microsecond(), json: json.into() })
}

async fn watch(front: Shared, key: Key, feed: broadcast::Sender<HubEvent>, mut watcher: Watcher) {
    let mut changes = front.store().changes();
    loop {
        tokio::select! {
            () = feed.closed() => {}
            moved = changes.changed() => {
                if moved.is_err() {
                    tokio::time::sleep(TICK).await;
                }
                tokio::time::sleep(COALESCE).await;
                changes.mark_unchanged();
            }
            () = tokio::time::sleep(TICK) => {}
        }
        if left(&front.hub, key, &feed) {
            return;
        }
        match watcher.look(&front).await {
            // Nobody listens any more; the next round ends.
            Ok(events) => events.into_iter().for_each(|event| drop(feed.send(event))),
            Err(problem) => tracing::warn!(account = %key.0, ?problem, "events.unreadable"),
        }
    }
}

/// Ends a watcher without listeners, under the lock, so that no listener can come to it meanwhile.
fn left(hub: &Hub, key: Key, feed: &broadcast::Sender<HubEvent>) -> bool {
    let mut feeds = hub.feeds.lock().unwrap_or_else(PoisonError::into_inner);
    if feed.receiver_count() > 0 {
        return false;
    }
    feeds.remove(&key);
    true
}

/// What one account's listeners have been told.
struct Watcher {
    account: AccountId,
    viewer: Viewer,
    /// Changes from here on are looked at.
    since: Timestamp,
    /// Versions told, of the jobs in the overlap.
    told: HashMap<JobId, (i64, Timestamp)>,
    balance: Option<Balance>,
}

impl Watcher {
    fn new((account, viewer): Key, now: Timestamp) -> Self {
        let since = now.saturating_sub(OVERLAP).unwrap_or(now);
        Self { account, viewer, since, told: HashMap::new(), balance: None }
    }

    async fn look(&mut self, front: &Front) -> Result<Vec<HubEvent>, Problem> {
        let scope = Scope::Account(self.account);
        let jobs = front.store().changed_jobs(scope, self.since, PAGE).await?;
        let is_full = jobs.len() >= PAGE as usize;
        let last = jobs.last().map(|job| job.updated_at);
        let fresh: Vec<Job> = jobs.into_iter().filter(|job| self.is_new(job)).collect();
        let mut events = job_events(front, &fresh, self.viewer).await?;
        for job in &fresh {
            self.told.insert(job.id, (job.version, job.updated_at));
        }
        if let Some(last) = last {
            // A full page is read on from its end; else the last moments stay in sight.
            let next = if is_full { last } else { last.saturating_sub(OVERLAP).unwrap_or(last) };
            self.since = self.since.max(next);
            if is_full && fresh.is_empty() {
                self.since = last.saturating_add(Duration::from_micros(1)).unwrap_or(last);
            }
        }
        self.told.retain(|_, (_, at)| *at >= self.since);
        let balance = find_balance(front, self.account).await?;
        if let Some(balance) = balance.filter(|balance| Some(balance) != self.balance.as_ref()) {
            // Told at the first look, too: it may have changed between a listener's own reading and that look.
            events.push(balance_event(&balance, front.now())?);
            self.balance = Some(balance);
        }
        Ok(events)
    }

    fn is_new(&self, job: &Job) -> bool {
        self.told.get(&job.id).is_none_or(|(version, _)| *version < job.version)
    }
}
