//! Steps: one committed move writes everything or nothing, under its guard, with money exactly once.

use domain::{AssetState, Cause, DeliveryEvent, JobState, Recipient, TransferKind};

use super::Fixture;
use super::fixture::{NO_LIMITS, at_once, entry};
use super::moves::{sums, usual_wake};
use crate::{Guard, NewOrder, Recorded, Step, StoreError};

/// A step writes all of its parts, frees the lease and raises the version.
pub async fn a_step_writes_all_of_its_parts(fx: Fixture) {
    let account = fx.account(100).await;
    let order = order_with_webhook(&fx, account, 100);
    let job = fx.open(&order).await.remove(0);
    let sent = fx.sent(job.id).await;
    fx.advance(2);
    let mut step = fx.step(&sent, JobState::Running);
    step.task = Some((1, "task-1".to_owned()));
    step.answer = Some((1, "200 accepted".to_owned()));
    step.assets = vec![fx.output(&sent, 0), fx.output(&sent, 1)];
    step.deliveries = fx.deliveries(&sent, DeliveryEvent::JobDone);
    step.timeline = vec![entry("create.accepted"), entry("job.running")];
    step.patch.late = true;
    step.patch.tries = 3;
    step.patch.hints = 2;
    step.patch.cost = Some("1.25".parse().unwrap());
    step.patch.deadline_at = Some(fx.after(777));
    let after = fx.applied(&step).await;
    assert_eq!((after.state, after.task_id.as_deref()), (JobState::Running, Some("task-1")));
    assert_eq!((after.late, after.tries, after.hints, after.cost), (true, 3, 2, step.patch.cost));
    assert_eq!((after.lease_until, after.wake_at), (None, Some(usual_wake(&step))));
    assert_eq!((after.deadline_at, after.fence), (step.patch.deadline_at, sent.fence));
    assert_eq!((after.entered_at, after.updated_at), (fx.now(), fx.now()));
    assert!(after.version > sent.version);
    let attempt = fx.store.attempts(job.id).await.unwrap().remove(0);
    assert_eq!(attempt.task_id.as_deref(), Some("task-1"));
    assert_eq!(attempt.answer.as_deref(), Some("200 accepted"));
    let assets = fx.store.assets_of(&[job.id]).await.unwrap();
    assert!(assets.len() == 2 && assets.iter().all(|asset| asset.state == AssetState::Pending));
    assert_eq!(fx.store.deliveries_of(&[job.id]).await.unwrap().len(), 1);
    let events: Vec<String> =
        fx.store.timeline(job.id).await.unwrap().into_iter().map(|entry| entry.event).collect();
    assert_eq!(events, ["job.ordered", "create.accepted", "job.running"]);
}

/// What a step does not name is kept: cause, failure, cost, task; and the time of entry while the state stays.
pub async fn a_step_keeps_what_it_does_not_name(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let task = fx.running(job.id, "task-1").await;
    fx.advance(60);
    let claimed = fx.claim_this(job.id).await;
    let mut failing = fx.fail(&claimed);
    failing.patch.failure = Some("nsfw".to_owned());
    failing.patch.cost = Some("2".parse().unwrap());
    let failed = fx.applied(&failing).await;
    assert!(failed.entered_at > task.entered_at);
    fx.wake_now(job.id).await;
    fx.advance(1);
    let again = fx.claim_this(job.id).await;
    let kept = fx.applied(&fx.step(&again, JobState::Failed)).await;
    assert_eq!((kept.cause, kept.failure.as_deref()), (Some(Cause::ProviderError), Some("nsfw")));
    assert_eq!((kept.cost, kept.task_id.as_deref()), (failed.cost, Some("task-1")));
    assert_eq!((kept.entered_at, kept.updated_at), (failed.entered_at, fx.now()));
}

/// A guard with another state writes nothing, and says so.
pub async fn a_step_from_another_state_is_stale(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let claimed = fx.claim_this(job.id).await;
    let mut step = fx.step(&claimed, JobState::Running);
    step.guard.state = JobState::Submitting;
    step.timeline = vec![entry("never")];
    assert_eq!(fx.store.record(&step).await.unwrap(), Recorded::Stale);
    assert_eq!(fx.job(job.id).await, claimed);
    assert_eq!(fx.store.timeline(job.id).await.unwrap().len(), 1);
    let nowhere = Step { job: fx.job_id(), ..step };
    assert_eq!(fx.store.record(&nowhere).await.unwrap(), Recorded::Stale);
}

/// A step under an old fence writes nothing of itself: no state, no money, no assets, no deliveries.
pub async fn a_step_under_an_old_fence_is_stale(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.open(&order_with_webhook(&fx, account, 100)).await.remove(0);
    let first = fx.claim_this(job.id).await;
    fx.advance(31);
    let second = fx.claim_this(job.id).await;
    let mut step = fx.fail(&first);
    step.assets = vec![fx.output(&first, 0)];
    step.timeline = vec![entry("never")];
    assert_eq!(fx.store.record(&step).await.unwrap(), Recorded::Stale);
    assert_eq!(fx.job(job.id).await, second);
    assert_eq!(fx.balance(account).await, (0, 100));
    assert_eq!(fx.store.assets_of(&[job.id]).await.unwrap(), []);
    assert_eq!(fx.store.deliveries_of(&[job.id]).await.unwrap(), []);
}

/// A lease that ran out, but that nobody else took, still writes: state and fence decide, not the clock.
pub async fn a_lease_that_nobody_took_still_writes(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let claimed = fx.claim_this(job.id).await;
    fx.advance(3_600);
    fx.applied(&fx.fail(&claimed)).await;
    assert_eq!(fx.balance(account).await, (100, 0));
}

/// A row that is not final and has no wake is refused by the schema, and nothing of its step is written.
pub async fn a_step_without_a_wake_is_refused(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let sent = fx.sent(job.id).await;
    let mut step = fx.step(&sent, JobState::Running);
    step.patch.wake_at = None;
    step.timeline = vec![entry("never")];
    step.assets = vec![fx.output(&sent, 0)];
    step.task = Some((1, "task-1".to_owned()));
    assert!(fx.store.record(&step).await.is_err());
    assert_eq!(fx.job(job.id).await, sent);
    assert_eq!(fx.store.timeline(job.id).await.unwrap().len(), 1);
    assert_eq!(fx.store.assets_of(&[job.id]).await.unwrap(), []);
    assert_eq!(fx.store.find_job_by_task("task-1").await.unwrap(), None);
}

/// A failed row without a cause is refused by the schema.
pub async fn a_failure_without_a_cause_is_refused(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let claimed = fx.claim_this(job.id).await;
    let mut step = fx.fail(&claimed);
    step.patch.cause = None;
    assert!(fx.store.record(&step).await.is_err());
    assert_eq!((fx.job(job.id).await, fx.balance(account).await), (claimed, (0, 100)));
}

/// A step whose money does not suffice is an error, and nothing of it is written.
pub async fn a_short_step_writes_nothing(fx: Fixture) {
    let account = fx.account(100).await;
    let draft = fx.open(&fx.order(account, vec![fx.new_draft(account, 101)])).await.remove(0);
    let mut step = fx.step(&draft, JobState::Pending);
    step.guard = Guard::read(&draft);
    step.transfers = vec![fx.job_transfer(account, draft.id, TransferKind::Hold, 101)];
    step.timeline = vec![entry("never")];
    assert!(matches!(fx.store.record(&step).await, Err(StoreError::Short)));
    assert_eq!(fx.job(draft.id).await, draft);
    assert_eq!(fx.store.timeline(draft.id).await.unwrap().len(), 1);
    assert_eq!(
        (fx.balance(account).await, fx.count_transfers(account, TransferKind::Hold).await),
        ((100, 0), 0)
    );
}

/// Of one job no more is given back than was held for it, whatever else its account holds.
pub async fn a_job_gives_back_what_it_holds(fx: Fixture) {
    let account = fx.account(200).await;
    let (job, _other) = (fx.pending(account, 100).await, fx.pending(account, 100).await);
    let claimed = fx.claim_this(job.id).await;
    let mut step = fx.fail(&claimed);
    step.transfers[0].amount = domain::Money::from_minor(150);
    let answer = fx.store.record(&step).await;
    assert!(matches!(answer, Err(StoreError::Short)), "{answer:?}");
    assert_eq!((fx.job(job.id).await, fx.balance(account).await), (claimed, (0, 200)));
}

/// A step with a key of money that is used already is an error, and nothing of it is written.
pub async fn a_step_with_a_used_key_writes_nothing(fx: Fixture) {
    let account = fx.account(200).await;
    let (one, two) = (fx.pending(account, 100).await, fx.pending(account, 100).await);
    fx.applied(&fx.cancel(&one)).await;
    let claimed = fx.claim_this(two.id).await;
    let mut step = fx.fail(&claimed);
    step.transfers[0].key = format!("release:{}", one.id);
    assert!(matches!(fx.store.record(&step).await, Err(StoreError::Taken { .. })));
    assert_eq!((fx.job(two.id).await, fx.balance(account).await), (claimed, (100, 100)));
}

/// The money of a job moves with its state: captured and released together, sums on job and account.
pub async fn settling_moves_the_money_once(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let done = fx.done(job.id, 66).await;
    assert_eq!((done.state, sums(&done)), (JobState::Done, [100, 66, 34, 0]));
    assert_eq!((done.wake_at, done.lease_until), (None, None));
    assert_eq!(fx.balance(account).await, (34, 0));
    for (kind, minor) in [(TransferKind::Hold, 100), (TransferKind::Capture, 66), (TransferKind::Release, 34)]
    {
        let again = fx.job_transfer(account, job.id, kind, minor);
        let filter = crate::TransferFilter { job: Some(job.id), limit: 10, ..Default::default() };
        let kept = fx.store.list_transfers(&filter).await.unwrap();
        let found: Vec<_> = kept.iter().filter(|transfer| transfer.kind == kind).collect();
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].key, found[0].amount.minor()), (&again.key, minor));
        assert_eq!((found[0].debit, found[0].credit), (again.debit, again.credit));
    }
}

/// Twenty parallel settlements of one job: one is applied, nineteen are stale, one capture and one release.
pub async fn parallel_settlements_are_one(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.open(&order_with_webhook(&fx, account, 100)).await.remove(0);
    fx.running(job.id, "task").await;
    fx.storing(job.id, 1).await;
    fx.wake_now(job.id).await;
    let claimed = fx.claim_this(job.id).await;
    let asset = fx.store.assets_of(&[job.id]).await.unwrap().remove(0);
    assert!(fx.store.asset_stored(asset.id, Some(claimed.fence), &fx.file(), fx.now()).await.unwrap());
    let answers = at_once(20, |_| {
        let (store, step) = (fx.store.clone(), fx.settle(&claimed, 60));
        async move { store.record(&step).await.expect("the step runs") }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| **answer == Recorded::Applied).count(), 1);
    assert_eq!(sums(&fx.job(job.id).await), [100, 60, 40, 0]);
    assert_eq!(fx.balance(account).await, (40, 0));
    assert_eq!(fx.count_transfers(account, TransferKind::Capture).await, 1);
    assert_eq!(fx.count_transfers(account, TransferKind::Release).await, 1);
    assert_eq!(fx.store.deliveries_of(&[job.id]).await.unwrap().len(), 1);
}

/// Twenty parallel releases by different hands (poller, sweep, operator): the money comes back once.
pub async fn parallel_releases_are_one(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let claimed = fx.claim_this(job.id).await;
    let answers = at_once(20, |number| {
        let mut step = fx.fail(&claimed);
        if number % 2 == 1 {
            step.guard = Guard::read(&claimed);
        }
        let store = fx.store.clone();
        async move { store.record(&step).await.expect("the step runs") }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| **answer == Recorded::Applied).count(), 1);
    assert_eq!((fx.balance(account).await, sums(&fx.job(job.id).await)), ((100, 0), [100, 0, 100, 0]));
}

/// Parallel confirmations of a draft hold its price once.
pub async fn parallel_confirmations_hold_once(fx: Fixture) {
    let account = fx.account(1_000).await;
    let draft = fx.open(&fx.order(account, vec![fx.new_draft(account, 100)])).await.remove(0);
    let answers = at_once(12, |_| {
        let mut step = fx.step(&draft, JobState::Pending);
        step.guard = Guard::read(&draft);
        step.transfers = vec![fx.job_transfer(account, draft.id, TransferKind::Hold, 100)];
        let store = fx.store.clone();
        async move { store.record(&step).await.expect("the step runs") }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| **answer == Recorded::Applied).count(), 1);
    assert_eq!(fx.balance(account).await, (900, 100));
}

/// Jobs of one account that settle in parallel leave balances that are the fold of their transfers.
pub async fn parallel_settlements_of_many_jobs_add_up(fx: Fixture) {
    let account = fx.account(1_600).await;
    fx.open(&fx.order_of(account, 16, 100)).await;
    let claimed = fx.claim_up_to(16).await;
    at_once(16, |number| {
        let (store, step) = (fx.store.clone(), fx.fail(&claimed[number]));
        async move { assert_eq!(store.record(&step).await.expect("the step runs"), Recorded::Applied) }
    })
    .await;
    assert_eq!(fx.balance(account).await, (1_600, 0));
}

/// A gift goes through storing to done without any movement of money.
pub async fn a_gift_moves_no_money(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    fx.failed(job.id).await;
    fx.wake_now(job.id).await;
    let claimed = fx.claim_this(job.id).await;
    let mut step = fx.step(&claimed, JobState::Storing);
    step.patch.gift = true;
    step.assets = vec![fx.output(&claimed, 0)];
    let asset = step.assets[0].id;
    fx.applied(&step).await;
    fx.wake_now(job.id).await;
    let storing = fx.claim_this(job.id).await;
    assert!(fx.store.asset_stored(asset, Some(storing.fence), &fx.file(), fx.now()).await.unwrap());
    let given = fx.applied(&fx.step(&storing, JobState::Done)).await;
    assert!(given.gift);
    assert_eq!((sums(&given), fx.balance(account).await), ([100, 0, 100, 0], (100, 0)));
}

/// A free job goes the whole way without a transfer.
pub async fn a_free_job_has_no_transfers(fx: Fixture) {
    let account = fx.account(0).await;
    let job = fx.pending(account, 0).await;
    let done = fx.done(job.id, 0).await;
    assert_eq!(sums(&done), [0; 4]);
    let filter = crate::TransferFilter { account: Some(account), limit: 10, ..Default::default() };
    assert_eq!(fx.store.list_transfers(&filter).await.unwrap(), []);
}

fn order_with_webhook(fx: &Fixture, account: domain::AccountId, minor: i64) -> NewOrder {
    let mut order = fx.order_of(account, 1, minor);
    order.jobs[0].recipients = vec![Recipient::Webhook { url: "https://shop.example/hook".to_owned() }];
    NewOrder { limits: NO_LIMITS, ..order }
}
