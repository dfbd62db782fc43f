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
    /// Why a source could not even be asked.
    pub(crate) unreachable: Option<String>,
    /// The provider's record.
    pub(crate) record: Record,
    /// The record's model.
    pub(crate) model: Option<String>,
}

/// The provider's record of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Record {
    /// Nobody asked, or there is no task to ask for.
    #[default]
    None,
    /// It is there, or may be: it could not be read.
    There,
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
    /// Leave what is in flight.
    pub(crate) settled_only: bool,
    /// What becomes of the price of what is lost.
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
    /// Taken out of the balance.
    pub(crate) kept: Money,
    /// Whether its result is gone everywhere.
    pub(crate) lost: bool,
}

impl Take {
    const fn new(state: JobState, held: Money) -> Self {
        Self { state, cause: None, held, refunded: Money::ZERO, kept: Money::ZERO, lost: false }
    }

    const fn lost() -> Self {
        let take = Self::new(JobState::Failed, Money::ZERO);
        Self { cause: Some(Cause::NoResult), lost: true, ..take }
    }
}

/// Decides.
pub(crate) fn plan(status: OldStatus, look: &Look, terms: &Terms) -> Plan {
    match status {
        OldStatus::Draft | OldStatus::Canceled => Plan::Job(Take::new(JobState::Canceled, Money::ZERO)),
        OldStatus::Failed => {
            Plan::Job(Take { cause: Some(Cause::ProviderError), ..Take::new(JobState::Failed, Money::ZERO) })
        }
        OldStatus::Waiting | OldStatus::Working if terms.settled_only => Plan::Left,
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
        (Record::There | Record::None, ..) => Plan::Job(Take::new(JobState::Running, held)),
        (Record::Gone, false, _) => Plan::Job(Take::new(JobState::Storing, held)),
        (Record::Gone, true, Some(reason)) => Plan::Refused(reason.clone()),
        (Record::Gone, true, None) => {
            let kept = if terms.lost == Lost::Keep { held } else { Money::ZERO };
            Plan::Job(Take { kept, ..Take::lost() })
        }
    }
}

fn succeeded(look: &Look, terms: &Terms) -> Plan {
    match (look.sources.is_empty(), look.record, &look.unreachable) {
        (false, ..) => Plan::Job(Take::new(JobState::Storing, Money::ZERO)),
        (true, Record::There, _) => Plan::Job(Take::new(JobState::Running, Money::ZERO)),
        (true, _, Some(reason)) => Plan::Refused(reason.clone()),
        (true, _, None) => {
            let refunded = if terms.lost == Lost::Refund { terms.price } else { Money::ZERO };
            Plan::Job(Take { refunded, ..Take::lost() })
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
