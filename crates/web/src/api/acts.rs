//! What a customer does with a generation: confirm, cancel, check now, deliver again, mark, hide, restore.

use axum::extract::State;
use domain::{Job, JobId, Scope};
use http::StatusCode;
use lifecycle::CustomerError;
use serde::Deserialize;
use store::Flags;
use utoipa::ToSchema;

use super::jobs::find_job;
use crate::auth::{Customer, Reader};
use crate::body::Json;
use crate::front::{Front, Shared};
use crate::params::Id;
use crate::problem::{self, Kind, Problem, ProblemBody};
use crate::view::{JobView, view_job};

/// Marks of the owner; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Marks {
    /// Favourite or not.
    favourite: Option<bool>,
    /// Hidden or not.
    hidden: Option<bool>,
}

/// Pay for a draft at its frozen price
#[utoipa::path(
    post, path = "/v1/jobs/{id}/confirm", tag = "jobs", params(("id" = String, Path)),
    responses(
        (status = 200, description = "The job; also when it had been confirmed before", body = JobView),
        (status = 402, description = "`balance-short`", body = ProblemBody<'static>),
        (status = 409, description = "`draft-expired`, `wrong-state`", body = ProblemBody<'static>),
        (status = 429, description = "`rate-limited`, `too-many-open`", body = ProblemBody<'static>),
    ),
)]
pub(crate) async fn confirm(
    State(front): State<Shared>,
    Customer(owner): Customer,
    reader: Reader,
    Id(id): Id<JobId>,
) -> Result<axum::Json<JobView>, Problem> {
    let job = front.lifecycle().confirm(id, owner.account).await?;
    shown(&front, &job, reader).await
}

/// Cancel a job that was not sent yet
#[utoipa::path(
    post, path = "/v1/jobs/{id}/cancel", tag = "jobs", params(("id" = String, Path)),
    responses(
        (status = 200, description = "The canceled job; its money is back", body = JobView),
        (status = 409, description = "`wrong-state`, with `state`", body = ProblemBody<'static>),
    ),
)]
pub(crate) async fn cancel(
    State(front): State<Shared>,
    Customer(owner): Customer,
    reader: Reader,
    Id(id): Id<JobId>,
) -> Result<axum::Json<JobView>, Problem> {
    let job = front.lifecycle().cancel(id, owner.account).await?;
    shown(&front, &job, reader).await
}

/// Check now
///
/// Wakes the job (at most once per 2 s) and waits up to 5 s for a change.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/sync", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, description = "The job as it is then", body = JobView)),
)]
pub(crate) async fn sync(
    State(front): State<Shared>,
    reader: Reader,
    Id(id): Id<JobId>,
) -> Result<axum::Json<JobView>, Problem> {
    let synced = front.lifecycle().sync(id, reader.scope).await?;
    shown(&front, &synced.job, reader).await
}

/// Deliver again
///
/// Makes the deliveries that are done or dead due again, under the same ids.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/redeliver", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, description = "The job", body = JobView)),
)]
pub(crate) async fn redeliver(
    State(front): State<Shared>,
    reader: Reader,
    Id(id): Id<JobId>,
) -> Result<axum::Json<JobView>, Problem> {
    front.lifecycle().redeliver(id, reader.scope).await?;
    let job = find_job(&front, id, reader).await?;
    shown(&front, &job, reader).await
}

/// Mark as favourite, hide
#[utoipa::path(
    patch, path = "/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)), request_body = Marks,
    responses((status = 200, description = "The job", body = JobView)),
)]
pub(crate) async fn mark(
    State(front): State<Shared>,
    Customer(owner): Customer,
    reader: Reader,
    Id(id): Id<JobId>,
    Json(marks): Json<Marks>,
) -> Result<axum::Json<JobView>, Problem> {
    let flags = Flags { favourite: marks.favourite, hidden: marks.hidden };
    flag(&front, Scope::Account(owner.account), id, flags).await?;
    let job = find_job(&front, id, reader).await?;
    shown(&front, &job, reader).await
}

/// Hide
///
/// The files go after 30 days; the row, the hashes and all movements of money stay.
#[utoipa::path(
    delete, path = "/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)),
    responses((status = 204, description = "It is hidden")),
)]
pub(crate) async fn hide(
    State(front): State<Shared>,
    Customer(owner): Customer,
    Id(id): Id<JobId>,
) -> Result<StatusCode, Problem> {
    let flags = Flags { hidden: Some(true), ..Flags::default() };
    flag(&front, Scope::Account(owner.account), id, flags).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take back a deletion
#[utoipa::path(
    post, path = "/v1/jobs/{id}/restore", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, description = "The job", body = JobView)),
)]
pub(crate) async fn restore(
    State(front): State<Shared>,
    Customer(owner): Customer,
    reader: Reader,
    Id(id): Id<JobId>,
) -> Result<axum::Json<JobView>, Problem> {
    let flags = Flags { hidden: Some(false), ..Flags::default() };
    flag(&front, Scope::Account(owner.account), id, flags).await?;
    let job = find_job(&front, id, reader).await?;
    shown(&front, &job, reader).await
}

/// Sets marks of an own job.
pub(crate) async fn flag(front: &Front, owner: Scope, id: JobId, flags: Flags) -> Result<(), Problem> {
    let Some(account) = owner.account() else { return Err(Problem::new(Kind::Forbidden)) };
    let written = front.store().flag_job(id, account, flags, front.now()).await?;
    if written { Ok(()) } else { Err(Problem::not_found("job")) }
}

async fn shown(front: &Front, job: &Job, reader: Reader) -> Result<axum::Json<JobView>, Problem> {
    view_job(front, job, reader.viewer).await.map(axum::Json)
}

impl From<CustomerError> for Problem {
    fn from(error: CustomerError) -> Self {
        match error {
            CustomerError::NotFound => Self::not_found("job"),
            CustomerError::WrongState { state } => Self::new(Kind::WrongState)
                .detail(format!("the job is {state} by now"))
                .fact("state", state.as_str()),
            CustomerError::DraftExpired => Self::new(Kind::DraftExpired),
            CustomerError::TooManyOpen { limit } => Self::new(Kind::TooManyOpen).fact("limit", limit),
            CustomerError::Short { required, available } => problem::short(required, available),
            CustomerError::Store(error) => error.into(),
            error @ CustomerError::Step(_) => Self::internal(error),
        }
    }
}
