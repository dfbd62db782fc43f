//! Orders: job, hold and transfer are one transaction, once per key, within the limits.

use domain::{BatchId, Job, JobState, Money, PriceBasis, Recipient, Scope, TransferKind};

use super::Fixture;
use super::fixture::{at_once, later};
use crate::{Guard, NewOrder, OrderLimits, Placed, Recorded, Step, StoreError};

/// An order writes exactly the rows that it announces, with their holds and history.
pub async fn an_order_opens_exactly_the_rows_it_announces(fx: Fixture) {
    let account = fx.account(1_000).await;
    let mut order = fx.order_of(account, 3, 100);
    order.jobs[1].recipients = vec![
        Recipient::Webhook { url: "https://shop.example/hook".to_owned() },
        Recipient::Telegram { chat_id: -42 },
    ];
    order.jobs[2].prompt = None;
    order.jobs[2].input = serde_json::json!({"deep": {"list": [1, 2.5, null, "ключ"]}});
    let opened = fx.open(&order).await;
    assert_eq!(opened, order.opened_jobs());
    for job in &opened {
        assert_eq!(&fx.job(job.id).await, job);
        assert_eq!(fx.store.timeline(job.id).await.unwrap().len(), 1);
    }
    assert_eq!(fx.balance(account).await, (700, 300));
    assert_eq!(fx.count_transfers(account, TransferKind::Hold).await, 3);
    let kept = fx.store.find_order(account, &order.key).await.unwrap();
    assert_eq!(kept, Some((order.fingerprint, opened)));
    assert_eq!(fx.store.find_order(account, "never used").await.unwrap(), None);
}

/// The basis of a price survives the row, whatever it is.
pub async fn every_price_basis_is_kept(fx: Fixture) {
    let account = fx.account(1_000).await;
    let decimal = |text: &str| text.parse::<domain::Decimal>().unwrap();
    let cost = PriceBasis::Cost {
        credits: decimal("0.8"),
        exact: false,
        usd_rate: decimal("78"),
        markup: decimal("2"),
        catalogue: "2026-01".to_owned(),
    };
    for basis in [cost, PriceBasis::Fixed { catalogue: "v1".to_owned() }] {
        let mut order = fx.order_of(account, 1, 10);
        order.jobs[0].basis = basis.clone();
        let opened = fx.open(&order).await;
        assert_eq!(fx.job(opened[0].id).await.basis, basis);
    }
}

/// One hundred parallel orders on money for seven give seven holds and never less than nothing.
pub async fn a_hundred_parallel_orders_share_the_last_coin(fx: Fixture) {
    let account = fx.account(750).await;
    let orders: Vec<NewOrder> = (0..100).map(|_| fx.order_of(account, 1, 100)).collect();
    let answers = place_all(&fx, &orders).await;
    assert_eq!(count_opened(&answers), 7);
    assert!(answers.iter().all(is_opened_or_short), "{answers:?}");
    assert_eq!(fx.balance(account).await, (50, 700));
    assert_eq!(fx.count_transfers(account, TransferKind::Hold).await, 7);
}

/// Parallel batches of three hold all of their three jobs or none.
pub async fn parallel_batches_hold_all_or_nothing(fx: Fixture) {
    let account = fx.account(1_000).await;
    let orders: Vec<NewOrder> = (0..40).map(|_| fx.order_of(account, 3, 100)).collect();
    let answers = place_all(&fx, &orders).await;
    assert_eq!(count_opened(&answers), 3);
    assert!(answers.iter().all(is_opened_or_short), "{answers:?}");
    assert_eq!(fx.balance(account).await, (100, 900));
    for (order, answer) in orders.iter().zip(&answers) {
        let rows = fx.store.find_order(account, &order.key).await.unwrap().map(|(_, jobs)| jobs.len());
        assert_eq!(rows, matches!(answer, Placed::Opened(_)).then_some(3));
    }
}

/// Twenty parallel replays of one order are one job: one opens it, nineteen are told of it.
pub async fn parallel_replays_are_one_job(fx: Fixture) {
    let account = fx.account(10_000).await;
    let first = fx.order_of(account, 2, 100);
    // A replay comes from another process and so with fresh ids of its own.
    let orders: Vec<NewOrder> =
        (0..20).map(|_| NewOrder { jobs: fx.order_of(account, 2, 100).jobs, ..first.clone() }).collect();
    let answers = place_all(&fx, &orders).await;
    assert_eq!(count_opened(&answers), 1);
    let ids: Vec<Vec<_>> = answers.iter().map(|answer| ids(jobs_of(answer))).collect();
    assert!(ids.iter().all(|found| *found == ids[0]), "{ids:?}");
    assert_eq!(fx.balance(account).await, (9_800, 200));
}

/// A replay shows the jobs as they are now, in order of their index, before any other check is made.
pub async fn a_replay_is_answered_before_anything_else(fx: Fixture) {
    let account = fx.account(200).await;
    let mut order = fx.order_of(account, 2, 100);
    let opened = fx.open(&order).await;
    let canceled = fx.applied(&fx.cancel(&opened[0])).await;
    fx.pending(account, 100).await;
    order.limits = OrderLimits { open_jobs: 0, free_per_day: 0 };
    let replayed = fx.store.place(&order).await.unwrap();
    assert_eq!(replayed, Placed::Replayed(vec![canceled, opened[1].clone()]));
    assert_eq!(fx.balance(account).await, (0, 200));
}

/// The same key with another body is refused and changes nothing.
pub async fn a_key_belongs_to_one_order(fx: Fixture) {
    let account = fx.account(1_000).await;
    let order = fx.order_of(account, 1, 100);
    let opened = fx.open(&order).await;
    let other = NewOrder { fingerprint: fx.bytes(), jobs: fx.order_of(account, 1, 50).jobs, ..order.clone() };
    assert_eq!(fx.store.place(&other).await.unwrap(), Placed::KeyReused);
    assert_eq!(fx.store.find_order(account, &order.key).await.unwrap(), Some((order.fingerprint, opened)));
    assert_eq!(fx.balance(account).await, (900, 100));
}

/// Keys belong to accounts: two customers may use the same one.
pub async fn keys_of_two_accounts_do_not_meet(fx: Fixture) {
    let (ann, eve) = (fx.account(100).await, fx.account(100).await);
    let order = fx.order_of(ann, 1, 100);
    fx.open(&order).await;
    let other = NewOrder { key: order.key.clone(), ..fx.order_of(eve, 1, 100) };
    fx.open(&other).await;
    assert_eq!((fx.balance(ann).await, fx.balance(eve).await), ((0, 100), (0, 100)));
}

/// Orders of different size that race for one key: one is written whole, the others leave no row.
pub async fn racing_orders_of_different_size_write_one(fx: Fixture) {
    let account = fx.account(100_000).await;
    for _round in 0..5 {
        let key = fx.word("raced");
        let orders: Vec<NewOrder> =
            (0..12).map(|n| NewOrder { key: key.clone(), ..fx.order_of(account, 1 + n % 4, 10) }).collect();
        let before = fx.balance(account).await;
        let answers = place_all(&fx, &orders).await;
        let refused = answers.iter().filter(|answer| **answer == Placed::KeyReused).count();
        assert_eq!((count_opened(&answers), refused), (1, 11), "{answers:?}");
        let won = answers.iter().position(|answer| matches!(answer, Placed::Opened(_))).unwrap();
        let (fingerprint, jobs) = fx.store.find_order(account, &key).await.unwrap().unwrap();
        assert_eq!((fingerprint, ids(&jobs)), (orders[won].fingerprint, ids(jobs_of(&answers[won]))));
        let spent = 10 * i64::try_from(jobs.len()).unwrap();
        assert_eq!(fx.balance(account).await, (before.0 - spent, before.1 + spent));
    }
}

/// Short money writes nothing, says what is there, and leaves the key free for another body.
pub async fn a_short_order_leaves_no_trace(fx: Fixture) {
    let account = fx.account(100).await;
    let order = fx.order_of(account, 3, 40);
    let answer = fx.store.place(&order).await.unwrap();
    assert_eq!(answer, Placed::Short { available: Money::from_minor(100) });
    assert_eq!(fx.store.find_order(account, &order.key).await.unwrap(), None);
    for job in &order.jobs {
        assert_eq!(fx.store.find_job(job.id, Scope::All).await.unwrap(), None);
    }
    assert_eq!(fx.balance(account).await, (100, 0));
    assert_eq!(fx.count_transfers(account, TransferKind::Hold).await, 0);
    fx.open(&NewOrder { key: order.key, ..fx.order_of(account, 2, 40) }).await;
}

/// An account has no more open jobs than it may; drafts and final jobs do not count.
pub async fn open_jobs_are_limited(fx: Fixture) {
    let account = fx.account(1_000).await;
    let limits = OrderLimits { open_jobs: 2, free_per_day: 10 };
    let limited = |jobs| NewOrder { limits, ..fx.order(account, jobs) };
    fx.open(&limited(vec![fx.new_draft(account, 10)])).await;
    let first = fx.open(&limited(vec![fx.new_job(account, 10)])).await;
    fx.open(&limited(vec![fx.new_job(account, 0)])).await;
    let third = limited(vec![fx.new_job(account, 10)]);
    assert_eq!(fx.store.place(&third).await.unwrap(), Placed::TooManyOpen);
    assert_eq!(fx.store.find_order(account, &third.key).await.unwrap(), None);
    fx.applied(&fx.cancel(&first[0])).await;
    fx.open(&third).await;
    assert_eq!(fx.balance(account).await, (990, 10));
}

/// Parallel orders do not pass the limit of open jobs.
pub async fn parallel_orders_keep_the_limit_of_open_jobs(fx: Fixture) {
    let account = fx.account(10_000).await;
    let limits = OrderLimits { open_jobs: 5, free_per_day: 0 };
    let orders: Vec<NewOrder> =
        (0..30).map(|_| NewOrder { limits, ..fx.order_of(account, 1, 100) }).collect();
    let answers = place_all(&fx, &orders).await;
    let refused = answers.iter().filter(|answer| **answer == Placed::TooManyOpen).count();
    assert_eq!((count_opened(&answers), refused), (5, 25), "{answers:?}");
    assert_eq!(fx.balance(account).await, (9_500, 500));
}

/// A draft that is confirmed counts as any other order; without a limit nothing is counted.
pub async fn a_draft_is_confirmed_within_the_limit_of_open_jobs(fx: Fixture) {
    let account = fx.account(1_000).await;
    let paid = fx.open(&fx.order(account, vec![fx.new_draft(account, 10)])).await.remove(0);
    let free = fx.open(&fx.order(account, vec![fx.new_draft(account, 0)])).await.remove(0);
    let open = fx.open(&fx.order_of(account, 2, 10)).await;
    for draft in [&paid, &free] {
        let refused = fx.store.record(&confirming(&fx, draft, Some(2))).await;
        assert!(matches!(refused, Err(StoreError::TooManyOpen)), "{refused:?}");
        assert_eq!(&fx.job(draft.id).await, draft);
    }
    assert_eq!(fx.balance(account).await, (980, 20));
    fx.applied(&fx.cancel(&open[0])).await;
    fx.applied(&confirming(&fx, &free, Some(2))).await;
    let again = fx.store.record(&confirming(&fx, &free, Some(2))).await.unwrap();
    assert_eq!(again, Recorded::Stale, "it was confirmed before");
    fx.applied(&confirming(&fx, &paid, None)).await;
    assert_eq!(fx.balance(account).await, (980, 20));
}

/// Parallel confirmations and orders do not pass the limit of open jobs together.
pub async fn parallel_confirmations_keep_the_limit_of_open_jobs(fx: Fixture) {
    let account = fx.account(10_000).await;
    let limits = OrderLimits { open_jobs: 5, free_per_day: 100 };
    let mut drafts = Vec::new();
    for number in 0..20 {
        drafts.extend(fx.open(&fx.order(account, vec![fx.new_draft(account, number % 2)])).await);
    }
    let opened = at_once(30, |number| {
        let store = fx.store.clone();
        let step = drafts.get(number).map(|draft| confirming(&fx, draft, Some(limits.open_jobs)));
        let order = NewOrder { limits, ..fx.order_of(account, 1, 1) };
        async move {
            let Some(step) = step else {
                return matches!(store.place(&order).await, Ok(Placed::Opened(_)));
            };
            match store.record(&step).await {
                Ok(recorded) => recorded == Recorded::Applied,
                Err(StoreError::TooManyOpen) => false,
                Err(error) => panic!("{error:?}"),
            }
        }
    })
    .await;
    assert_eq!(opened.iter().filter(|opened| **opened).count(), 5, "{opened:?}");
}

/// The step by which a customer confirms a draft.
fn confirming(fx: &Fixture, draft: &Job, open_jobs: Option<u32>) -> Step {
    let mut step = fx.step(draft, JobState::Pending);
    step.guard = Guard::read(draft);
    step.open_jobs = open_jobs;
    let hold = || fx.job_transfer(draft.account, draft.id, TransferKind::Hold, draft.price.minor());
    step.transfers = (!draft.price.is_zero()).then(hold).into_iter().collect();
    step
}

/// Free jobs need no money and have no transfers; there are so many a day and no more, in parallel too.
pub async fn free_jobs_are_counted_by_the_day(fx: Fixture) {
    let account = fx.account(0).await;
    let limits = OrderLimits { open_jobs: 1_000, free_per_day: 4 };
    let free = |count| NewOrder { limits, ..fx.order_of(account, count, 0) };
    let orders: Vec<NewOrder> = (0..30).map(|_| free(1)).collect();
    let answers = place_all(&fx, &orders).await;
    let refused = answers.iter().filter(|answer| **answer == Placed::FreeUsedUp).count();
    assert_eq!((count_opened(&answers), refused), (4, 26), "{answers:?}");
    fx.advance(12 * 3_600);
    assert_eq!(fx.store.place(&free(5)).await.unwrap(), Placed::FreeUsedUp);
    fx.open(&free(3)).await;
    assert_eq!(fx.store.place(&free(2)).await.unwrap(), Placed::FreeUsedUp);
    fx.open(&free(1)).await;
    let other = fx.account(0).await;
    fx.open(&NewOrder { limits, ..fx.order_of(other, 1, 0) }).await;
    assert_eq!(fx.balance(account).await, (0, 0));
    assert_eq!(fx.count_transfers(account, TransferKind::Hold).await, 0);
}

/// Nobody orders for an account that does not exist or is closed.
pub async fn an_order_needs_an_open_account(fx: Fixture) {
    let nobody = fx.account_id();
    assert_eq!(fx.store.place(&fx.order_of(nobody, 1, 0)).await.unwrap(), Placed::NoAccount);
    let closed = fx.account(100).await;
    fx.store.erase_account(closed, fx.now()).await.unwrap();
    let order = fx.order_of(closed, 1, 100);
    assert_eq!(fx.store.place(&order).await.unwrap(), Placed::NoAccount);
    assert_eq!(fx.store.find_order(closed, &order.key).await.unwrap(), None);
    assert_eq!(fx.balance(closed).await, (100, 0));
}

/// A draft moves no money and sleeps until its deadline; confirming it holds the frozen price.
pub async fn a_draft_moves_no_money_until_it_is_confirmed(fx: Fixture) {
    let account = fx.account(100).await;
    let draft = fx.open(&fx.order(account, vec![fx.new_draft(account, 80)])).await.remove(0);
    assert_eq!((draft.state, draft.wake_at), (JobState::Draft, draft.deadline_at));
    assert_eq!(fx.balance(account).await, (100, 0));
    assert_eq!(fx.claim_up_to(10).await, []);
    let mut step = fx.step(&draft, JobState::Pending);
    step.guard = crate::Guard::read(&draft);
    step.patch.wake_at = Some(fx.now());
    step.transfers = vec![fx.job_transfer(account, draft.id, TransferKind::Hold, 80)];
    let confirmed = fx.applied(&step).await;
    assert_eq!((confirmed.state, confirmed.held.minor()), (JobState::Pending, 80));
    assert_eq!(fx.balance(account).await, (20, 80));
    assert_eq!(fx.claim_this(draft.id).await.held.minor(), 80);
}

/// A draft that nobody confirmed is due at its deadline.
pub async fn a_draft_is_due_at_its_deadline(fx: Fixture) {
    let account = fx.account(0).await;
    let draft = fx.open(&fx.order(account, vec![fx.new_draft(account, 80)])).await.remove(0);
    fx.advance(86_399);
    assert_eq!(fx.claim_up_to(10).await, []);
    fx.advance(1);
    let claimed = fx.claim_this(draft.id).await;
    fx.applied(&fx.step(&claimed, JobState::Canceled)).await;
    assert_eq!(fx.store.next_wake().await.unwrap(), None);
}

/// Jobs ordered together share their batch and keep the order of their index.
pub async fn a_batch_keeps_its_order(fx: Fixture) {
    let account = fx.account(10_000).await;
    let order = fx.order_of(account, 16, 10);
    let wanted: Vec<_> = order.jobs.iter().map(|job| job.id).collect();
    let opened = fx.open(&order).await;
    assert_eq!(ids(&opened), wanted);
    let batch: Option<BatchId> = order.batch;
    assert!(batch.is_some() && opened.iter().all(|job| job.batch == batch));
    let (_, found) = fx.store.find_order(account, &order.key).await.unwrap().unwrap();
    assert_eq!(ids(&found), wanted);
    let replayed = fx.store.place(&order).await.unwrap();
    assert_eq!(ids(jobs_of(&replayed)), wanted);
    assert_eq!(opened[0].created_at, later(fx.now(), 0));
}

async fn place_all(fx: &Fixture, orders: &[NewOrder]) -> Vec<Placed> {
    at_once(orders.len(), |number| {
        let (store, order) = (fx.store.clone(), orders[number].clone());
        async move { store.place(&order).await.expect("the order runs") }
    })
    .await
}

fn count_opened(answers: &[Placed]) -> usize {
    answers.iter().filter(|answer| matches!(answer, Placed::Opened(_))).count()
}

const fn is_opened_or_short(answer: &Placed) -> bool {
    matches!(answer, Placed::Opened(_) | Placed::Short { .. })
}

fn jobs_of(answer: &Placed) -> &[Job] {
    match answer {
        Placed::Opened(jobs) | Placed::Replayed(jobs) => jobs,
        refused => panic!("no jobs: {refused:?}"),
    }
}

fn ids(jobs: &[Job]) -> Vec<domain::JobId> {
    jobs.iter().map(|job| job.id).collect()
}
