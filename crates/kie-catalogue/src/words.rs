//! Puts schemas into words that a customer understands.

use std::fmt::Write as _;

use serde_json::Value;

/// A list of so many values is shown whole.
const WHOLE_LIST: usize = 20;
/// Of a longer one so many values are shown, "and n more".
const SHOWN_VALUES: usize = 12;

/// What a value must be, as a noun phrase: `text of at most 100 characters`.
pub(crate) fn expected(schema: &Value) -> String {
    if let Some(words) = schema.get("x-expects").and_then(Value::as_str) {
        return words.to_owned();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return one_of(values);
    }
    if let Some(value) = schema.get("const") {
        return shown(value);
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(alternatives) = schema.get(key).and_then(Value::as_array) {
            return listed(&alternatives.iter().map(expected).collect::<Vec<_>>(), "or");
        }
    }
    by_type(schema)
}

/// A list of values to choose from.
pub(crate) fn one_of(values: &[Value]) -> String {
    let cut = values.len() > WHOLE_LIST;
    let mut words: Vec<String> =
        values.iter().take(if cut { SHOWN_VALUES } else { WHOLE_LIST }).map(shown).collect();
    if cut {
        words.push(format!("{} more", values.len() - SHOWN_VALUES));
        return format!("one of {}", listed(&words, "and"));
    }
    if words.len() == 1 { words.remove(0) } else { format!("one of {}", listed(&words, "or")) }
}

/// What a condition asks, as a clause: `` `resolution` is 4K ``.
pub(crate) fn condition(schema: &Value) -> String {
    let mut clauses = Vec::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        clauses.push(format!("`{name}` is {}", expected(property)));
    }
    let named = |name: &str| properties.is_some_and(|properties| properties.contains_key(name));
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let given: Vec<String> = required
        .filter_map(Value::as_str)
        .filter(|name| !named(name))
        .map(|name| format!("`{name}`"))
        .collect();
    if !given.is_empty() {
        clauses.push(format!(
            "{} {} given",
            listed(&given, "and"),
            if given.len() == 1 { "is" } else { "are" }
        ));
    }
    if let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) {
        clauses.push(listed(&alternatives.iter().map(condition).collect::<Vec<_>>(), "or"));
    }
    listed(&clauses, "and")
}

/// The fields of alternatives that only require fields: `` [`a`], [`b` and `c`] ``.
pub(crate) fn required_sets(alternatives: &Value) -> Option<Vec<String>> {
    let set = |schema: &Value| {
        let keys = schema.as_object()?;
        let fields = keys.get("required").filter(|_| keys.len() == 1)?.as_array()?;
        let names: Vec<String> =
            fields.iter().filter_map(Value::as_str).map(|name| format!("`{name}`")).collect();
        Some(listed(&names, "and"))
    };
    alternatives.as_array()?.iter().map(set).collect()
}

/// `a, b or c`.
pub(crate) fn listed(words: &[String], last: &str) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

/// A value as shown to people, shortened.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "an empty text".to_owned(),
        Value::String(text) => format!("`{}`", shortened(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}

/// What kind of value was sent.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// At most 40 characters of a name or text.
pub(crate) fn shortened(text: &str) -> String {
    cut(text, 40)
}

/// A reason as it is kept and logged: at most 1,000 characters, whatever the file quotes in it.
pub(crate) fn bounded_reason(text: &str) -> String {
    cut(text, 1_000)
}

fn cut(text: &str, characters: usize) -> String {
    let mut cut: String = text.chars().take(characters).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

fn by_type(schema: &Value) -> String {
    let types = match schema.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let words: Vec<String> = types.iter().map(|name| typed(name, schema)).collect();
    if words.is_empty() {
        let bounds = number_bounds(schema);
        return if bounds.is_empty() { "another value".to_owned() } else { format!("a number{bounds}") };
    }
    listed(&words, "or")
}

fn typed(name: &str, schema: &Value) -> String {
    match name {
        "string" if schema.get("format").is_some_and(|format| format == "uri") => {
            "a web address such as https://example.com/file".to_owned()
        }
        "string" => format!("text{}", length_bounds(schema, ["minLength", "maxLength"], "character")),
        "boolean" => "true or false".to_owned(),
        "integer" => format!("a whole number{}", number_bounds(schema)),
        "number" if schema.get("multipleOf").is_some_and(|step| step.as_f64() == Some(1.0)) => {
            format!("a whole number{}", number_bounds(schema))
        }
        "number" => format!("a number{}", number_bounds(schema)),
        "array" => of_items(schema),
        "object" => "an object".to_owned(),
        _ => "null".to_owned(),
    }
}

fn of_items(schema: &Value) -> String {
    let addresses =
        schema.get("items").and_then(|items| items.get("format")).is_some_and(|format| format == "uri");
    let unit = if addresses { "web address" } else { "entry" };
    match length_bounds(schema, ["minItems", "maxItems"], unit) {
        bounds if bounds.is_empty() && addresses => "a list of web addresses".to_owned(),
        bounds => format!("a list{bounds}"),
    }
}

fn number_bounds(schema: &Value) -> String {
    let mut words = String::new();
    match (schema.get("minimum"), schema.get("maximum")) {
        (Some(least), Some(most)) => _ = write!(words, " from {least} to {most}"),
        (Some(least), None) => _ = write!(words, " of at least {least}"),
        (None, Some(most)) => _ = write!(words, " of at most {most}"),
        (None, None) => {}
    }
    if let Some(step) = schema.get("multipleOf").filter(|step| step.as_f64() != Some(1.0)) {
        _ = write!(words, " in steps of {step}");
    }
    words
}

fn length_bounds(schema: &Value, keys: [&str; 2], unit: &str) -> String {
    let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
    match (bound(keys[0]).filter(|least| *least > 0), bound(keys[1])) {
        (Some(least), Some(most)) if least == most => format!(" of exactly {}", units(least, unit)),
        (Some(least), Some(most)) => format!(" of {least} to {}", units(most, unit)),
        (Some(least), None) => format!(" of at least {}", units(least, unit)),
        (None, Some(most)) => format!(" of at most {}", units(most, unit)),
        (None, None) => String::new(),
    }
}

/// `1 entry`, `2 web addresses`, `3 characters`.
pub(crate) fn units(n: u64, unit: &str) -> String {
    match (unit, n) {
        (_, 1) => format!("1 {unit}"),
        ("entry", _) => format!("{n} entries"),
        ("web address", _) => format!("{n} web addresses"),
        _ => format!("{n} {unit}s"),
    }
}
