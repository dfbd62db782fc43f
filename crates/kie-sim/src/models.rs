//! What the simulated service sells: kinds, required fields, prices.

use std::sync::{Arc, Mutex};

use anyhow::Context;
use kie_catalogue::{Catalogue, Cost, Credits, Model, OutputKind};
use serde_json::{Map, Value, json};

use crate::lock::locked;

/// What a task makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Pictures.
    Image,
    /// Films.
    Video,
    /// Speech, sounds and music.
    Audio,
    /// Transcripts, lyrics, masks.
    Text,
}

impl From<OutputKind> for Kind {
    fn from(kind: OutputKind) -> Self {
        match kind {
            OutputKind::Image => Self::Image,
            OutputKind::Video => Self::Video,
            OutputKind::Audio => Self::Audio,
            // Text, and what a later catalogue may make.
            _ => Self::Text,
        }
    }
}

/// What one input costs and makes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quote {
    pub(crate) micro: u64,
    pub(crate) outputs: u32,
}

/// The models on sale.
pub(crate) struct Models {
    catalogue: Arc<Catalogue>,
    unknown_cost: u64,
}

/// Compiling all schemas takes a while, and one process may start many simulators.
static PACKED: Mutex<Option<Arc<Catalogue>>> = Mutex::new(None);

fn packed() -> anyhow::Result<Arc<Catalogue>> {
    let mut kept = locked(&PACKED);
    if let Some(catalogue) = &*kept {
        return Ok(Arc::clone(catalogue));
    }
    let catalogue = Arc::new(Catalogue::packed().context("the packed catalogue cannot be read")?);
    *kept = Some(Arc::clone(&catalogue));
    Ok(catalogue)
}

impl Models {
    /// `None` is the packed catalogue.
    pub(crate) fn new(catalogue: Option<Arc<Catalogue>>, unknown_cost: u64) -> anyhow::Result<Self> {
        let catalogue = catalogue.map_or_else(packed, Ok)?;
        Ok(Self { catalogue, unknown_cost })
    }

    /// The kind of a model that is on sale under exactly this id.
    pub(crate) fn kind(&self, id: &str) -> Option<Kind> {
        self.find(id).map(|model| model.kind().into())
    }

    /// The first required field that is missing or empty. Defaults are not applied, as the service does not.
    pub(crate) fn missing_field(&self, id: &str, input: &Map<String, Value>) -> Option<String> {
        let required = self.find(id)?.schema().get("required")?.as_array()?;
        let absent = |name: &&str| matches!(input.get(*name), None | Some(Value::Null));
        required.iter().filter_map(Value::as_str).find(absent).map(str::to_owned)
    }

    /// The price of an input; what the schema refuses is taken all the same, at the price of an unknown.
    pub(crate) fn quote(&self, id: &str, input: &Map<String, Value>) -> Quote {
        let unknown = Quote { micro: self.unknown_cost, outputs: 1 };
        let Some(model) = self.find(id) else { return unknown };
        match model.validate(known_fields(model, input)) {
            Ok(valid) => Quote {
                micro: valid.cost().upper().map_or(self.unknown_cost, Credits::micro),
                outputs: valid.outputs(),
            },
            Err(_) => unknown,
        }
    }

    /// The list of the discovery path; filters that are set must all hold.
    pub(crate) fn list(&self, task: Option<&str>, provider: Option<&str>, text: Option<&str>) -> Vec<Value> {
        let listed = self.catalogue.models().filter(|model| model.is_listed()).map(|model| self.shelf(model));
        let same = |value: &Value, wanted: &str| {
            value.as_str().is_some_and(|value| value.eq_ignore_ascii_case(wanted))
        };
        listed
            .filter(|shelf| {
                let tasks = shelf["taskType"].as_array();
                let fits_task = |wanted: &str| {
                    wanted
                        .split(',')
                        .any(|one| tasks.is_some_and(|tasks| tasks.iter().any(|task| same(task, one.trim()))))
                };
                let has_text = |wanted: &str| {
                    let wanted = wanted.to_lowercase();
                    ["model", "title"].iter().any(|key| {
                        shelf[*key].as_str().is_some_and(|value| value.to_lowercase().contains(&wanted))
                    })
                };
                task.is_none_or(fits_task)
                    && provider.is_none_or(|provider| same(&shelf["provider"], provider))
                    && text.is_none_or(has_text)
            })
            .collect()
    }

    /// The document of the schema path.
    pub(crate) fn openapi(&self, id: &str) -> Value {
        let Some(model) = self.find(id) else { return Value::Null };
        let body = json!({
            "type": "object",
            "required": ["model", "input"],
            "properties": {
                "model": {"type": "string", "enum": [id]},
                "callBackUrl": {"type": "string", "format": "uri"},
                "input": model.schema(),
            },
        });
        let post = json!({"requestBody": {"content": {"application/json": {"schema": body}}}});
        json!({
            "openapi": "3.1.0",
            "info": {"title": model.title(), "version": "1.0.0"},
            "servers": [{"url": "https://api.kie.ai"}],
            "paths": {"/api/v1/jobs/createTask": {"post": post}},
        })
    }

    /// The price of the example as prose.
    pub(crate) fn price(&self, id: &str) -> Option<String> {
        let model = self.find(id)?;
        let credits =
            |micro: u64| crate::record::credits(micro).to_string().trim_end_matches(".0").to_owned();
        match model.validate(model.example().clone()).ok()?.cost() {
            Cost::Exact(cost) => Some(format!("{} credits per request", credits(cost.micro()))),
            Cost::AtMost(cost) => Some(format!("up to {} credits per request", credits(cost.micro()))),
            Cost::Unknown => None,
        }
    }

    fn find(&self, id: &str) -> Option<&Model> {
        self.catalogue.get(id).filter(|model| model.id() == id && model.is_listed())
    }

    fn shelf(&self, model: &Model) -> Value {
        json!({
            "model": model.id(),
            "slug": model.id(),
            "title": model.title().split(':').next().unwrap_or_default(),
            "provider": title_case(model.family()),
            "taskType": task_types(model.task()),
            "description": model.title(),
            "pricingDesc": self.price(model.id()),
        })
    }
}

/// Fields the schema does not know are ignored, as the service does.
fn known_fields(model: &Model, input: &Map<String, Value>) -> Value {
    let properties = model.schema().get("properties").and_then(Value::as_object);
    let known = |name: &String| properties.is_none_or(|properties| properties.contains_key(name));
    Value::Object(
        input
            .iter()
            .filter(|(name, _)| known(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

/// `text-or-image-to-video` is `Text to Video` and `Image to Video`.
fn task_types(task: &str) -> Vec<String> {
    match task.split_once("-to-") {
        Some((from, to)) => {
            from.split("-or-").map(|from| format!("{} to {}", title_case(from), title_case(to))).collect()
        }
        None => vec![title_case(task)],
    }
}

fn title_case(words: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    words.split(['-', ' ']).map(capital).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_read_like_the_services_own() {
        assert_eq!(task_types("text-or-image-to-video"), ["Text to Video", "Image to Video"]);
        assert_eq!(task_types("image-to-image"), ["Image to Image"]);
        assert_eq!(task_types("lip-sync"), ["Lip Sync"]);
    }
}
