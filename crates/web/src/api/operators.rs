//! What operators decide: refunds, retries, unclear jobs, dead letters.

use axum::extract::State;
use axum::response::Response;
use domain::{DeliveryId, Job, JobId, Money, Scope};
use ledger::Refund;
use lifecycle::{DecideError, Decision, StepError};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Page;
use super::accounts::{answer_credited, check_texts};
use super::keys::IdempotencyKey;
use crate::auth::{Operator, Reader};
use crate::body::{Json, OptionalJson};
use crate::front::{Front, Shared};
use crate::params::{Id, Params, cut_page};
use crate::problem::{Kind, Problem, ProblemBody};
use crate::view::{DeliveryRow, JobView, TransferView, view_job};

/// A captured price to be given back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRefund {
    /// Minor units; all that is left if left out.
    amount: Option<i64>,
    /// A reason for people.
    reason: String,
}

/// Why a job is looked at again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retry {
    /// A reason for its history.
    reason: Option<String>,
}

/// A decision on an unclear job.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resolve {
    /// What is decided.
    action: Action,
    /// The provider's task, to be adopted.
    task_id: Option<String>,
    /// A reason for its history.
    reason: String,
}

/// What can be decided.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// The job follows the task `task_id`; its record must agree.
    Adopt,
    /// Another attempt is sent.
    Resend,
    /// The money goes back.
    Release,
}

/// Refund
#[utoipa::path(
    post, path = "/v1/jobs/{id}/refund", tag = "operators", request_body = NewRefund,
    params(("id" = String, Path), ("Idempotency-Key" = String, Header, description = "Unique among refunds")),
    responses(
        (status = 201, description = "The movement", body = TransferView),
        (status = 200, description = "It had been made before", body = TransferView),
        (status = 409, description = "`refund-too-large`, with `refundable`", body = ProblemBody<'static>),
    ),
)]
pub(crate) async fn refund(
    State(front): State<Shared>,
    _: Operator,
    Id(id): Id<JobId>,
    IdempotencyKey(key): IdempotencyKey,
    Json(body): Json<NewRefund>,
) -> Result<Response, Problem> {
    check_texts(&[("/reason", Some(&body.reason))])?;
    if body.amount.is_some_and(|amount| amount <= 0) {
        return Err(Problem::invalid("/amount", "must be above zero"));
    }
    let job = any_job(&front, id).await?;
    let amount = body.amount.map(Money::from_minor);
    let refund = Refund { job: &job, amount, key: &key, reason: &body.reason };
    let credited = ledger::refund(front.store(), front.lifecycle().ids(), &refund).await?;
    answer_credited(&front, credited)
}

/// Look at a job again, now
#[utoipa::path(
    post, path = "/v1/jobs/{id}/retry", tag = "operators", request_body = Option<Retry>,
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The job; it is due", body = JobView),
        (status = 409, description = "`wrong-state`: it rests for good", body = ProblemBody<'static>),
    ),
)]
pub(crate) async fn retry(
    State(front): State<Shared>,
    _: Operator,
    reader: Reader,
    Id(id): Id<JobId>,
    OptionalJson(body): OptionalJson<Retry>,
) -> Result<axum::Json<JobView>, Problem> {
    let reason = body.and_then(|body| body.reason);
    check_texts(&[("/reason", reason.as_deref())])?;
    let before = any_job(&front, id).await?;
    let woken = front.lifecycle().retry(id, reason.as_deref().unwrap_or("by the API")).await?;
    if !woken {
        return Err(Problem::new(Kind::WrongState).fact("state", before.state.as_str()));
    }
    let job = any_job(&front, id).await?;
    view_job(&front, &job, reader.viewer).await.map(axum::Json)
}

/// Decide an unclear job
#[utoipa::path(
    post, path = "/v1/jobs/{id}/resolve", tag = "operators", request_body = Resolve,
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The job", body = JobView),
        (status = 409, description = "`wrong-state`, `taken`, `record-disagrees`", body = ProblemBody<'static>),
        (status = 502, description = "`provider-unreadable`", body = ProblemBody<'static>),
    ),
)]
pub(crate) async fn resolve(
    State(front): State<Shared>,
    _: Operator,
    reader: Reader,
    Id(id): Id<JobId>,
    Json(body): Json<Resolve>,
) -> Result<axum::Json<JobView>, Problem> {
    check_texts(&[("/reason", Some(&body.reason)), ("/task_id", body.task_id.as_deref())])?;
    let decision = match (body.action, body.task_id) {
        (Action::Adopt, Some(task_id)) => Decision::Adopt { task_id },
        (Action::Adopt, None) => return Err(Problem::invalid("/task_id", "is needed to adopt a task")),
        (_, Some(_)) => return Err(Problem::invalid("/task_id", "goes with the action `adopt` only")),
        (Action::Resend, None) => Decision::Resend,
        (Action::Release, None) => Decision::Release,
    };
    let job = front.lifecycle().decide(id, &decision, &body.reason).await?;
    view_job(&front, &job, reader.viewer).await.map(axum::Json)
}

/// List dead letters, newest first
#[utoipa::path(
    get, path = "/v1/deliveries", tag = "operators",
    params(
        ("state" = String, Query, description = "`dead`"),
        ("account" = Option<String>, Query, description = "Of this account only"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 100, usually 20"),
    ),
    responses((status = 200, description = "A page", body = Page<DeliveryRow>)),
)]
pub(crate) async fn dead_deliveries(
    State(front): State<Shared>,
    _: Operator,
    reader: Reader,
    params: Params,
) -> Result<axum::Json<Page<DeliveryRow>>, Problem> {
    let params = params.only(&["state", "account", "cursor", "limit"])?;
    if params.text("state") != Some("dead") {
        return Err(Problem::invalid("/query/state", "must be `dead`"));
    }
    let limit = params.limit()?;
    let before = params.cursor()?.map(DeliveryId::from_uuid);
    let account = reader.scope.account();
    let mut rows = front.store().list_dead_deliveries(account, before, limit + 1).await?;
    let next_cursor = cut_page(&mut rows, limit, |row| row.id.as_uuid());
    Ok(axum::Json(Page { items: rows.into_iter().map(Into::into).collect(), next_cursor }))
}

async fn any_job(front: &Front, id: JobId) -> Result<Job, Problem> {
    let found = front.store().find_job(id, Scope::All).await?;
    found.ok_or_else(|| Problem::not_found("job"))
}

impl From<DecideError> for Problem {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::NotFound => Self::not_found("job"),
            DecideError::WrongState { state } => Self::new(Kind::WrongState)
                .detail(format!("the job is {state}; only an unclear job can be decided"))
                .fact("state", state.as_str()),
            DecideError::Disagrees => Self::new(Kind::RecordDisagrees),
            DecideError::Taken => Self::new(Kind::Taken).detail("this task belongs to another attempt"),
            DecideError::Unreadable(error) => Self::new(Kind::ProviderUnreadable).detail(error.to_string()),
            DecideError::Step(StepError::Store(error)) => error.into(),
            error @ DecideError::Step(_) => Self::internal(error),
        }
    }
}
