//! Inputs that passed validation, and the faults of those that did not.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::cost::Cost;
use crate::model::Inner;
use crate::outputs;
use crate::when::{Request, same};

/// Where a model keeps the words of the customer, in order of preference.
const PROMPTS: [&str; 10] = [
    "/prompt",
    "/text",
    "/content",
    "/lyrics",
    "/full_lyrics",
    "/style",
    "/dialogue/0/text",
    "/dialogue_turns/0/text",
    "/multi_prompt/0/prompt",
    "/shots/0/Scene",
];

/// An input that a model accepts, with required defaults filled in.
///
/// Only [`crate::Model::validate`] makes one, so holding it proves that the input was checked. The value inside is
/// what is priced, stored, sent and shown.
#[derive(Clone)]
pub struct ValidInput {
    model: Arc<Inner>,
    value: Value,
}

/// One thing that is wrong with an input.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct InputFault {
    /// JSON pointer to the field; empty if the input as a whole is meant.
    pub pointer: String,
    /// What was expected, in the customer's words: one sentence without full stop.
    pub message: String,
}

impl ValidInput {
    pub(crate) fn new(model: Arc<Inner>, value: Value) -> ValidInput {
        ValidInput { model, value }
    }

    /// The model that accepted the input (its present id, also if it was asked for by an alias).
    pub fn model_id(&self) -> &str {
        &self.model.file.id
    }

    /// The filled input.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The filled input, owned.
    pub fn into_value(self) -> Value {
        self.value
    }

    /// The customer's words in the input, for search in the history.
    pub fn prompt(&self) -> Option<&str> {
        PROMPTS.iter().find_map(|pointer| self.value.pointer(pointer)?.as_str())
    }

    /// Whether a top-level field has this value. A field that was left out has its documented default, and `5` is `5.0`.
    pub fn has_value(&self, field: &str, value: &Value) -> bool {
        self.request().effective(field).is_some_and(|actual| same(actual, value))
    }

    /// What KIE charges for it.
    pub fn cost(&self) -> Cost {
        self.model.file.cost.cost(self.request())
    }

    /// How many results it is sure to order, from 1 to 32. A model may return more ("up to" settings count as 1).
    pub fn outputs(&self) -> u32 {
        outputs::count(&self.model.file.outputs, self.request())
    }

    /// The fields and scalar values on which the cost depends, in the order of the price list.
    ///
    /// A field that was left out shows its documented default; a field of which only the presence counts shows
    /// `true` or `false`; text lengths are left out.
    pub fn price_options(&self) -> Vec<(&str, &Value)> {
        self.model.file.cost.options(self.request())
    }

    fn request(&self) -> Request<'_> {
        Request { input: &self.value, schema: &self.model.file.input }
    }
}

/// Shows the model, never the input: prompts do not belong in logs.
impl fmt::Debug for ValidInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidInput").field("model", &self.model.file.id).finish_non_exhaustive()
    }
}

impl InputFault {
    pub(crate) fn new(pointer: impl Into<String>, message: impl Into<String>) -> InputFault {
        InputFault { pointer: pointer.into(), message: message.into() }
    }
}

impl fmt::Display for InputFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.pointer, self.message)
    }
}
