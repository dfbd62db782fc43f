//! Transfers: append-only double entries, unique by key.

use async_trait::async_trait;
use domain::{
    AccountId, Book, JobId, Money, MoneyError, Scope, Timestamp, Transfer, TransferId, TransferKind,
};

use crate::StoreError;

/// A movement to be written; becomes a [`Transfer`] at the time of its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTransfer {
    /// Its id.
    pub id: TransferId,
    /// The customer's account.
    pub account: AccountId,
    /// The job it belongs to.
    pub job: Option<JobId>,
    /// Why.
    pub kind: TransferKind,
    /// Unique in the whole shop.
    pub key: String,
    /// The book that gives.
    pub debit: Book,
    /// The book that takes.
    pub credit: Book,
    /// Above zero.
    pub amount: Money,
    /// A person's or the rule's reason.
    pub reason: Option<String>,
}

impl NewTransfer {
    /// Whether `known`, written before under the same key, is this movement.
    pub fn is_same_as(&self, known: &Transfer) -> bool {
        (known.account, known.kind, known.job, known.amount, known.debit, known.credit)
            == (self.account, self.kind, self.job, self.amount, self.debit, self.credit)
    }
}

/// What movements do to the two balances of their account, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delta {
    /// Change of `available`.
    pub available: i64,
    /// Change of `held`.
    pub held: i64,
}

/// An account's cached balances before and after they were counted anew, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recounted {
    /// As they were.
    pub before: Delta,
    /// As the transfers make them.
    pub after: Delta,
}

/// The fold of movements: what they do to their account's balances. All must belong to one account.
pub fn account_delta(transfers: &[NewTransfer]) -> Result<Delta, MoneyError> {
    let mut delta = Delta::default();
    for transfer in transfers {
        let amount = transfer.amount.minor();
        let negative = amount.checked_neg().ok_or(MoneyError::Overflow)?;
        for (book, change) in [(transfer.debit, negative), (transfer.credit, amount)] {
            let balance = match book {
                Book::Available => &mut delta.available,
                Book::Held => &mut delta.held,
                // The shop's own books carry no cached balance.
                Book::Payments | Book::Revenue | Book::Losses | Book::Adjustments => continue,
            };
            *balance = balance.checked_add(change).ok_or(MoneyError::Overflow)?;
        }
    }
    Ok(delta)
}

/// What became of movements that an outside key makes unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credited {
    /// They are written now.
    Applied(Vec<Transfer>),
    /// The same movement was written before; this is it.
    Replayed(Vec<Transfer>),
    /// The key was used for another account, kind or amount.
    KeyReused,
    /// A balance would fall below zero, or a job's refunds above its captures; nothing was written.
    Short,
}

/// Which transfers to list: newest first.
#[derive(Debug, Clone, Default)]
pub struct TransferFilter {
    /// Those of one account.
    pub account: Option<AccountId>,
    /// Those of one job.
    pub job: Option<JobId>,
    /// Those before this one (its id).
    pub before: Option<TransferId>,
    /// At most so many.
    pub limit: u32,
}

/// Transfers outside the life of a job, and reading them all.
#[async_trait]
pub trait TransferStore: Send + Sync {
    /// Writes `transfers` (one account, one meaning) and its balances in one transaction, once for ever by the key of the
    /// first. A replay compares account, kind, job and amount of the first. For [`TransferKind::Refund`] the job's
    /// `refunded` rises in the same transaction and never above `captured` ([`Credited::Short`]).
    /// [`StoreError::NotFound`] if the account does not exist, or is closed and would have more to spend: money may enter a
    /// closed account's books only to leave them.
    async fn credit(&self, transfers: &[NewTransfer], at: Timestamp) -> Result<Credited, StoreError>;
    /// Sets the cached balances of an account to what its transfers make: the transfers are the truth. Movements that happen
    /// meanwhile are counted. [`StoreError::NotFound`] if there is no such account.
    async fn recount(&self, account: AccountId) -> Result<Recounted, StoreError>;
    /// Transfers, newest first.
    async fn list_transfers(&self, filter: &TransferFilter) -> Result<Vec<Transfer>, StoreError>;
    /// The transfers that have these keys, in the order of the keys; unknown ones are left out.
    async fn transfers_by_key(&self, keys: &[String]) -> Result<Vec<Transfer>, StoreError>;
    /// One transfer, if the reader may see it.
    async fn find_transfer(&self, id: TransferId, scope: Scope) -> Result<Option<Transfer>, StoreError>;
}
