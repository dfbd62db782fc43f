//! A proposed model file: our form, what the provider says, and marks for the person who reviews it.

use std::fs;
use std::path::{Path, PathBuf};

use kie_catalogue::{Catalogue, Model};
use kie_client::ModelInfo;
use serde_json::{Map, Value, json};

use super::fields::{is_same, members};
use super::live::Listed;
use super::{ModelDiff, Standing, SyncError};

/// Schemas in schemas that are still written.
const MAX_DEPTH: usize = 12;
/// The keywords that a model file keeps; descriptions and samples stay behind.
const KEPT: [&str; 19] = [
    "type",
    "enum",
    "const",
    "default",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "pattern",
    "format",
    "anyOf",
    "oneOf",
    "allOf",
];

/// What is known of the model.
pub(super) struct Known<'a> {
    pub(super) diff: &'a ModelDiff,
    pub(super) input: &'a Value,
    pub(super) listed: &'a Listed<'a>,
    pub(super) day: &'a str,
}

/// A proposal on disk.
pub(super) struct Written {
    pub(super) path: PathBuf,
    /// What the catalogue finds wrong with it, the missing price aside.
    pub(super) fault: Option<String>,
}

pub(super) fn is_due(standing: Standing) -> bool {
    matches!(standing, Standing::New | Standing::Changed | Standing::Price | Standing::Back)
}

/// Makes the folder; refuses the source of truth and a folder with files.
pub(super) fn prepare(out: &Path) -> Result<(), SyncError> {
    let failed = |source| SyncError::Write { path: out.to_owned(), source };
    let is_source = |path: &Path| path.components().any(|part| part.as_os_str() == "source_of_truth");
    if is_source(out) || is_source(&std::path::absolute(out).map_err(failed)?) {
        return Err(SyncError::SourceOfTruth(out.to_owned()));
    }
    fs::create_dir_all(out).map_err(failed)?;
    if is_source(&out.canonicalize().map_err(failed)?) {
        return Err(SyncError::SourceOfTruth(out.to_owned()));
    }
    if fs::read_dir(out).map_err(failed)?.next().is_some() {
        return Err(SyncError::NotEmpty(out.to_owned()));
    }
    Ok(())
}

pub(super) fn write(out: &Path, known: &Known<'_>) -> Result<Written, SyncError> {
    let file = proposal(known);
    let family = file["family"].as_str().unwrap_or("other").replace('/', "-");
    let name = format!("{}.json", file_name(&known.diff.model));
    let path = out.join(family).join(&name);
    let failed = |source| SyncError::Write { path: path.clone(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let text = format!("{file:#}\n");
    fs::write(&path, &text).map_err(failed)?;
    let fault = Catalogue::load([(name, text)]).faults().first().map(|fault| fault.reason.clone());
    Ok(Written { path, fault })
}

/// The id with `_` for `/`; anything that has no place in a name becomes a hyphen.
fn file_name(model: &str) -> String {
    let safe = |letter: char| match letter {
        '/' => '_',
        letter if letter.is_ascii_alphanumeric() || ".-_".contains(letter) => letter,
        _ => '-',
    };
    model.chars().map(safe).collect()
}

fn proposal(known: &Known<'_>) -> Value {
    let info = &known.listed.info;
    let ours = known.listed.ours;
    let mut notes = notes(known);
    let input = input(known.input, ours, &mut notes);
    let example = match ours.filter(|ours| fits(ours.example(), &input)) {
        Some(ours) => ours.example().clone(),
        None => sample(&input, 0),
    };
    let mut bad_example = example.clone();
    if let Value::Object(fields) = &mut bad_example {
        fields.insert("unknown_field".to_owned(), json!(1));
    }
    let (kind, task) = match ours {
        Some(ours) => (ours.kind().as_str().to_owned(), ours.task().to_owned()),
        None => (kind(info).to_owned(), task(info)),
    };
    json!({
        "$schema": "../../model.schema.json",
        "id": info.model,
        "family": ours.map_or_else(|| family(info), |ours| ours.family().to_owned()),
        "title": ours.map_or_else(|| title(info), |ours| ours.title().to_owned()),
        "kind": kind,
        "task": task,
        "status": "listed",
        "aliases": ours.map(|ours| json!(ours.aliases())).unwrap_or(json!([])),
        "input": input,
        "outputs": [{"count": 1}],
        "cost": {"rules": [], "unknown": price(known)},
        "example": example,
        "bad_example": bad_example,
        "bad_reason": "sends `unknown_field`, which the model does not know",
        "origin": {
            "sources": [format!("/api/v1/models/{}/schema", info.model)],
            "read_on": known.day,
            "backing": "documented",
        },
        "notes": notes,
    })
}

fn notes(known: &Known<'_>) -> Vec<String> {
    let mut notes = vec![format!(
        "PROPOSAL of {}, {}: made from the provider's discovery, to be reviewed by a person and not used as it is",
        known.day,
        known.diff.standing.as_str()
    )];
    notes.push("check `outputs`: the provider's document does not say how many results come".to_owned());
    match known.listed.ours {
        Some(ours) => {
            let was: Vec<String> = ours.origin().sources.clone();
            notes.push(format!("the present file is from {}: {}", ours.origin().read_on, was.join(", ")));
            notes.extend(ours.notes().iter().cloned());
        }
        None => notes.push(
            "check `kind`, `task`, `family` and `title`: they are guessed from the provider's list"
                .to_owned(),
        ),
    }
    notes
}

fn price(known: &Known<'_>) -> String {
    let there = known.diff.price_there.as_deref().unwrap_or("nothing");
    let here =
        if known.diff.price_here.is_empty() { "none".to_owned() } else { known.diff.price_here.join("; ") };
    format!("to be written by a person; the provider says: {there}; our rules so far: {here}")
}

/// The provider's schema in our form; properties that take the same as ours stay ours, with their annotations.
fn input(theirs: &Value, ours: Option<&Model>, notes: &mut Vec<String>) -> Value {
    let mut input = object(theirs, 0);
    if ["oneOf", "anyOf", "allOf"].iter().any(|key| theirs.get(key).is_some()) {
        notes.push(
            "the provider's input has alternatives; conditions between fields must be written by hand"
                .to_owned(),
        );
    }
    let Some(ours) = ours.map(Model::schema) else { return input };
    let own = ours.get("properties").and_then(Value::as_object);
    if let Some(properties) = input.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, property) in properties.iter_mut() {
            if let Some(kept) = own.and_then(|own| own.get(name)).filter(|kept| is_same(kept, property)) {
                *property = kept.clone();
            }
        }
    }
    if let (Some(ours), Value::Object(input)) = (ours.as_object(), &mut input) {
        for (key, rule) in ours {
            if !input.contains_key(key) {
                notes.push(format!(
                    "`{key}` of the input is kept from the present file; check that it still holds"
                ));
                input.insert(key.clone(), rule.clone());
            }
        }
    }
    input
}

fn object(theirs: &Value, depth: usize) -> Value {
    let members = members(theirs);
    let known = |name: &str| members.contains_key(name);
    let stated = ["x-apidog-orders", "x-order"].iter().find_map(|key| theirs.get(key)?.as_array());
    let mut order: Vec<&str> = Vec::new();
    let named = stated.into_iter().flatten().filter_map(Value::as_str).map(str::trim);
    for name in named.filter(|name| known(name)).chain(members.keys().map(String::as_str)) {
        if !order.contains(&name) {
            order.push(name);
        }
    }
    let required: Vec<&String> =
        members.iter().filter(|(_, (_, must))| *must).map(|(name, _)| name).collect();
    let properties: Map<String, Value> =
        members.iter().map(|(name, (property, _))| (name.clone(), schema(property, depth + 1))).collect();
    let mut object =
        json!({"type": "object", "properties": properties, "additionalProperties": false, "x-order": order});
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn schema(theirs: &Value, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return json!({});
    }
    if theirs.get("properties").is_some() {
        return object(theirs, depth);
    }
    let mut kept = Map::new();
    for keyword in KEPT {
        let Some(value) = theirs.get(keyword) else { continue };
        let value = match (keyword, value) {
            ("format", format) if format != "uri" => continue,
            ("default", Value::Null) => continue,
            ("type", Value::Array(names)) => {
                one_or_more(names.iter().filter(|name| *name != "null").cloned().collect())
            }
            ("enum", Value::Array(values)) => {
                values.iter().filter(|value| !value.is_null()).cloned().collect()
            }
            ("anyOf" | "oneOf" | "allOf", Value::Array(parts)) => {
                parts.iter().map(|part| schema(part, depth + 1)).collect()
            }
            (_, value) => value.clone(),
        };
        kept.insert(keyword.to_owned(), value);
    }
    if let Some(items) = theirs.get("items") {
        kept.insert("items".to_owned(), schema(items, depth + 1));
    }
    Value::Object(kept)
}

fn one_or_more(mut names: Vec<Value>) -> Value {
    if names.len() == 1 { names.remove(0) } else { Value::Array(names) }
}

/// Whether an example has all required fields and none that is unknown; whether it passes is tested later.
fn fits(example: &Value, input: &Value) -> bool {
    let Some(fields) = example.as_object() else { return false };
    let required = input.get("required").and_then(Value::as_array).into_iter().flatten();
    required.filter_map(Value::as_str).all(|name| fields.contains_key(name))
        && fields.iter().all(|(name, value)| {
            input["properties"].get(name).is_some_and(|property| allows(property, value))
        })
}

fn allows(property: &Value, value: &Value) -> bool {
    property.get("enum").and_then(Value::as_array).is_none_or(|values| values.contains(value))
}

/// The smallest value that a schema in our form takes.
fn sample(schema: &Value, depth: usize) -> Value {
    let first = |key: &str| schema.get(key).and_then(Value::as_array).and_then(|list| list.first());
    if let Some(value) = schema.get("default").or_else(|| schema.get("const")).or_else(|| first("enum")) {
        return value.clone();
    }
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    if let Some(branch) = first("anyOf").or_else(|| first("oneOf")).or_else(|| first("allOf")) {
        return sample(branch, depth + 1);
    }
    let kind = schema.get("type").and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()));
    let least =
        |key: &str| schema.get(key).and_then(Value::as_u64).and_then(|least| usize::try_from(least).ok());
    match kind.unwrap_or("string") {
        "boolean" => json!(false),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "array" => {
            let count = least("minItems").unwrap_or(1).clamp(1, 32);
            let entry = schema.get("items").map_or(json!("text"), |items| sample(items, depth + 1));
            Value::Array(vec![entry; count])
        }
        "object" => {
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            let field =
                |name: &str| Some((name.to_owned(), sample(schema.get("properties")?.get(name)?, depth + 1)));
            Value::Object(required.filter_map(Value::as_str).filter_map(field).collect())
        }
        _ if schema.get("format").is_some() => json!("https://example.com/file"),
        _ => {
            let text = "A red fox walks through fresh snow at dawn";
            let most = least("maxLength").unwrap_or(text.len());
            let length = least("minLength").unwrap_or(0).min(10_000);
            let text: String = text.chars().cycle().take(length.max(text.len().min(most))).collect();
            json!(text)
        }
    }
}

fn kind(info: &ModelInfo) -> &'static str {
    let words = info.task_type.join(" ").to_lowercase();
    let made = words.rsplit(" to ").next().unwrap_or_default();
    let named = |words: &[&str]| words.iter().any(|word| made.contains(word));
    if named(&["video", "lip", "avatar", "motion"]) {
        "video"
    } else if named(&["speech", "audio", "music", "sound", "voice", "song"]) {
        "audio"
    } else if named(&["image", "upscale", "background"]) {
        "image"
    } else {
        "text"
    }
}

fn task(info: &ModelInfo) -> String {
    let words = info.task_type.first().map_or("unknown", String::as_str);
    slug(words)
}

fn family(info: &ModelInfo) -> String {
    let word = info.model.split('/').next().filter(|_| info.model.contains('/')).or(info.provider.as_deref());
    slug(word.unwrap_or("other"))
}

fn title(info: &ModelInfo) -> String {
    let title = info.title.clone().unwrap_or_else(|| info.model.clone());
    let title: String = title.chars().take(100).collect();
    if title.chars().count() < 3 { format!("{title} model") } else { title }
}

/// Lower-case words with hyphens.
fn slug(words: &str) -> String {
    let parts = words.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let slug = parts.map(str::to_lowercase).collect::<Vec<_>>().join("-");
    if slug.is_empty() { "unknown".to_owned() } else { slug }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_take_our_form_and_give_their_own_example() {
        let theirs = json!({"type": "object", "required": ["text ", "urls"], "x-apidog-orders": ["urls", "text "], "properties": {
            "text ": {"type": ["string", "null"], "minLength": 50, "description": "words", "format": "date"},
            "urls": {"type": "array", "minItems": 2, "items": {"type": "string", "format": "uri", "examples": ["x"]}},
            "shots": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        }});
        let input = object(&theirs, 0);
        assert_eq!(
            input,
            json!({"type": "object", "additionalProperties": false, "required": ["text", "urls"],
                "x-order": ["urls", "text", "shots"], "properties": {
                "text": {"type": "string", "minLength": 50},
                "urls": {"type": "array", "minItems": 2, "items": {"type": "string", "format": "uri"}},
                "shots": {"type": "array", "items": {"type": "object", "additionalProperties": false, "x-order": ["n"],
                    "properties": {"n": {"type": "integer"}}}},
            }})
        );
        let example = sample(&input, 0);
        assert_eq!(example["text"].as_str().unwrap().len(), 50);
        assert_eq!(example["urls"], json!(["https://example.com/file", "https://example.com/file"]));
    }

    #[test]
    fn hostile_ids_stay_in_the_folder() {
        assert_eq!(file_name("../../etc/pass wd"), ".._.._etc_pass-wd");
        assert_eq!(slug("../X y"), "x-y");
    }
}
