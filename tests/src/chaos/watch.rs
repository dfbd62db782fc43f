//! How long a row that is due has to wait: after a kill, when its lease is over, and otherwise.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::acts::Line;
use super::stage::Stage;

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Rows that are due, for how long, and whether a lease ran out on them. `pending` rows wait for their slots besides.
const DUE: &str = "
    select id, fence, lease_until is not null,
      extract(epoch from clock_timestamp() - greatest(wake_at, lease_until))::float8
    from kie.job
    where wake_at is not null and state <> 'pending' and wake_at <= clock_timestamp()
      and (lease_until is null or lease_until <= clock_timestamp())
    limit 5000";

/// How late rows were taken, in seconds.
#[derive(Debug, Default)]
pub(crate) struct Lateness {
    /// The longest wait seen of each claim that ended with its lease.
    abandoned: HashMap<(Uuid, i64), f64>,
    /// The longest wait seen of each other row.
    others: HashMap<(Uuid, i64), f64>,
    /// Looks at which the shop could work.
    looks: u64,
}

/// A figure of waits, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Waits {
    pub(crate) rows: usize,
    pub(crate) half: f64,
    pub(crate) most: f64,
    pub(crate) longest: f64,
}

impl Lateness {
    pub(crate) fn abandoned(&self) -> Waits {
        Waits::of(self.abandoned.values().copied().collect())
    }

    pub(crate) fn others(&self) -> Waits {
        Waits::of(self.others.values().copied().collect())
    }

    pub(crate) const fn looks(&self) -> u64 {
        self.looks
    }
}

impl Waits {
    fn of(mut waits: Vec<f64>) -> Self {
        waits.sort_by(f64::total_cmp);
        let at =
            |share: usize| waits.get((waits.len() * share / 100).min(waits.len().saturating_sub(1))).copied();
        Self {
            rows: waits.len(),
            half: at(50).unwrap_or_default(),
            most: at(99).unwrap_or_default(),
            longest: waits.last().copied().unwrap_or_default(),
        }
    }
}

/// Looks until told to stop. A wait counts from the moment at which somebody could work: the database answers, its line
/// is open, and a worker's process does.
pub(crate) async fn watch(stage: Arc<Stage>, found: Arc<Mutex<Lateness>>, stop: CancellationToken) {
    let (mut connection, mut answers_since, mut works_since) = (None, Instant::now(), None);
    while !stop.is_cancelled() {
        tokio::time::sleep(LOOK_EVERY).await;
        works_since = worker(&stage).await.then(|| works_since.unwrap_or_else(Instant::now));
        if connection.is_none() {
            answers_since = Instant::now();
            connection = stage.cluster.connect().await.ok();
        }
        let Some(open) = connection.as_mut() else { continue };
        let Some(rows) = due(open).await else {
            connection = None;
            continue;
        };
        let Some(undisturbed) = stage.line(Line::Database).open_for() else { continue };
        let Some(works) = works_since else { continue };
        let possible = undisturbed.min(answers_since.elapsed()).min(works.elapsed()).as_secs_f64();
        let mut found = found.lock().unwrap();
        found.looks += 1;
        for (id, fence, abandoned, wait) in rows {
            let waits = if abandoned { &mut found.abandoned } else { &mut found.others };
            let longest = waits.entry((id, fence)).or_default();
            *longest = longest.max(wait.min(possible));
        }
    }
}

async fn due(connection: &mut PgConnection) -> Option<Vec<(Uuid, i64, bool, f64)>> {
    let rows = sqlx::query_as(DUE).fetch_all(connection);
    tokio::time::timeout(Duration::from_secs(5), rows).await.ok()?.ok()
}

/// Whether a process with a worker answers.
async fn worker(stage: &Stage) -> bool {
    let asked = stage.web_addresses.iter().map(|address| {
        let request = stage.http.get(format!("http://{address}/healthz")).timeout(Duration::from_secs(1));
        async move { request.send().await.is_ok_and(|answer| answer.status().is_success()) }
    });
    futures_util::future::join_all(asked).await.into_iter().any(|answers| answers)
}
