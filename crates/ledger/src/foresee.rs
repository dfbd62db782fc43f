//! What a movement from outside would do: looked up, not written, and refused for the same reasons.

use domain::{AccountId, Money};
use store::{Delta, NewTransfer, Store, StoreError, TransferFilter, account_delta};

use crate::outside::{draw_adjustment, draw_refund, draw_top_up};
use crate::{Adjustment, Ids, LedgerError, Refund, TopUp};

/// A movement that may be wanted.
#[derive(Debug, Clone)]
pub enum Movement<'a> {
    /// Money paid in.
    TopUp(TopUp<'a>),
    /// A captured price given back.
    Refund(Refund<'a>),
    /// An operator's correction.
    Adjust(Adjustment<'a>),
}

/// What a movement would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreseen {
    /// What would be moved.
    pub amount: Money,
    /// Whether it was made before: then nothing is moved.
    pub replayed: bool,
    /// What the account would have, minor units.
    pub available: Money,
}

/// Looks what a movement would do now. Nothing is written.
pub async fn foresee(store: &dyn Store, ids: &Ids, movement: &Movement<'_>) -> Result<Foreseen, LedgerError> {
    let (one, refundable) = match movement {
        Movement::TopUp(top_up) => (draw_top_up(ids, top_up)?, None),
        Movement::Adjust(adjustment) => (draw_adjustment(ids, adjustment)?, None),
        Movement::Refund(refund) => {
            let (one, refundable) = draw_refund(store, ids, refund).await?;
            (one, Some(refundable))
        }
    };
    let missing = StoreError::NotFound { what: "account" };
    let account = store.find_account(one.account).await?;
    let amount = one.amount;
    if let Some(known) = store.transfers_by_key(std::slice::from_ref(&one.key)).await?.first() {
        if !one.is_same_as(known) {
            return Err(LedgerError::KeyReused);
        }
        let available = account.map_or(Money::ZERO, |account| account.available);
        return Ok(Foreseen { amount, replayed: true, available });
    }
    let delta = Money::from_minor(account_delta(std::slice::from_ref(&one))?.available);
    let account = account.filter(|account| account.closed_at.is_none() || !delta.is_positive());
    let available = account.ok_or(missing)?.available.plus(delta)?;
    if let Some(refundable) = refundable.filter(|refundable| amount > *refundable) {
        return Err(LedgerError::AboveCaptured { refundable });
    }
    if available < Money::ZERO {
        return Err(LedgerError::Short);
    }
    Ok(Foreseen { amount, replayed: false, available })
}

/// The balances that an account's transfers make, minor units; its cached ones should be the same.
pub async fn fold(store: &dyn Store, account: AccountId) -> Result<Delta, LedgerError> {
    let mut sum = Delta::default();
    let mut filter = TransferFilter { account: Some(account), limit: 1000, ..TransferFilter::default() };
    loop {
        let page = store.list_transfers(&filter).await?;
        let Some(last) = page.last() else { return Ok(sum) };
        filter.before = Some(last.id);
        let entries: Vec<_> = page.into_iter().map(written_anew).collect();
        let delta = account_delta(&entries)?;
        let added = |sum: i64, more| sum.checked_add(more).ok_or(domain::MoneyError::Overflow);
        sum = Delta { available: added(sum.available, delta.available)?, held: added(sum.held, delta.held)? };
    }
}

fn written_anew(transfer: domain::Transfer) -> NewTransfer {
    let domain::Transfer { id, account, job, kind, key, debit, credit, amount, reason, .. } = transfer;
    NewTransfer { id, account, job, kind, key, debit, credit, amount, reason }
}
