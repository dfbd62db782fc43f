//! Taking an old shop over: users become accounts with their balances, generations become jobs.
//!
//! A finished generation becomes a job at price 0 whose basis tells the old price; one in flight becomes a job that holds
//! what the old shop had set aside. Both are only *woken*: the path that every job takes stores their results and ends
//! them. A row is taken over once, by its key in the old shop; a later pass brings what has changed since.

mod again;
mod amount;
mod desk;
mod generations;
mod job;
mod look;
mod models;
mod options;
mod pass;
mod place;
mod plan;
mod report;
mod seen;
mod users;

pub use models::{ModelMap, ModelMapError};
pub use options::{Holds, ImportOptions, Lost};
pub use pass::{ImportError, import};
pub use report::{ImportReport, LostRow, MoneyReport, Problem, StatusLine, Tally};
