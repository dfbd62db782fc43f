//! Ordering generations, and reading them.

use axum::extract::{Request, State};
use axum::response::Response;
use domain::{BatchId, Channel, Job, JobId, Recipient};
use lifecycle::{OrderRequest, SubmitError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::JobFilter;
use utoipa::ToSchema;

use super::Page;
use super::keys::{IdempotencyKey, bad_key, created_or_replayed};
use crate::auth::{Customer, Reader};
use crate::body;
use crate::front::{Front, Shared};
use crate::params::{Id, Params, cut_page};
use crate::problem::{self, FieldError, Kind, Problem, ProblemBody};
use crate::request_id;
use crate::view::{JobView, Viewer, view_job, view_jobs};
use crate::words::Language;

/// An order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewJob {
    /// The model's id.
    model: String,
    /// The model's input; see the model's schema.
    #[schema(value_type = Object)]
    input: Value,
    /// 1 to 16 of them, as one batch; each lives alone.
    count: Option<u32>,
    /// Who is told; the account's linked chat if left out.
    deliver: Option<Vec<DeliverTo>>,
    /// Keep it unpaid until it is confirmed.
    #[serde(default)]
    draft: bool,
}

/// A recipient: a webhook's address, or the account's own chat.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliverTo {
    /// `webhook` or `telegram`.
    #[schema(value_type = String)]
    channel: Channel,
    /// The https address of a webhook.
    url: Option<String>,
    /// The number of the chat.
    chat_id: Option<i64>,
}

/// Jobs that were ordered together.
#[derive(Serialize, ToSchema)]
pub(crate) struct Batch {
    /// Their common id.
    #[schema(value_type = String)]
    batch_id: BatchId,
    /// The jobs, by index.
    items: Vec<JobView>,
}

/// What an order became: one job, or, with `count`, a batch.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Ordered {
    /// The job.
    One(Box<JobView>),
    /// The jobs of a batch.
    Many(Batch),
}

/// Order a generation
///
/// Money is set aside and the job is written in one transaction before anything is bought. With `count`, the answer
/// is `{batch_id, items}`.
#[utoipa::path(
    post, path = "/v1/jobs", tag = "jobs", request_body = NewJob,
    params(("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters")),
    responses(
        (status = 201, description = "The new job; with `count` the batch", body = Ordered),
        (status = 200, description = "It had been ordered before: as it is now", body = Ordered),
        (status = 400, description = "`idempotency-key-missing`, `idempotency-key-invalid`, `bad-json`", body = ProblemBody<'static>),
        (status = 402, description = "`balance-short`, with `required` and `available`", body = ProblemBody<'static>),
        (status = 404, description = "`unknown-model`", body = ProblemBody<'static>),
        (status = 409, description = "`idempotency-key-reused`, `not-for-sale`", body = ProblemBody<'static>),
        (status = 422, description = "`invalid`, with `errors`", body = ProblemBody<'static>),
        (status = 429, description = "`rate-limited`, `too-many-open`, `free-used-up`", body = ProblemBody<'static>),
    ),
)]
pub(crate) async fn submit(
    State(front): State<Shared>,
    Customer(owner): Customer,
    IdempotencyKey(key): IdempotencyKey,
    request: Request,
) -> Result<Response, Problem> {
    let language = Language::of_request(request.headers(), front.language);
    let body = body::read_json(request).await?;
    let fingerprint = lifecycle::fingerprint(&body);
    let NewJob { model, input, count, deliver, draft } = body::typed(body)?;
    let order = OrderRequest {
        account: owner.account,
        linked_chat: owner.telegram_id,
        key,
        fingerprint,
        request_id: request_id::current(),
        model,
        input,
        count,
        recipients: deliver.map(recipients).transpose()?,
        draft,
    };
    let submitted = front.lifecycle().submit(&order).await?;
    let viewer = Viewer { operator: false, language };
    let items = if submitted.replayed {
        view_jobs(&front, &submitted.jobs, viewer).await?
    } else {
        // New jobs have neither outputs nor deliveries.
        submitted.jobs.iter().map(|job| JobView::new(&front, job, &[], &[], viewer)).collect()
    };
    answer(&submitted.jobs, items, submitted.replayed)
}

/// Read a job
#[utoipa::path(
    get, path = "/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)),
    responses(
        (status = 200, description = "The job", body = JobView),
        (status = 404, description = "None, or another account's", body = ProblemBody<'static>),
    ),
)]
pub(crate) async fn get(
    State(front): State<Shared>,
    reader: Reader,
    Id(id): Id<JobId>,
) -> Result<axum::Json<JobView>, Problem> {
    let job = find_job(&front, id, reader).await?;
    Ok(axum::Json(view_job(&front, &job, reader.viewer).await?))
}

/// List jobs, newest first
#[utoipa::path(
    get, path = "/v1/jobs", tag = "jobs",
    params(
        ("state" = Option<Vec<String>>, Query, description = "A job's `state`; may repeat"),
        ("kind" = Option<String>, Query, description = "`image`, `video`, `audio` or `text`"),
        ("model" = Option<String>, Query, description = "The model's id"),
        ("batch" = Option<String>, Query, description = "A batch's id"),
        ("q" = Option<String>, Query, description = "A part of the prompt, whatever its case"),
        ("task" = Option<String>, Query, description = "A provider's task id; operators only"),
        ("favourite" = Option<bool>, Query, description = "Marked by the owner, or not"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 100, usually 20"),
        ("account" = Option<String>, Query, description = "Operators: jobs of this account only"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<JobView>),
        (status = 422, description = "`invalid`", body = ProblemBody<'static>),
    ),
)]
pub(crate) async fn list(
    State(front): State<Shared>,
    reader: Reader,
    params: Params,
) -> Result<axum::Json<Page<JobView>>, Problem> {
    let limit = params.limit()?;
    let filter = read_filter(params, reader, limit)?;
    let mut jobs = front.store().list_jobs(&filter).await?;
    let next_cursor = cut_page(&mut jobs, limit, |job| job.id.as_uuid());
    let items = view_jobs(&front, &jobs, reader.viewer).await?;
    Ok(axum::Json(Page { items, next_cursor }))
}

/// The job, if this reader may see it.
pub(crate) async fn find_job(front: &Front, id: JobId, reader: Reader) -> Result<Job, Problem> {
    let found = front.store().find_job(id, reader.scope).await?;
    found.ok_or_else(|| Problem::not_found("job"))
}

fn read_filter(params: Params, reader: Reader, limit: u32) -> Result<JobFilter, Problem> {
    const KNOWN: [&str; 10] =
        ["state", "kind", "model", "batch", "q", "task", "favourite", "cursor", "limit", "account"];
    let params = params.only(&KNOWN)?;
    let task = params.text("task").map(str::to_owned);
    if task.is_some() && !reader.viewer.operator {
        return Err(Problem::new(Kind::Forbidden).detail("`task` is for operators"));
    }
    Ok(JobFilter {
        account: reader.scope.account(),
        states: params.all("state")?,
        kind: params.one("kind")?,
        model: params.text("model").map(str::to_owned),
        batch: params.one("batch")?,
        prompt: params.text("q").map(str::to_owned),
        task,
        favourite: params.one("favourite")?,
        with_hidden: reader.viewer.operator,
        before: params.cursor()?.map(JobId::from_uuid),
        since: None,
        limit: limit + 1,
    })
}

fn answer(jobs: &[Job], mut items: Vec<JobView>, replayed: bool) -> Result<Response, Problem> {
    let ordered = match jobs.first().and_then(|job| job.batch) {
        Some(batch_id) => Ordered::Many(Batch { batch_id, items }),
        None => Ordered::One(items.pop().ok_or_else(|| Problem::internal("an order without a job"))?.into()),
    };
    Ok(created_or_replayed(ordered, replayed))
}

fn recipients(deliver: Vec<DeliverTo>) -> Result<Vec<Recipient>, Problem> {
    let mut faults = Vec::new();
    let mut recipients = Vec::with_capacity(deliver.len());
    for (index, recipient) in deliver.into_iter().enumerate() {
        let DeliverTo { channel, url, chat_id } = recipient;
        let mut fault = |field: &str, detail: &str| {
            let pointer = format!("/deliver/{index}/{field}");
            faults.push(FieldError { pointer, detail: detail.to_owned() });
        };
        match (channel, url, chat_id) {
            (Channel::Webhook, Some(url), None) => {
                // What is kept is what will be called, without the blanks and odd characters that parsing forgives.
                let url = url::Url::parse(&url).map_or(url, String::from);
                recipients.push(Recipient::Webhook { url });
            }
            (Channel::Telegram, None, Some(chat_id)) => recipients.push(Recipient::Telegram { chat_id }),
            (Channel::Webhook, None, _) => fault("url", "a webhook needs an https address"),
            (Channel::Webhook, Some(_), Some(_)) => fault("chat_id", "a webhook has none"),
            (Channel::Telegram, _, None) => fault("chat_id", "a chat's number is needed"),
            (Channel::Telegram, Some(_), Some(_)) => fault("url", "a chat has none"),
        }
    }
    if faults.is_empty() { Ok(recipients) } else { Err(Problem::faults(faults)) }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::BadKey => bad_key(),
            SubmitError::UnknownModel { model, nearest } => {
                let problem = Self::new(Kind::UnknownModel).fact("nearest", nearest.clone());
                match nearest {
                    Some(nearest) => {
                        problem.detail(format!("there is no model `{model}`; did you mean `{nearest}`?"))
                    }
                    None => problem.detail(format!("there is no model `{model}`")),
                }
            }
            SubmitError::NotForSale { model, reason } => {
                Self::new(Kind::NotForSale).detail(format!("`{model}` cannot be ordered: {reason}"))
            }
            SubmitError::Faults(faults) => {
                let fault = |fault: lifecycle::OrderFault| FieldError {
                    pointer: fault.pointer,
                    detail: fault.message,
                };
                Self::faults(faults.into_iter().map(fault).collect())
            }
            SubmitError::KeyReused => Self::new(Kind::KeyReused),
            SubmitError::Short { required, available } => problem::short(required, available),
            SubmitError::TooManyOpen { limit } => Self::new(Kind::TooManyOpen).fact("limit", limit),
            SubmitError::FreeUsedUp { limit } => Self::new(Kind::FreeUsedUp).fact("limit", limit),
            SubmitError::NoAccount => Self::new(Kind::Unauthorized).detail("the account is closed"),
            SubmitError::Store(error) => error.into(),
        }
    }
}
