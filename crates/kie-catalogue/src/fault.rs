//! Turns the validator's errors into faults that a customer understands.

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::address::has_odd_letters;
use crate::input::InputFault;
use crate::nearest::nearest;
use crate::words::{condition, expected, kind, listed, one_of, required_sets, shortened, shown, units};

/// An input is not searched for more faults than this.
const MAX_FAULTS: usize = 50;

/// All faults of an input that the schema refuses, in the order of their pointers.
pub(crate) fn faults(validator: &Validator, schema: &Value, input: &Value) -> Vec<InputFault> {
    let mut ranked = Vec::new();
    for error in validator.iter_errors(input) {
        let rank = rank(error.kind());
        ranked.extend(explain(&error, schema, input).into_iter().map(|fault| (rank, fault)));
        if ranked.len() >= MAX_FAULTS {
            break;
        }
    }
    ranked.sort_by(|a, b| (&a.1.pointer, a.0, &a.1.message).cmp(&(&b.1.pointer, b.0, &b.1.message)));
    ranked.dedup_by(|next, kept| covers(kept, next));
    ranked.truncate(MAX_FAULTS);
    ranked.into_iter().map(|(_, fault)| fault).collect()
}

/// A wrong type or a value outside its list says all there is to say about a field.
fn rank(kind: &Kind) -> u8 {
    match kind {
        Kind::Type { .. } => 0,
        Kind::Enum { .. } | Kind::Constant { .. } => 1,
        _ => 2,
    }
}

fn covers(kept: &(u8, InputFault), next: &(u8, InputFault)) -> bool {
    kept.1 == next.1 || (kept.0 < 2 && !next.1.pointer.is_empty() && kept.1.pointer == next.1.pointer)
}

fn explain(error: &ValidationError<'_>, schema: &Value, input: &Value) -> Vec<InputFault> {
    let pointer = error.instance_path().to_string();
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let owner = owner(error, schema);
            let value = input.pointer(&pointer).unwrap_or(&Value::Null);
            unexpected.iter().take(MAX_FAULTS).map(|name| unknown_key(&pointer, name, value, owner)).collect()
        }
        Kind::Required { property } => vec![missing(error, schema, &pointer, property)],
        _ => vec![InputFault::new(pointer, message(error, schema))],
    }
}

fn unknown_key(pointer: &str, name: &str, object: &Value, owner: Option<&Value>) -> InputFault {
    let at = format!("{pointer}/{}", escaped(name));
    let Some(properties) = owner.and_then(|owner| owner.get("properties")?.as_object()) else {
        return InputFault::new(at, format!("`{}`: there is no such field", shortened(name)));
    };
    let sent = object.get(name);
    let bonus = |candidate: &str| {
        let suits = properties.get(candidate).zip(sent).is_some_and(|(property, sent)| suits(property, sent));
        let free = object.get(candidate).is_none();
        f64::from(u8::from(suits)) * 0.3 + f64::from(u8::from(free)) * 0.1
    };
    if let Some(near) = nearest(name, properties.keys().map(String::as_str), bonus) {
        return InputFault::new(at, format!("`{}`: did you mean `{near}`?", shortened(name)));
    }
    let known: Vec<String> = properties.keys().map(|known| format!("`{known}`")).collect();
    let known = match known.as_slice() {
        [only] => format!("the only one is {only}"),
        several => format!("known are {}", listed(several, "and")),
    };
    InputFault::new(at, format!("`{}`: there is no such field; {known}", shortened(name)))
}

/// Whether a value looks as if it was meant for a property: addresses go where addresses are wanted.
fn suits(property: &Value, sent: &Value) -> bool {
    let wants_address = |schema: &Value| schema.get("format").is_some_and(|format| format == "uri");
    let is_address = |value: &Value| value.as_str().is_some_and(|text| text.contains("://"));
    match sent {
        Value::Array(_) => property.get("type").is_some_and(|name| name == "array"),
        value if is_address(value) => {
            wants_address(property) || property.get("items").is_some_and(wants_address)
        }
        Value::String(_) => {
            property.get("type").is_some_and(|name| name == "string") && !wants_address(property)
        }
        Value::Bool(_) => property.get("type").is_some_and(|name| name == "boolean"),
        Value::Number(_) => property.get("type").is_some_and(|name| name == "integer" || name == "number"),
        _ => false,
    }
}

fn missing(error: &ValidationError<'_>, schema: &Value, pointer: &str, property: &Value) -> InputFault {
    let name = property.as_str().unwrap_or_default();
    let wanted = properties_at(schema, error).and_then(|properties| properties.get(name)).map(expected);
    let wanted = wanted.map_or_else(String::new, |words| format!(": {words}"));
    let reason = demanded_by(error, schema, name).unwrap_or_else(|| reason(error, schema));
    InputFault::new(format!("{pointer}/{}", escaped(name)), format!("`{name}` is required{reason}{wanted}"))
}

fn message(error: &ValidationError<'_>, schema: &Value) -> String {
    let sent: &Value = error.instance();
    let own = owner(error, schema);
    let words = own.map_or_else(|| "another value".to_owned(), expected);
    let reason = reason(error, schema);
    match error.kind() {
        Kind::Type { .. } => format!("must be {words}, not {}{}", kind(sent), quotes(own, sent)),
        Kind::Enum { options } => {
            let near = options.as_array().and_then(|options| near_option(sent, options));
            let hint = near.map_or_else(String::new, |near| format!(" (did you mean {near}?)"));
            format!(
                "must be {}, not {}{hint}{reason}",
                options.as_array().map_or(words, |options| one_of(options)),
                shown(sent)
            )
        }
        Kind::Constant { expected_value } => format!("must be {}{reason}", shown(expected_value)),
        Kind::MaxLength { limit } => {
            format!("must be text of at most {}, not {}", units(*limit, "character"), length(sent))
        }
        Kind::MinLength { limit } => {
            format!("must be text of at least {}, not {}", units(*limit, "character"), length(sent))
        }
        Kind::MaxItems { limit } => {
            format!("must have at most {}, not {}{reason}", units(*limit, "entry"), length(sent))
        }
        Kind::MinItems { limit } => {
            format!("must have at least {}, not {}{reason}", units(*limit, "entry"), length(sent))
        }
        Kind::Maximum { limit } => format!("must be {}{reason}", bounded(own, "most", limit, sent)),
        Kind::Minimum { limit } => format!("must be {}{reason}", bounded(own, "least", limit, sent)),
        Kind::ExclusiveMaximum { limit } => format!("must be below {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be above {limit}"),
        Kind::MultipleOf { .. } => format!("must be {words}, not {}", shown(sent)),
        Kind::Not { schema: refused } => excluded(refused, &reason),
        Kind::AnyOf { .. } => {
            alternatives(own.and_then(|own| own.get("anyOf")), "at least one", &words, &reason)
        }
        Kind::OneOfNotValid { .. } | Kind::OneOfMultipleValid { .. } => {
            alternatives(own.and_then(|own| own.get("oneOf")), "exactly one", &words, &reason)
        }
        Kind::Format { .. } if sent.as_str().is_some_and(has_odd_letters) => {
            format!("must be {words}; other letters and spaces are written percent-encoded")
        }
        _ => format!("must be {words}{reason}"),
    }
}

/// The whole range where the schema states it, and what was sent.
fn bounded(own: Option<&Value>, side: &str, limit: &Value, sent: &Value) -> String {
    let words = match own {
        Some(own) if own.get("type").is_some() => expected(own),
        _ => format!("at {side} {limit}"),
    };
    format!("{words}, not {}", shown(sent))
}

/// A hint for the commonest slip: a number in quotes, or a text without.
fn quotes(own: Option<&Value>, sent: &Value) -> String {
    let wants = |name: &str| own.and_then(|own| own.get("type")).is_some_and(|wanted| wanted == name);
    match sent {
        Value::Number(number) if wants("string") => format!("; put it in quotes: \"{number}\""),
        Value::Bool(flag) if wants("string") => format!("; put it in quotes: \"{flag}\""),
        Value::String(text) if wants("boolean") && matches!(text.as_str(), "true" | "false") => {
            format!("; leave out the quotes: {text}")
        }
        Value::String(text) if (wants("integer") || wants("number")) && text.len() <= 20 => {
            let number = text.parse::<f64>().is_ok_and(f64::is_finite);
            if number { format!("; leave out the quotes: {text}") } else { String::new() }
        }
        _ => String::new(),
    }
}

fn excluded(refused: &Value, reason: &str) -> String {
    let fields = refused.get("anyOf").and_then(required_sets);
    if let Some(fields) = fields {
        return format!("leave out {}{reason}", listed(&fields, "and"));
    }
    if let (Some(values), None) = (refused.get("enum").and_then(Value::as_array), refused.get("required")) {
        return format!("must not be {}{reason}", one_of(values));
    }
    format!("not possible together: {}{reason}", condition(refused))
}

fn alternatives(list: Option<&Value>, how_many: &str, words: &str, reason: &str) -> String {
    match list.and_then(required_sets) {
        Some(sets) => format!("give {how_many} of {}{reason}", listed(&sets, "or")),
        None => format!("must be {words}{reason}"),
    }
}

fn near_option(sent: &Value, options: &[Value]) -> Option<String> {
    let text = match sent {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let near = nearest(&text, options.iter().filter_map(Value::as_str), |_| 0.0)?;
    Some(if sent.is_string() { format!("`{near}`") } else { format!("the text \"{near}\"") })
}

fn length(sent: &Value) -> usize {
    match sent {
        Value::String(text) => text.chars().count(),
        Value::Array(list) => list.len(),
        _ => 0,
    }
}

/// The schema that holds the failed keyword.
fn owner<'a>(error: &ValidationError<'_>, schema: &'a Value) -> Option<&'a Value> {
    let path = error.schema_path().to_string().replace("/if/then", "/then").replace("/if/else", "/else");
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    schema.pointer(parent)
}

/// The properties of the object in which the error happened, found by its path through the input.
fn properties_at<'a>(schema: &'a Value, error: &ValidationError<'_>) -> Option<&'a Value> {
    let path = error.instance_path().to_string();
    let step = |schema: &'a Value, part: &str| match part.parse::<usize>() {
        Ok(_) => schema.get("items"),
        Err(_) => schema.get("properties")?.get(part),
    };
    path.split('/').skip(1).try_fold(schema, step)?.get("properties")
}

/// ` when …` for a field that another one brings along.
fn demanded_by(error: &ValidationError<'_>, schema: &Value, name: &str) -> Option<String> {
    let path = error.schema_path().to_string();
    let (parent, _) = path.split_once("/dependentRequired")?;
    let rules = schema.pointer(parent)?.get("dependentRequired")?.as_object()?;
    let brings = |demanded: &Value| {
        demanded.as_array().is_some_and(|names| names.iter().any(|demanded| demanded == name))
    };
    let given = |field: &str| error.instance().get(field).is_some();
    let field = rules.iter().find(|(field, demanded)| brings(demanded) && given(field))?.0;
    Some(format!(" when `{field}` is given"))
}

/// ` when …` for a rule that holds only under a condition.
fn reason(error: &ValidationError<'_>, schema: &Value) -> String {
    let path = error.schema_path().to_string();
    for (mark, negated) in [("/then", false), ("/else", true)] {
        let Some(at) = path.find(mark) else {
            continue;
        };
        let parent = path[..at].trim_end_matches("/if");
        let Some(test) = schema.pointer(parent).and_then(|schema| schema.get("if")) else {
            continue;
        };
        return format!(" {} {}", if negated { "unless" } else { "when" }, condition(test));
    }
    String::new()
}

fn escaped(name: &str) -> String {
    let cut: String = name.chars().take(200).collect();
    cut.replace('~', "~0").replace('/', "~1")
}
