//! `/openapi.json`, and `/docs`: the same document as a plain page, made without scripts.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde_json::{Map, Value};

use crate::headers;

const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");
const METHODS: [&str; 5] = ["get", "post", "patch", "put", "delete"];

/// The document as JSON.
#[derive(Clone)]
pub(crate) struct Json(pub(crate) Arc<str>);

/// The document as a page.
#[derive(Clone)]
pub(crate) struct Html(pub(crate) Arc<str>);

pub(crate) async fn document(Extension(Json(text)): Extension<Json>) -> Response {
    let content_type = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, CACHE)], text.to_string()).into_response()
}

pub(crate) async fn page(Extension(Html(text)): Extension<Html>) -> Response {
    let content_type = HeaderValue::from_static("text/html; charset=utf-8");
    let policy = (header::CONTENT_SECURITY_POLICY, headers::PAGE);
    let caching = (header::CACHE_CONTROL, CACHE);
    ([(header::CONTENT_TYPE, content_type), policy, caching], text.to_string()).into_response()
}

#[derive(Template)]
#[template(path = "docs.html")]
struct Docs {
    title: String,
    version: String,
    description: String,
    groups: Vec<Group>,
    schemas: Vec<Schema>,
}

struct Group {
    name: String,
    description: String,
    operations: Vec<Operation>,
}

struct Operation {
    method: String,
    path: String,
    summary: String,
    description: String,
    params: Vec<Line>,
    body: Option<String>,
    responses: Vec<Line>,
}

struct Schema {
    name: String,
    description: String,
    fields: Vec<Line>,
}

struct Line {
    name: String,
    form: String,
    text: String,
}

/// Writes the page.
pub(crate) fn render(json: &str) -> Result<String, serde_json::Error> {
    let document: Value = serde_json::from_str(json)?;
    let info = &document["info"];
    let tags = document["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let docs = Docs {
        title: text(&info["title"]),
        version: text(&info["version"]),
        description: text(&info["description"]),
        groups: tags.iter().map(|tag| group(tag, &document["paths"])).collect(),
        schemas: entries(&document["components"]["schemas"])
            .map(|(name, value)| schema(name, value))
            .collect(),
    };
    docs.render().map_err(serde::ser::Error::custom)
}

fn group(tag: &Value, paths: &Value) -> Group {
    let name = text(&tag["name"]);
    let mut operations = Vec::new();
    for (path, item) in entries(paths) {
        for method in METHODS {
            let operation = &item[method];
            if operation["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| *tag == name.as_str())) {
                operations.push(read_operation(method, path, operation));
            }
        }
    }
    Group { name, description: text(&tag["description"]), operations }
}

fn read_operation(method: &str, path: &str, operation: &Value) -> Operation {
    let params = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let param = |param: &Value| Line {
        name: text(&param["name"]),
        form: text(&param["in"]),
        text: text(&param["description"]),
    };
    let bodies: Vec<String> = entries(&operation["requestBody"]["content"])
        .map(|(content_type, body)| format!("{content_type} {}", form(&body["schema"])))
        .collect();
    let response = |(status, response): (&String, &Value)| Line {
        name: status.clone(),
        form: entries(&response["content"]).next().map(|(_, body)| form(&body["schema"])).unwrap_or_default(),
        text: text(&response["description"]),
    };
    Operation {
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(&operation["summary"]),
        description: text(&operation["description"]),
        params: params.iter().map(param).collect(),
        body: (!bodies.is_empty()).then(|| bodies.join(" or ")),
        // What many calls answer alike is named by reference, and told once, by the list of errors.
        responses: entries(&operation["responses"])
            .filter(|(_, response)| response["$ref"].is_null())
            .map(response)
            .collect(),
    }
}

fn schema(name: &str, schema: &Value) -> Schema {
    let field = |(name, field): (&String, &Value)| Line {
        name: name.clone(),
        form: form(field),
        text: text(&field["description"]),
    };
    let own = entries(&schema["properties"]);
    let parts = schema["allOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    let more = parts.iter().flat_map(|part| entries(&part["properties"]));
    Schema {
        name: name.to_owned(),
        description: text(&schema["description"]),
        fields: own.chain(more).map(field).collect(),
    }
}

/// The type of a value in a word or two.
fn form(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or_default().to_owned();
    }
    let kinds = match &schema["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => {
            let choices = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
            return choices
                .map(|all| all.iter().map(form).collect::<Vec<_>>().join(" or "))
                .unwrap_or_default();
        }
    };
    if schema["items"].is_object() { format!("{kinds} of {}", form(&schema["items"])) } else { kinds }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}
