//! Rows that an earlier pass has taken over: what changed in the old shop since wakes their jobs, what came to life there
//! is taken up again, and what is lost is looked for once more before anybody says so.

use std::time::Duration;

use domain::{Cause, Event, Job, JobState, Money, Scope, Timestamp, transition};
use lifecycle::Policy;
use store::{
    Credited, Guard, Imported, JobPatch, NewEntry, NewImport, Recorded, SourceNoun, Step, StoreError,
    TaskSaved, WakeJob, WakeReason,
};

use crate::Lost;
use crate::generations::{Outcome, Row, lost_row, outcome, refused};
use crate::job::{self, after};
use crate::look::{is_kie, look};
use crate::pass::{ERASED, ImportError, Pass, row_error};
use crate::plan::{Fate, Look, Take, Task, renew, revive};
use crate::report::End;

/// The attempt that an import writes.
const ATTEMPT: u16 = 1;

const MOVED: &str = "its job has moved at the same time: import again";

/// What becomes of the row; with its job and what was seen, where that was asked for.
pub(crate) struct Found {
    fate: Fate,
    job: Option<(Job, Look)>,
}

impl From<Fate> for Found {
    fn from(fate: Fate) -> Self {
        Self { fate, job: None }
    }
}

/// Does with a row that was taken over before what was found to be due.
pub(crate) async fn again(
    pass: &Pass<'_>,
    row: &Row,
    known: &Imported,
    found: &Found,
) -> Result<Outcome, ImportError> {
    let now = pass.now();
    let is_changed = known.fingerprint != row.old.fingerprint;
    let mut ended = outcome(row, if is_changed { End::Changed } else { End::Same });
    ended.state = known.state;
    // What has not changed and rests writes nothing.
    let would_write = is_changed || !matches!(found.fate, Fate::Rests);
    if would_write && found.fate != Fate::Left && pass.desk.is_erased(known.account).await? {
        return Ok(refused(row, ERASED));
    }
    let done = match (&found.fate, &found.job) {
        (Fate::Left, _) => return Ok(outcome(row, End::Left)),
        (Fate::Refused(reason), _) => return Ok(refused(row, reason)),
        (Fate::Revived(sources), Some((job, seen))) => {
            (ended.end, ended.state) = (End::Changed, Some(JobState::Storing));
            take_up(pass, row, job, (sources, seen), now).await?
        }
        (Fate::Woken, job) => wake(pass, row, known, job.as_ref().map(|(job, _)| job), now).await?,
        (Fate::Rests | Fate::Revived(_), _) => Ok(()),
    };
    if let Err(reason) = done {
        return Ok(refused(row, reason));
    }
    // The change is remembered last: cut off before, it is done again.
    if is_changed {
        remember(pass, row, known, now).await?;
    }
    let has_failed = known.state == Some(JobState::Failed);
    if has_failed && found.fate == Fate::Woken {
        ended.problem = Some("it has failed here: if something comes of it, it is a gift".to_owned());
    }
    // A generation that the old shop had finished is lost whatever made it fail here.
    let is_lost = row.is_finished() || known.cause == Some(Cause::NoResult);
    if has_failed && found.fate == Fate::Rests && is_lost {
        let money = refund(pass, row, known, &mut ended, now).await?;
        ended.lost = Some(lost_row(row, known.job, money));
    }
    Ok(ended)
}

/// Finds out what is due; nothing is written yet.
pub(crate) async fn find(
    pass: &Pass<'_>,
    row: &Row,
    known: &Imported,
    now: Timestamp,
) -> Result<Found, ImportError> {
    let is_changed = known.fingerprint != row.old.fingerprint;
    let (Some(id), Some(state)) = (known.job, known.state) else { return Ok(Fate::Rests.into()) };
    let is_missed = state == JobState::Failed && row.is_finished();
    if !is_changed && !is_missed {
        return Ok(Fate::Rests.into());
    }
    if !matches!(state, JobState::Failed | JobState::Unclear) {
        return Ok(renew(state, row.old.status, Task::Other, pass.options.settled_only).into());
    }
    let job = pass.store().find_job(id, Scope::All).await?;
    let Some(job) = job.filter(|job| job.state == state) else {
        return Ok(Fate::Refused(MOVED.to_owned()).into());
    };
    let task = task(row, &job);
    if !is_missed {
        let fate = renew(state, row.old.status, task, pass.options.settled_only);
        return Ok(Found { fate, job: Some((job, Look::default())) });
    }
    // Outputs are fixed once; those of a job that had some could not be had.
    if transition(job.state, job.gift, Event::RecordSuccess).is_err()
        || !pass.store().assets_of(&[id]).await?.is_empty()
    {
        return Ok(Fate::Rests.into());
    }
    let seen = look(pass, &row.old, now).await;
    Ok(Found { fate: revive(&seen, task), job: Some((job, seen)) })
}

fn task(row: &Row, job: &Job) -> Task {
    match (row.old.task.as_ref().filter(|_| is_kie(&row.old)), &job.task_id) {
        (Some(there), Some(here)) if there == here => Task::Same,
        (Some(_), None) if job.attempts > 0 => Task::Missing,
        _ => Task::Other,
    }
}

/// Saves a task that the job does not have yet, and wakes it: its own facts decide.
async fn wake(
    pass: &Pass<'_>,
    row: &Row,
    known: &Imported,
    job: Option<&Job>,
    now: Timestamp,
) -> Result<Result<(), String>, ImportError> {
    if let (Some(job), Some(task)) = (job, row.old.task.as_deref().filter(|_| is_kie(&row.old))) {
        match pass.desk.save_task(job.id, ATTEMPT, task, now).await {
            Ok(TaskSaved::Saved | TaskSaved::Known) => {}
            Ok(TaskSaved::Taken) => return Ok(Err("its task belongs to another generation".to_owned())),
            Err(error) => return row_error(error).map(Err),
        }
    }
    match (job, known.job) {
        // Nobody would look for its late success a second time, as after a failure of ours.
        (Some(job), _) if job.state == JobState::Failed => {
            let patch = JobPatch {
                deadline_at: after(now, Policy::RETENTION),
                tries: 0,
                ..JobPatch::keep(job, Some(now))
            };
            pass.desk.record(&step(job, patch, now)).await?;
        }
        (_, Some(job)) => {
            let (scope, reason) = (Scope::All, WakeReason::Asked);
            let wake = WakeJob { job, scope, at: now, reason, at_most_every: Duration::ZERO };
            pass.desk.wake_job(&wake).await?;
        }
        (_, None) => {}
    }
    Ok(Ok(()))
}

/// A step that only the job's state guards: what an import does is no worker's.
fn step(job: &Job, patch: JobPatch, at: Timestamp) -> Step {
    Step {
        job: job.id,
        account: job.account,
        guard: Guard::read(job),
        at,
        patch,
        answer: None,
        task: None,
        transfers: Vec::new(),
        assets: Vec::new(),
        deliveries: Vec::new(),
        timeline: Vec::new(),
        open_jobs: None,
    }
}

/// Gives a failed job the results that the old shop has of it by now: a late success, a gift.
async fn take_up(
    pass: &Pass<'_>,
    row: &Row,
    job: &Job,
    (sources, seen): (&[String], &Look),
    now: Timestamp,
) -> Result<Result<(), String>, ImportError> {
    let Ok(moved) = transition(job.state, job.gift, Event::RecordSuccess) else { return Ok(Ok(())) };
    let kind = job::kind(pass, &row.old, seen).unwrap_or(job.kind);
    let due = row.due.max(now);
    let detail = Some(format!("{} → {}: the old shop has results of it", job.state, moved.to));
    let patch = JobPatch {
        state: moved.to,
        deadline_at: after(due, Policy::RETENTION),
        gift: true,
        tries: 0,
        hints: 0,
        ..JobPatch::keep(job, Some(due))
    };
    let step = Step {
        assets: job::assets(pass, (job.account, job.id, kind), sources, now),
        timeline: vec![NewEntry { source: "import", event: "job.moved", detail, fold: None }],
        ..step(job, patch, now)
    };
    match pass.desk.record(&step).await {
        Ok(Recorded::Applied) => Ok(Ok(())),
        Ok(Recorded::Stale) => Ok(Err(MOVED.to_owned())),
        Err(StoreError::Taken { what: "object" }) => {
            Ok(Err("its file belongs to another generation".to_owned()))
        }
        Err(error) => row_error(error).map(Err),
    }
}

async fn remember(pass: &Pass<'_>, row: &Row, known: &Imported, now: Timestamp) -> Result<(), ImportError> {
    let import = NewImport {
        shop: pass.options.shop.clone(),
        noun: SourceNoun::Generation,
        key: row.old.key.clone(),
        known: Some(known.version),
        fingerprint: row.old.fingerprint,
        amount: known.amount,
        account: known.account,
        open: None,
        job: known.job,
        write: None,
        transfers: Vec::new(),
        at: now,
    };
    // Another import at the same time has remembered the same.
    pass.desk.import(&import).await?;
    Ok(())
}

/// Gives the price of a finished generation back whose result is lost, once; what became of it.
async fn refund(
    pass: &Pass<'_>,
    row: &Row,
    known: &Imported,
    ended: &mut Outcome,
    now: Timestamp,
) -> Result<&'static str, ImportError> {
    if known.amount.is_positive() {
        return Ok("released");
    }
    if row.price.is_zero() {
        return Ok("none");
    }
    let Some(job) = known.job.filter(|_| row.is_finished()) else {
        // What never came was never charged.
        return Ok(if row.is_in_flight() { "released" } else { "none" });
    };
    let transfer = job::refund(pass, &row.old, (known.account, job), row.price, now);
    let is_erased = pass.desk.is_erased(known.account).await?;
    if pass.options.lost == Lost::Keep || is_erased {
        if !pass.store().transfers_by_key(&[transfer.key]).await?.is_empty() {
            return Ok("refunded");
        }
        if pass.options.lost == Lost::Refund {
            (ended.end, ended.problem) = (End::Refused, Some(ERASED.to_owned()));
        }
        return Ok("kept");
    }
    match pass.desk.credit(&transfer, now).await {
        Ok(Credited::Applied(_)) => {
            ended.end = End::Changed;
            ended.take = Some(Take {
                state: JobState::Failed,
                cause: known.cause,
                held: Money::ZERO,
                refunded: row.price,
                lost: true,
            });
            Ok("refunded")
        }
        Ok(Credited::Replayed(_)) => Ok("refunded"),
        Ok(Credited::KeyReused | Credited::Short) => {
            ended.problem = Some("its price has changed since it was given back".to_owned());
            Ok("refunded")
        }
        Err(error) => {
            ended.problem = Some(row_error(error)?);
            Ok("kept")
        }
    }
}
