//! What becomes of a generation: one decision from what the old shop says and what was seen of it. Nothing is guessed, and
//! no money is made.

use domain::{Cause, JobState, Money};
use old_shops::OldStatus;

use crate::Lost;

/// What was seen of a generation outside the old shop's database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Look {
    /// Sources of its outputs that give a file, or may do so later.
    pub(crate) sources: Vec<String>,
    /// How many results are gone.
    pub(crate) gone: usize,
    /// Why a source could not even be asked.
    pub(crate) unreachable: Option<String>,
    /// The provider's record.
    pub(crate) record: Record,
    /// The results that the record names.
    pub(crate) made: Vec<String>,
    /// The record's model.
    pub(crate) model: Option<String>,
    /// Whether the record is found by the model's old name alone.
    pub(crate) by_old_name: bool,
}

/// The provider's record of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Record {
    /// Nobody asked, or there is no task to ask for.
    #[default]
    None,
    /// It may be there: it could not be read, or has not ended.
    There,
    /// It says success and has results.
    Made,
    /// It says that the task failed.
    Failed,
    /// The provider does not know it.
    Gone,
}

/// What the decision depends on besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The price in the old shop.
    pub(crate) price: Money,
    /// What the old shop had set aside for it: its price, or nothing.
    pub(crate) covered: Money,
    /// Whether the provider's task is known.
    pub(crate) has_task: bool,
    /// Leave what is not settled.
    pub(crate) settled_only: bool,
    /// What becomes of the price of what was finished and is lost.
    pub(crate) lost: Lost,
}

/// What becomes of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// The old shop finishes it.
    Left,
    /// It becomes a job.
    Job(Take),
    /// It cannot be taken over now.
    Refused(String),
}

/// The job that it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Take {
    /// Its state.
    pub(crate) state: JobState,
    /// Why it failed.
    pub(crate) cause: Option<Cause>,
    /// Set aside for it.
    pub(crate) held: Money,
    /// Given back on top of the balance.
    pub(crate) refunded: Money,
    /// Whether its result is gone everywhere.
    pub(crate) lost: bool,
}

impl Take {
    const fn new(state: JobState, held: Money) -> Self {
        Self { state, cause: None, held, refunded: Money::ZERO, lost: false }
    }

    const fn lost() -> Self {
        let take = Self::new(JobState::Failed, Money::ZERO);
        Self { cause: Some(Cause::NoResult), lost: true, ..take }
    }
}

/// Decides.
pub(crate) fn plan(status: OldStatus, look: &Look, terms: &Terms) -> Plan {
    match status {
        // A draft may still be paid for there.
        OldStatus::Draft | OldStatus::Waiting | OldStatus::Working if terms.settled_only => Plan::Left,
        OldStatus::Draft | OldStatus::Canceled => Plan::Job(Take::new(JobState::Canceled, Money::ZERO)),
        OldStatus::Failed => {
            Plan::Job(Take { cause: Some(Cause::ProviderError), ..Take::new(JobState::Failed, Money::ZERO) })
        }
        OldStatus::Waiting | OldStatus::Working => in_flight(look, terms),
        OldStatus::Succeeded => succeeded(look, terms),
    }
}

fn in_flight(look: &Look, terms: &Terms) -> Plan {
    let held = terms.covered;
    if !terms.has_task {
        // Whether it was ever sent, nobody knows; it is never sent again by itself.
        return Plan::Job(Take::new(JobState::Unclear, held));
    }
    match (look.record, look.sources.is_empty(), &look.unreachable) {
        (Record::None | Record::There | Record::Made | Record::Failed, ..) => {
            Plan::Job(Take::new(JobState::Running, held))
        }
        (Record::Gone, _, Some(reason)) => Plan::Refused(reason.clone()),
        (Record::Gone, false, None) => Plan::Job(Take::new(JobState::Storing, held)),
        // What never came is never paid for: the hold is not placed.
        (Record::Gone, true, None) => Plan::Job(Take::lost()),
    }
}

fn succeeded(look: &Look, terms: &Terms) -> Plan {
    match (look.sources.is_empty(), look.record, &look.unreachable) {
        (false, _, None) => Plan::Job(Take::new(JobState::Storing, Money::ZERO)),
        (true, Record::Made, _) | (true, Record::There | Record::Failed, None) => {
            Plan::Job(Take::new(JobState::Running, Money::ZERO))
        }
        (_, _, Some(reason)) => Plan::Refused(reason.clone()),
        (true, Record::None | Record::Gone, None) => {
            let refunded = if terms.lost == Lost::Refund { terms.price } else { Money::ZERO };
            Plan::Job(Take { refunded, ..Take::lost() })
        }
    }
}

/// A task that a known row names, beside the one that its job follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// The same.
    Same,
    /// The job was sent and follows none yet.
    Missing,
    /// Another, or none: the job cannot follow it.
    Other,
}

/// What becomes of a row that was taken over before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its job stays as it is.
    Rests,
    /// Its job is woken, after the task that the row names was saved where it has none.
    Woken,
    /// Its failed job takes these results, as a gift.
    Revived(Vec<String>),
    /// The old shop is at work on it again.
    Left,
    /// It cannot be taken up as it is now.
    Refused(String),
}

/// Decides of a row that has changed since its job came to stand where it does. A failed job whose row succeeded is
/// looked at instead: [`revive`].
pub(crate) fn renew(state: JobState, status: OldStatus, task: Task, settled_only: bool) -> Fate {
    let in_flight = matches!(status, OldStatus::Waiting | OldStatus::Working);
    let lives = in_flight || status == OldStatus::Succeeded;
    let refused = |reason: &str| Fate::Refused(reason.to_owned());
    match state {
        JobState::Failed | JobState::Canceled if in_flight && settled_only => Fate::Left,
        JobState::Canceled if lives => refused("it is canceled here and came to life there since"),
        JobState::Failed if lives && task == Task::Other => {
            refused("it has failed here and was begun anew there since, with another task or none")
        }
        JobState::Unclear if status == OldStatus::Succeeded && task == Task::Other => refused(
            "it has succeeded there, but nobody knows here whether it was sent: release it by `resolve`, then import again",
        ),
        JobState::Failed if !lives => Fate::Rests,
        JobState::Done | JobState::Canceled => Fate::Rests,
        JobState::Draft
        | JobState::Pending
        | JobState::Submitting
        | JobState::Unclear
        | JobState::Running
        | JobState::Storing
        | JobState::Failed => Fate::Woken,
    }
}

/// Decides of a row that succeeded there, and whose job failed here with nothing to show. It rests if its result is lost.
pub(crate) fn revive(look: &Look, task: Task) -> Fate {
    match (look.sources.is_empty(), look.record, &look.unreachable) {
        (false, _, None) => Fate::Revived(look.sources.clone()),
        (true, Record::Made, _) if task != Task::Other => Fate::Woken,
        (true, Record::Made, _) if !look.made.is_empty() => Fate::Revived(look.made.clone()),
        (_, _, Some(reason)) => Fate::Refused(reason.clone()),
        (true, Record::There | Record::Made, None) => {
            Fate::Refused("what became of its task cannot be told now: import again".to_owned())
        }
        (true, Record::None | Record::Failed | Record::Gone, None) => Fate::Rests,
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
