//! Transfers: immutable double entries.

use crate::{AccountId, JobId, Money, Timestamp, TransferId, text_enum::text_enum};

text_enum!(
    /// Why money moved.
    TransferKind, "transfer kind" {
        /// Paid in.
        Topup = "topup",
        /// Set aside for a job.
        Hold = "hold",
        /// Taken from what was set aside.
        Capture = "capture",
        /// Given back before capture.
        Release = "release",
        /// Given back after capture.
        Refund = "refund",
        /// A top-up taken back: chargeback, refund of Stars.
        Reversal = "reversal",
        /// An operator's correction.
        Adjust = "adjust",
    }
);

text_enum!(
    /// One side of an entry. `available` and `held` belong to the transfer's account, the rest to the shop.
    Book, "book" {
        /// The account's money that may be spent.
        Available = "available",
        /// The account's money set aside.
        Held = "held",
        /// Money from outside.
        Payments = "payments",
        /// Money earned.
        Revenue = "revenue",
        /// Money that could not be taken back.
        Losses = "losses",
        /// Counterpart of corrections.
        Adjustments = "adjustments",
    }
);

/// One movement of money: `amount` leaves `debit` and enters `credit`. Never changed, never deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Its id.
    pub id: TransferId,
    /// The customer's account it belongs to.
    pub account: AccountId,
    /// The job it belongs to, if any.
    pub job: Option<JobId>,
    /// Why.
    pub kind: TransferKind,
    /// Unique in the whole shop; what makes a movement happen once.
    pub key: String,
    /// The book that gives.
    pub debit: Book,
    /// The book that takes.
    pub credit: Book,
    /// How much, minor units, above zero.
    pub amount: Money,
    /// A person's or the rule's reason.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}
