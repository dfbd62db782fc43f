#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod account;
mod answer;
pub mod callback;
#[cfg(feature = "catalogue")]
mod catalogue;
mod client;
mod create;
mod credits;
mod discovery;
mod download;
mod error;
mod family;
mod fields;
mod instant;
mod limit;
mod param;
mod record;
mod refusal;
mod results;
mod retry;
mod snippet;
mod task;
mod texts;
mod trace;
mod transport;
mod upload;
mod wait;

pub use client::{BuildError, Client, ClientBuilder};
pub use create::{CreatedTask, NewTask};
pub use credits::{Credits, InvalidCredits};
pub use discovery::{ModelFilter, ModelInfo, ModelList, RatePoint};
pub use download::Download;
pub use error::ReadError;
pub use family::Family;
pub use limit::{Call, Denied, Limiter, WindowLimiter};
pub use record::{Record, TaskState};
pub use refusal::{CreateError, CreateRefusal};
pub use results::{Extra, ExtraKind};
pub use retry::RetryPolicy;
pub use secrecy::SecretString;
pub use snippet::Snippet;
pub use task::{InvalidTaskId, TaskId};
pub use upload::Upload;
pub use wait::{WaitError, WaitPolicy};
