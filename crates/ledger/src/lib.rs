//! Money rules over the store, without SQL: what is held, taken and given back, and the words that tell of it.
#![warn(clippy::arithmetic_side_effects, clippy::wildcard_enum_match_arm)]

mod error;
mod foresee;
mod ids;
mod outside;
mod receipt;
mod settle;

pub use error::LedgerError;
pub use foresee::{Foreseen, Movement, fold, foresee};
pub use ids::Ids;
pub use outside::{Adjustment, Refund, Reversal, TopUp, adjust, refund, reverse, top_up};
pub use receipt::{Receipt, ReceiptDelivery, TransferReceipt, job_receipt, transfer_receipt};
pub use settle::{FullPrice, Settlement, full_price, hold, release, settle};
