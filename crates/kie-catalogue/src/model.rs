//! One model of the catalogue.

use std::fmt;
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

use crate::cost::Cost;
use crate::credits::Credits;
use crate::fault::faults;
use crate::file::{Alias, ModelFile, Origin, OutputKind, Status};
use crate::fill::{FillPlan, too_large};
use crate::input::{InputFault, ValidInput};
use crate::outputs::OutputCase;
use crate::schema::compile;
use crate::when::Request;
use crate::words::bounded_reason;

/// A model that KIE offers or offered: what it takes, makes and costs. Cloning is cheap.
#[derive(Clone)]
pub struct Model {
    inner: Arc<Inner>,
    /// Why the model is off sale although its file says otherwise.
    fault: Option<Arc<str>>,
}

pub(crate) struct Inner {
    pub file: ModelFile,
    validator: Validator,
    plan: FillPlan,
}

impl Model {
    /// Compiles a file. A file that holds together but not as a whole gives a model that is off sale.
    pub(crate) fn new(file: ModelFile) -> Result<Model, String> {
        let validator = compile(&file.input)?;
        let plan = FillPlan::new(&file.input)?;
        let mut model = Model { inner: Arc::new(Inner { file, validator, plan }), fault: None };
        model.fault = model.unsound().map(|reason| bounded_reason(&reason).into());
        Ok(model)
    }

    /// The id that createTask takes, for example `kling-2.6/text-to-video`.
    pub fn id(&self) -> &str {
        &self.inner.file.id
    }

    /// The family of sibling models, for example `kling`.
    pub fn family(&self) -> &str {
        &self.inner.file.family
    }

    /// A short English title.
    pub fn title(&self) -> &str {
        &self.inner.file.title
    }

    /// What comes out.
    pub fn kind(&self) -> OutputKind {
        self.inner.file.kind
    }

    /// What it does, in one word with hyphens: `text-to-image`, `upscale`, `lip-sync`…
    pub fn task(&self) -> &str {
        &self.inner.file.task
    }

    /// Whether KIE still documents it.
    pub fn status(&self) -> Status {
        self.inner.file.status
    }

    /// True if KIE still documents it.
    pub fn is_listed(&self) -> bool {
        self.status() == Status::Listed
    }

    /// True if it is listed, its file is whole and its example has a known cost.
    ///
    /// Single settings of a sellable model may still be unpriced: look at [`ValidInput::cost`].
    pub fn is_sellable(&self) -> bool {
        self.is_listed() && self.fault.is_none() && self.has_known_cost()
    }

    /// Why the model is off sale although its file was read, if something is wrong with it.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Earlier ids under which old orders may name it.
    pub fn aliases(&self) -> &[Alias] {
        &self.inner.file.aliases
    }

    /// The input as JSON Schema 2020-12.
    ///
    /// Annotations: `x-order` lists the fields in the documented order (for forms), `x-accept` the media types and
    /// `x-maxMB` the size of the file behind an address, `x-expects` words for a pattern.
    pub fn schema(&self) -> &Value {
        &self.inner.file.input
    }

    /// An input that passes.
    pub fn example(&self) -> &Value {
        &self.inner.file.example
    }

    /// An input that is refused.
    pub fn bad_example(&self) -> &Value {
        &self.inner.file.bad_example
    }

    /// Why [`Model::bad_example`] is refused.
    pub fn bad_reason(&self) -> &str {
        &self.inner.file.bad_reason
    }

    /// Where the facts come from.
    pub fn origin(&self) -> &Origin {
        &self.inner.file.origin
    }

    /// The day as of which the prices are known (`YYYY-MM-DD`), if they are.
    pub fn prices_as_of(&self) -> Option<&str> {
        self.inner.file.cost.as_of.as_deref()
    }

    /// Why no cost is known at all, if so.
    pub fn unpriced_because(&self) -> Option<&str> {
        self.inner.file.cost.unknown.as_deref()
    }

    /// The cost rules in words, one line each, the first that holds decides; for people. Empty if none is known.
    pub fn price_words(&self) -> Vec<String> {
        self.inner.file.cost.words()
    }

    /// The amounts of its price rules and extras, each once, from the least to the dearest.
    pub fn price_amounts(&self) -> Vec<Credits> {
        self.inner.file.cost.amounts()
    }

    /// What the cost takes for granted beyond the price list.
    pub fn cost_assumes(&self) -> Option<&str> {
        self.inner.file.cost.assumes.as_deref()
    }

    /// Remarks for people.
    pub fn notes(&self) -> &[String] {
        &self.inner.file.notes
    }

    /// Checks an input and fills it.
    ///
    /// Nulls and empty texts of known fields are dropped, required fields that have a default are filled, then the
    /// schema decides. Types are never converted.
    ///
    /// # Errors
    /// All faults at once (at most 50), in the order of their pointers.
    pub fn validate(&self, mut input: Value) -> Result<ValidInput, Vec<InputFault>> {
        if let Some(reason) = too_large(&input) {
            return Err(vec![InputFault::new("", format!("the input {reason}"))]);
        }
        self.inner.plan.apply(&mut input);
        if self.inner.validator.is_valid(&input) {
            return Ok(ValidInput::new(Arc::clone(&self.inner), input));
        }
        Err(faults(&self.inner.validator, &self.inner.file.input, &input))
    }

    pub(crate) fn withdrawn(mut self, reason: &str) -> Model {
        self.fault = Some(Arc::from(reason));
        self
    }

    /// Whether nothing but a price is missing.
    pub(crate) fn is_unpriced(&self) -> bool {
        self.is_listed() && self.fault.is_none() && !self.has_known_cost()
    }

    fn has_known_cost(&self) -> bool {
        let request = Request { input: self.example(), schema: self.schema() };
        self.inner.file.cost.cost(request) != Cost::Unknown
    }

    /// What keeps the file from being whole.
    fn unsound(&self) -> Option<String> {
        let file = &self.inner.file;
        if !is_strict_object(&file.input) {
            return Some("the input schema must be an object schema that refuses unknown fields".to_owned());
        }
        if file.outputs.is_empty() || !file.outputs.iter().all(OutputCase::is_sound) {
            return Some("each case of `outputs` needs either `count` or `field`".to_owned());
        }
        let named = file.cost.fields().into_iter().chain(file.outputs.iter().flat_map(OutputCase::fields));
        if let Some(unknown) = named.into_iter().find(|field| file.input["properties"].get(field).is_none()) {
            return Some(format!("`{unknown}` is named by a rule but is no field of the input"));
        }
        if let Err(faults) = self.validate(file.example.clone()) {
            return Some(format!(
                "the example is refused: {}",
                faults.first().map_or_else(String::new, ToString::to_string)
            ));
        }
        self.validate(file.bad_example.clone()).is_ok().then(|| "the bad example passes".to_owned())
    }
}

fn is_strict_object(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| name == "object")
        && schema.get("properties").is_some_and(Value::is_object)
        && schema.get("additionalProperties") == Some(&Value::Bool(false))
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Model");
        shown
            .field("id", &self.id())
            .field("kind", &self.kind())
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}
