//! Two input schemas field by field: what a caller may and must send, not how the schema says it.
//!
//! Formats, patterns and conditions between fields are ours alone and not compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value, json};

/// Fields in fields that are still looked at.
const MAX_DEPTH: usize = 8;
const LIMITS: [&str; 10] = [
    "default",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "multipleOf",
];

/// One thing that differs in a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The field: `prompt`, `image_urls[]`, `shots[].text`.
    pub field: String,
    /// What differs.
    pub aspect: Aspect,
    /// What our catalogue says.
    pub here: Option<String>,
    /// What the provider says.
    pub there: Option<String>,
}

/// What may differ in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Aspect {
    /// The provider has it, our catalogue does not.
    Added,
    /// Our catalogue has it, the provider does not.
    Removed,
    /// Whether it must be sent.
    Required,
    /// The JSON types.
    Type,
    /// The values to choose from.
    Values,
    /// A limit or default of that JSON Schema keyword.
    #[serde(untagged)]
    Limit(&'static str),
}

impl Aspect {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Required => "required",
            Self::Type => "type",
            Self::Values => "values",
            Self::Limit(keyword) => keyword,
        }
    }
}

/// What differs, in the order of the fields' names.
pub(super) fn compare(ours: &Value, theirs: &Value) -> Vec<Difference> {
    let (here, there) = (flattened(ours), flattened(theirs));
    let names: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    let mut differences: Vec<Difference> = Vec::new();
    let mut whole: Vec<&String> = Vec::new();
    for name in names {
        // A field that is new as a whole is one difference, whatever is inside.
        let inside = |parent: &&String| {
            name.strip_prefix(parent.as_str()).is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        if whole.iter().any(inside) {
            continue;
        }
        match (here.get(name), there.get(name)) {
            (Some(here), Some(there)) => differences.extend(here.against(there, name)),
            (here, there) => {
                whole.push(name);
                let aspect = if here.is_some() { Aspect::Removed } else { Aspect::Added };
                let words = |field: Option<&Field>| field.map(Field::words);
                differences.push(Difference {
                    field: name.clone(),
                    aspect,
                    here: words(here),
                    there: words(there),
                });
            }
        }
    }
    differences
}

/// The members of an object, whatever its `allOf`, `oneOf` and `anyOf`; the flag says whether it must be sent.
pub(super) fn members(schema: &Value) -> BTreeMap<String, (Value, bool)> {
    members_at(schema, 0)
}

fn members_at(schema: &Value, depth: usize) -> BTreeMap<String, (Value, bool)> {
    let mut members = BTreeMap::new();
    if depth > MAX_DEPTH {
        return members;
    }
    let required = names(schema, "required");
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let name = name.trim();
        members.insert(name.to_owned(), (property.clone(), required.contains(name)));
    }
    for part in list(schema, "allOf") {
        for (name, (property, must)) in members_at(part, depth + 1) {
            let entry = members.entry(name).or_insert((property, must));
            entry.1 |= must;
        }
    }
    for key in ["oneOf", "anyOf"] {
        let branches: Vec<_> = list(schema, key).iter().map(|branch| members_at(branch, depth + 1)).collect();
        add_branches(&mut members, &branches);
    }
    for name in &required {
        if let Some(entry) = members.get_mut(*name) {
            entry.1 = true;
        }
    }
    members
}

/// A field of one branch is optional unless every branch requires it.
fn add_branches(members: &mut BTreeMap<String, (Value, bool)>, branches: &[BTreeMap<String, (Value, bool)>]) {
    let names: BTreeSet<&String> = branches.iter().flat_map(BTreeMap::keys).collect();
    for name in names {
        let mut forms: Vec<Value> = Vec::new();
        for (form, _) in branches.iter().filter_map(|branch| branch.get(name)) {
            if !forms.contains(form) {
                forms.push(form.clone());
            }
        }
        let must = branches.iter().all(|branch| branch.get(name).is_some_and(|(_, must)| *must));
        let form = if forms.len() == 1 { forms.remove(0) } else { json!({ "anyOf": forms }) };
        members.entry(name.clone()).or_insert((form, must));
    }
}

fn list<'a>(schema: &'a Value, key: &str) -> &'a [Value] {
    schema.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn names<'a>(schema: &'a Value, key: &str) -> BTreeSet<&'a str> {
    list(schema, key).iter().filter_map(Value::as_str).map(str::trim).collect()
}

/// What a field takes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Field {
    required: bool,
    types: BTreeSet<String>,
    values: BTreeSet<String>,
    /// Several entries where alternatives have different limits.
    limits: BTreeMap<&'static str, BTreeSet<String>>,
}

fn flattened(schema: &Value) -> BTreeMap<String, Field> {
    let mut fields = BTreeMap::new();
    flatten(schema, "", &mut fields, 0);
    fields
}

fn flatten(schema: &Value, path: &str, fields: &mut BTreeMap<String, Field>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    for (name, (property, required)) in members(schema) {
        let path = if path.is_empty() { name } else { format!("{path}.{name}") };
        take(&property, path, required, fields, depth);
    }
}

fn take(schema: &Value, path: String, required: bool, fields: &mut BTreeMap<String, Field>, depth: usize) {
    let mut field = Field { required, ..Field::default() };
    field.read(schema, 0);
    flatten(schema, &path, fields, depth + 1);
    if let Some(items) = items(schema).filter(|_| depth < MAX_DEPTH) {
        take(items, format!("{path}[]"), false, fields, depth + 1);
    }
    fields.insert(path, field);
}

fn items(schema: &Value) -> Option<&Value> {
    let branches = list(schema, "anyOf").iter().chain(list(schema, "oneOf"));
    std::iter::once(schema)
        .chain(branches)
        .find_map(|schema| schema.get("items").filter(|items| items.is_object()))
}

impl Field {
    fn read(&mut self, schema: &Value, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        let values: Vec<&Value> =
            list(schema, "enum").iter().chain(schema.get("const")).filter(|value| !value.is_null()).collect();
        match schema.get("type") {
            Some(Value::String(name)) => self.add_type(name),
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).for_each(|name| self.add_type(name));
            }
            _ => values.iter().for_each(|value| self.add_type(kind(value))),
        }
        self.values.extend(values.iter().map(|value| plain(value)));
        for keyword in LIMITS {
            let Some(limit) = schema.get(keyword).filter(|limit| !is_empty(keyword, limit)) else { continue };
            self.limits.entry(keyword).or_default().insert(plain(limit));
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            for branch in list(schema, key) {
                self.read(branch, depth + 1);
            }
        }
    }

    fn add_type(&mut self, name: &str) {
        if name != "null" {
            self.types.insert(name.to_owned());
        }
    }

    fn against(&self, there: &Self, name: &str) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut add = |aspect, here: Option<String>, there: Option<String>| {
            if here != there {
                differences.push(Difference { field: name.to_owned(), aspect, here, there });
            }
        };
        let must = |field: &Self| Some(if field.required { "required" } else { "optional" }.to_owned());
        add(Aspect::Required, must(self), must(there));
        // A document without types says nothing about them.
        if !there.types.is_empty() {
            add(Aspect::Type, joined(&self.types, " or "), joined(&there.types, " or "));
        }
        let only =
            |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<BTreeSet<_>>();
        if self.values.is_empty() || there.values.is_empty() {
            add(Aspect::Values, joined(&self.values, ", "), joined(&there.values, ", "));
        } else {
            let (here, there) = (only(&self.values, &there.values), only(&there.values, &self.values));
            let said =
                |values: &BTreeSet<String>| joined(values, ", ").map(|values| format!("only here: {values}"));
            let said_there = |values: &BTreeSet<String>| {
                joined(values, ", ").map(|values| format!("only there: {values}"))
            };
            add(Aspect::Values, said(&here), said_there(&there));
        }
        for keyword in LIMITS {
            let limit = |field: &Self| field.limits.get(keyword).and_then(|limits| joined(limits, " or "));
            add(Aspect::Limit(keyword), limit(self), limit(there));
        }
        differences
    }

    fn words(&self) -> String {
        let mut words = vec![if self.required { "required" } else { "optional" }.to_owned()];
        words.extend(joined(&self.types, " or "));
        words.extend(joined(&self.values, ", ").map(|values| format!("one of {values}")));
        let limits = self
            .limits
            .iter()
            .filter_map(|(keyword, limits)| Some(format!("{keyword} {}", joined(limits, " or ")?)));
        words.extend(limits);
        words.join("; ")
    }
}

/// Whether two properties take the same.
pub(super) fn is_same(ours: &Value, theirs: &Value) -> bool {
    let wrapped = |property: &Value| {
        let mut properties = Map::new();
        properties.insert("field".to_owned(), property.clone());
        json!({ "properties": properties })
    };
    compare(&wrapped(ours), &wrapped(theirs)).is_empty()
}

fn is_empty(keyword: &str, limit: &Value) -> bool {
    match keyword {
        "minLength" | "minItems" => limit.as_f64() == Some(0.0),
        "default" => limit.is_null() || limit == "" || limit.as_array().is_some_and(Vec::is_empty),
        _ => false,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Numbers as numbers, so that 1 and 1.0 are the same; texts in quotes, so that 5 and "5" are not.
fn plain(value: &Value) -> String {
    match value.as_f64() {
        Some(number) => number.to_string(),
        None => value.to_string(),
    }
}

fn joined(words: &BTreeSet<String>, by: &str) -> Option<String> {
    (!words.is_empty()).then(|| words.iter().map(String::as_str).collect::<Vec<_>>().join(by))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(ours: &Value, theirs: &Value) -> Vec<String> {
        let line = |one: Difference| {
            let side = |side: Option<String>| side.unwrap_or_else(|| "-".to_owned());
            format!("{} {}: {} | {}", one.field, one.aspect.as_str(), side(one.here), side(one.there))
        };
        compare(ours, theirs).into_iter().map(line).collect()
    }

    #[test]
    fn every_aspect_is_named() {
        let ours = json!({"type": "object", "required": ["prompt"], "properties": {
            "prompt": {"type": "string", "maxLength": 500},
            "size": {"type": "string", "enum": ["1:1", "16:9"], "default": "1:1"},
            "seed": {"type": "integer"},
            "urls": {"type": "array", "items": {"type": "string", "maxLength": 9}, "maxItems": 2},
        }});
        let theirs = json!({"type": "object", "required": ["size"], "properties": {
            "prompt ": {"type": "string", "maxLength": 800, "minLength": 0, "description": "words"},
            "size": {"type": ["string", "null"], "enum": ["1:1", "4:3", null], "default": "1:1"},
            "shots": {"type": "array", "items": {"properties": {"text": {"type": "string"}}}},
            "urls": {"type": "array", "items": {"type": "string", "maxLength": 9.0}, "maxItems": 3},
        }});
        assert_eq!(
            said(&ours, &theirs),
            [
                "prompt required: required | optional",
                "prompt maxLength: 500 | 800",
                "seed removed: optional; integer | -",
                "shots added: - | optional; array",
                "size required: optional | required",
                r#"size values: only here: "16:9" | only there: "4:3""#,
                "urls maxItems: 2 | 3",
            ]
        );
        assert_eq!(said(&ours, &ours), Vec::<String>::new());
    }

    #[test]
    fn alternatives_are_one_object() {
        let ours = json!({"properties": {"a": {"type": "string"}, "b": {"type": "integer"}, "mode": {"enum": ["x", "y"]}},
            "required": ["mode"]});
        let theirs = json!({"oneOf": [
            {"properties": {"a": {"type": "string"}, "mode": {"const": "x"}}, "required": ["mode", "a"]},
            {"properties": {"b": {"type": "integer"}, "mode": {"const": "y"}}, "required": ["mode"]},
        ]});
        assert_eq!(said(&ours, &theirs), Vec::<String>::new());
    }
}
