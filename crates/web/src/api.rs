//! The API, one file per noun.

pub(crate) mod accounts;
pub(crate) mod acts;
pub(crate) mod events;
pub(crate) mod history;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod models;
pub(crate) mod money;
pub(crate) mod operators;
pub(crate) mod overview;
mod upload_body;
pub(crate) mod uploads;

use serde::Serialize;
use utoipa::ToSchema;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The rows, newest first.
    pub(crate) items: Vec<T>,
    /// Give it as `cursor` to read on; null on the last page.
    pub(crate) next_cursor: Option<String>,
}
