//! Random histories against a small model of balances and states: whatever happens, the books agree with it.

mod model;

use domain::{Answer, Cause, Event, JobId, JobState, Stored, TransferKind};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::prop_oneof;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::model::{Model, ModelJob};
use super::Fixture;
use crate::{Credited, Guard, NewCallback, Placed, Recorded, TaskSaved};

/// Histories that are tried.
const CASES: u32 = 40;
/// Operations in the longest of them.
const LONGEST: usize = 40;
/// Between two operations every lease runs out, so that any row can be claimed.
const BETWEEN_SECONDS: u64 = 200;

/// What may happen; numbers choose among what is there.
#[derive(Debug, Clone)]
enum Operation {
    Order { account: usize, count: usize, minor: i64, draft: bool },
    Replay { order: usize },
    Cancel { job: usize },
    Confirm { job: usize },
    Work { job: usize, choices: Vec<usize>, kept: i64 },
    StaleWork { job: usize },
    Wake { job: usize },
    Callback { job: usize },
    Evidence { job: usize },
    TopUp { account: usize, key: usize, minor: i64 },
    Refund { job: usize, key: usize, minor: i64 },
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let any_job = any::<usize>();
    let order = (0..3_usize, 1..4_usize, 0..4_i64, proptest::bool::weighted(0.2)).prop_map(
        |(account, count, hundreds, draft)| Operation::Order { account, count, minor: hundreds * 100, draft },
    );
    let work = (any_job, vec(any::<usize>(), 1..5), 0..=100_i64)
        .prop_map(|(job, choices, kept)| Operation::Work { job, choices, kept });
    let top_up = (0..3_usize, 0..6_usize, 1..4_i64).prop_map(|(account, key, hundreds)| Operation::TopUp {
        account,
        key,
        minor: hundreds * 100,
    });
    let refund =
        (any_job, 0..6_usize, 1..120_i64).prop_map(|(job, key, minor)| Operation::Refund { job, key, minor });
    let one = prop_oneof![
        3 => order,
        1 => any_job.prop_map(|order| Operation::Replay { order }),
        1 => any_job.prop_map(|job| Operation::Cancel { job }),
        2 => any_job.prop_map(|job| Operation::Confirm { job }),
        14 => work,
        2 => any_job.prop_map(|job| Operation::StaleWork { job }),
        1 => any_job.prop_map(|job| Operation::Wake { job }),
        1 => any_job.prop_map(|job| Operation::Callback { job }),
        1 => any_job.prop_map(|job| Operation::Evidence { job }),
        2 => top_up,
        2 => refund,
    ];
    vec(one, LONGEST / 2..=LONGEST)
}

/// After every random history the audit is clean, and balances, states and sums are the model's.
pub async fn random_histories_keep_the_books(fx: Fixture) {
    let config =
        Config { cases: CASES, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let handle = tokio::runtime::Handle::current();
    let trial = tokio::task::spawn_blocking(move || {
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        runner.run(&operations(), |operations| {
            handle.block_on(live(&fx, &operations));
            Ok(())
        })
    });
    let outcome = trial.await.expect("the trial runs");
    assert!(outcome.is_ok(), "{}", outcome.err().map(|error| error.to_string()).unwrap_or_default());
}

async fn live(fx: &Fixture, operations: &[Operation]) {
    let mut model = Model::default();
    for _ in 0..3 {
        model.open_account(fx.account(500).await, 500);
    }
    for operation in operations {
        fx.advance(BETWEEN_SECONDS);
        perform(fx, &mut model, operation).await;
    }
    compare(fx, &model).await;
    bury(fx, &mut model).await;
    compare(fx, &model).await;
}

async fn perform(fx: &Fixture, model: &mut Model, operation: &Operation) {
    match operation.clone() {
        Operation::Order { account, count, minor, draft } => {
            order(fx, model, account, count, minor, draft).await;
        }
        Operation::Replay { order } => replay(fx, model, order).await,
        Operation::TopUp { account, key, minor } => top_up(fx, model, account, key, minor).await,
        Operation::Refund { job, key, minor } => refund(fx, model, job, key, minor).await,
        Operation::Cancel { job } => cancel(fx, model, job).await,
        Operation::Confirm { job } => confirm(fx, model, job).await,
        Operation::Work { job, choices, kept } => {
            let Some(id) = model.pick_awake(job) else { return };
            for choice in choices {
                work(fx, model, id, choice, kept).await;
                fx.advance(BETWEEN_SECONDS);
            }
        }
        Operation::StaleWork { job } => stale_work(fx, model, job).await,
        Operation::Wake { job } => {
            let Some(job) = model.pick(job) else { return };
            fx.wake(job.id, fx.now()).await;
        }
        Operation::Callback { job } => {
            let Some(job) = model.pick(job) else { return };
            let callback = NewCallback {
                job: job.id,
                attempt: 1,
                body_hash: fx.bytes(),
                body: b"{}",
                task_id: None,
                at: fx.now(),
            };
            assert!(fx.store.add_callback(&callback).await.expect("the callback is kept"));
        }
        Operation::Evidence { job } => evidence(fx, model, job).await,
    }
}

async fn order(fx: &Fixture, model: &mut Model, account: usize, count: usize, minor: i64, draft: bool) {
    let id = model.accounts[account].id;
    let new_job = || if draft { fx.new_draft(id, minor) } else { fx.new_job(id, minor) };
    let order = fx.order(id, (0..count).map(|_| new_job()).collect());
    let total = if draft { 0 } else { minor * i64::try_from(count).expect("a small number") };
    let placed = fx.store.place(&order).await.expect("the order runs");
    if total > model.accounts[account].available {
        assert!(matches!(placed, Placed::Short { .. }), "{placed:?}");
        return;
    }
    assert!(matches!(placed, Placed::Opened(_)), "{placed:?}");
    for job in &order.jobs {
        model.jobs.push(ModelJob::new(job, account));
    }
    model.hold(account, total);
    model.orders.push(order);
}

async fn replay(fx: &Fixture, model: &Model, order: usize) {
    let Some(order) = model.orders.get(order % model.orders.len().max(1)) else { return };
    let placed = fx.store.place(order).await.expect("the order runs");
    let Placed::Replayed(jobs) = placed else { panic!("not a replay: {placed:?}") };
    let wanted: Vec<_> = order.jobs.iter().map(|job| job.id).collect();
    assert_eq!(jobs.iter().map(|job| job.id).collect::<Vec<_>>(), wanted);
}

async fn top_up(fx: &Fixture, model: &mut Model, account: usize, key: usize, minor: i64) {
    let id = model.accounts[account].id;
    let topup = fx.topup(id, &model.key("topup", key), minor);
    let credited = fx.store.credit(&[topup], fx.now()).await.expect("the top-up runs");
    match model.topups.get(&key) {
        None => {
            assert!(matches!(credited, Credited::Applied(_)), "{credited:?}");
            model.topups.insert(key, (account, minor));
            model.accounts[account].available += minor;
        }
        Some(first) if *first == (account, minor) => {
            assert!(matches!(credited, Credited::Replayed(_)), "{credited:?}");
        }
        Some(_) => assert_eq!(credited, Credited::KeyReused),
    }
}

async fn refund(fx: &Fixture, model: &mut Model, job: usize, key: usize, minor: i64) {
    let Some(picked) = model.pick_captured(job).cloned() else { return };
    let row = fx.job(picked.id).await;
    let refund = fx.refund(&row, &model.key("refund", key), minor);
    let credited = fx.store.credit(&[refund], fx.now()).await.expect("the refund runs");
    if let Some(first) = model.refunds.get(&key) {
        let same = *first == (picked.id, minor);
        assert!(if same {
            matches!(credited, Credited::Replayed(_))
        } else {
            credited == Credited::KeyReused
        });
    } else if picked.refunded + minor > picked.captured {
        assert_eq!(credited, Credited::Short);
    } else {
        assert!(matches!(credited, Credited::Applied(_)), "{credited:?}");
        model.refunds.insert(key, (picked.id, minor));
        model.accounts[picked.account].available += minor;
        model.job_mut(picked.id).refunded += minor;
    }
}

async fn cancel(fx: &Fixture, model: &mut Model, job: usize) {
    let Some(picked) = model.pick(job).cloned() else { return };
    let row = fx.job(picked.id).await;
    if domain::transition(row.state, row.gift, Event::CancelAsked).is_err() {
        // The customer read the job before it was sent: the guard has a state that is past.
        let mut late = fx.cancel(&row);
        late.guard.state = JobState::Pending;
        assert_eq!(fx.store.record(&late).await.expect("the step runs"), Recorded::Stale);
        return;
    }
    fx.applied(&fx.cancel(&row)).await;
    model.settle(picked.id, JobState::Canceled, 0);
}

async fn confirm(fx: &Fixture, model: &mut Model, job: usize) {
    let drafts: Vec<_> = model.jobs.iter().filter(|job| job.state == JobState::Draft).cloned().collect();
    let Some(picked) = drafts.get(job % drafts.len().max(1)) else { return };
    let row = fx.job(picked.id).await;
    let mut step = fx.step(&row, JobState::Pending);
    step.guard = Guard::read(&row);
    if picked.price > 0 {
        step.transfers = vec![fx.job_transfer(row.account, row.id, TransferKind::Hold, picked.price)];
    }
    let recorded = fx.store.record(&step).await;
    if picked.price > model.accounts[picked.account].available {
        assert!(matches!(recorded, Err(crate::StoreError::Short)), "{recorded:?}");
        return;
    }
    assert_eq!(recorded.expect("the step runs"), Recorded::Applied);
    model.hold(picked.account, picked.price);
    let job = model.job_mut(picked.id);
    (job.state, job.held) = (JobState::Pending, picked.price);
}

/// One step of a worker: whatever the one transition function allows in this state.
async fn work(fx: &Fixture, model: &mut Model, job: JobId, choice: usize, kept: i64) {
    let picked = model.job_mut(job).clone();
    if picked.state == JobState::Draft || !fx.wake(picked.id, fx.now()).await {
        return;
    }
    let claimed = fx.claim_this(picked.id).await;
    model.job_mut(picked.id).last_claim = Some(claimed.clone());
    let events = worker_events(claimed.state);
    let event = events[choice % events.len()];
    if event == Event::SendCommitted {
        let began = fx.store.begin_attempt(&fx.begin(&claimed)).await.expect("the attempt runs");
        assert_eq!(began, crate::Began::Committed);
        model.job_mut(picked.id).state = JobState::Submitting;
        return;
    }
    let Ok(moved) = domain::transition(claimed.state, claimed.gift, event) else { return };
    if moved.to == JobState::Done {
        return finish(fx, model, &claimed, kept).await;
    }
    let mut step = if moved.effects.contains(&domain::Effect::Release) {
        fx.fail(&claimed)
    } else {
        fx.step(&claimed, moved.to)
    };
    step.patch.cause = moved.cause;
    step.patch.gift = claimed.gift || moved.effects.contains(&domain::Effect::MarkGift);
    if moved.to == JobState::Running {
        let known = fx.store.attempts(claimed.id).await.expect("attempts can be read");
        let task = known.last().and_then(|attempt| attempt.task_id.clone());
        step.task = Some((claimed.attempts, task.unwrap_or_else(|| fx.word("task"))));
    }
    // A gift may come to a job whose output was fixed before its failure.
    let fixed = fx.store.assets_of(&[claimed.id]).await.expect("assets can be read");
    if moved.to == JobState::Storing && fixed.is_empty() {
        step.assets = vec![fx.output(&claimed, 0)];
    }
    fx.applied(&step).await;
    if moved.effects.contains(&domain::Effect::Release) {
        model.settle(picked.id, moved.to, 0);
    } else {
        model.job_mut(picked.id).state = moved.to;
    }
}

/// Stores the output and takes `kept` percent of what is held; a gift takes nothing.
async fn finish(fx: &Fixture, model: &mut Model, claimed: &domain::Job, kept: i64) {
    for asset in fx.store.assets_of(&[claimed.id]).await.expect("assets can be read") {
        let stored = fx.store.asset_stored(asset.id, Some(claimed.fence), &fx.file(), fx.now()).await;
        assert!(stored.expect("the asset is written"));
    }
    if claimed.gift {
        fx.applied(&fx.step(claimed, JobState::Done)).await;
        model.job_mut(claimed.id).state = JobState::Done;
        return;
    }
    let captured = claimed.held.minor() * kept / 100;
    fx.applied(&fx.settle(claimed, captured)).await;
    model.settle(claimed.id, JobState::Done, captured);
}

/// A worker that was away: its claim is over, so nothing that it writes may happen.
async fn stale_work(fx: &Fixture, model: &Model, job: usize) {
    let Some(old) = model.pick(job).and_then(|job| job.last_claim.clone()) else { return };
    let row = fx.job(old.id).await;
    if (old.state, old.fence) == (row.state, row.fence) {
        return;
    }
    let step = if old.state == JobState::Storing { fx.settle(&old, 0) } else { fx.fail(&old) };
    assert_eq!(fx.store.record(&step).await.expect("the step runs"), Recorded::Stale);
}

async fn evidence(fx: &Fixture, model: &Model, job: usize) {
    let Some(picked) = model.pick(job) else { return };
    let attempts = fx.store.attempts(picked.id).await.expect("attempts can be read");
    let Some(last) = attempts.last() else { return };
    let task = fx.word("task");
    let saved = fx.store.save_task(picked.id, last.number, &task, fx.now()).await.expect("saving runs");
    assert_eq!(saved, if last.task_id.is_none() { TaskSaved::Saved } else { TaskSaved::Taken });
}

/// What may happen in a state; the way to the end stands more often than the ways out of it.
fn worker_events(state: JobState) -> Vec<Event> {
    let answered = Event::Answered;
    let (likely, others) = match state {
        JobState::Pending => (Event::SendCommitted, vec![Event::WaitedTooLong(Cause::Expired)]),
        JobState::Submitting => (
            answered(Answer::Accepted),
            vec![
                answered(Answer::Throttled),
                answered(Answer::Refused(Cause::Moderation)),
                answered(Answer::Unknown),
                Event::SenderLost,
            ],
        ),
        JobState::Unclear => {
            (Event::TaskFound, vec![Event::ResendOrdered, Event::StayedUnclear, Event::ReleaseOrdered])
        }
        JobState::Running => (Event::RecordSuccess, vec![Event::RecordFailed(Cause::ProviderError)]),
        JobState::Storing => (Event::OutputsEnded(Stored::Some), vec![Event::OutputsEnded(Stored::Nothing)]),
        JobState::Draft | JobState::Done | JobState::Failed | JobState::Canceled => {
            (Event::RecordSuccess, Vec::new())
        }
    };
    [likely; 5].into_iter().chain(others).collect()
}

async fn compare(fx: &Fixture, model: &Model) {
    for account in &model.accounts {
        assert_eq!(fx.balance(account.id).await, (account.available, account.held), "{}", account.id);
    }
    for job in &model.jobs {
        let row = fx.job(job.id).await;
        assert_eq!((row.state, super::moves::sums(&row)), (job.state, job.sums()), "{}", job.id);
        assert!(row.state.is_final() || row.wake_at.is_some());
    }
    assert_eq!(fx.store.audit(fx.now()).await.expect("the audit runs"), []);
}

/// Ends every job and puts it to sleep, so that the next history meets none of it.
async fn bury(fx: &Fixture, model: &mut Model) {
    let ids: Vec<_> = model.jobs.iter().map(|job| job.id).collect();
    for id in ids {
        let row = fx.job(id).await;
        if row.state.is_final() && row.wake_at.is_none() {
            continue;
        }
        let mut step = match row.state {
            JobState::Draft => fx.cancel(&row),
            JobState::Storing | JobState::Failed if row.gift => fx.step(&row, JobState::Failed),
            JobState::Failed => fx.step(&row, JobState::Failed),
            _ => fx.fail(&row),
        };
        step.guard = Guard::read(&row);
        step.patch.wake_at = None;
        step.patch.cause = row.cause.or((step.patch.state == JobState::Failed).then_some(Cause::Operator));
        let ended = step.patch.state;
        fx.applied(&step).await;
        if row.state.is_final() || row.gift {
            model.job_mut(id).state = ended;
        } else {
            model.settle(id, ended, 0);
        }
    }
}
