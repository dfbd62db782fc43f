//! Finds the input's schema in the provider's OpenAPI 3.1 document of a model, with its references put in place.

use serde_json::{Map, Value};

const CREATE_TASK: &str = "/api/v1/jobs/createTask";
/// References in references that are still followed; deeper ones are left open, which also ends circles.
const MAX_DEPTH: usize = 24;
/// Values that a document may grow to while references are put in place.
const MAX_NODES: usize = 50_000;

/// What the document of a model says.
pub(super) enum Document {
    /// It is bought by createTask; the schema of `input`, without references.
    Input(Value),
    /// It is another endpoint's; its path.
    Elsewhere(String),
    /// Why there is nothing to compare.
    Unread(String),
}

impl Document {
    pub(super) fn read(openapi: &Value) -> Self {
        let Some(paths) = openapi.get("paths").and_then(Value::as_object) else {
            return Self::Unread("the document has no paths".to_owned());
        };
        let Some(call) = paths.iter().find(|(path, _)| path.trim() == CREATE_TASK).map(|(_, call)| call)
        else {
            return Self::Elsewhere(paths.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
        };
        match input(openapi, call) {
            Ok(schema) => Self::Input(schema),
            Err(reason) => Self::Unread(reason.to_owned()),
        }
    }
}

fn input(root: &Value, call: &Value) -> Result<Value, &'static str> {
    let body = step(root, call, "post").and_then(|post| step(root, post, "requestBody"));
    let content = body.and_then(|body| body.get("content")?.as_object()).ok_or("the call has no body")?;
    let media = content.iter().find(|(kind, _)| kind.starts_with("application/json"));
    let schema = media.and_then(|(_, media)| media.get("schema")).ok_or("the body has no JSON schema")?;
    let mut nodes = 0;
    let schema =
        inlined(root, schema, 0, &mut nodes).ok_or("the document is too large or refers in circles")?;
    let input = member(&schema, "input", 0).ok_or("the body has no input")?;
    if input.get("type").is_some_and(|kind| kind == "string") {
        return Err("the input is described as a text");
    }
    Ok(input)
}

/// A member, through a reference if it is one.
fn step<'a>(root: &'a Value, value: &'a Value, name: &str) -> Option<&'a Value> {
    let found = value.get(name)?;
    match found.get("$ref").and_then(Value::as_str) {
        Some(target) => lookup(root, target),
        None => Some(found),
    }
}

/// The property of a body whose parts may lie in `allOf`, or one of several bodies.
fn member(schema: &Value, name: &str, depth: usize) -> Option<Value> {
    let own = schema.get("properties").and_then(Value::as_object);
    if let Some((_, found)) = own.into_iter().flatten().find(|(key, _)| key.trim() == name) {
        return Some(found.clone());
    }
    let parts = |key: &str| -> Vec<Value> {
        let list = schema.get(key).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(|part| (depth < 4).then(|| member(part, name, depth + 1))?).collect()
    };
    if let Some(found) = parts("allOf").into_iter().next() {
        return Some(found);
    }
    let mut several = [parts("oneOf"), parts("anyOf")].concat();
    several.dedup();
    match several.len() {
        0 => None,
        1 => several.pop(),
        _ => Some(serde_json::json!({ "oneOf": several })),
    }
}

/// A copy with every local reference replaced by what it refers to.
fn inlined(root: &Value, value: &Value, depth: usize, nodes: &mut usize) -> Option<Value> {
    *nodes += 1;
    if *nodes > MAX_NODES || depth > MAX_DEPTH * 8 {
        return None;
    }
    match value {
        Value::Object(map) => {
            let Some(target) = map.get("$ref").and_then(Value::as_str) else {
                return object(root, map, depth, nodes);
            };
            // What a reference cannot give is left open: anything is allowed there.
            let Some(found) = lookup(root, target).filter(|_| depth <= MAX_DEPTH) else {
                return Some(Value::Object(Map::new()));
            };
            let mut base = inlined(root, found, depth + 1, nodes)?;
            let mut beside = map.clone();
            beside.remove("$ref");
            if let (Value::Object(base), Value::Object(beside)) =
                (&mut base, object(root, &beside, depth, nodes)?)
            {
                base.extend(beside);
            }
            Some(base)
        }
        Value::Array(list) => {
            let entries: Option<Vec<_>> =
                list.iter().map(|entry| inlined(root, entry, depth + 1, nodes)).collect();
            Some(Value::Array(entries?))
        }
        scalar => Some(scalar.clone()),
    }
}

fn object(root: &Value, map: &Map<String, Value>, depth: usize, nodes: &mut usize) -> Option<Value> {
    let mut copy = Map::new();
    for (name, value) in map {
        copy.insert(name.clone(), inlined(root, value, depth + 1, nodes)?);
    }
    Some(Value::Object(copy))
}

/// What `#/components/…` refers to. Names may be percent-encoded there and end in a blank on either side.
fn lookup<'a>(root: &'a Value, target: &str) -> Option<&'a Value> {
    target.strip_prefix("#/")?.split('/').try_fold(root, |at, part| {
        let name = decoded(part).replace("~1", "/").replace("~0", "~");
        at.get(&name).or_else(|| {
            let same = |key: &str| decoded(key).trim() == name.trim();
            at.as_object()?.iter().find(|(key, _)| same(key)).map(|(_, value)| value)
        })
    })
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(schema: &Value, components: &Value) -> Value {
        let content = json!({"application/json": {"schema": schema}});
        json!({
            "openapi": "3.1.0",
            "paths": {CREATE_TASK: {"post": {"requestBody": {"content": content}}}},
            "components": {"schemas": components},
        })
    }

    fn read(openapi: &Value) -> Result<Value, String> {
        match Document::read(openapi) {
            Document::Input(input) => Ok(input),
            Document::Elsewhere(path) => Err(path),
            Document::Unread(reason) => Err(reason),
        }
    }

    #[test]
    fn references_are_followed_by_encoded_and_blank_names() {
        let body = json!({"allOf": [
            {"properties": {"model": {"type": "string"}}},
            {"properties": {"input ": {"$ref": "#/components/schemas/My%20Input"}}},
        ]});
        let components = json!({
            "My Input ": {"type": "object", "properties": {"size": {"$ref": "#/components/schemas/a~1b", "default": "1"}}},
            "a/b": {"enum": ["1", "2"]},
        });
        let input = read(&document(&body, &components)).unwrap();
        assert_eq!(
            input,
            json!({"type": "object", "properties": {"size": {"enum": ["1", "2"], "default": "1"}}})
        );
    }

    #[test]
    fn circles_end_and_bombs_are_refused() {
        let body = json!({"properties": {"input": {"$ref": "#/components/schemas/a"}}});
        let circle = json!({"a": {"properties": {"child": {"$ref": "#/components/schemas/a"}}}});
        assert!(read(&document(&body, &circle)).unwrap()["properties"]["child"].is_object());
        let bomb = json!({"a": {"anyOf": vec![json!({"$ref": "#/components/schemas/a"}); 9]}});
        assert!(read(&document(&body, &bomb)).unwrap_err().contains("too large"));
    }

    #[test]
    fn other_documents_say_what_they_are() {
        let chat = json!({"paths": {"/gemini/v1/chat": {}}});
        assert_eq!(read(&chat).unwrap_err(), "/gemini/v1/chat");
        for odd in
            [json!(null), json!([]), json!({"paths": {CREATE_TASK: null}}), document(&json!({}), &json!({}))]
        {
            assert!(read(&odd).is_err(), "{odd}");
        }
    }
}
