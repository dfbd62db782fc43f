//! What the live service offers: its models, their schemas, prices and success rates. One call in a second.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    answer::{self, Answer},
    client::{Client, ReadRequest},
    error::{ReadError, Snippet},
    limit::Call,
};

const MODELS_PATH: &str = "/api/v1/models";
const MAX_MODEL: usize = 128;

/// What to list; empty lists everything. Conditions combine.
///
/// ```
/// use kie_client::ModelFilter;
///
/// let filter = ModelFilter::default().task_type("Text to Video").query("kite");
/// assert_eq!(filter.provider, None);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelFilter<'a> {
    /// Task types such as `Text to Video`, separated by commas.
    pub task_type: Option<&'a str>,
    /// The maker of the models.
    pub provider: Option<&'a str>,
    /// Words to search for.
    pub query: Option<&'a str>,
}

impl<'a> ModelFilter<'a> {
    /// The same with these task types, separated by commas.
    #[must_use]
    pub const fn task_type(mut self, types: &'a str) -> Self {
        self.task_type = Some(types);
        self
    }

    /// The same with this maker.
    #[must_use]
    pub const fn provider(mut self, maker: &'a str) -> Self {
        self.provider = Some(maker);
        self
    }

    /// The same with these words to search for.
    #[must_use]
    pub const fn query(mut self, words: &'a str) -> Self {
        self.query = Some(words);
        self
    }
}

/// The live list of models.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ModelList {
    /// How many models match.
    #[serde(default)]
    pub total: u64,
    /// The models; there are no pages.
    #[serde(default)]
    pub models: Vec<ModelInfo>,
}

/// One model of the live list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ModelInfo {
    /// The id to order it by.
    pub model: String,
    /// The name in the documentation's addresses.
    pub slug: Option<String>,
    /// The name for people.
    pub title: Option<String>,
    /// The maker.
    pub provider: Option<String>,
    /// What it does.
    #[serde(default)]
    pub task_type: Vec<String>,
    /// A sentence about it.
    pub description: Option<String>,
    /// Its price, as prose.
    pub pricing_desc: Option<String>,
}

/// Ten minutes of a model's success rate.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RatePoint {
    /// The beginning, RFC 3339 in UTC.
    pub start: String,
    /// The end, RFC 3339 in UTC.
    pub end: String,
    /// Successes in percent; none without traffic.
    pub success_rate: Option<f64>,
    /// Errors in percent; none without traffic.
    pub error_rate: Option<f64>,
    /// Whether the provider thinks this normal.
    pub is_normal: Option<bool>,
}

impl Client {
    /// The live models. No match is an empty list.
    pub async fn models(&self, filter: &ModelFilter<'_>) -> Result<ModelList, ReadError> {
        let conditions = [("taskType", filter.task_type), ("provider", filter.provider), ("q", filter.query)];
        let query: Vec<_> = conditions.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        self.discover(ReadRequest { path: MODELS_PATH, query: &query, body: None }).await
    }

    /// The provider's `OpenAPI` 3.1 document of a model's call; `None` when it has none.
    pub async fn model_schema(&self, model: &str) -> Result<Option<Value>, ReadError> {
        #[derive(Deserialize)]
        struct Schema {
            openapi: Option<Value>,
        }
        let schema: Schema = self.discover_model(model, "schema").await?;
        Ok(schema.openapi)
    }

    /// A model's price as prose; `None` when the provider states none.
    pub async fn model_price(&self, model: &str) -> Result<Option<String>, ReadError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Price {
            pricing_desc: Option<String>,
        }
        let price: Price = self.discover_model(model, "price").await?;
        Ok(price.pricing_desc)
    }

    /// A model's success rate over the last day, in steps of ten minutes; empty when there is no data.
    pub async fn success_rate(&self, model: &str) -> Result<Vec<RatePoint>, ReadError> {
        #[derive(Deserialize)]
        struct Rate {
            #[serde(default)]
            points: Vec<RatePoint>,
        }
        let rate: Rate = self.discover_model(model, "success-rate").await?;
        Ok(rate.points)
    }

    async fn discover_model<T: DeserializeOwned>(&self, model: &str, what: &str) -> Result<T, ReadError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
        let segments = model.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        if model.len() > MAX_MODEL || !segments || !model.bytes().all(allowed) {
            return Err(ReadError::invalid("not a model id"));
        }
        let path = format!("{MODELS_PATH}/{model}/{what}");
        self.discover(ReadRequest { path: &path, ..ReadRequest::default() }).await
    }

    async fn discover<T: DeserializeOwned>(&self, request: ReadRequest<'_>) -> Result<T, ReadError> {
        self.read(Call::Discovery, request, read_data).await
    }
}

fn read_data<T: DeserializeOwned>(answer: &Answer) -> Result<T, ReadError> {
    let text = answer.text();
    let envelope = answer::open(&text, answer.status, answer.retry_after)?;
    let data = answer::require_data(&envelope)?;
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(data)).map_err(|error| {
        ReadError::malformed(format!("data.{}: {}", error.path(), error.inner()), Snippet::new(data))
    })
}
