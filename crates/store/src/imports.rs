//! Imports: rows of an old shop, each taken over once by its key there.

use async_trait::async_trait;
use domain::{AccountId, Cause, Job, JobId, JobState, Money, Timestamp};

use crate::{NewAccount, NewAsset, NewEntry, NewTransfer, StoreError};

/// The fingerprint of an order whose body nobody knows: a replay of its key is the same order whatever its body says.
pub const ANY_BODY: [u8; 32] = [0; 32];

/// Whether an order with this fingerprint is a replay of the one that is kept.
pub fn is_same_order(kept: &[u8; 32], asked: &[u8; 32]) -> bool {
    kept == asked || *kept == ANY_BODY
}

/// What a row of an old shop was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceNoun {
    /// A customer with a balance.
    User,
    /// A generation.
    Generation,
}

impl SourceNoun {
    /// The word that rows keep.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Generation => "generation",
        }
    }
}

/// A row of an old shop that was taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its key in the old shop.
    pub key: String,
    /// The account that it became, or whose job it became.
    pub account: AccountId,
    /// The job that it became.
    pub job: Option<JobId>,
    /// SHA-256 of what was read.
    pub fingerprint: [u8; 32],
    /// Of a user: the old balance that has entered here. Of a generation: what was held for it when it was taken over.
    pub amount: Money,
    /// Rises with every change that was taken over; from 1.
    pub version: i64,
    /// Of a user: what was held for all generations of the account when they were taken over.
    pub taken_over: Money,
    /// Where the job stands now.
    pub state: Option<JobState>,
    /// Why it failed, if it did.
    pub cause: Option<Cause>,
}

/// A job as it is to stand once it is taken over.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedJob {
    /// The row. Its `held` is what the import's transfers hold; `captured`, `released` and `refunded` are nothing. With
    /// `attempts` 1, one attempt is written, committed at `created_at`, with the row's task.
    pub row: Job,
    /// Assets to be written as `pending`.
    pub assets: Vec<NewAsset>,
    /// First lines of its history.
    pub timeline: Vec<NewEntry>,
}

/// One row of an old shop with all that comes of it, written together or not at all.
#[derive(Debug, Clone)]
pub struct NewImport {
    /// The old shop's name.
    pub shop: String,
    /// What the row was.
    pub noun: SourceNoun,
    /// Its key there.
    pub key: String,
    /// The version that must be known of it; none if it must be unknown.
    pub known: Option<i64>,
    /// SHA-256 of what was read.
    pub fingerprint: [u8; 32],
    /// As [`Imported::amount`].
    pub amount: Money,
    /// Its account.
    pub account: AccountId,
    /// The account to be opened first; its id is `account`.
    pub open: Option<NewAccount>,
    /// The job that it is or becomes; needed for a generation.
    pub job: Option<JobId>,
    /// The job to be written.
    pub write: Option<Box<ImportedJob>>,
    /// Movements of `account`.
    pub transfers: Vec<NewTransfer>,
    /// When.
    pub at: Timestamp,
}

/// Imports.
#[async_trait]
pub trait ImportStore: Send + Sync {
    /// What is known of these keys, in no order; unknown ones are left out. One query whatever their number.
    async fn find_imported(
        &self,
        shop: &str,
        noun: SourceNoun,
        keys: &[String],
    ) -> Result<Vec<Imported>, StoreError>;
    /// Takes a row over, or a change of it. False, and nothing is written, if `known` is not what is known of it.
    /// [`StoreError::Taken`] if the task, the order key, an object or the customer's name belongs elsewhere, or the account
    /// is another user's; [`StoreError::Short`] if a balance would fall below zero; nothing is written then.
    async fn import(&self, import: &NewImport) -> Result<bool, StoreError>;
    /// What [`ImportStore::import`] would answer now; nothing is written.
    async fn try_import(&self, import: &NewImport) -> Result<bool, StoreError>;
}
