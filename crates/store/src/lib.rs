//! Persistence ports: what the product needs of a database, one file per noun.
//!
//! Two adapters implement them, `store-postgres` and `store-sqlite`; the `conformance` feature holds the promises as
//! tests that both run. Every method is one transaction, takes the time as an argument and never waits on the network
//! beyond its own database. Money, state, timeline and deliveries of one move are written by one [`Step`].

mod accounts;
mod acts;
mod assets;
mod callbacks;
#[cfg(feature = "conformance")]
pub mod conformance;
mod deliveries;
mod error;
pub mod failpoints;
mod imports;
mod jobs;
mod orders;
mod page;
mod readings;
mod reports;
mod shop;
mod slots;
mod transfers;

pub use accounts::{AccountStore, Added, KeptToken, NewAccount, NewToken, TokenOwner};
pub use acts::{Act, ActStore};
pub use assets::{AssetStore, NewAsset, ProviderCopy, PurgedAsset, StoredFile};
pub use callbacks::{CallbackStore, KeptCallback, NewCallback, Orphan};
pub use deliveries::{DeliveryResult, DeliveryStore, NewDelivery};
pub use error::StoreError;
pub use imports::{ANY_BODY, ImportStore, Imported, ImportedJob, NewImport, SourceNoun, is_same_order};
pub use jobs::{
    Began, BeginAttempt, ClaimJobs, Flags, Guard, JobFilter, JobPatch, JobStore, Lease, NewEntry, Recorded,
    Step, TaskSaved, WakeJob, WakeReason,
};
pub use orders::{NewJob, NewOrder, OrderLimits, OrderStore, Placed};
pub use page::filled_page;
pub use readings::{Consumption, CreditReading, ReadingStore};
pub use reports::{
    AuditFinding, Blocked, Due, KindCounts, ModelTimes, Overview, Percentiles, ReportStore, StuckLimits,
    UNKNOWN_WORD,
};
pub use shop::{OpenShop, Process, ShopStore};
pub use slots::{Breaker, ModelHealth, SlotStore};
pub use transfers::{Credited, Delta, NewTransfer, Recounted, TransferFilter, TransferStore, account_delta};

/// Everything the product keeps. Adapters implement the nouns; this gathers them.
pub trait Store:
    AccountStore
    + ActStore
    + AssetStore
    + CallbackStore
    + DeliveryStore
    + ImportStore
    + JobStore
    + OrderStore
    + ReadingStore
    + ReportStore
    + ShopStore
    + SlotStore
    + TransferStore
{
}

impl<T> Store for T where
    T: AccountStore
        + ActStore
        + AssetStore
        + CallbackStore
        + DeliveryStore
        + ImportStore
        + JobStore
        + OrderStore
        + ReadingStore
        + ReportStore
        + ShopStore
        + SlotStore
        + TransferStore
{
}
