//! The one function of (state, event) → (state, effects).

use thiserror::Error;

use crate::{Cause, DeliveryEvent, JobState};

/// What an answer to createTask means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// A task id came back.
    Accepted,
    /// Refused for now: too many requests, high demand, maintenance.
    Throttled,
    /// The shop's account or key cannot buy.
    Blocked,
    /// Refused for good.
    Refused(Cause),
    /// Nothing was written to the wire.
    NotSent,
    /// Nobody knows whether the task exists.
    Unknown,
}

/// How many of the announced outputs are in our storage at the end of copying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stored {
    /// At least one.
    Some,
    /// None.
    Nothing,
}

/// What can happen to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The customer pays for a draft.
    Confirmed,
    /// The customer gives up.
    CancelAsked,
    /// A draft was not confirmed in time.
    DraftExpired,
    /// A create slot was taken and the attempt is written.
    SendCommitted,
    /// createTask was answered, or failed to be.
    Answered(Answer),
    /// Found with its lease over: the sender died or hangs.
    SenderLost,
    /// A task id of one of its attempts is known.
    TaskFound,
    /// Not sent for too long, for this reason.
    WaitedTooLong(Cause),
    /// Nobody learnt in time whether the task exists, and the policy is to release.
    StayedUnclear,
    /// The operator orders another attempt.
    ResendOrdered,
    /// The operator gives the money back.
    ReleaseOrdered,
    /// The record says success and names results.
    RecordSuccess,
    /// The record says fail.
    RecordFailed(Cause),
    /// The record says success, but named no results for too long.
    RecordEmpty,
    /// The provider did not finish in time.
    GaveUp,
    /// Every output is stored or lost.
    OutputsEnded(Stored),
}

/// What has to be written with a move, in the same transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Set the price aside.
    Hold,
    /// Give back all that is held.
    Release,
    /// Take the share of what is stored and give back the rest.
    Capture,
    /// Write the next attempt.
    OpenAttempt,
    /// Fix the list of outputs.
    FixOutputs,
    /// Mark the job as a gift.
    MarkGift,
    /// Push all create slots back.
    PushSlotsBack,
    /// Open the breaker and call the operator.
    OpenBreaker,
    /// Count the refusal against the model.
    CountRefusal,
    /// Owe this delivery to every recipient.
    Deliver(DeliveryEvent),
}

/// The outcome of an event: the next state, why it failed if it did, and what must be written with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The next state.
    pub to: JobState,
    /// Set when `to` is `failed`.
    pub cause: Option<Cause>,
    /// To be written in the same transaction.
    pub effects: Vec<Effect>,
}

/// An event that means nothing in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{event:?} does not move a job out of {state}")]
pub struct Refused {
    /// The state it was met in.
    pub state: JobState,
    /// The event.
    pub event: Event,
}

fn to(state: JobState, effects: &[Effect]) -> Move {
    Move { to: state, cause: None, effects: effects.to_vec() }
}

fn failed(cause: Cause) -> Move {
    let mut effects = vec![Effect::Release, Effect::Deliver(DeliveryEvent::JobFailed)];
    if cause == Cause::ModelUnavailable {
        effects.push(Effect::CountRefusal);
    }
    Move { to: JobState::Failed, cause: Some(cause), effects }
}

/// The only place that knows which event moves a job where. `gift`: whether its money was already given back.
pub fn transition(state: JobState, gift: bool, event: Event) -> Result<Move, Refused> {
    use {Event as E, JobState as S};
    let refused = Err(Refused { state, event });
    Ok(match (state, event) {
        (S::Draft, E::Confirmed) => to(S::Pending, &[Effect::Hold]),
        (S::Draft, E::CancelAsked | E::DraftExpired) => to(S::Canceled, &[]),

        (S::Pending, E::CancelAsked) => to(S::Canceled, &[Effect::Release]),
        (S::Pending, E::SendCommitted) => to(S::Submitting, &[Effect::OpenAttempt]),
        (S::Pending, E::WaitedTooLong(cause)) | (S::Running, E::RecordFailed(cause)) => failed(cause),
        // A resend was ordered, but the first task turned up: the unsent resend is dropped.
        (S::Pending | S::Submitting | S::Unclear, E::TaskFound) => to(S::Running, &[]),

        (S::Submitting, E::Answered(answer)) => answered(answer),
        (S::Submitting, E::SenderLost) => to(S::Unclear, &[]),

        (S::Unclear, E::StayedUnclear) => failed(Cause::Unclear),
        (S::Unclear, E::ResendOrdered) => to(S::Pending, &[]),
        (S::Unclear, E::ReleaseOrdered) => failed(Cause::Operator),

        (S::Running, E::RecordSuccess) => to(S::Storing, &[Effect::FixOutputs]),
        (S::Running, E::RecordEmpty) => failed(Cause::NoResult),
        (S::Running, E::GaveUp) => failed(Cause::Expired),

        (S::Storing, E::OutputsEnded(stored)) => outputs_ended(gift, stored),

        // Late success after the money was given back: a gift, at most once.
        (S::Failed, E::RecordSuccess) if !gift => to(S::Storing, &[Effect::MarkGift, Effect::FixOutputs]),

        (
            S::Draft
            | S::Pending
            | S::Submitting
            | S::Unclear
            | S::Running
            | S::Storing
            | S::Done
            | S::Failed
            | S::Canceled,
            _,
        ) => return refused,
    })
}

fn answered(answer: Answer) -> Move {
    match answer {
        Answer::Accepted => to(JobState::Running, &[]),
        Answer::Throttled => to(JobState::Pending, &[Effect::PushSlotsBack]),
        Answer::Blocked => to(JobState::Pending, &[Effect::OpenBreaker]),
        Answer::Refused(cause) => failed(cause),
        Answer::NotSent => to(JobState::Pending, &[]),
        Answer::Unknown => to(JobState::Unclear, &[]),
    }
}

fn outputs_ended(gift: bool, stored: Stored) -> Move {
    match (gift, stored) {
        (false, Stored::Some) => {
            to(JobState::Done, &[Effect::Capture, Effect::Deliver(DeliveryEvent::JobDone)])
        }
        (false, Stored::Nothing) => failed(Cause::NoResult),
        (true, Stored::Some) => to(JobState::Done, &[Effect::Deliver(DeliveryEvent::JobDone)]),
        // The customer was told of the failure before; nothing changes for them.
        (true, Stored::Nothing) => {
            Move { to: JobState::Failed, cause: Some(Cause::NoResult), effects: Vec::new() }
        }
    }
}

/// Every move there is, as a Markdown table: what `docs/states.md` shows.
pub fn transition_table() -> String {
    let mut table = String::from("| state | event | next state | written with it |\n|---|---|---|---|\n");
    for &state in JobState::ALL {
        for gift in [false, true] {
            for event in every_event() {
                let Ok(found) = transition(state, gift, event) else { continue };
                // A move that does not depend on `gift` is shown once.
                if gift && transition(state, false, event).as_ref() == Ok(&found) {
                    continue;
                }
                let mark = if gift { " (gift)" } else { "" };
                let cause = found.cause.map(|cause| format!("({cause})")).unwrap_or_default();
                let effects: Vec<String> = found.effects.iter().map(|effect| format!("{effect:?}")).collect();
                let effects = effects.join(", ");
                let row = format!("| `{state}`{mark} | {event:?} | `{}`{cause} | {effects} |\n", found.to);
                table.push_str(&row);
            }
        }
    }
    table
}

fn every_event() -> Vec<Event> {
    use Event as E;
    let mut events = vec![E::Confirmed, E::CancelAsked, E::DraftExpired, E::SendCommitted];
    events.extend(
        [Answer::Accepted, Answer::Throttled, Answer::Blocked, Answer::NotSent, Answer::Unknown]
            .map(E::Answered),
    );
    let refusals = [Cause::InvalidInput, Cause::Moderation, Cause::ModelUnavailable, Cause::ProviderError];
    events.extend(refusals.map(|cause| E::Answered(Answer::Refused(cause))));
    events.extend([E::SenderLost, E::TaskFound]);
    events.extend([Cause::Expired, Cause::ProviderBalance].map(E::WaitedTooLong));
    events.extend([E::StayedUnclear, E::ResendOrdered, E::ReleaseOrdered, E::RecordSuccess]);
    events.extend([Cause::Moderation, Cause::ProviderError].map(E::RecordFailed));
    events.extend([E::RecordEmpty, E::GaveUp]);
    events.extend([Stored::Some, Stored::Nothing].map(E::OutputsEnded));
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES_DOC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/states.md");

    /// `make bless` sets `BLESS=1`, which rewrites the document instead of comparing it.
    #[test]
    fn the_documented_table_is_the_table() {
        let page = format!(
            "# The moves of a job\n\nPrinted by the test of `domain::transition`; `make bless` renews it. \
             What is not listed is refused.\n\n{}",
            transition_table()
        );
        if option_env_at_run_time("BLESS") {
            std::fs::write(STATES_DOC, &page).unwrap();
        }
        assert_eq!(std::fs::read_to_string(STATES_DOC).unwrap_or_default(), page, "run `make bless`");
    }

    #[expect(clippy::disallowed_methods, reason = "a test switch, not configuration")]
    fn option_env_at_run_time(name: &str) -> bool {
        std::env::var(name).is_ok()
    }

    #[test]
    fn money_is_decided_exactly_once_on_every_way_out_of_a_holding_state() {
        for &state in JobState::ALL {
            for event in every_event() {
                let Ok(found) = transition(state, false, event) else { continue };
                let decided =
                    found.effects.iter().filter(|e| matches!(e, Effect::Capture | Effect::Release)).count();
                let leaves = state.holds_money() && found.to.is_final();
                assert_eq!(decided, usize::from(leaves), "{state} {event:?}");
                let holds = found.effects.contains(&Effect::Hold);
                assert_eq!(holds, !state.holds_money() && found.to.holds_money() && state == JobState::Draft);
            }
        }
    }

    #[test]
    fn a_gift_never_moves_money_and_comes_at_most_once() {
        assert!(transition(JobState::Failed, true, Event::RecordSuccess).is_err());
        for event in every_event() {
            for state in [JobState::Storing, JobState::Failed] {
                let Ok(found) = transition(state, true, event) else { continue };
                let moves_money = found
                    .effects
                    .iter()
                    .any(|e| matches!(e, Effect::Capture | Effect::Release | Effect::Hold));
                assert!(!moves_money, "{state} {event:?}");
            }
        }
    }

    #[test]
    fn capture_happens_only_out_of_storing() {
        for &state in JobState::ALL {
            for event in every_event() {
                if let Ok(found) = transition(state, false, event) {
                    assert!(!found.effects.contains(&Effect::Capture) || state == JobState::Storing);
                }
            }
        }
    }

    #[test]
    fn done_and_canceled_never_move_again() {
        for event in every_event() {
            for state in [JobState::Done, JobState::Canceled] {
                for gift in [false, true] {
                    assert_eq!(transition(state, gift, event), Err(Refused { state, event }));
                }
            }
        }
    }
}
