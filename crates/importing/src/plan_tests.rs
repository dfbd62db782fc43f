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

fn stored() -> Look {
    Look { sources: vec!["https://a/1".to_owned()], ..gone() }
}

fn take(status: OldStatus, look: &Look, terms: &Terms) -> (JobState, i64, i64, i64) {
    match plan(status, look, terms) {
        Plan::Job(take) => (take.state, take.held.minor(), take.refunded.minor(), take.kept.minor()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_status_becomes_what_the_handbook_says() {
    use JobState::{Canceled, Failed, Running, Storing, Unclear};
    let keep = Terms { lost: Lost::Keep, ..terms() };
    let no_task = Terms { has_task: false, ..terms() };
    assert_eq!(take(OldStatus::Draft, &there(), &terms()), (Canceled, 0, 0, 0));
    assert_eq!(take(OldStatus::Canceled, &there(), &terms()), (Canceled, 0, 0, 0));
    assert_eq!(take(OldStatus::Failed, &stored(), &terms()), (Failed, 0, 0, 0));
    for status in [OldStatus::Waiting, OldStatus::Working] {
        assert_eq!(take(status, &there(), &terms()), (Running, 50, 0, 0));
        assert_eq!(take(status, &stored(), &terms()), (Storing, 50, 0, 0));
        assert_eq!(
            take(status, &gone(), &terms()),
            (Failed, 0, 0, 0),
            "its hold is never placed: it stays available"
        );
        assert_eq!(take(status, &gone(), &keep), (Failed, 0, 0, 50));
        assert_eq!(take(status, &Look::default(), &no_task), (Unclear, 50, 0, 0));
        assert_eq!(plan(status, &there(), &Terms { settled_only: true, ..terms() }), Plan::Left);
    }
    assert_eq!(take(OldStatus::Succeeded, &stored(), &terms()), (Storing, 0, 0, 0));
    assert_eq!(take(OldStatus::Succeeded, &there(), &terms()), (Running, 0, 0, 0));
    assert_eq!(take(OldStatus::Succeeded, &gone(), &terms()), (Failed, 0, 50, 0));
    assert_eq!(take(OldStatus::Succeeded, &gone(), &keep), (Failed, 0, 0, 0));
    let blocked = Look { unreachable: Some("FETCH_ALLOW".to_owned()), ..gone() };
    assert_eq!(plan(OldStatus::Succeeded, &blocked, &terms()), Plan::Refused("FETCH_ALLOW".to_owned()));
}

proptest! {
    #[test]
    fn no_money_is_made_and_no_result_is_given_up_while_there_is_hope(
        status in prop::sample::select(STATUSES.to_vec()),
        sources in 0_usize..3,
        blocked in any::<bool>(),
        record in prop::sample::select(vec![Record::None, Record::There, Record::Gone]),
        (price, covers, has_task, settled_only, keep) in (0_i64..1000, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
    ) {
        let look = Look {
            sources: (0..sources).map(|n| format!("https://a/{n}")).collect(),
            unreachable: blocked.then(|| "no".to_owned()),
            record,
            model: None,
        };
        let lost = if keep { Lost::Keep } else { Lost::Refund };
        let price = Money::from_minor(price);
        let covered = if covers { price } else { Money::ZERO };
        let terms = Terms { price, covered, has_task, settled_only, lost };
        let Plan::Job(take) = plan(status, &look, &terms) else { return Ok(()) };
        let in_flight = matches!(status, OldStatus::Waiting | OldStatus::Working);
        prop_assert!(take.held <= covered && take.kept <= covered && take.refunded <= price);
        prop_assert!(take.held.plus(take.kept).unwrap() <= covered, "what was set aside is used once");
        prop_assert!(take.held.is_zero() || (in_flight && take.state.holds_money()));
        prop_assert!(take.refunded.is_zero() || (take.lost && status == OldStatus::Succeeded && !keep));
        prop_assert!(take.kept.is_zero() || (take.lost && in_flight && keep));
        prop_assert_eq!(take.state == JobState::Failed, take.cause.is_some());
        prop_assert!(!take.lost || (look.sources.is_empty() && record != Record::There && !blocked));
        // Nothing ends as done here: only the path that every job takes says so.
        prop_assert!(!matches!(take.state, JobState::Done | JobState::Pending | JobState::Submitting | JobState::Draft));
    }
}
