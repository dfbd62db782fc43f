//! The use cases, the only crate where the ports meet: submit, advance a job, deliver, decide, keep house.
//!
//! A job is a row with a state. [`Lifecycle::advance`] moves it one step; callbacks, polls, people and the reconciler
//! only wake it. [`Worker`] claims what is due and calls `advance`.

mod advance;
mod balance;
mod buy;
mod callback;
mod canonical;
mod customer;
mod decide;
mod deliver;
mod error_chain;
mod housekeeping;
mod keep;
mod observe;
mod offers;
mod pace;
mod policy;
mod pricing;
mod provider;
mod provider_kie;
mod restore;
mod shares;
mod step;
mod submit;
mod tokens;
mod uploads;
mod vault;
mod vault_media;
mod worker;

pub use advance::{Lifecycle, Ports, StepError};
pub use balance::{CompareError, compare_balance};
pub use callback::{CALLBACK_BODY_MAX, CallbackOutcome, CallbackRequest};
pub use canonical::fingerprint;
pub use customer::{CustomerError, Synced};
pub use decide::{DecideError, Decision};
pub use housekeeping::{HousekeepingReport, Skew, expiring_jobs};
pub use offers::{OffSale, Offers};
pub use policy::{GiveUp, Policy, UnclearPolicy};
pub use pricing::{PriceList, Pricing, Quote, QuoteError};
pub use provider::{CreateFailure, Provider, ReadFailure, SourceFile, TaskRecord, TaskWord, old_model};
pub use provider_kie::KieProvider;
pub use restore::{Restored, RetryPlan};
pub use submit::{OrderFault, OrderRequest, SubmitError, Submitted, media_kind};
pub use tokens::{SecretKeyError, SecretKeys, account_token, token_hash};
pub use uploads::UploadError;
pub use vault::{KeepError, Kept, OBJECT, Vault};
pub use vault_media::MediaVault;
pub use worker::{PassReport, Worker, WorkerOptions};
