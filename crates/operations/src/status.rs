//! What an operator looks at first, and the lists behind it.

use std::time::Duration;

use domain::{Delivery, JobId, JobState, Timestamp};
use lifecycle::Skew;
use serde::Serialize;
use store::{CreditReading, JobFilter, Orphan, Overview, Store, StoreError, StuckLimits};

use crate::credits::credits_text;
use crate::waiting::{JobRow, job_rows};

/// A process that was alive within a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeenProcess {
    /// Its name.
    pub name: String,
    /// How many seconds ago it was seen.
    pub ago_s: i64,
    /// Milliseconds by which the database's clock was last found ahead of its machine's.
    pub skew_ms: Option<i64>,
}

/// The shop at a glance.
#[derive(Debug, Clone, Serialize)]
pub struct StatusReport {
    /// Counts and times.
    pub overview: Overview,
    /// Jobs that are stuck: not final and older than their kind allows.
    pub stuck: u64,
    /// The breaker's reason, if it is open.
    pub breaker: Option<String>,
    /// Models that the provider refuses.
    pub off_sale: Vec<String>,
    /// Processes that were alive.
    pub processes: Vec<SeenProcess>,
    /// Jobs whose results KIE soon deletes, though they are not stored.
    pub expiring: usize,
    /// The newest comparison of KIE's balance with our books.
    pub credits: Option<CreditReading>,
    /// The newest of the last week's comparisons by which credits are missing.
    pub drift: Option<CreditReading>,
    /// Seconds that the oldest due row waits; a worker that runs keeps it near zero.
    pub oldest_due_s: Option<i64>,
    /// What a person should look at, in sentences; none when all is well.
    pub alarms: Vec<String>,
}

/// At most so many rows of a list.
const LIST_MAX: u32 = 1000;
/// Daily readings of KIE's balance in which missing credits stay an alarm: nobody looks every day.
const DRIFT_TOLD: u32 = 7;
/// A worker that was not seen for so long does not run.
const SILENT_S: i64 = 120;

/// The shop over the last `window`.
///
/// # Errors
/// When the database fails.
pub async fn status(store: &dyn Store, window: Duration, now: Timestamp) -> Result<StatusReport, StoreError> {
    let since = now.saturating_sub(window).unwrap_or(Timestamp::MIN);
    let overview = store.overview(since, now).await?;
    let stuck = store.count_stuck(&StuckLimits::usual(&overview.models), now).await?;
    let breaker = store.breaker().await?.map(|breaker| breaker.reason);
    let off_sale: Vec<_> = store.models_off_sale().await?.into_iter().map(|health| health.model).collect();
    let ago = |at: Timestamp| now.as_second().saturating_sub(at.as_second());
    let day_old = 86_400;
    let processes: Vec<_> = store
        .heartbeats()
        .await?
        .into_iter()
        .map(|one| SeenProcess {
            ago_s: ago(one.seen_at),
            skew_ms: one.skew_micros.map(|micros| micros / 1000),
            name: one.name,
        })
        .filter(|one| one.ago_s < day_old)
        .collect();
    let oldest_due_s = overview.oldest_due.map(|due| ago(due).max(0));
    let expiring = lifecycle::expiring_jobs(store, now, LIST_MAX).await?.len();
    let readings = store.list_readings(DRIFT_TOLD).await?;
    let drift = readings.iter().find(|reading| reading.is_finding()).cloned();
    let credits = readings.into_iter().next();
    let mut report = StatusReport {
        overview,
        stuck,
        breaker,
        off_sale,
        processes,
        expiring,
        credits,
        drift,
        oldest_due_s,
        alarms: Vec::new(),
    };
    report.alarms = alarms(&report);
    Ok(report)
}

/// A sentence about one thing, if it is one.
fn one(number: u64, sentence: String) -> String {
    const ONE: [(&str, &str); 4] = [
        ("jobs are ", "job is "),
        ("deliveries are ", "delivery is "),
        ("callbacks name tasks ", "callback names a task "),
        ("results lie at private addresses and were ", "result lies at a private address and was "),
    ];
    if number != 1 {
        return sentence;
    }
    ONE.iter().fold(sentence, |sentence, (many, one)| sentence.replacen(many, one, 1))
}

fn alarms(report: &StatusReport) -> Vec<String> {
    let count = |state: JobState| {
        report.overview.states.iter().find(|(one, _)| *one == state).map_or(0, |(_, count)| *count)
    };
    let dead = report
        .overview
        .deliveries
        .iter()
        .find(|(state, _)| *state == domain::DeliveryState::Dead)
        .map_or(0, |(_, count)| *count);
    let alive = || report.processes.iter().filter(|one| one.ago_s < SILENT_S);
    let unclear = count(JobState::Unclear);
    [
        report.breaker.as_ref().map(|reason| {
            format!("KIE refuses to sell ({reason}): top the account up or check the key; jobs wait")
        }),
        (unclear > 0).then(|| one(unclear, format!("{unclear} jobs are unclear: `list --state unclear`, then `resolve`"))),
        (report.stuck > 0)
            .then(|| one(report.stuck, format!("{} jobs are stuck: `list --state stuck`, then `job ID`", report.stuck))),
        (dead > 0).then(|| one(dead, format!("{dead} deliveries are dead: `list --state dead`, then `redeliver`"))),
        (!report.off_sale.is_empty())
            .then(|| format!("KIE refuses these models, they are off sale: {}", report.off_sale.join(", "))),
        alive().next().is_none().then(|| "no worker was seen for two minutes: start kie-web, kie-bot or `watch`".to_owned()),
        (report.expiring > 0).then(|| {
            let sentence = format!(
                "KIE soon deletes results that are not stored: {} open jobs are older than 11 days, `list --state stuck`",
                report.expiring
            );
            one(u64::try_from(report.expiring).unwrap_or(u64::MAX), sentence)
        }),
        report.drift.as_ref().map(|reading| {
            format!(
                "credits are missing: {} left KIE's account beyond what our jobs consumed, by the reading of {}; \
                 `audit --provider`",
                credits_text(reading.drift_micro.unwrap_or(0)),
                crate::words::moment(reading.at)
            )
        }),
        report.oldest_due_s.filter(|waits| *waits > 60).map(|waits| {
            format!("the oldest due row waits for {waits} s: workers are stopped or overloaded, or none has its channel")
        }),
        (report.overview.orphans > 0)
            .then(|| one(report.overview.orphans, format!("{} callbacks name tasks that no job knows: `list --state orphan`", report.overview.orphans))),
        (!report.overview.unknown_words.is_empty()).then(|| {
            format!(
                "KIE uses words that nobody knows, of running jobs: {}; they are read on until their deadline, \
                 `list --state stuck`, `job ID --live`",
                words_text(&report.overview.unknown_words)
            )
        }),
        report.overview.blocked.map(|blocked| {
            let sentence = format!(
                "{} results lie at private addresses and were not fetched: the newest is of `job {}`",
                blocked.results, blocked.job
            );
            one(blocked.results, sentence)
        }),
    ]
    .into_iter()
    .flatten()
    .chain(alive().filter_map(|process| {
        let skew_ms = process.skew_ms.filter(|ms| is_wrong(*ms))?;
        Some(format!(
            "a clock is off: that of {}'s machine is {} by the database's, leases need them within 2 s; set up NTP on both",
            process.name,
            clock_text(skew_ms)
        ))
    }))
    .collect()
}

/// Each word with its number of jobs.
fn words_text(words: &[(String, u64)]) -> String {
    let words: Vec<_> = words.iter().map(|(word, jobs)| format!("`{word}` ({jobs})")).collect();
    words.join(", ")
}

fn is_wrong(skew_ms: i64) -> bool {
    Skew { micros: skew_ms.saturating_mul(1000) }.is_alarming()
}

/// How a clock goes that the database's is so far ahead of.
fn clock_text(skew_ms: i64) -> String {
    let (ms, way) = (skew_ms.unsigned_abs(), if skew_ms > 0 { "slow" } else { "fast" });
    format!("{}.{} s {way}", ms / 1000, ms % 1000 / 100)
}

/// What `list` can list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListState {
    /// Jobs of which nobody knows whether the provider has them.
    Unclear,
    /// Jobs not final and older than their kind allows.
    Stuck,
    /// Jobs that failed.
    Failed,
    /// Jobs with a dead delivery.
    Dead,
    /// Callbacks that no job knows.
    Orphan,
}

/// Trouble of one sort.
#[derive(Debug, Clone)]
pub enum Listed {
    /// Jobs.
    Jobs(Vec<JobRow>),
    /// Dead deliveries.
    Deliveries(Vec<Delivery>),
    /// Callbacks that no job knows.
    Orphans(Vec<Orphan>),
}

/// What is in trouble in one way.
///
/// # Errors
/// When the database fails.
pub async fn list(
    store: &dyn Store,
    state: ListState,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Result<Listed, StoreError> {
    let by_state = |state| JobFilter {
        states: vec![state],
        since,
        with_hidden: true,
        limit: LIST_MAX,
        ..JobFilter::default()
    };
    let jobs = match state {
        ListState::Unclear => store.list_jobs(&by_state(JobState::Unclear)).await?,
        ListState::Failed => store.list_jobs(&by_state(JobState::Failed)).await?,
        ListState::Stuck => {
            let day_ago = now.saturating_sub(StuckLimits::LOOKS_BACK).unwrap_or(Timestamp::MIN);
            let limits = StuckLimits::usual(&store.overview(day_ago, now).await?.models);
            store.stuck_jobs(&limits, since, now, LIST_MAX).await?
        }
        ListState::Dead => {
            let mut dead = store.list_dead_deliveries(None, None, LIST_MAX).await?;
            dead.retain(|one| since.is_none_or(|since| one.created_at >= since));
            return Ok(Listed::Deliveries(dead));
        }
        ListState::Orphan => return Ok(Listed::Orphans(store.list_orphans(None, since, LIST_MAX).await?)),
    };
    Ok(Listed::Jobs(job_rows(store, &jobs, now).await?))
}

/// Callbacks that no job knows and that name this task, or whose token names this job.
///
/// # Errors
/// When the database fails.
pub async fn orphans_of(store: &dyn Store, id_or_task: &str) -> Result<Vec<Orphan>, StoreError> {
    let of_task = store.list_orphans(Some(id_or_task), None, LIST_MAX).await?;
    let Ok(job) = id_or_task.parse::<JobId>() else { return Ok(of_task) };
    if !of_task.is_empty() {
        return Ok(of_task);
    }
    let mut orphans = store.list_orphans(None, None, LIST_MAX).await?;
    orphans.retain(|orphan| orphan.job == Some(job));
    Ok(orphans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_fast_or_slow() {
        assert_eq!([-3_050, 61_999].map(clock_text), ["3.0 s fast", "61.9 s slow"]);
        assert_eq!([-2_000, 2_000, -2_001, 2_001].map(is_wrong), [false, false, true, true]);
    }

    #[test]
    fn one_thing_is_told_as_one() {
        let told = [1, 2].map(|number| one(number, format!("{number} jobs are stuck")));
        assert_eq!(told, ["1 job is stuck", "2 jobs are stuck"]);
    }

    #[test]
    fn words_are_told_with_their_jobs() {
        let words = [("expired".to_owned(), 2), (String::new(), 1)];
        assert_eq!(words_text(&words), "`expired` (2), `` (1)");
    }
}
