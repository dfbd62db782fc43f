//! Decisions, each by name and all by chance.

use proptest::prelude::*;

use super::*;

const STATUSES: [OldStatus; 6] = [
    OldStatus::Draft,
    OldStatus::Waiting,
    OldStatus::Working,
    OldStatus::Succeeded,
    OldStatus::Failed,
    OldStatus::Canceled,
];

const RECORDS: [Record; 5] = [Record::None, Record::There, Record::Made, Record::Failed, Record::Gone];

fn terms() -> Terms {
    let price = Money::from_minor(50);
    Terms { price, covered: price, has_task: true, settled_only: false, lost: Lost::Refund }
}

fn gone() -> Look {
    Look { record: Record::Gone, ..Look::default() }
}

fn there() -> Look {
    Look { record: Record::There, ..Look::default() }
}

fn made() -> Look {
    Look { record: Record::Made, made: vec!["https://kie/1".to_owned()], ..Look::default() }
}

fn blocked(look: Look) -> Look {
    Look { unreachable: Some("FETCH_ALLOW".to_owned()), ..look }
}

fn stored() -> Look {
    Look { sources: vec!["https://a/1".to_owned()], ..gone() }
}

fn take(status: OldStatus, look: &Look, terms: &Terms) -> (JobState, i64, i64) {
    match plan(status, look, terms) {
        Plan::Job(take) => (take.state, take.held.minor(), take.refunded.minor()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_status_becomes_what_the_handbook_says() {
    use JobState::{Canceled, Failed, Running, Storing, Unclear};
    let keep = Terms { lost: Lost::Keep, ..terms() };
    let no_task = Terms { has_task: false, ..terms() };
    let settled = Terms { settled_only: true, ..terms() };
    assert_eq!(take(OldStatus::Draft, &there(), &terms()), (Canceled, 0, 0));
    assert_eq!(plan(OldStatus::Draft, &there(), &settled), Plan::Left, "it may be paid for there");
    assert_eq!(take(OldStatus::Canceled, &there(), &settled), (Canceled, 0, 0));
    assert_eq!(take(OldStatus::Failed, &stored(), &settled), (Failed, 0, 0));
    for status in [OldStatus::Waiting, OldStatus::Working] {
        for look in [there(), made(), Look { record: Record::Failed, ..Look::default() }] {
            assert_eq!(take(status, &look, &terms()), (Running, 50, 0));
        }
        assert_eq!(take(status, &stored(), &terms()), (Storing, 50, 0));
        for terms in [terms(), keep] {
            assert_eq!(take(status, &gone(), &terms), (Failed, 0, 0), "its hold is never placed");
        }
        assert_eq!(take(status, &Look::default(), &no_task), (Unclear, 50, 0));
        assert_eq!(plan(status, &there(), &settled), Plan::Left);
    }
    assert_eq!(take(OldStatus::Succeeded, &stored(), &terms()), (Storing, 0, 0));
    assert_eq!(take(OldStatus::Succeeded, &there(), &terms()), (Running, 0, 0));
    assert_eq!(take(OldStatus::Succeeded, &gone(), &terms()), (Failed, 0, 50));
    assert_eq!(take(OldStatus::Succeeded, &gone(), &keep), (Failed, 0, 0));
}

#[test]
fn what_cannot_be_asked_is_refused_unless_the_record_has_all_of_it() {
    let refused = Plan::Refused("FETCH_ALLOW".to_owned());
    for look in [gone(), there(), stored(), Look::default()] {
        assert_eq!(plan(OldStatus::Succeeded, &blocked(look), &terms()), refused);
    }
    assert_eq!(take(OldStatus::Succeeded, &blocked(made()), &terms()), (JobState::Running, 0, 0));
    for look in [gone(), stored()] {
        assert_eq!(plan(OldStatus::Working, &blocked(look), &terms()), refused);
    }
}

#[test]
fn what_came_to_life_in_the_old_shop_is_taken_up_again_or_told() {
    use JobState::{Canceled, Failed, Running, Unclear};
    let is_refused = |fate: &Fate| matches!(fate, Fate::Refused(_));
    for status in [OldStatus::Waiting, OldStatus::Working] {
        for state in [Canceled, Failed] {
            assert_eq!(renew(state, status, Task::Same, true), Fate::Left, "it may end there");
        }
        assert!(is_refused(&renew(Canceled, status, Task::Same, false)));
        assert!(is_refused(&renew(Failed, status, Task::Other, false)));
        for task in [Task::Same, Task::Missing] {
            assert_eq!(renew(Failed, status, task, false), Fate::Woken);
        }
        assert_eq!(renew(Unclear, status, Task::Missing, false), Fate::Woken);
    }
    assert!(is_refused(&renew(Canceled, OldStatus::Succeeded, Task::Other, true)));
    assert!(is_refused(&renew(Unclear, OldStatus::Succeeded, Task::Other, false)));
    assert_eq!(renew(Running, OldStatus::Succeeded, Task::Other, false), Fate::Woken);
    for status in [OldStatus::Draft, OldStatus::Failed, OldStatus::Canceled] {
        for state in [Canceled, Failed] {
            assert_eq!(renew(state, status, Task::Other, false), Fate::Rests);
        }
    }
}

#[test]
fn a_failed_job_is_lost_only_when_its_result_is_nowhere() {
    let is_refused = |fate: &Fate| matches!(fate, Fate::Refused(_));
    assert_eq!(revive(&stored(), Task::Same), Fate::Revived(stored().sources));
    assert_eq!(revive(&made(), Task::Same), Fate::Woken, "by the path that every late success takes");
    assert_eq!(revive(&made(), Task::Other), Fate::Revived(made().made));
    assert!(is_refused(&revive(&there(), Task::Same)), "nothing is decided while the record cannot be read");
    assert!(
        is_refused(&revive(&blocked(gone()), Task::Same))
            && is_refused(&revive(&blocked(stored()), Task::Same))
    );
    for record in [Record::None, Record::Failed, Record::Gone] {
        assert_eq!(revive(&Look { record, ..Look::default() }, Task::Same), Fate::Rests);
    }
}

proptest! {
    #[test]
    fn no_money_is_made_and_no_result_is_given_up_while_there_is_hope(
        status in prop::sample::select(STATUSES.to_vec()),
        sources in 0_usize..3,
        blocked in any::<bool>(),
        record in prop::sample::select(RECORDS.to_vec()),
        (price, covers, has_task, settled_only, keep) in (0_i64..1000, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
    ) {
        let look = Look {
            sources: (0..sources).map(|n| format!("https://a/{n}")).collect(),
            unreachable: blocked.then(|| "no".to_owned()),
            record,
            ..Look::default()
        };
        let lost = if keep { Lost::Keep } else { Lost::Refund };
        let price = Money::from_minor(price);
        let covered = if covers { price } else { Money::ZERO };
        let terms = Terms { price, covered, has_task, settled_only, lost };
        let Plan::Job(take) = plan(status, &look, &terms) else { return Ok(()) };
        let in_flight = matches!(status, OldStatus::Waiting | OldStatus::Working);
        prop_assert!(take.held <= covered && take.refunded <= price);
        prop_assert!(take.held.is_zero() || (in_flight && take.state.holds_money()));
        prop_assert!(take.refunded.is_zero() || (take.lost && status == OldStatus::Succeeded && !keep));
        prop_assert_eq!(take.state == JobState::Failed, take.cause.is_some());
        prop_assert!(!take.lost || (look.sources.is_empty() && matches!(record, Record::None | Record::Gone) && !blocked));
        // Nothing ends as done here: only the path that every job takes says so.
        prop_assert!(!matches!(take.state, JobState::Done | JobState::Pending | JobState::Submitting | JobState::Draft));
    }
}
