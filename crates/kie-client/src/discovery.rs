//! What the live service offers: its models, their schemas, prices and success rates. One call in a second.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;
use tracing::Span;

use crate::{
    answer::{self, Answer},
    client::{Client, ReadRequest},
    error::ReadError,
    limit::Call,
    snippet::Snippet,
    texts, trace,
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

/// The live list of models. An entry without a readable id is left out, with a warning in the log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ModelList {
    /// How many models match, as the provider counts them; 0 when it does not say.
    #[serde(default, deserialize_with = "readable_or_default")]
    pub total: u64,
    /// The models; there are no pages.
    #[serde(default, deserialize_with = "readable_entries")]
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
    #[serde(default, deserialize_with = "readable_or_default")]
    pub slug: Option<String>,
    /// The name for people.
    #[serde(default, deserialize_with = "readable_or_default")]
    pub title: Option<String>,
    /// The maker.
    #[serde(default, deserialize_with = "readable_or_default")]
    pub provider: Option<String>,
    /// What it does.
    #[serde(default, deserialize_with = "words")]
    pub task_type: Vec<String>,
    /// A sentence about it.
    #[serde(default, deserialize_with = "readable_or_default")]
    pub description: Option<String>,
    /// Its price, as prose.
    #[serde(default, deserialize_with = "readable_or_default")]
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
    #[serde(default, deserialize_with = "readable_or_default")]
    pub success_rate: Option<f64>,
    /// Errors in percent; none without traffic.
    #[serde(default, deserialize_with = "readable_or_default")]
    pub error_rate: Option<f64>,
    /// Whether the provider thinks this normal.
    #[serde(default, deserialize_with = "readable_or_default")]
    pub is_normal: Option<bool>,
}

impl Client {
    /// The live models. No match is an empty list.
    pub async fn models(&self, filter: &ModelFilter<'_>) -> Result<ModelList, ReadError> {
        let conditions = [("taskType", filter.task_type), ("provider", filter.provider), ("q", filter.query)];
        let query: Vec<_> = conditions.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let span = trace::span("models", None, None);
        self.discover(&span, ReadRequest { path: MODELS_PATH, query: &query, body: None }).await
    }

    /// The provider's `OpenAPI` 3.1 document of a model's call; `None` when it has none.
    pub async fn model_schema(&self, model: &str) -> Result<Option<Value>, ReadError> {
        #[derive(Deserialize)]
        struct Schema {
            openapi: Option<Value>,
        }
        let schema: Schema = self.discover_model("model_schema", model, "schema").await?;
        Ok(schema.openapi)
    }

    /// A model's price as prose; `None` when the provider states none.
    pub async fn model_price(&self, model: &str) -> Result<Option<String>, ReadError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Price {
            pricing_desc: Option<String>,
        }
        let price: Price = self.discover_model("model_price", model, "price").await?;
        Ok(price.pricing_desc)
    }

    /// A model's success rate over the last day, in steps of ten minutes; empty when there is no data.
    pub async fn success_rate(&self, model: &str) -> Result<Vec<RatePoint>, ReadError> {
        #[derive(Deserialize)]
        struct Rate {
            #[serde(default, deserialize_with = "readable_entries")]
            points: Vec<RatePoint>,
        }
        let rate: Rate = self.discover_model("success_rate", model, "success-rate").await?;
        Ok(rate.points)
    }

    async fn discover_model<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        model: &str,
        what: &str,
    ) -> Result<T, ReadError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
        let segments = model.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        if model.len() > MAX_MODEL || !segments || !model.bytes().all(allowed) {
            return Err(ReadError::invalid("not a model id"));
        }
        let path = format!("{MODELS_PATH}/{model}/{what}");
        let span = trace::span(operation, None, Some(model));
        self.discover(&span, ReadRequest { path: &path, ..ReadRequest::default() }).await
    }

    async fn discover<T: DeserializeOwned>(
        &self,
        span: &Span,
        request: ReadRequest<'_>,
    ) -> Result<T, ReadError> {
        self.read(Call::Discovery, span, request, read_data).await
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

/// A list of which one odd entry does not spoil the others: it is left out, and told once for the whole list.
fn readable_entries<'de, D: Deserializer<'de>, T: DeserializeOwned>(list: D) -> Result<Vec<T>, D::Error> {
    let entries = Option::<Vec<Value>>::deserialize(list)?.unwrap_or_default();
    let mut readable = Vec::with_capacity(entries.len());
    let mut faults = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        match serde_json::from_value(entry) {
            Ok(entry) => readable.push(entry),
            Err(error) => faults.push((index, error)),
        }
    }
    if let Some((index, error)) = faults.first() {
        let (skipped, error) = (faults.len(), texts::shorten(&error.to_string(), 200));
        tracing::warn!(
            skipped,
            index,
            error,
            "entries of the provider's list cannot be read and are left out"
        );
    }
    Ok(readable)
}

/// A member beside the point: `null` and anything that is not what is documented count as absent.
fn readable_or_default<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    member: D,
) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(member)?).unwrap_or_default())
}

/// A list of words, or one text that holds them between commas.
fn words<'de, D: Deserializer<'de>>(member: D) -> Result<Vec<String>, D::Error> {
    let words: Vec<String> = match Value::deserialize(member)? {
        Value::String(text) => text.split(',').map(|word| word.trim().to_owned()).collect(),
        Value::Array(words) => words.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    Ok(words.into_iter().filter(|word| !word.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list(data: Value) -> ModelList {
        serde_json::from_value(data).unwrap()
    }

    #[test]
    fn one_odd_entry_does_not_spoil_the_list() {
        let read = list(json!({"total": null, "models": [
            {"model": "a", "taskType": null},
            {"model": "b", "taskType": "Text to Image, Image to Image", "title": 5, "provider": null},
            {"model": "c", "taskType": ["Text to Video", 7, ""], "description": "kites"},
            {"model": null},
            {"slug": "no-id"},
            "text",
            null,
        ]}));
        let ids: Vec<_> = read.models.iter().map(|model| model.model.as_str()).collect();
        assert_eq!((read.total, ids), (0, vec!["a", "b", "c"]));
        assert!(read.models[0].task_type.is_empty() && read.models[1].title.is_none());
        assert_eq!(read.models[1].task_type, ["Text to Image", "Image to Image"]);
        assert_eq!(read.models[2].task_type, ["Text to Video"]);
        assert_eq!(read.models[2].description.as_deref(), Some("kites"));
    }

    #[test]
    fn a_list_that_is_none_is_empty_and_something_else_is_a_fault() {
        for data in [json!({}), json!({"total": 0, "models": null}), json!({"total": "x", "models": []})] {
            assert_eq!(list(data.clone()), ModelList { total: 0, models: Vec::new() }, "{data}");
        }
        assert!(serde_json::from_value::<ModelList>(json!({"models": "all of them"})).is_err());
    }

    #[test]
    fn odd_points_are_left_out() {
        #[derive(Deserialize)]
        struct Rate {
            #[serde(default, deserialize_with = "readable_entries")]
            points: Vec<RatePoint>,
        }
        let read =
            |points: Value| serde_json::from_value::<Rate>(json!({ "points": points })).unwrap().points;
        assert!(read(json!(null)).is_empty());
        let points = read(json!([
            {"start": "s", "end": "e", "successRate": "99", "errorRate": 0.5, "isNormal": 1},
            {"start": null, "end": "e"},
        ]));
        assert_eq!(points.len(), 1);
        assert_eq!(
            (points[0].success_rate, points[0].error_rate, points[0].is_normal),
            (None, Some(0.5), None)
        );
    }
}
