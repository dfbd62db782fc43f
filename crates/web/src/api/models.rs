//! The catalogue with prices.

use axum::extract::{Path, State};
use kie_catalogue::Model;
use lifecycle::{Policy, media_kind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Page;
use crate::auth::{Caller, Customer};
use crate::body::Json;
use crate::front::{Front, Shared};
use crate::params::Params;
use crate::problem::{Kind, Problem, ProblemBody};

/// A model in the catalogue.
#[derive(Serialize, ToSchema)]
#[schema(as = Model)]
pub(crate) struct ModelView {
    /// Its id; may hold slashes.
    id: String,
    /// A short English title.
    title: String,
    /// Siblings share it.
    family: String,
    /// `image`, `video`, `audio` or `text`.
    kind: &'static str,
    /// What it does: `text-to-image`, `upscale`…
    task: String,
    /// Whether it can be ordered now.
    for_sale: bool,
    /// Price of the example, minor units; null where it is not known.
    price: Option<i64>,
    /// Currency code.
    currency: String,
    /// A job that takes longer than this many seconds counts as late.
    usual_time_s: u64,
}

/// A model with everything that an order needs.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelDetail {
    /// As in lists.
    #[serde(flatten)]
    model: ModelView,
    /// JSON Schema 2020-12 of the input.
    #[schema(value_type = Object)]
    schema: Value,
    /// An input that passes.
    #[schema(value_type = Object)]
    example: Value,
    /// Remarks for people.
    notes: Vec<String>,
}

/// What is to be priced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuoteRequest {
    /// The model's id.
    model: String,
    /// Its input.
    #[schema(value_type = Object)]
    input: Value,
    /// How many, 1 to 16.
    count: Option<u32>,
}

/// A price; it holds until the catalogue or the rate changes.
#[derive(Serialize, ToSchema)]
pub(crate) struct QuoteView {
    /// Of the whole order, minor units.
    price: i64,
    /// What the account has, minor units.
    available: i64,
    /// Whether that suffices.
    affordable: bool,
    /// Currency code.
    currency: String,
}

/// List the models
#[utoipa::path(
    get, path = "/v1/models", tag = "models",
    params(
        ("kind" = Option<String>, Query, description = "`image`, `video`, `audio` or `text`"),
        ("q" = Option<String>, Query, description = "A part of the id, title or task"),
    ),
    responses((status = 200, description = "All that are for sale, by id", body = Page<ModelView>)),
)]
pub(crate) async fn list(
    State(front): State<Shared>,
    _: Caller,
    params: Params,
) -> Result<axum::Json<Page<ModelView>>, Problem> {
    let params = params.only(&["kind", "q"])?;
    let kind: Option<domain::MediaKind> = params.one("kind")?;
    let words = params.text("q").map(str::to_lowercase);
    let catalogue = front.lifecycle().offers().catalogue();
    let fits = |model: &&Model| {
        let found = |text: &str| words.as_ref().is_none_or(|words| text.to_lowercase().contains(words));
        kind.is_none_or(|kind| model.kind().as_str() == kind.as_str())
            && (found(model.id()) || found(model.title()) || found(model.task()))
            && front.lifecycle().offers().is_for_sale(model)
    };
    let items = catalogue.models().filter(fits).map(|model| ModelView::new(&front, model)).collect();
    Ok(axum::Json(Page { items, next_cursor: None }))
}

/// Read a model
#[utoipa::path(
    get, path = "/v1/models/{*id}", tag = "models",
    params(("id" = String, Path, description = "The model's id; its slashes stay slashes")),
    responses(
        (status = 200, description = "The model", body = ModelDetail),
        (status = 404, description = "`unknown-model`, with `nearest`", body = ProblemBody<'static>),
    ),
)]
pub(crate) async fn get(
    State(front): State<Shared>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<ModelDetail>, Problem> {
    let catalogue = front.lifecycle().offers().catalogue();
    let Some(model) = catalogue.get(&id) else {
        return Err(Problem::new(Kind::UnknownModel).fact("nearest", catalogue.nearest(&id)));
    };
    Ok(axum::Json(ModelDetail {
        model: ModelView::new(&front, model),
        schema: model.schema().clone(),
        example: model.example().clone(),
        notes: model.notes().to_vec(),
    }))
}

/// Ask for a price
#[utoipa::path(
    post, path = "/v1/quote", tag = "models", request_body = QuoteRequest,
    responses(
        (status = 200, description = "The price", body = QuoteView),
        (status = 404, description = "`unknown-model`", body = ProblemBody<'static>),
        (status = 422, description = "`invalid`, with `errors`", body = ProblemBody<'static>),
    ),
)]
pub(crate) async fn quote(
    State(front): State<Shared>,
    Customer(owner): Customer,
    Json(body): Json<QuoteRequest>,
) -> Result<axum::Json<QuoteView>, Problem> {
    let count = body.count.unwrap_or(1);
    if !(1..=16).contains(&count) {
        return Err(Problem::invalid("/count", "must be 1 to 16"));
    }
    let quote = front.lifecycle().quote(&body.model, body.input)?;
    let price = quote.price.times(count);
    let price =
        price.map_err(|_too_large| Problem::invalid("/count", "the price of this many is too large"))?;
    let account = front.store().find_account(owner.account).await?;
    let available = account.ok_or_else(|| Problem::not_found("account"))?.available;
    Ok(axum::Json(QuoteView {
        price: price.minor(),
        available: available.minor(),
        affordable: price <= available || price.is_zero(),
        currency: front.lifecycle().policy().currency.code().to_owned(),
    }))
}

impl ModelView {
    fn new(front: &Front, model: &Model) -> Self {
        let offers = front.lifecycle().offers();
        let example = model.validate(model.example().clone()).ok();
        let quote = example.and_then(|input| offers.quote(model, &input).ok());
        Self {
            id: model.id().to_owned(),
            title: model.title().to_owned(),
            family: model.family().to_owned(),
            kind: model.kind().as_str(),
            task: model.task().to_owned(),
            for_sale: offers.is_for_sale(model),
            price: quote.map(|quote| quote.price.minor()),
            currency: front.lifecycle().policy().currency.code().to_owned(),
            usual_time_s: Policy::late_after(media_kind(model.kind())).as_secs(),
        }
    }
}
