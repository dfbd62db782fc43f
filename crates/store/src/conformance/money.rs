//! Money outside of a job's steps: once per key, never below zero, never more back than was taken.

use domain::{AccountId, Book, JobState, TransferKind};

use super::Fixture;
use super::fixture::at_once;
use super::moves::sums;
use crate::{Credited, NewTransfer, StoreError, TransferFilter};

/// A top-up is credited once by its key, however often and in parallel it comes.
pub async fn parallel_topups_with_one_key_are_one(fx: Fixture) {
    let account = fx.account(0).await;
    let answers = at_once(20, |_| {
        let (store, at) = (fx.store.clone(), fx.now());
        // Each call makes its own transfer id; the key is what makes them one.
        let topup = fx.topup(account, "charge-1", 500);
        async move { store.credit(&[topup], at).await.expect("the top-up runs") }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Credited::Applied(_))).count(), 1);
    let mut ids = Vec::new();
    for answer in answers {
        let (Credited::Applied(transfers) | Credited::Replayed(transfers)) = answer else {
            panic!("a top-up was refused: {answer:?}")
        };
        ids.extend(transfers.iter().map(|transfer| transfer.id));
    }
    assert!(ids.len() == 20 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(fx.balance(account).await, (500, 0));
}

/// Different keys are different payments.
pub async fn parallel_topups_with_different_keys_add_up(fx: Fixture) {
    let account = fx.account(0).await;
    let answers = at_once(20, |number| {
        let (store, at) = (fx.store.clone(), fx.now());
        let topup = fx.topup(account, &format!("charge-{number}"), 5);
        async move { store.credit(&[topup], at).await.expect("the top-up runs") }
    })
    .await;
    assert!(answers.iter().all(|answer| matches!(answer, Credited::Applied(_))));
    assert_eq!(fx.balance(account).await, (100, 0));
}

/// A key that was used for another amount, account or kind is refused; a replay is answered with the first rows.
pub async fn a_key_of_money_is_unique_in_the_shop(fx: Fixture) {
    let (account, other) = (fx.account(0).await, fx.account(0).await);
    let topup = NewTransfer { reason: Some("card".to_owned()), ..fx.topup(account, "charge-1", 500) };
    let Credited::Applied(first) = fx.store.credit(std::slice::from_ref(&topup), fx.now()).await.unwrap()
    else {
        panic!("the first top-up is new")
    };
    assert_eq!((first[0].id, first[0].at, first[0].reason.as_deref()), (topup.id, fx.now(), Some("card")));
    fx.advance(5);
    let replay = fx.topup(account, "charge-1", 500);
    assert_eq!(fx.store.credit(&[replay], fx.now()).await.unwrap(), Credited::Replayed(first));
    let adjust =
        fx.transfer(account, TransferKind::Adjust, "charge-1", (Book::Adjustments, Book::Available), 500);
    let reuses = [fx.topup(account, "charge-1", 501), fx.topup(other, "charge-1", 500), adjust];
    for reuse in reuses {
        assert_eq!(fx.store.credit(&[reuse], fx.now()).await.unwrap(), Credited::KeyReused);
    }
    assert_eq!((fx.balance(account).await, fx.balance(other).await), ((500, 0), (0, 0)));
    let (books, amount) = ((Book::Adjustments, Book::Available), 300);
    let more = fx.transfer(account, TransferKind::Adjust, "correction-1", books, amount);
    assert!(matches!(fx.store.credit(&[more], fx.now()).await.unwrap(), Credited::Applied(_)));
    let less = fx.transfer(account, TransferKind::Adjust, "correction-1", (books.1, books.0), amount);
    assert_eq!(fx.store.credit(&[less], fx.now()).await.unwrap(), Credited::KeyReused, "the other way round");
}

/// Money needs an account.
pub async fn money_needs_an_account(fx: Fixture) {
    let nobody = fx.topup(fx.account_id(), "charge-1", 500);
    assert!(matches!(fx.store.credit(&[nobody], fx.now()).await, Err(StoreError::NotFound { .. })));
    // The key is free: nothing was written.
    let account = fx.account(0).await;
    let topup = fx.topup(account, "charge-1", 500);
    assert!(matches!(fx.store.credit(&[topup], fx.now()).await.unwrap(), Credited::Applied(_)));
}

/// A closed account gets nothing more to spend: no top-up, no refund, no correction upward; what it has may leave.
pub async fn a_closed_account_takes_no_money(fx: Fixture) {
    let account = fx.account(300).await;
    let job = fx.pending(account, 100).await;
    let done = fx.done(job.id, 100).await;
    fx.store.erase_account(account, fx.now()).await.unwrap();
    let corrected = |books, minor| fx.transfer(account, TransferKind::Adjust, "fix-1", books, minor);
    for refused in [
        fx.topup(account, "late", 500),
        fx.refund(&done, "refund-1", 100),
        corrected((Book::Adjustments, Book::Available), 1),
    ] {
        let answer = fx.store.credit(&[refused], fx.now()).await;
        assert!(matches!(answer, Err(StoreError::NotFound { what: "account" })), "{answer:?}");
    }
    assert_eq!((fx.balance(account).await, fx.job(job.id).await.refunded.minor()), ((200, 0), 0));
    let leaves = corrected((Book::Available, Book::Adjustments), 200);
    assert!(matches!(fx.store.credit(&[leaves], fx.now()).await.unwrap(), Credited::Applied(_)));
    assert_eq!(fx.balance(account).await, (0, 0));
}

/// An erasure among top-ups and refunds: each is there before it or refused after it, and none hurts another.
pub async fn an_erasure_among_payments_is_before_or_after(fx: Fixture) {
    for _round in 0..5 {
        let account = fx.account(300).await;
        let job = fx.pending(account, 300).await;
        let done = fx.done(job.id, 300).await;
        let paid = at_once(16, |number| {
            let (fx, key, done) = (fx.clone(), fx.word("race"), done.clone());
            async move {
                let movement = match number {
                    0 => {
                        fx.store.erase_account(account, fx.now()).await.expect("the account is erased");
                        return 0;
                    }
                    number if number % 2 == 0 => fx.refund(&done, &key, 10),
                    _ => fx.topup(account, &key, 10),
                };
                match fx.store.credit(&[movement], fx.now()).await {
                    Ok(Credited::Applied(_)) => 10,
                    Err(StoreError::NotFound { what: "account" }) => 0,
                    other => panic!("{other:?}"),
                }
            }
        })
        .await;
        assert_eq!(fx.balance(account).await, (paid.iter().sum(), 0));
        let late = fx.store.credit(&[fx.topup(account, &fx.word("late"), 10)], fx.now()).await;
        assert!(matches!(late, Err(StoreError::NotFound { .. })), "{late:?}");
    }
}

/// Refunds of one job never pass what was captured, with ten parallel hands and keys.
pub async fn parallel_refunds_never_pass_the_capture(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let done = fx.done(job.id, 100).await;
    let answers = at_once(10, |number| {
        let (store, at) = (fx.store.clone(), fx.now());
        let refund = fx.refund(&done, &format!("refund-{number}"), 30);
        async move { store.credit(&[refund], at).await.expect("the refund runs") }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Credited::Applied(_))).count(), 3);
    assert_eq!(answers.iter().filter(|answer| **answer == Credited::Short).count(), 7);
    let after = fx.job(job.id).await;
    assert_eq!((after.state, sums(&after)), (JobState::Done, [100, 100, 0, 90]));
    assert!(after.version > done.version);
    assert_eq!(fx.balance(account).await, (90, 0));
    let rest = fx.refund(&done, "refund-rest", 10);
    assert!(matches!(fx.store.credit(&[rest], fx.now()).await.unwrap(), Credited::Applied(_)));
    assert_eq!(fx.balance(account).await, (100, 0));
}

/// A refund asked twice with one key is given once.
pub async fn a_refund_is_given_once_by_its_key(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let done = fx.done(job.id, 100).await;
    let answers = at_once(8, |_| {
        let (store, at) = (fx.store.clone(), fx.now());
        let refund = fx.refund(&done, "refund-1", 100);
        async move { store.credit(&[refund], at).await.expect("the refund runs") }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Credited::Applied(_))).count(), 1);
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Credited::Replayed(_))).count(), 7);
    assert_eq!((fx.balance(account).await, fx.job(job.id).await.refunded.minor()), ((100, 0), 100));
}

/// What was released or is only held cannot be refunded.
pub async fn only_what_was_captured_is_refunded(fx: Fixture) {
    let account = fx.account(200).await;
    let open = fx.pending(account, 100).await;
    let canceled = fx.pending(account, 100).await;
    fx.applied(&fx.cancel(&canceled)).await;
    for job in [&open, &canceled] {
        let refund = fx.refund(job, &fx.word("refund"), 1);
        assert_eq!(fx.store.credit(&[refund], fx.now()).await.unwrap(), Credited::Short);
    }
    assert_eq!(fx.balance(account).await, (100, 100));
}

/// A reversal takes what is available and books the rest as a loss, in one transaction; more is refused.
pub async fn a_reversal_takes_what_is_there(fx: Fixture) {
    let account = fx.account(500).await;
    fx.pending(account, 400).await;
    let whole = reversal(&fx, account, "chargeback-1", Book::Available, 500);
    assert_eq!(fx.store.credit(&[whole], fx.now()).await.unwrap(), Credited::Short);
    let split = [
        reversal(&fx, account, "chargeback-1", Book::Available, 100),
        reversal(&fx, account, "chargeback-1:loss", Book::Losses, 400),
    ];
    let Credited::Applied(written) = fx.store.credit(&split, fx.now()).await.unwrap() else {
        panic!("the reversal is new")
    };
    assert_eq!(
        written.iter().map(|transfer| transfer.id).collect::<Vec<_>>(),
        split.each_ref().map(|t| t.id)
    );
    assert_eq!(fx.balance(account).await, (0, 400));
    assert!(matches!(fx.store.credit(&split, fx.now()).await.unwrap(), Credited::Replayed(_)));
    assert_eq!(fx.balance(account).await, (0, 400));
}

/// A correction may go down to nothing and not below; the key stays free when it is refused.
pub async fn a_correction_stops_at_zero(fx: Fixture) {
    let account = fx.account(100).await;
    let down = |minor| {
        fx.transfer(account, TransferKind::Adjust, "fix-1", (Book::Available, Book::Adjustments), minor)
    };
    assert_eq!(fx.store.credit(&[down(101)], fx.now()).await.unwrap(), Credited::Short);
    assert_eq!(fx.balance(account).await, (100, 0));
    assert!(matches!(fx.store.credit(&[down(100)], fx.now()).await.unwrap(), Credited::Applied(_)));
    assert_eq!(fx.balance(account).await, (0, 0));
}

/// Parallel corrections and orders on the same money never leave less than nothing.
pub async fn corrections_and_orders_share_one_balance(fx: Fixture) {
    let account = fx.account(1_000).await;
    let spent = at_once(40, |number| {
        let (fx, order) = (fx.clone(), fx.order_of(account, 1, 100));
        async move {
            if number % 2 == 0 {
                let placed = fx.store.place(&order).await.expect("the order runs");
                return matches!(placed, crate::Placed::Opened(_));
            }
            let key = format!("fix-{number}");
            let down =
                fx.transfer(account, TransferKind::Adjust, &key, (Book::Available, Book::Adjustments), 100);
            let credited = fx.store.credit(&[down], fx.now()).await.expect("the correction runs");
            matches!(credited, Credited::Applied(_))
        }
    })
    .await;
    assert_eq!(spent.iter().filter(|spent| **spent).count(), 10);
    assert_eq!(fx.balance(account).await.0, 0);
}

/// Transfers are listed newest first, page by page, by account or job, without gaps.
pub async fn transfers_are_listed_in_pages(fx: Fixture) {
    let (account, other) = (fx.account(0).await, fx.account(50).await);
    let mut wanted = Vec::new();
    for number in 0..7 {
        fx.advance(1);
        let topup = fx.topup(account, &format!("charge-{number}"), 100);
        wanted.insert(0, topup.id);
        fx.store.credit(&[topup], fx.now()).await.unwrap();
    }
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let filter = TransferFilter { account: Some(account), before, limit: 3, ..Default::default() };
        let page = fx.store.list_transfers(&filter).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        assert!(page.len() <= 3);
        found.extend(page.into_iter().map(|transfer| transfer.id));
    }
    assert_eq!(found, wanted);
    let all = TransferFilter { limit: 100, ..Default::default() };
    assert_eq!(fx.store.list_transfers(&all).await.unwrap().len(), 8);
    let keys = ["charge-5", "unknown", "charge-2"].map(str::to_owned);
    let by_key = fx.store.transfers_by_key(&keys).await.unwrap();
    assert_eq!(by_key.iter().map(|found| found.id).collect::<Vec<_>>(), [wanted[1], wanted[4]]);
    let job = fx.pending(other, 50).await;
    let of_job = TransferFilter { job: Some(job.id), limit: 100, ..Default::default() };
    let holds = fx.store.list_transfers(&of_job).await.unwrap();
    assert_eq!((holds.len(), holds[0].kind, holds[0].job), (1, TransferKind::Hold, Some(job.id)));
}

fn reversal(fx: &Fixture, account: AccountId, key: &str, from: Book, minor: i64) -> NewTransfer {
    fx.transfer(account, TransferKind::Reversal, key, (from, Book::Payments), minor)
}

/// Counting anew leaves sound balances as they are, whatever moves meanwhile.
pub async fn a_recount_keeps_sound_balances(fx: Fixture) {
    let account = fx.account(1_000).await;
    let job = fx.pending(account, 100).await;
    let recounted = fx.store.recount(account).await.unwrap();
    assert_eq!(recounted.before, recounted.after);
    assert_eq!((recounted.after.available, recounted.after.held), (900, 100));
    let racing = at_once(16, |number| {
        let (store, topup, at) =
            (fx.store.clone(), fx.topup(account, &format!("race {number}"), 10), fx.now());
        async move {
            if number % 2 == 0 {
                store.recount(account).await.expect("it is counted");
            } else {
                store.credit(&[topup], at).await.expect("it is credited");
            }
        }
    });
    racing.await;
    fx.done(job.id, 100).await;
    assert_eq!(fx.balance(account).await, (980, 0));
    assert!(matches!(fx.store.recount(fx.account_id()).await, Err(StoreError::NotFound { .. })));
}
