//! Prepares an input for validation: empties of known fields go, required fields that have a default come.

use jsonschema::Validator;
use serde_json::{Map, Value};

use crate::schema::compile;

/// Deeper inputs are refused, so that no walk can exhaust the stack.
const MAX_DEPTH: usize = 32;
/// Inputs with more values than this are refused, so that faults stay cheap to report.
const MAX_VALUES: usize = 10_000;

/// What to do to an object, worked out once per schema.
#[derive(Debug, Default)]
pub(crate) struct FillPlan {
    /// Known fields, and whether a null or an empty text is a value of theirs.
    known: Vec<(String, Empties)>,
    defaults: Vec<(String, Value)>,
    conditions: Vec<Condition>,
    /// Of each list of alternatives at least one set of fields must be given.
    alternatives: Vec<Vec<FieldSet>>,
    nested: Vec<(String, FillPlan)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Empties {
    null: bool,
    text: bool,
}

/// Fields with their default, `None` where a field has none.
type FieldSet = Vec<(String, Option<Value>)>;

#[derive(Debug)]
struct Condition {
    test: Validator,
    then: Vec<(String, Value)>,
    otherwise: Vec<(String, Value)>,
}

/// Why an input cannot even be looked at.
pub(crate) fn too_large(input: &Value) -> Option<&'static str> {
    let mut open = vec![(input, 0_usize)];
    let mut seen = 0_usize;
    while let Some((value, depth)) = open.pop() {
        seen += 1;
        if depth > MAX_DEPTH {
            return Some("is nested too deeply");
        }
        if seen + open.len() > MAX_VALUES {
            return Some("holds too many values");
        }
        match value {
            Value::Array(list) if list.len() > MAX_VALUES => return Some("holds too many values"),
            Value::Object(map) if map.len() > MAX_VALUES => return Some("holds too many values"),
            Value::Array(list) => open.extend(list.iter().map(|entry| (entry, depth + 1))),
            Value::Object(map) => open.extend(map.values().map(|entry| (entry, depth + 1))),
            _ => {}
        }
    }
    None
}

impl FillPlan {
    /// Reads the plan from an object schema.
    pub(crate) fn new(schema: &Value) -> Result<FillPlan, String> {
        let mut plan = FillPlan::default();
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return Ok(plan);
        };
        plan.defaults = with_defaults(schema, properties);
        for (name, property) in properties {
            plan.known.push((name.clone(), Empties::of(property)));
            if let Some(inner) =
                [Some(property), property.get("items")].into_iter().flatten().find(|schema| is_object(schema))
            {
                plan.nested.push((name.clone(), FillPlan::new(inner)?));
            }
        }
        let parts = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
        for part in std::iter::once(schema).chain(parts) {
            plan.alternatives
                .extend(["anyOf", "oneOf"].iter().filter_map(|key| field_sets(part.get(key)?, properties)));
            plan.conditions.extend(Condition::new(part, properties)?);
        }
        Ok(plan)
    }

    /// Drops and fills in place; what is not an object is left for the validator to refuse.
    pub(crate) fn apply(&self, value: &mut Value) {
        let Some(map) = value.as_object_mut() else {
            return;
        };
        if map.values().any(is_empty) {
            map.retain(|name, value| !self.drops(name, value));
        }
        fill(map, &self.defaults);
        self.choose_alternatives(map);
        for (name, plan) in &self.nested {
            match map.get_mut(name) {
                Some(Value::Array(list)) => list.iter_mut().for_each(|entry| plan.apply(entry)),
                Some(inner) => plan.apply(inner),
                None => {}
            }
        }
        for condition in &self.conditions {
            let holds = condition.test.is_valid(value);
            if let Some(map) = value.as_object_mut() {
                fill(map, if holds { &condition.then } else { &condition.otherwise });
            }
        }
    }

    fn drops(&self, name: &str, value: &Value) -> bool {
        if !is_empty(value) {
            return false;
        }
        let known = self.known.iter().find(|(field, _)| field == name);
        known.is_some_and(|(_, empties)| if value.is_null() { !empties.null } else { !empties.text })
    }

    /// Where no alternative is met, the first one that defaults alone can meet is taken.
    fn choose_alternatives(&self, map: &mut Map<String, Value>) {
        for sets in &self.alternatives {
            if sets.iter().any(|set| set.iter().all(|(name, _)| map.contains_key(name))) {
                continue;
            }
            let fillable = |set: &&FieldSet| {
                set.iter().all(|(name, default)| default.is_some() || map.contains_key(name))
            };
            let Some(set) = sets.iter().find(fillable) else {
                continue;
            };
            for (name, default) in set {
                if let Some(default) = default {
                    map.entry(name.clone()).or_insert_with(|| default.clone());
                }
            }
        }
    }
}

impl Empties {
    fn of(property: &Value) -> Empties {
        let listed = |wanted: &Value| {
            let values = property.get("enum").and_then(Value::as_array);
            values.is_some_and(|values| values.contains(wanted)) || property.get("const") == Some(wanted)
        };
        let null_type = match property.get("type") {
            Some(Value::String(name)) => name == "null",
            Some(Value::Array(names)) => names.iter().any(|name| name == "null"),
            _ => false,
        };
        Empties { null: null_type || listed(&Value::Null), text: listed(&Value::String(String::new())) }
    }
}

impl Condition {
    fn new(part: &Value, properties: &Map<String, Value>) -> Result<Option<Condition>, String> {
        let Some(test) = part.get("if") else {
            return Ok(None);
        };
        let fields =
            |key: &str| part.get(key).map_or_else(Vec::new, |schema| with_defaults(schema, properties));
        let (then, otherwise) = (fields("then"), fields("else"));
        if then.is_empty() && otherwise.is_empty() {
            return Ok(None);
        }
        Ok(Some(Condition { test: compile(test)?, then, otherwise }))
    }
}

fn is_object(schema: &Value) -> bool {
    schema.get("properties").is_some()
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

fn fill(map: &mut Map<String, Value>, defaults: &[(String, Value)]) {
    for (name, default) in defaults {
        if !map.contains_key(name) {
            map.insert(name.clone(), default.clone());
        }
    }
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn with_defaults(schema: &Value, properties: &Map<String, Value>) -> Vec<(String, Value)> {
    let default = |name: &str| Some((name.to_owned(), properties.get(name)?.get("default")?.clone()));
    required(schema).filter_map(default).collect()
}

/// The field sets of alternatives that differ in nothing but what they require.
fn field_sets(alternatives: &Value, properties: &Map<String, Value>) -> Option<Vec<FieldSet>> {
    let set = |schema: &Value| {
        let only_required =
            schema.as_object().is_some_and(|keys| keys.len() == 1 && keys.contains_key("required"));
        let field = |name: &str| {
            (name.to_owned(), properties.get(name).and_then(|field| field.get("default")).cloned())
        };
        only_required.then(|| required(schema).map(field).collect())
    };
    alternatives.as_array()?.iter().map(set).collect()
}
