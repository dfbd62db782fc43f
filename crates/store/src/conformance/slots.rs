//! Slots, breaker and model health: what all processes share toward the provider.

use std::collections::{HashMap, HashSet};

use domain::{AccountId, Job, JobId, JobState};

use super::Fixture;
use super::fixture::at_once;
use crate::{Began, BeginAttempt, ClaimJobs, Guard};

/// Create slots go to accounts in turn: a long queue of one does not starve the short one of another.
pub async fn slots_go_to_accounts_in_turn(fx: Fixture) {
    fx.store.ensure_slots(4).await.unwrap();
    let (greedy, modest) = (fx.account(10_000).await, fx.account(10_000).await);
    fx.open(&fx.order_of(greedy, 10, 10)).await;
    fx.advance(1);
    fx.open(&fx.order_of(modest, 3, 10)).await;
    let claimed = claim_with_slots(&fx, 4, 4).await;
    assert_eq!(by_account(&claimed), HashMap::from([(greedy, 2), (modest, 2)]));
}

/// Slots in use count against their account's turn.
pub async fn slots_in_use_count_as_turns(fx: Fixture) {
    fx.store.ensure_slots(4).await.unwrap();
    let (greedy, modest) = (fx.account(10_000).await, fx.account(10_000).await);
    fx.open(&fx.order_of(greedy, 10, 10)).await;
    let first = claim_with_slots(&fx, 4, 2).await;
    for job in &first {
        assert_eq!(begin_with_slots(&fx, job, 4).await, Began::Committed);
    }
    fx.advance(1);
    fx.open(&fx.order_of(modest, 3, 10)).await;
    let claimed = claim_with_slots(&fx, 4, 10).await;
    assert_eq!(
        by_account(&claimed),
        HashMap::from([(modest, 2)]),
        "two slots are left, both are the other's"
    );
}

/// Pending rows are claimed only while slots are free; other rows do not need any.
pub async fn pending_rows_wait_for_slots(fx: Fixture) {
    fx.store.ensure_slots(2).await.unwrap();
    let account = fx.account(10_000).await;
    let opened = fx.open(&fx.order_of(account, 3, 10)).await;
    let running = fx.pending(account, 10).await.id;
    fx.running(running, "task").await;
    fx.advance(61);
    for job in &opened {
        // The claim that brought the other job forward has taken these too.
        fx.store.record(&fx.step(&fx.job(job.id).await, JobState::Pending)).await.unwrap();
    }
    fx.advance(60);
    fx.store.push_slots_back(fx.after(10)).await.unwrap();
    assert_eq!(ids(&claim_with_slots(&fx, 2, 10).await), HashSet::from([running]));
    fx.advance(11);
    assert_eq!(claim_with_slots(&fx, 2, 10).await.len(), 2);
}

/// An attempt without a free slot is told when there is one, and nothing of it is written.
pub async fn an_attempt_without_a_slot_waits(fx: Fixture) {
    fx.store.ensure_slots(2).await.unwrap();
    let account = fx.account(10_000).await;
    fx.open(&fx.order_of(account, 3, 10)).await;
    let claimed = fx.claim_up_to(3).await;
    assert_eq!(begin_with_slots(&fx, &claimed[0], 2).await, Began::Committed);
    fx.advance(3);
    assert_eq!(begin_with_slots(&fx, &claimed[1], 2).await, Began::Committed);
    assert_eq!(begin_with_slots(&fx, &claimed[2], 2).await, Began::NoSlot(fx.after(7)));
    let waiting = fx.job(claimed[2].id).await;
    assert_eq!((waiting.state, waiting.attempts), (JobState::Pending, 0));
    assert_eq!(fx.store.attempts(claimed[2].id).await.unwrap(), []);
    fx.advance(7);
    assert_eq!(begin_with_slots(&fx, &claimed[2], 2).await, Began::Committed);
}

/// More attempts at once than slots take every slot once.
pub async fn parallel_attempts_take_each_slot_once(fx: Fixture) {
    fx.store.ensure_slots(5).await.unwrap();
    let account = fx.account(10_000).await;
    fx.open(&fx.order_of(account, 16, 10)).await;
    let claimed = fx.claim_up_to(16).await;
    assert_eq!(claimed.len(), 16);
    let answers = at_once(16, |number| {
        let (fx, job) = (fx.clone(), claimed[number].clone());
        async move { begin_with_slots(&fx, &job, 5).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|began| **began == Began::Committed).count(), 5, "{answers:?}");
    assert_eq!(answers.iter().filter(|began| matches!(began, Began::NoSlot(_))).count(), 11, "{answers:?}");
}

/// The number of slots can be raised by several processes at once.
pub async fn slots_are_made_once(fx: Fixture) {
    at_once(8, |_| {
        let store = fx.store.clone();
        async move { store.ensure_slots(3).await.expect("slots are made") }
    })
    .await;
    let account = fx.account(10_000).await;
    fx.open(&fx.order_of(account, 9, 10)).await;
    assert_eq!(claim_with_slots(&fx, 3, 9).await.len(), 3);
}

/// A row past its deadline needs neither a slot nor a closed breaker: it is not going to be sent.
pub async fn a_deadline_needs_no_slot(fx: Fixture) {
    fx.store.ensure_slots(1).await.unwrap();
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    fx.store.push_slots_back(fx.after(1_000_000)).await.unwrap();
    fx.store.open_breaker("no credits", fx.now(), fx.after(1_000_000)).await.unwrap();
    assert_eq!(claim_with_slots(&fx, 1, 10).await, []);
    fx.advance(86_401);
    let claimed = claim_with_slots(&fx, 1, 10).await;
    assert_eq!(ids(&claimed), HashSet::from([job.id]));
    fx.applied(&fx.fail(&claimed[0])).await;
    assert_eq!(fx.balance(account).await, (100, 0));
}

/// An open breaker lets one trial through when it is due, moves the next, and stops everything else.
pub async fn an_open_breaker_lets_one_trial_through(fx: Fixture) {
    let account = fx.account(1_000).await;
    fx.open(&fx.order_of(account, 5, 10)).await;
    let early = fx.claim_up_to(2).await;
    assert!(fx.store.open_breaker("no credits", fx.now(), fx.after(60)).await.unwrap());
    assert_eq!(fx.claim_up_to(10).await, []);
    let begun = fx.store.begin_attempt(&fx.begin(&early[0])).await.unwrap();
    assert_eq!(begun, Began::NoSlot(fx.after(60)));
    fx.advance(60);
    let trial = fx.claim_up_to(10).await;
    assert_eq!(trial.len(), 1);
    let next = fx.after(60);
    assert_eq!(fx.store.begin_attempt(&fx.begin(&trial[0])).await.unwrap(), Began::Committed);
    assert_eq!(fx.store.breaker().await.unwrap().unwrap().next_trial_at, next);
    assert_eq!(fx.claim_up_to(10).await, []);
    assert!(fx.store.close_breaker().await.unwrap());
    let rest = fx.claim_up_to(10).await;
    assert_eq!(rest.len(), 4, "the two early claims ran out and are due again with the rest");
}

/// Two trials at once: one is sent.
pub async fn parallel_trials_send_one(fx: Fixture) {
    let account = fx.account(1_000).await;
    fx.open(&fx.order_of(account, 8, 10)).await;
    let claimed = fx.claim_up_to(8).await;
    fx.store.open_breaker("no credits", fx.now(), fx.now()).await.unwrap();
    let answers = at_once(8, |number| {
        let (fx, job) = (fx.clone(), claimed[number].clone());
        async move { fx.store.begin_attempt(&fx.begin(&job)).await.expect("the attempt runs") }
    })
    .await;
    assert_eq!(answers.iter().filter(|began| **began == Began::Committed).count(), 1, "{answers:?}");
}

/// The breaker opens once, renews its reason while it is open, and closes once.
pub async fn a_breaker_opens_and_closes_once(fx: Fixture) {
    let since = fx.now();
    assert_eq!(fx.store.breaker().await.unwrap(), None);
    assert!(!fx.store.close_breaker().await.unwrap());
    assert!(fx.store.open_breaker("no credits", since, fx.after(60)).await.unwrap());
    fx.advance(5);
    assert!(!fx.store.open_breaker("key refused", fx.now(), fx.after(90)).await.unwrap());
    let open = fx.store.breaker().await.unwrap().unwrap();
    assert_eq!((open.open_since, open.next_trial_at), (since, fx.after(90)));
    assert_eq!(open.reason, "key refused");
    assert!(fx.store.close_breaker().await.unwrap());
    assert_eq!(fx.store.breaker().await.unwrap(), None);
    assert!(!fx.store.close_breaker().await.unwrap());
}

/// A model goes off sale after so many refusals in a row, and comes back when it is cleared.
pub async fn refusals_in_a_row_take_a_model_off_sale(fx: Fixture) {
    let model = "maker/gone";
    let first = fx.store.count_refusal(model, 3, fx.now()).await.unwrap();
    assert_eq!((first.refusals, first.off_since), (1, None));
    fx.store.clear_refusals(model).await.unwrap();
    for _ in 0..2 {
        fx.store.count_refusal(model, 3, fx.now()).await.unwrap();
    }
    assert_eq!(fx.store.models_off_sale().await.unwrap(), []);
    fx.advance(1);
    let off = fx.store.count_refusal(model, 3, fx.now()).await.unwrap();
    assert_eq!((off.refusals, off.off_since), (3, Some(fx.now())));
    fx.advance(1);
    let still = fx.store.count_refusal(model, 3, fx.now()).await.unwrap();
    assert_eq!((still.refusals, still.off_since), (4, off.off_since));
    fx.store.count_refusal("maker/other", 3, fx.now()).await.unwrap();
    assert_eq!(fx.store.models_off_sale().await.unwrap(), [still]);
    fx.store.clear_refusals(model).await.unwrap();
    assert_eq!(fx.store.models_off_sale().await.unwrap(), []);
}

async fn claim_with_slots(fx: &Fixture, slots: u32, limit: u32) -> Vec<Job> {
    let claim = ClaimJobs { slots: Some(slots), ..fx.claim(limit) };
    fx.store.claim_jobs(&claim).await.expect("claiming runs")
}

async fn begin_with_slots(fx: &Fixture, job: &Job, slots: u32) -> Began {
    let begin = BeginAttempt { slots: Some(slots), guard: Guard::claimed(job), ..fx.begin(job) };
    fx.store.begin_attempt(&begin).await.expect("the attempt runs")
}

fn by_account(jobs: &[Job]) -> HashMap<AccountId, usize> {
    let mut counts = HashMap::new();
    for job in jobs {
        *counts.entry(job.account).or_default() += 1;
    }
    counts
}

fn ids(jobs: &[Job]) -> HashSet<JobId> {
    jobs.iter().map(|job| job.id).collect()
}
