//! Where mutation starts: what the provider was seen to say, the model files, every call of the API, three old shops.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::http::OPERATIONS;
use super::shop::PICTURE;

/// The seeds of a target; `source` is the folder `source_of_truth`.
pub(crate) fn seeds(source: &Path, target: &str) -> Vec<Vec<u8>> {
    let exchanges = || json_files(&source.join("exchanges")).into_iter();
    let models = || json_files(&source.join("models")).into_iter();
    let bodies = |callbacks: bool| {
        let fits = move |file: &Value| (file["direction"] == "callback") == callbacks;
        exchanges().filter(fits).map(|file| file["body"].clone())
    };
    let values: Vec<Value> = match target {
        "callback" => bodies(true).collect(),
        "record" => bodies(false).collect(),
        "result-json" => bodies(false).chain(bodies(true)).filter_map(|body| result(&body)).collect(),
        "model-file" => models().collect(),
        "http" => requests(),
        "import" => old_shops(),
        _ => models().flat_map(|file| inputs(&file)).collect(),
    };
    values.iter().map(|value| value.to_string().into_bytes()).collect()
}

/// The result in a record, taken out of its text.
fn result(body: &Value) -> Option<Value> {
    let result = body.pointer("/data/resultJson").or_else(|| body.pointer("/data/response"))?;
    match result.as_str() {
        Some(text) => serde_json::from_str(text).ok(),
        None => Some(result.clone()),
    }
}

fn inputs(file: &Value) -> Vec<Value> {
    let input = |name: &str| json!({"model": file["id"], "input": file[name]});
    vec![input("example"), input("bad_example")]
}

fn json_files(folder: &Path) -> Vec<Value> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(json_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            files.push(
                serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            );
        }
    }
    files
}

/// Pages, files and callbacks: what the description does not name, or names without a body.
const PAGES: [(&str, &str, &str); 16] = [
    ("GET", "/", ""),
    ("GET", "/library", ""),
    ("GET", "/g/{job}", ""),
    ("GET", "/g/%ff", ""),
    ("POST", "/callbacks/kie/%ff", "{}"),
    ("GET", "/g/{done}/tile", ""),
    ("GET", "/g/{done}/part", ""),
    ("POST", "/g/{job}/favourite", ""),
    ("POST", "/g/{draft}/confirm", ""),
    ("GET", "/balance", ""),
    ("GET", "/signin", ""),
    ("POST", "/session", "token={customer}"),
    ("POST", "/session/end", ""),
    ("GET", "{link}", ""),
    ("GET", "/media/{asset}/thumbnail?download=1", ""),
    ("POST", "/old/callback?taskId=task-0", "{\"taskId\":\"task-0\"}"),
];

/// Every operation with a body that fits, every page, and some calls that belong together.
fn requests() -> Vec<Value> {
    let described = OPERATIONS.iter().flat_map(|(method, path)| {
        let bodies = bodies(method, path).into_iter();
        bodies.map(|body| call(who(path), method, path, &body)).collect::<Vec<_>>()
    });
    let pages = PAGES.iter().map(|(method, path, raw)| {
        let headers =
            json!({"cookie": "kie={customer}", "sec-fetch-site": "same-origin", "accept": "text/html"});
        json!({"method": method, "path": path, "headers": headers, "raw": raw})
    });
    let queries = [
        "/v1/jobs?state=done&state=draft&kind=image&q=kite&favourite=false&limit=3",
        "/v1/jobs?account={other}&model=z-image&task=task-0&cursor=c_01990000000070008000000000000001",
        "/v1/deliveries?state=dead&account={account}&limit=100",
        "/v1/overview?window=24h",
        "/v1/transfers?limit=1",
        "/v1/models?kind=video&q=text",
        "/metrics",
    ];
    let queries = queries.iter().map(|path| call("{operator}", "GET", path, &Value::Null));
    let order =
        json!({"body": {"model": "google/nano-banana", "input": {"prompt": "a kite"}, "draft": true}});
    let refund = json!({"body": {"amount": 1, "reason": "a part"}});
    let adopt = |task: &str| {
        let body = json!({"body": {"action": "adopt", "task_id": task, "reason": "seen"}});
        call("{operator}", "POST", "/v1/jobs/{unclear}/resolve", &body)
    };
    let release = json!({"body": {"action": "release", "reason": "waited enough"}});
    let together = [
        json!([
            call("{customer}", "POST", "/v1/jobs", &order),
            call("{customer}", "POST", "/v1/jobs", &order),
            call("{customer}", "POST", "/v1/jobs/{draft}/confirm", &Value::Null),
            call("{customer}", "POST", "/v1/jobs/{draft}/cancel", &Value::Null),
            call("{customer}", "GET", "/v1/jobs/{draft}/timeline", &Value::Null),
        ]),
        json!([
            call("{operator}", "POST", "/v1/jobs/{done}/refund", &refund),
            call("{customer}", "GET", "/v1/jobs/{done}/receipt", &Value::Null),
            call("{customer}", "GET", "/v1/jobs/{others}", &Value::Null),
        ]),
        json!([
            adopt("trouble-1"),
            adopt("gone-1"),
            adopt("task-9"),
            call("{operator}", "POST", "/v1/jobs/{unclear}/resolve", &release),
        ]),
    ];
    described.chain(pages).chain(queries).chain(together).collect()
}

/// A call with the headers that it needs, of a `body`, or of a `raw` one of a `kind`.
fn call(who: &str, method: &str, path: &str, body: &Value) -> Value {
    let kind = body["kind"].as_str().unwrap_or("application/json");
    let (bearer, key) = (format!("Bearer {who}"), format!("key-{}", body.to_string().len()));
    let headers = json!({"authorization": bearer, "content-type": kind, "idempotency-key": key});
    json!({"method": method, "path": path, "headers": headers, "body": body["body"], "raw": body["raw"]})
}

/// Whose call it is.
fn who(path: &str) -> &'static str {
    let of_operators = ["/v1/accounts", "/v1/deliveries", "/v1/overview"];
    let acts = ["/refund", "/retry", "/resolve"];
    let is_operators =
        of_operators.iter().any(|root| path.starts_with(root)) || acts.iter().any(|act| path.ends_with(act));
    if is_operators { "{operator}" } else { "{customer}" }
}

/// Bodies of an operation.
fn bodies(method: &str, path: &str) -> Vec<Value> {
    let json = |body: Value| json!({ "body": body });
    let input = json!({"prompt": "a kite", "aspect_ratio": "1:1"});
    let hook = json!([{"channel": "webhook", "url": "https://customer.example/hook"}]);
    match (method, path) {
        ("POST", "/v1/jobs") => vec![
            json(json!({"model": "z-image", "input": input, "count": 2, "deliver": hook})),
            json(json!({"model": "google/nano-banana", "input": {"prompt": "a kite"}, "draft": true})),
            json(
                json!({"model": "google/nano-banana-edit", "input": {"prompt": "x", "image_urls": ["{upload}"]}}),
            ),
        ],
        ("POST", "/v1/quote") => vec![json(json!({"model": "z-image", "input": input, "count": 3}))],
        ("PATCH", _) => vec![json(json!({"favourite": true, "hidden": false}))],
        ("POST", "/v1/accounts") => {
            vec![json(json!({"external_id": "customer-1", "name": "Anna", "telegram_id": 42}))]
        }
        ("POST", path) if path.ends_with("/tokens") => vec![json(json!({"role": "customer"}))],
        ("POST", path) if path.ends_with("/topups") => {
            vec![json(json!({"amount": 10_000, "currency": "RUB", "reason": "card"}))]
        }
        ("POST", path) if path.ends_with("/refund") => vec![json(json!({"amount": 1, "reason": "a part"}))],
        ("POST", path) if path.ends_with("/retry") => vec![json(json!({"reason": "look again"}))],
        ("POST", path) if path.ends_with("/resolve") => {
            vec![json(json!({"action": "adopt", "task_id": "task-9", "reason": "seen"}))]
        }
        ("POST", "/v1/uploads") => {
            let picture: String = PICTURE.iter().map(|byte| char::from(*byte)).collect();
            let form = format!(
                "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n{picture}\r\n--x--\r\n"
            );
            vec![
                json!({"kind": "image/png", "raw": picture}),
                json!({"kind": "multipart/form-data; boundary=x", "raw": form}),
            ]
        }
        ("POST", path) if path.starts_with("/callbacks") => {
            vec![json(
                json!({"code": 200, "msg": "success", "data": {"taskId": "task-0", "state": "success"}}),
            )]
        }
        _ => vec![Value::Null],
    }
}

/// Each layout with a row for each word of its status, under different decisions, and one of odd types.
fn old_shops() -> Vec<Value> {
    let layouts = [
        ("generations", "task_id", &["queued", "generating", "success", "completed", "failed"][..]),
        ("jobs", "kie_task_id", &["draft", "pending", "running", "done", "failed", "canceled"]),
        ("generation_jobs", "task_id", &["queued", "processing", "succeeded", "error", "cancelled"]),
    ];
    let tasks = ["task-1", "gone-1", "trouble-1"];
    let decisions = [
        json!({}),
        json!({"keep": true}),
        json!({"beside": true, "deliver": true}),
        json!({"settled_only": true}),
    ];
    let mut shops = Vec::new();
    for (table, task, words) in layouts {
        for (n, decision) in decisions.iter().enumerate() {
            let rows = words.iter().enumerate();
            let rows: Vec<Value> = rows
                .map(|(id, word)| generation(id, word, (task, &format!("{}{id}", tasks[n % 3]))))
                .collect();
            let users = json!([{"user_id": "anna", "balance_rub": 100.5, "hold_rub": "40.00"},
                {"user_id": "boris", "balance_rub": -3, "hold_rub": null}]);
            let mut later = rows.clone();
            later[0]["status"] = json!(words[2]);
            let later =
                json!({table: later, "users": [{"user_id": "anna", "balance_rub": 120, "hold_rub": 0}]});
            shops.push(json!({table: rows, "users": users, "options": decision, "later": later}));
        }
    }
    let odd = json!([{"id": {"bytes": [255, 254]}, "user_id": 7, "status": true, "kie_task_id": 1.5, "model": null,
        "price": "20.999999999", "created_at": 1_740_830_400_500_i64, "chat_id": -100, "options": [1]}]);
    shops.push(json!({"jobs": odd, "users": [{"id": 7, "balance_rub": "0.7999999999999999"}]}));
    shops
}

fn generation(id: usize, word: &str, (task, name): (&str, &str)) -> Value {
    let mut row = json!({
        "id": id, "user_id": "anna", "status": word, "type": "text-to-image", "model_id": "nano", "provider": "kie",
        "prompt": "a kite", "options": {"seed": 7}, "price": 20.5, "chat_id": 42, "delivered_at": null,
        "result_urls": ["https://h.example/1.png", "https://h.example/gone.png"], "asset_url": "s3://old/a.png",
        "error": "it broke", "idempotency_key": format!("key-{id}"), "created_at": "2025-03-01 12:00:00+00",
        "updated_at": 1_740_830_400,
    });
    row[task] = json!(name);
    row
}
