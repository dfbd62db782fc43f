//! The hub of server-sent events: one watcher for all who listen, none while nobody does.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{AccountId, Job, JobId, Scope, Timestamp};
use futures_util::future::try_join_all;
use store::StoreError;
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;
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
/// A change is seen with the time at which its transaction began, so the last moments are read again, once a tick.
const OVERLAP: Duration = Duration::from_secs(5);
/// The smallest step of time that rows know.
const MOMENT: Duration = Duration::from_micros(1);
/// Pages of one look; what is behind them is seen by the next.
const PAGES_MAX: usize = 10;
const BALANCES_AT_ONCE: usize = 4;
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
    feeds: Mutex<Feeds>,
    /// Somebody new listens.
    joined: Notify,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Feeds {
    by_key: HashMap<Key, Feed>,
    is_watched: bool,
}

struct Feed {
    sender: broadcast::Sender<HubEvent>,
    /// Somebody came since the last look, who has to hear what changed a moment before.
    is_new: bool,
}

impl Hub {
    fn feeds(&self) -> MutexGuard<'_, Feeds> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who listens, and who of them is new. None ends the watcher: under the lock, so that nobody can come meanwhile.
    fn listeners(&self) -> Option<Vec<(Key, bool)>> {
        let mut feeds = self.feeds();
        feeds.by_key.retain(|_, feed| feed.sender.receiver_count() > 0);
        feeds.is_watched = !feeds.by_key.is_empty();
        let heard = |(key, feed): (&Key, &mut Feed)| (*key, std::mem::take(&mut feed.is_new));
        feeds.is_watched.then(|| feeds.by_key.iter_mut().map(heard).collect())
    }

    /// Whoever was new has not been served and stays new.
    fn postpone(&self, listeners: &[(Key, bool)]) {
        let mut feeds = self.feeds();
        for (key, _) in listeners.iter().filter(|(_, is_new)| *is_new) {
            if let Some(feed) = feeds.by_key.get_mut(key) {
                feed.is_new = true;
            }
        }
    }

    fn send(&self, events: Vec<(Key, HubEvent)>) {
        let feeds = self.feeds();
        for (key, event) in events {
            if let Some(feed) = feeds.by_key.get(&key) {
                // Nobody listens any more; the next look notices.
                drop(feed.sender.send(event));
            }
        }
    }
}

/// What changes from now on, and did in the last moments; the watcher starts with the first listener and ends with the
/// last.
pub(crate) fn subscribe(front: &Shared, account: AccountId, viewer: Viewer) -> broadcast::Receiver<HubEvent> {
    let mut feeds = front.hub.feeds();
    let feed = feeds.by_key.entry((account, viewer));
    let feed = feed.or_insert_with(|| Feed { sender: broadcast::channel(QUEUE).0, is_new: true });
    feed.is_new = true;
    let listener = feed.sender.subscribe();
    if !std::mem::replace(&mut feeds.is_watched, true) {
        front.hub.tasks.spawn(watch(front.clone()));
    }
    front.hub.joined.notify_one();
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

async fn watch(front: Shared) {
    let mut changes = front.store().changes();
    let mut watcher = Watcher::new(front.now());
    loop {
        tokio::select! {
            moved = changes.changed() => {
                if moved.is_err() {
                    tokio::time::sleep(TICK).await;
                }
            }
            () = front.hub.joined.notified() => {}
            () = tokio::time::sleep_until(watcher.deep_at) => {}
        }
        tokio::time::sleep(COALESCE).await;
        changes.mark_unchanged();
        let Some(listeners) = front.hub.listeners() else { return };
        match watcher.look(&front, &listeners).await {
            Ok(events) => front.hub.send(events),
            Err(problem) => {
                front.hub.postpone(&listeners);
                tracing::warn!(?problem, "events.unreadable");
            }
        }
    }
}

/// What all listeners of this process have been told: one reading of the shop serves them all.
struct Watcher {
    /// The last change that was seen.
    seen: Timestamp,
    /// Then the overlap and the balances are read again.
    deep_at: Instant,
    /// Versions told, of the jobs in the overlap.
    told: HashMap<JobId, (i64, Timestamp)>,
    balances: HashMap<AccountId, Balance>,
}

impl Watcher {
    fn new(now: Timestamp) -> Self {
        Self { seen: now, deep_at: Instant::now(), told: HashMap::new(), balances: HashMap::new() }
    }

    async fn look(
        &mut self,
        front: &Front,
        listeners: &[(Key, bool)],
    ) -> Result<Vec<(Key, HubEvent)>, Problem> {
        let is_deep = Instant::now() >= self.deep_at;
        let accounts: HashSet<AccountId> = listeners.iter().map(|((account, _), _)| *account).collect();
        let (changed, seen) = self.changed(front, &accounts, is_deep).await?;
        let (mut events, mut heard) = (Vec::new(), changed.clone());
        for &((account, viewer), is_new) in listeners {
            let own: Vec<Job> = if is_new {
                front.store().changed_jobs(Scope::Account(account), before(front.now()), PAGE).await?
            } else {
                changed.iter().filter(|job| job.account == account).cloned().collect()
            };
            let told = job_events(front, &own, viewer).await?;
            events.extend(told.into_iter().map(|event| ((account, viewer), event)));
            heard.extend(own.into_iter().filter(|_| is_new));
        }
        let touched: HashSet<AccountId> = changed.iter().map(|job| job.account).collect();
        let is_due = |key: &&(Key, bool)| is_deep || key.1 || touched.contains(&key.0.0);
        let due: HashSet<AccountId> =
            listeners.iter().filter(is_due).map(|((account, _), _)| *account).collect();
        let moved = self.moved_balances(front, due).await?;
        for &((account, viewer), is_new) in listeners {
            // Told at the first look, too: it may have changed between a listener's own reading and that look.
            let balance = moved.get(&account).or_else(|| self.balances.get(&account).filter(|_| is_new));
            if let Some(balance) = balance {
                events.push(((account, viewer), balance_event(balance, front.now())?));
            }
        }
        // Nothing above was sent yet; from here on it counts as told.
        self.balances.extend(moved);
        self.balances.retain(|account, _| accounts.contains(account));
        self.told.extend(heard.iter().map(|job| (job.id, (job.version, job.updated_at))));
        self.seen = seen;
        self.told.retain(|_, (_, at)| *at >= before(seen));
        if is_deep {
            self.deep_at = Instant::now() + TICK;
        }
        Ok(events)
    }

    /// What changed of these accounts and was not told, and up to when.
    async fn changed(
        &self,
        front: &Front,
        accounts: &HashSet<AccountId>,
        is_deep: bool,
    ) -> Result<(Vec<Job>, Timestamp), Problem> {
        let mut from = if is_deep { before(self.seen) } else { self.seen };
        let (mut changed, mut seen) = (Vec::new(), self.seen);
        for _page in 0..PAGES_MAX {
            let jobs = front.store().changed_jobs(Scope::All, from, PAGE).await?;
            let is_full = jobs.len() >= PAGE as usize;
            let Some(last) = jobs.last().map(|job| job.updated_at) else { break };
            changed
                .extend(jobs.into_iter().filter(|job| accounts.contains(&job.account) && self.is_new(job)));
            seen = seen.max(last);
            if !is_full {
                break;
            }
            // A page of one moment alone would be read for ever.
            from = if last > from { last } else { last.saturating_add(MOMENT).unwrap_or(last) };
        }
        // The end of a page is read again at the start of the next.
        let mut newest: HashMap<JobId, i64> = HashMap::new();
        changed.retain(|job: &Job| newest.insert(job.id, job.version).is_none_or(|told| told < job.version));
        Ok((changed, seen))
    }

    async fn moved_balances(
        &self,
        front: &Front,
        accounts: HashSet<AccountId>,
    ) -> Result<HashMap<AccountId, Balance>, Problem> {
        let accounts: Vec<AccountId> = accounts.into_iter().collect();
        let mut moved = HashMap::new();
        for some in accounts.chunks(BALANCES_AT_ONCE) {
            let balances = try_join_all(some.iter().map(|account| find_balance(front, *account))).await?;
            for (account, balance) in some.iter().zip(balances) {
                if let Some(balance) = balance.filter(|balance| self.balances.get(account) != Some(balance)) {
                    moved.insert(*account, balance);
                }
            }
        }
        Ok(moved)
    }

    fn is_new(&self, job: &Job) -> bool {
        self.told.get(&job.id).is_none_or(|(version, _)| *version < job.version)
    }
}

fn before(at: Timestamp) -> Timestamp {
    at.saturating_sub(OVERLAP).unwrap_or(at)
}
