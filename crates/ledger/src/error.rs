//! Why money could not be moved.

use domain::{Money, MoneyError};
use store::StoreError;
use thiserror::Error;

/// Why a movement was refused. Nothing is written when one is returned.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// The amount is not above zero.
    #[error("the amount must be above zero")]
    NotPositive,
    /// The amount does not fit.
    #[error("the amount cannot be used")]
    Amount(#[from] MoneyError),
    /// The key is not 1 to 255 visible ASCII characters.
    #[error("the key must be 1 to 255 visible ASCII characters")]
    BadKey,
    /// The key was used for something else.
    #[error("this key was used for another movement")]
    KeyReused,
    /// A balance would fall below zero.
    #[error("the balance does not suffice")]
    Short,
    /// More than was captured and not yet refunded.
    #[error("only what was captured and not yet refunded can be refunded")]
    AboveCaptured {
        /// What can still be refunded.
        refundable: Money,
    },
    /// The store failed.
    #[error("the books could not be written")]
    Store(#[from] StoreError),
}
