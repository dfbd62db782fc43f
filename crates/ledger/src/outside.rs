//! Movements that come from outside a job's life: top-ups, refunds, reversals, corrections.

use domain::{AccountId, Book, Job, Money, TransferId, TransferKind};
use store::{Credited, NewTransfer, Store};

use crate::{Ids, LedgerError};

/// Money paid in.
#[derive(Debug, Clone)]
pub struct TopUp<'a> {
    /// Whose.
    pub account: AccountId,
    /// Above zero.
    pub amount: Money,
    /// Unique in the whole shop.
    pub key: &'a str,
    /// A reason for people.
    pub reason: Option<&'a str>,
}

/// A captured price given back.
#[derive(Debug, Clone)]
pub struct Refund<'a> {
    /// Of which job.
    pub job: &'a Job,
    /// How much; all that is left if none.
    pub amount: Option<Money>,
    /// Unique among refunds.
    pub key: &'a str,
    /// A reason for people.
    pub reason: &'a str,
}

/// An operator's correction.
#[derive(Debug, Clone)]
pub struct Adjustment<'a> {
    /// Whose.
    pub account: AccountId,
    /// Above zero adds, below zero takes.
    pub amount: Money,
    /// Unique among corrections.
    pub key: &'a str,
    /// A reason for people.
    pub reason: &'a str,
}

/// A top-up taken back.
#[derive(Debug, Clone)]
pub struct Reversal<'a> {
    /// Whose.
    pub account: AccountId,
    /// How much was paid in.
    pub amount: Money,
    /// Unique among reversals.
    pub key: &'a str,
    /// A reason for people.
    pub reason: &'a str,
}

/// Credits a top-up, once by its key.
pub async fn top_up(store: &dyn Store, ids: &Ids, top_up: &TopUp<'_>) -> Result<Credited, LedgerError> {
    write(store, ids, &[draw_top_up(ids, top_up)?]).await
}

pub(crate) fn draw_top_up(ids: &Ids, top_up: &TopUp<'_>) -> Result<NewTransfer, LedgerError> {
    positive(top_up.amount)?;
    let books = (Book::Payments, Book::Available);
    outside(ids, TransferKind::Topup, top_up.account, books, (top_up.amount, top_up.key, top_up.reason))
}

/// Gives a captured price back, in full or in part, never more than was captured.
pub async fn refund(store: &dyn Store, ids: &Ids, refund: &Refund<'_>) -> Result<Credited, LedgerError> {
    let (one, refundable) = draw_refund(store, ids, refund).await?;
    match write(store, ids, &[one]).await {
        Err(LedgerError::Short) => Err(LedgerError::AboveCaptured { refundable }),
        other => other,
    }
}

/// The movement, and what can still be refunded.
pub(crate) async fn draw_refund(
    store: &dyn Store,
    ids: &Ids,
    refund: &Refund<'_>,
) -> Result<(NewTransfer, Money), LedgerError> {
    let refundable = refund.job.captured.minus(refund.job.refunded)?;
    let amount = match refund.amount {
        Some(amount) => amount,
        None => given_before(store, refund).await?.unwrap_or(refundable),
    };
    positive(amount).map_err(|_zero| LedgerError::AboveCaptured { refundable })?;
    let books = (Book::Revenue, Book::Available);
    let what = (amount, refund.key, Some(refund.reason));
    let mut one = outside(ids, TransferKind::Refund, refund.job.account, books, what)?;
    one.job = Some(refund.job.id);
    Ok((one, refundable))
}

/// What was given back under this key before: a repeat of "all that is left" means what was left at first.
async fn given_before(store: &dyn Store, refund: &Refund<'_>) -> Result<Option<Money>, LedgerError> {
    let known = store.transfers_by_key(&[unique_key(TransferKind::Refund, refund.key)]).await?;
    Ok(known.into_iter().find(|known| known.job == Some(refund.job.id)).map(|known| known.amount))
}

/// Corrects a balance by an operator's order.
pub async fn adjust(
    store: &dyn Store,
    ids: &Ids,
    adjustment: &Adjustment<'_>,
) -> Result<Credited, LedgerError> {
    write(store, ids, &[draw_adjustment(ids, adjustment)?]).await
}

pub(crate) fn draw_adjustment(ids: &Ids, adjustment: &Adjustment<'_>) -> Result<NewTransfer, LedgerError> {
    let minor = adjustment.amount.minor();
    let amount = Money::from_minor(minor.checked_abs().ok_or(domain::MoneyError::Overflow)?);
    positive(amount)?;
    let (from, into) = (Book::Adjustments, Book::Available);
    let books = if minor > 0 { (from, into) } else { (into, from) };
    let what = (amount, adjustment.key, Some(adjustment.reason));
    outside(ids, TransferKind::Adjust, adjustment.account, books, what)
}

/// Takes a top-up back, once by its key: what is available from the account, the rest from the shop's losses.
pub async fn reverse(store: &dyn Store, ids: &Ids, reversal: &Reversal<'_>) -> Result<Credited, LedgerError> {
    positive(reversal.amount)?;
    // The balance may change between the read and the write; the guard then refuses and the split is made anew.
    for _round in 0..8 {
        if let Some(known) = reversed_before(store, reversal).await? {
            return Ok(known);
        }
        let Some(account) = store.find_account(reversal.account).await? else {
            return Err(store::StoreError::NotFound { what: "account" }.into());
        };
        let taken = account.available.min(reversal.amount);
        let lost = reversal.amount.minus(taken)?;
        let mut transfers = Vec::with_capacity(2);
        for (amount, from) in [(taken, Book::Available), (lost, Book::Losses)] {
            if amount.is_positive() {
                let what = (amount, reversal.key, Some(reversal.reason));
                let books = (from, Book::Payments);
                transfers.push(outside(ids, TransferKind::Reversal, reversal.account, books, what)?);
            }
        }
        if let [_, loss] = transfers.as_mut_slice() {
            loss.key = loss_key(&loss.key);
        }
        match write(store, ids, &transfers).await {
            // The same reversal was first: the next round finds the whole of it.
            Ok(Credited::Replayed(_)) | Err(LedgerError::Short | LedgerError::KeyReused) => {}
            other => return other,
        }
    }
    Err(LedgerError::Short)
}

/// The reversal that this key made before. A repeat is the same one if it takes the same sum back, however that was split.
async fn reversed_before(
    store: &dyn Store,
    reversal: &Reversal<'_>,
) -> Result<Option<Credited>, LedgerError> {
    let key = unique_key(TransferKind::Reversal, reversal.key);
    let known = store.transfers_by_key(&[key.clone(), loss_key(&key)]).await?;
    let Some(first) = known.first() else { return Ok(None) };
    let sum = known.iter().try_fold(Money::ZERO, |sum, one| sum.plus(one.amount))?;
    if first.account != reversal.account || sum != reversal.amount {
        return Err(LedgerError::KeyReused);
    }
    Ok(Some(Credited::Replayed(known)))
}

/// The second key of a reversal; no caller's key has a space.
fn loss_key(key: &str) -> String {
    format!("{key} loss")
}

fn positive(amount: Money) -> Result<(), LedgerError> {
    if amount.is_positive() { Ok(()) } else { Err(LedgerError::NotPositive) }
}

fn unique_key(kind: TransferKind, key: &str) -> String {
    format!("{kind}:{key}")
}

fn outside(
    ids: &Ids,
    kind: TransferKind,
    account: AccountId,
    (debit, credit): (Book, Book),
    (amount, key, reason): (Money, &str, Option<&str>),
) -> Result<NewTransfer, LedgerError> {
    if !(1..=255).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(LedgerError::BadKey);
    }
    Ok(NewTransfer {
        id: TransferId::generate(ids.now(), &*ids.chance),
        account,
        job: None,
        kind,
        key: unique_key(kind, key),
        debit,
        credit,
        amount,
        reason: reason.map(str::to_owned),
    })
}

async fn write(store: &dyn Store, ids: &Ids, transfers: &[NewTransfer]) -> Result<Credited, LedgerError> {
    store::fail_point!("credit.asked", transfers.first().map_or("", |one| one.kind.as_str()));
    let credited = store.credit(transfers, ids.now()).await?;
    store::fail_point!("credit.written", transfers.first().map_or("", |one| one.kind.as_str()));
    match credited {
        Credited::KeyReused => Err(LedgerError::KeyReused),
        Credited::Short => Err(LedgerError::Short),
        written @ Credited::Applied(_) => {
            for transfer in transfers {
                tracing::info!(
                    account = %transfer.account, kind = %transfer.kind, amount = transfer.amount.minor(),
                    "transfer.written"
                );
            }
            Ok(written)
        }
        replayed @ Credited::Replayed(_) => Ok(replayed),
    }
}
