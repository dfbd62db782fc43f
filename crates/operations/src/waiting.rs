//! Why a job waits, in a line: what was tried last, when it is tried next, what ends the waiting.

use domain::{Asset, AssetState, Cause, Job, JobId, JobState, Money, TimelineEntry, Timestamp};
use serde::Serialize;
use store::{Breaker, Store, StoreError};

use crate::words::{counted, moment};

/// One line of a list of jobs.
#[derive(Debug, Clone, Serialize)]
pub struct JobRow {
    /// Its id.
    pub id: JobId,
    /// Its owner.
    pub account: domain::AccountId,
    /// The model.
    pub model: String,
    /// Where it stands.
    pub state: JobState,
    /// Why it failed.
    pub cause: Option<Cause>,
    /// The provider's words.
    pub failure: Option<String>,
    /// The provider's task.
    pub task_id: Option<String>,
    /// Minor units.
    pub price: Money,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// When it entered its state.
    pub entered_at: Timestamp,
    /// When it wants attention.
    pub wake_at: Option<Timestamp>,
    /// When its state ends by policy.
    pub deadline_at: Option<Timestamp>,
    /// What happens then.
    pub at_deadline: Option<&'static str>,
    /// Steps without progress in its state.
    pub tries: u32,
    /// Fast reads left after a callback.
    pub hints: u16,
    /// Until when a worker has it.
    pub lease_until: Option<Timestamp>,
    /// What it waits for; none if it is over, or was not looked up.
    pub waits: Option<String>,
}

/// The line of this job as its row has it.
pub fn job_row(job: &Job) -> JobRow {
    JobRow {
        id: job.id,
        account: job.account,
        model: job.model.clone(),
        state: job.state,
        cause: job.cause,
        failure: job.failure.clone(),
        task_id: job.task_id.clone(),
        price: job.price,
        created_at: job.created_at,
        entered_at: job.entered_at,
        wake_at: job.wake_at,
        deadline_at: job.deadline_at,
        at_deadline: job.deadline_at.and(at_deadline(job.state)),
        tries: job.tries,
        hints: job.hints,
        lease_until: job.lease_until,
        waits: None,
    }
}

/// The lines of these jobs with what each of them waits for, in the same order.
///
/// # Errors
/// When the database fails.
pub async fn job_rows(store: &dyn Store, jobs: &[Job], now: Timestamp) -> Result<Vec<JobRow>, StoreError> {
    let open: Vec<JobId> = jobs.iter().filter(|job| !job.state.is_final()).map(|job| job.id).collect();
    let timelines = store.timelines(&open).await?;
    let files = store.assets_of(&open).await?;
    let breaker = breaker_for(store, jobs).await?;
    let row = |job: &Job| {
        let timeline = timelines.get(&job.id).map(Vec::as_slice).unwrap_or_default();
        let own: Vec<&Asset> = files.iter().filter(|file| file.job == Some(job.id)).collect();
        let waits =
            if job.state.is_final() { None } else { waits_for(job, timeline, &own, (breaker.as_ref(), now)) };
        JobRow { waits, ..job_row(job) }
    };
    Ok(jobs.iter().map(row).collect())
}

/// What keeps KIE from selling, if any of these jobs waits to be sent; one query whatever their number.
pub(crate) async fn breaker_for(store: &dyn Store, jobs: &[Job]) -> Result<Option<Breaker>, StoreError> {
    if jobs.iter().any(|job| job.state == JobState::Pending) { store.breaker().await } else { Ok(None) }
}

/// Why rows that are due are not taken: KIE refuses to sell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotTaken {
    /// How many jobs.
    pub jobs: usize,
    /// KIE's words.
    pub reason: String,
    /// When one of them is tried.
    pub next_trial_at: Timestamp,
}

impl NotTaken {
    /// The same for people.
    pub fn text(&self) -> String {
        let jobs = counted(self.jobs, "due job is", "due jobs are");
        let (reason, next) = (&self.reason, moment(self.next_trial_at));
        format!("{jobs} not taken: KIE refuses to sell ({reason}), one is tried at {next}")
    }
}

/// Why some of these due jobs are not taken; none if all are, slots apart.
///
/// # Errors
/// When the database fails.
pub async fn not_taken(
    store: &dyn Store,
    due: &[Job],
    now: Timestamp,
) -> Result<Option<NotTaken>, StoreError> {
    let jobs = due.iter().filter(|job| job.state == JobState::Pending && !is_too_late(job, now)).count();
    let breaker = breaker_for(store, due).await?.filter(|_| jobs > 0);
    Ok(breaker.map(|Breaker { reason, next_trial_at, .. }| NotTaken { jobs, reason, next_trial_at }))
}

/// What happens when the time of a state is over.
const fn at_deadline(state: JobState) -> Option<&'static str> {
    match state {
        JobState::Draft => Some("the draft is canceled"),
        JobState::Pending => Some("it fails, and the money goes back"),
        JobState::Unclear => {
            Some("UNCLEAR_POLICY decides: release gives the money back, hold waits for an operator")
        }
        JobState::Running => {
            Some("it is given up, and the money goes back, unless KIE's record says success then")
        }
        JobState::Storing => Some(
            "files that are not stored are lost; what is stored is paid, without any the money goes back",
        ),
        JobState::Failed => Some("no late result is looked for any more"),
        JobState::Submitting | JobState::Done | JobState::Canceled => None,
    }
}

/// What a job waits for, from its row, its history and its files; none if for nothing.
pub(crate) fn waits_for(
    job: &Job,
    timeline: &[TimelineEntry],
    files: &[&Asset],
    (breaker, now): (Option<&Breaker>, Timestamp),
) -> Option<String> {
    // While KIE refuses to sell, a pending row that is due is not taken: it waits for the trial.
    let shut = breaker.filter(|_| job.state == JobState::Pending && !is_too_late(job, now));
    let words = match job.state {
        JobState::Done | JobState::Canceled => return None,
        JobState::Failed => job.wake_at.map(|_| "a late result would be a gift".to_owned())?,
        JobState::Draft => "waits for its confirmation".to_owned(),
        JobState::Submitting if is_held(job, now) => "the order is on its way to KIE".to_owned(),
        JobState::Submitting => "its sender is gone, KIE may have the order".to_owned(),
        JobState::Pending => pending(timeline, shut),
        JobState::Unclear => unclear(timeline),
        JobState::Running => running(timeline),
        JobState::Storing => storing(files),
    };
    let next = match job.lease_until.filter(|_| is_held(job, now)) {
        Some(until) => format!("a worker has it until {}", moment(until)),
        None => match job.wake_at {
            Some(at) if at <= now && shut.is_some() => return Some(words),
            Some(at) if at <= now => format!("due since {}", moment(at)),
            Some(at) => format!("next at {}", moment(at)),
            None => "never looked at by itself".to_owned(),
        },
    };
    Some(format!("{words}, {next}"))
}

fn is_held(job: &Job, now: Timestamp) -> bool {
    job.lease_until.is_some_and(|until| until > now)
}

/// Whether its state ends by policy at the next look.
fn is_too_late(job: &Job, now: Timestamp) -> bool {
    job.deadline_at.is_some_and(|deadline| deadline <= now)
}

/// The newest line of these events.
fn newest<'a>(timeline: &'a [TimelineEntry], events: &[&str]) -> Option<&'a TimelineEntry> {
    timeline.iter().filter(|line| events.contains(&&*line.event)).max_by_key(|line| line.last_at)
}

fn said(line: &TimelineEntry) -> String {
    let often = if line.times > 1 { format!(" ×{}", line.times) } else { String::new() };
    format!("{}{often}", line.detail.as_deref().unwrap_or(&line.event))
}

fn pending(timeline: &[TimelineEntry], shut: Option<&Breaker>) -> String {
    let ordered = timeline.iter().rfind(|line| {
        line.event == "job.decided" && line.detail.as_deref().is_some_and(|words| words.starts_with("resend"))
    });
    let refused = newest(timeline, &["create.refused", "step.failed"]);
    // What was met before the order is over with it.
    let refused = refused.filter(|line| ordered.is_none_or(|ordered| line.last_at > ordered.last_at));
    let again = if ordered.is_some() { "sent again by an operator's decision" } else { "" };
    if let Some(Breaker { reason, next_trial_at, .. }) = shut {
        let again = if again.is_empty() { String::new() } else { format!("{again}; ") };
        let next = moment(*next_trial_at);
        return format!("{again}KIE refuses to sell ({reason}), the next trial of one job is at {next}");
    }
    match refused {
        Some(line) if line.event == "step.failed" => format!("it could not be sent: {}", said(line)),
        Some(line) => format!("KIE refused it for now: {}", said(line)),
        None if !again.is_empty() => format!("{again}: waits for a worker and a free slot"),
        None => "not sent yet: waits for a worker and a free slot".to_owned(),
    }
}

fn running(timeline: &[TimelineEntry]) -> String {
    const READS: [&str; 4] = ["record.read", store::UNKNOWN_WORD, "record.failed", "record.empty"];
    let reads = timeline.iter().filter(|line| READS.contains(&&*line.event));
    let times = reads.fold(0_u32, |sum, line| sum.saturating_add(line.times));
    let [read, unknown, failed, empty] = READS;
    match newest(timeline, &[read, unknown, failed, empty, "step.failed"]) {
        None => "KIE has it, not asked yet".to_owned(),
        Some(line) if [read, unknown].contains(&&*line.event) => {
            let odd = if line.event == unknown { ", which nobody knows" } else { "" };
            format!("asked {times} times, KIE says `{}`{odd}", line.detail.as_deref().unwrap_or("nothing"))
        }
        Some(line) => format!("asked {times} times, last error: {}", said(line)),
    }
}

fn unclear(timeline: &[TimelineEntry]) -> String {
    let doubt = newest(timeline, &["callback.disagrees", "step.failed"]);
    let more = doubt.map(|line| format!(" ({})", said(line))).unwrap_or_default();
    format!("nobody knows whether KIE has it{more}: `resolve`")
}

fn storing(files: &[&Asset]) -> String {
    let open: Vec<_> = files.iter().filter(|file| file.state == AssetState::Pending).collect();
    let counts = format!("{} of {} files are not stored", open.len(), files.len());
    let troubled = open.iter().find_map(|file| Some((file, file.last_error.as_deref()?)));
    match troubled {
        Some((file, error)) => format!("{counts}, last error: {error} ({} tries count)", file.tries),
        None => counts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: &str, second: i64, times: u32, detail: &str) -> TimelineEntry {
        let at = |second| Timestamp::from_second(second).unwrap();
        TimelineEntry {
            at: at(0),
            last_at: at(second),
            times,
            source: "provider".to_owned(),
            event: event.to_owned(),
            detail: Some(detail.to_owned()),
        }
    }

    #[test]
    fn the_newest_read_tells_why_a_running_job_waits() {
        let mut history =
            vec![line("record.failed", 3, 4, "no answer"), line("record.read", 9, 11, "pondering")];
        assert_eq!(running(&history), "asked 15 times, KIE says `pondering`");
        history[0].last_at = Timestamp::from_second(10).unwrap();
        assert_eq!(running(&history), "asked 15 times, last error: no answer ×4");
        history.push(line(store::UNKNOWN_WORD, 11, 1, "expired"));
        assert_eq!(running(&history), "asked 16 times, KIE says `expired`, which nobody knows");
        history.pop();
        assert_eq!(running(&[]), "KIE has it, not asked yet");
    }

    #[test]
    fn a_pending_job_waits_for_what_is_true_now() {
        let shut = Breaker {
            open_since: Timestamp::UNIX_EPOCH,
            next_trial_at: Timestamp::from_second(60).unwrap(),
            reason: "no credits".to_owned(),
        };
        let mut history = vec![line("create.refused", 3, 1, "it is unknown whether the task was created")];
        assert!(pending(&[], None).starts_with("not sent yet"));
        assert!(pending(&history, None).starts_with("KIE refused it for now: it is unknown"));
        let refused =
            "KIE refuses to sell (no credits), the next trial of one job is at 1970-01-01 00:01:00Z";
        assert_eq!([&[][..], &history[..]].map(|history| pending(history, Some(&shut))), [refused; 2]);
        history.push(line("job.decided", 5, 1, "resend: not in their list"));
        let again = "sent again by an operator's decision";
        assert_eq!(pending(&history, None), format!("{again}: waits for a worker and a free slot"));
        assert_eq!(pending(&history, Some(&shut)), format!("{again}; {refused}"));
        history.push(line("create.refused", 7, 1, "slow down"));
        assert_eq!(pending(&history, None), "KIE refused it for now: slow down");
    }
}
