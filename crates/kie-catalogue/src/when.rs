//! Conditions on request fields, shared by cost rules and output counts.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::words::listed;

/// All fields must fit; an empty condition always holds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct When(BTreeMap<String, Test>);

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Test {
    Presence(Presence),
    OneOf(Vec<Value>),
    Is(Value),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Presence {
    present: bool,
}

/// Whether a condition holds for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Yes,
    No,
    /// A field that decides is neither given nor defaulted.
    Open,
}

/// A request together with the defaults that its schema documents.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub input: &'a Value,
    pub schema: &'a Value,
}

impl<'a> Request<'a> {
    /// The given value, else the documented default.
    pub(crate) fn effective(self, field: &str) -> Option<&'a Value> {
        self.given(field).or_else(|| self.schema.get("properties")?.get(field)?.get("default"))
    }

    fn given(self, field: &str) -> Option<&'a Value> {
        self.input.get(field)
    }

    /// True if the field is given and not an empty list.
    pub(crate) fn has(self, field: &str) -> bool {
        self.given(field).is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty()))
    }
}

impl When {
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Fields that are only asked for their presence.
    pub(crate) fn asks_presence(&self, field: &str) -> bool {
        matches!(self.0.get(field), Some(Test::Presence(_)))
    }

    /// The condition in words, empty if it always holds: `` `mode` std or pro, without `seed` ``.
    pub(crate) fn words(&self) -> String {
        let test = |(field, test): (&String, &Test)| match test {
            Test::Presence(Presence { present: true }) => format!("with `{field}`"),
            Test::Presence(Presence { present: false }) => format!("without `{field}`"),
            Test::OneOf(values) => {
                format!("`{field}` {}", listed(&values.iter().map(plain).collect::<Vec<_>>(), "or"))
            }
            Test::Is(value) => format!("`{field}` {}", plain(value)),
        };
        self.0.iter().map(test).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn fit(&self, request: Request<'_>) -> Fit {
        let mut fit = Fit::Yes;
        for (field, test) in &self.0 {
            match test.fit(field, request) {
                Fit::No => return Fit::No,
                Fit::Open => fit = Fit::Open,
                Fit::Yes => {}
            }
        }
        fit
    }
}

impl Test {
    fn fit(&self, field: &str, request: Request<'_>) -> Fit {
        let holds = match self {
            Test::Presence(wanted) => wanted.present == request.has(field),
            Test::OneOf(values) => match request.effective(field) {
                Some(actual) => values.iter().any(|value| same(value, actual)),
                None => return Fit::Open,
            },
            Test::Is(value) => match request.effective(field) {
                Some(actual) => same(value, actual),
                None => return Fit::Open,
            },
        };
        if holds { Fit::Yes } else { Fit::No }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Equality as JSON Schema has it: `5` and `5.0` are the same number.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}
