//! The words everyone shares: jobs and their states, money, media kinds, recipients, time.
//!
//! No input or output happens here and nothing is asynchronous: every function is a pure fold of its arguments.
#![warn(clippy::arithmetic_side_effects, clippy::wildcard_enum_match_arm)]

mod account;
mod asset;
mod clock;
mod delivery;
mod ids;
mod job;
mod money;
mod price;
mod text_enum;
mod transfer;
mod transition;

pub use account::{Account, Role, Scope};
pub use asset::{Asset, AssetRole, AssetState, MediaKind};
pub use clock::{Chance, Clock, ManualClock, SeededChance, Timestamp, to_micros};
pub use delivery::{Channel, Delivery, DeliveryEvent, DeliveryState, Recipient};
pub use ids::{AccountId, AssetId, BatchId, DeliveryId, JobId, TokenId, TransferId};
pub use job::{Attempt, Cause, CustomerStatus, Job, JobState, TimelineEntry};
pub use money::{Currency, Money, MoneyError};
pub use price::{Decimal, PriceBasis, PriceError, price_of_credits};
pub use text_enum::UnknownWord;
pub use transfer::{Book, Transfer, TransferKind};
pub use transition::{Answer, Effect, Event, Move, Refused, Stored, transition, transition_table};
