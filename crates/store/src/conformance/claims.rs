//! Claims: due rows go to one worker at a time, whose attempt is committed before it is sent.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::{Job, JobId, JobState};

use super::Fixture;
use super::fixture::at_once;
use super::moves::{LEASE_SECONDS, SENDING_SECONDS};
use crate::{Began, Recorded};

/// A claim raises the fence and sets the lease; the state, money and wakes stay.
pub async fn a_claim_sets_lease_and_fence(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let claimed = fx.claim_this(job.id).await;
    assert_eq!((claimed.fence, claimed.lease_until), (job.fence + 1, Some(fx.after(LEASE_SECONDS))));
    assert_eq!((claimed.state, claimed.wake_seq, claimed.held), (job.state, job.wake_seq, job.held));
    assert_eq!(fx.job(job.id).await, claimed);
}

/// A live lease is never claimed; one that ran out is, under a higher fence.
pub async fn only_a_lease_that_ran_out_is_claimed_again(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let first = fx.claim_this(job.id).await;
    fx.wake_now(job.id).await;
    assert_eq!(fx.claim_up_to(10).await, []);
    fx.advance(29);
    assert_eq!(fx.claim_up_to(10).await, []);
    fx.advance(2);
    let second = fx.claim_this(job.id).await;
    assert!(second.fence > first.fence);
    assert_eq!(fx.store.record(&fx.step(&first, JobState::Pending)).await.unwrap(), Recorded::Stale);
    fx.applied(&fx.step(&second, JobState::Pending)).await;
}

/// A lease is prolonged by its own claim alone.
pub async fn a_lease_is_prolonged_by_its_holder(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let claimed = fx.claim_this(job.id).await;
    assert!(!fx.store.renew_lease(job.id, claimed.fence - 1, fx.after(500)).await.unwrap());
    assert!(!fx.store.renew_lease(job.id, claimed.fence + 1, fx.after(500)).await.unwrap());
    assert!(!fx.store.renew_lease(fx.job_id(), claimed.fence, fx.after(500)).await.unwrap());
    assert!(fx.store.renew_lease(job.id, claimed.fence, fx.after(100)).await.unwrap());
    fx.advance(60);
    assert_eq!(fx.claim_up_to(10).await, []);
    fx.advance(41);
    assert!(fx.claim_this(job.id).await.fence > claimed.fence);
    assert!(!fx.store.renew_lease(job.id, claimed.fence, fx.after(100)).await.unwrap());
}

/// Rows are claimed when they are due, not before; at most so many, those due first before others.
pub async fn rows_are_claimed_in_order_of_their_wake(fx: Fixture) {
    let account = fx.account(1_000).await;
    let mut jobs = Vec::new();
    for number in 0..4_u64 {
        let job = fx.pending(account, 100).await;
        fx.running(job.id, &format!("task-{number}")).await;
        jobs.push(job.id);
        fx.advance(1);
    }
    assert_eq!(fx.claim_up_to(10).await, []);
    fx.advance(60);
    fx.wake(jobs[3], fx.after(-3_600)).await;
    let first: HashSet<JobId> = ids(&fx.claim_up_to(2).await);
    assert_eq!(first, HashSet::from([jobs[3], jobs[0]]));
    assert_eq!(ids(&fx.claim_up_to(10).await), HashSet::from([jobs[1], jobs[2]]));
}

/// Two workers that claim two hundred rows at once get disjoint sets and together all.
pub async fn two_workers_share_two_hundred_rows(fx: Fixture) {
    for _ in 0..20 {
        let account = fx.account(1_000).await;
        fx.open(&fx.order_of(account, 10, 10)).await;
    }
    let found = Arc::new(AtomicUsize::new(0));
    let workers = at_once(2, |_| {
        let (fx, found) = (fx.clone(), Arc::clone(&found));
        async move {
            let (mut mine, started) = (Vec::new(), Instant::now());
            while found.load(Ordering::Relaxed) < 200 && started.elapsed() < Duration::from_secs(30) {
                let claimed = fx.claim_up_to(16).await;
                found.fetch_add(claimed.len(), Ordering::Relaxed);
                mine.extend(claimed.into_iter().map(|job| job.id));
            }
            mine
        }
    })
    .await;
    let all: Vec<JobId> = workers.into_iter().flatten().collect();
    assert_eq!((all.len(), all.iter().collect::<HashSet<_>>().len()), (200, 200));
    assert_eq!(fx.claim_up_to(10).await, []);
}

/// An attempt commits `submitting`, its number and its lease, under the same fence.
pub async fn an_attempt_is_committed_before_it_is_sent(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let claimed = fx.claim_this(job.id).await;
    fx.advance(1);
    let mut begin = fx.begin(&claimed);
    begin.timeline = vec![super::fixture::entry("create.sent")];
    assert_eq!(fx.store.begin_attempt(&begin).await.unwrap(), Began::Committed);
    let sent = fx.job(job.id).await;
    assert_eq!((sent.state, sent.attempts, sent.fence), (JobState::Submitting, 1, claimed.fence));
    let until = Some(fx.after(SENDING_SECONDS));
    assert_eq!((sent.lease_until, sent.wake_at, sent.entered_at), (until, until, fx.now()));
    assert!(sent.version > claimed.version);
    let attempts = fx.store.attempts(job.id).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].number, attempts[0].sent_at, &attempts[0].task_id), (1, fx.now(), &None));
    assert_eq!(fx.store.timeline(job.id).await.unwrap().last().unwrap().event, "create.sent");
    assert_eq!(fx.store.begin_attempt(&begin).await.unwrap(), Began::Stale, "it happens once");
}

/// A claim that is over begins nothing.
pub async fn a_stale_claim_begins_nothing(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let first = fx.claim_this(job.id).await;
    fx.advance(31);
    let second = fx.claim_this(job.id).await;
    assert_eq!(fx.store.begin_attempt(&fx.begin(&first)).await.unwrap(), Began::Stale);
    assert_eq!(fx.store.attempts(job.id).await.unwrap(), []);
    assert_eq!(fx.store.begin_attempt(&fx.begin(&second)).await.unwrap(), Began::Committed);
}

/// A customer's cancel against a worker's attempt: one of them wins, and the money is right either way.
pub async fn cancel_and_attempt_exclude_each_other(fx: Fixture) {
    let account = fx.account(2_000).await;
    for _round in 0..20 {
        let job = fx.pending(account, 100).await;
        let claimed = fx.claim_this(job.id).await;
        let moves = at_once(2, |number| {
            let (fx, claimed) = (fx.clone(), claimed.clone());
            async move {
                if number == 0 {
                    fx.store.record(&fx.cancel(&claimed)).await.expect("the step runs") == Recorded::Applied
                } else {
                    let began = fx.store.begin_attempt(&fx.begin(&claimed)).await;
                    began.expect("the attempt runs") == Began::Committed
                }
            }
        })
        .await;
        let after = fx.job(job.id).await;
        let (wanted, held) =
            if moves[0] { (JobState::Canceled, (2_000, 0)) } else { (JobState::Submitting, (1_900, 100)) };
        assert_ne!(moves[0], moves[1], "exactly one wins");
        assert_eq!((after.state, fx.balance(account).await), (wanted, held));
        if !moves[0] {
            fx.applied(&fx.fail(&after)).await;
        }
    }
}

/// A cancel that comes before the claim leaves nothing to claim; one that comes too late is refused.
pub async fn cancel_and_claim_exclude_each_other(fx: Fixture) {
    let account = fx.account(2_000).await;
    for _round in 0..20 {
        let job = fx.pending(account, 100).await;
        let moves = at_once(2, |number| {
            let (fx, job) = (fx.clone(), job.clone());
            async move {
                if number == 0 {
                    return fx.store.record(&fx.cancel(&job)).await.expect("the step runs")
                        == Recorded::Applied;
                }
                let Some(claimed) = fx.claim_up_to(10).await.into_iter().find(|row| row.id == job.id) else {
                    return false;
                };
                let began = fx.store.begin_attempt(&fx.begin(&claimed)).await;
                began.expect("the attempt runs") == Began::Committed
            }
        })
        .await;
        let after = fx.job(job.id).await;
        assert_eq!(
            (after.state == JobState::Canceled, after.state == JobState::Submitting),
            (moves[0], moves[1])
        );
        assert_ne!(moves[0], moves[1], "exactly one wins");
        if moves[1] {
            fx.applied(&fx.fail(&after)).await;
        }
        assert_eq!(fx.balance(account).await, (2_000, 0));
    }
}

fn ids(jobs: &[Job]) -> HashSet<JobId> {
    jobs.iter().map(|job| job.id).collect()
}
