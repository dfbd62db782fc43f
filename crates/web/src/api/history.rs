//! What happened to a job: its timeline and its receipt.

use axum::extract::State;
use domain::{JobId, TimelineEntry, Timestamp};
use serde::Serialize;
use store::TransferFilter;
use utoipa::ToSchema;

use super::jobs::find_job;
use crate::auth::Reader;
use crate::front::Shared;
use crate::params::Id;
use crate::problem::Problem;
use crate::view::{ReceiptView, job_receipt_view};

/// The movements of one job are few: hold, capture, release, refunds.
const TRANSFERS_MAX: u32 = 100;
/// The events that a customer is told of.
const CUSTOMER_EVENTS: [&str; 3] = ["job.created", "job.moved", "job.decided"];

/// A job's history.
#[derive(Serialize, ToSchema)]
pub(crate) struct Timeline {
    /// Oldest first.
    items: Vec<TimelineView>,
}

/// One line of it.
#[derive(Serialize, ToSchema)]
#[schema(as = TimelineEntry)]
pub(crate) struct TimelineView {
    /// When it happened first.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Dotted name, as in the logs.
    event: String,
    /// Who or what brought it.
    source: String,
    /// When it happened last, if repeated; operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_at: Option<Timestamp>,
    /// How often; operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<u32>,
    /// The states of a move; for operators, every further word.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Read a job's history
///
/// Customers get the changes of state, operators every line.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/timeline", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, description = "The history", body = Timeline)),
)]
pub(crate) async fn timeline(
    State(front): State<Shared>,
    reader: Reader,
    Id(id): Id<JobId>,
) -> Result<axum::Json<Timeline>, Problem> {
    find_job(&front, id, reader).await?;
    let entries = front.store().timeline(id).await?;
    let items = if reader.viewer.operator {
        entries.into_iter().map(TimelineView::whole).collect()
    } else {
        entries.into_iter().filter_map(TimelineView::short).collect()
    };
    Ok(axum::Json(Timeline { items }))
}

/// Read a job's receipt
#[utoipa::path(
    get, path = "/v1/jobs/{id}/receipt", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, description = "The receipt", body = ReceiptView)),
)]
pub(crate) async fn receipt(
    State(front): State<Shared>,
    reader: Reader,
    Id(id): Id<JobId>,
) -> Result<axum::Json<ReceiptView>, Problem> {
    let job = find_job(&front, id, reader).await?;
    let filter = TransferFilter {
        account: Some(job.account),
        job: Some(id),
        limit: TRANSFERS_MAX,
        ..TransferFilter::default()
    };
    let transfers = front.store().list_transfers(&filter).await?;
    let deliveries = front.store().deliveries_of(&[id]).await?;
    let currency = &front.lifecycle().policy().currency;
    let receipt = ledger::job_receipt(&job, &transfers, &deliveries, currency);
    Ok(axum::Json(job_receipt_view(receipt, reader.viewer)))
}

impl TimelineView {
    fn whole(entry: TimelineEntry) -> Self {
        let TimelineEntry { at, last_at, times, source, event, detail } = entry;
        Self { at, event, source, last_at: Some(last_at), times: Some(times), detail }
    }

    /// Errors, the provider's words and operators' reasons stay inside.
    fn short(entry: TimelineEntry) -> Option<Self> {
        let TimelineEntry { at, source, event, detail, .. } = entry;
        if !CUSTOMER_EVENTS.contains(&event.as_str()) {
            return None;
        }
        let detail = detail.filter(|_| event == "job.moved");
        Some(Self { at, event, source, last_at: None, times: None, detail })
    }
}
