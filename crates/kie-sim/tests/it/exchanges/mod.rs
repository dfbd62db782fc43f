//! Every recorded exchange, produced by the simulator: same status, same code, same keys and types at every path.

mod shape;
mod ways;

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use kie_sim::{Script, Sim, SimConfig};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Bench, KEY, Receiver, image, quick, until};
use ways::{FAMILIES, OPEN, PATIENCE, ROWS, Row, SOLD_AS, THIRDS, Way};

const ID: &str = "5e0b7c1d9f2a4836b1c0d2e3f4a59687";
/// So many simulators run at once.
const AT_ONCE: usize = 12;

/// A file of the folder.
struct Exchange(Value);

impl Exchange {
    fn name(&self) -> &str {
        self.0["name"].as_str().unwrap()
    }

    fn body(&self) -> &Value {
        &self.0["body"]
    }

    fn status(&self) -> u16 {
        u16::try_from(self.0["status"].as_u64().unwrap()).unwrap()
    }

    /// Method and path; a model stands where the sample has one.
    fn endpoint(&self) -> (&str, String) {
        let (method, path) = self.0["endpoint"].as_str().unwrap().split_once(' ').unwrap();
        (method, path.replace("{model}", self.body()["data"]["model"].as_str().unwrap_or("no/such")))
    }

    /// The task id that the body names, wherever it does.
    fn task(&self) -> &str {
        let data = &self.body()["data"];
        [&data["taskId"], &data["task_id"], &self.body()["taskId"]]
            .into_iter()
            .find_map(Value::as_str)
            .unwrap_or(ID)
    }

    /// What was ordered, as `param` tells it; `None` where there is no `param`.
    fn ordered(&self) -> Option<Value> {
        let param: Value = serde_json::from_str(self.body()["data"]["param"].as_str()?).ok()?;
        let input = match &param["input"] {
            Value::String(text) => serde_json::from_str(text).unwrap(),
            input => input.clone(),
        };
        let model = param["model"].as_str().unwrap();
        let model = SOLD_AS.iter().find(|(old, _)| *old == model).map_or(model, |(_, new)| *new);
        let mut order = json!({"model": model, "input": input});
        if param.get("callBackUrl").is_some() {
            order["callBackUrl"] = json!("http://127.0.0.1:9/nobody");
        }
        if model == "qwen/image-edit" {
            order["input"]["image_url"] = json!("https://app.example/i.png");
        }
        Some(order)
    }
}

fn exchanges() -> Vec<Exchange> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../source_of_truth/exchanges");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let samples = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    samples.map(|path| Exchange(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())).collect()
}

/// How an exchange is produced; `None` is a file without a way.
fn row_of(exchange: &Exchange) -> Option<Row> {
    let name = exchange.name();
    if let Some(row) = ROWS.iter().find(|row| row.name == name) {
        return Some(Row { ..*row });
    }
    let family = FAMILIES.iter().any(|family| name.starts_with(family));
    let way = if exchange.0["endpoint"].is_string() { Way::Given } else { Way::Sent };
    family.then_some(Row { name: "", way, config: |_| {}, faults: &[] })
}

/// What the simulator produced.
struct Made {
    status: u16,
    body: Value,
}

#[tokio::test]
async fn every_exchange_is_produced_by_the_simulator() {
    let exchanges = exchanges();
    assert!(exchanges.len() >= 147, "{} exchanges", exchanges.len());
    for row in ROWS {
        assert!(exchanges.iter().any(|exchange| exchange.name() == row.name), "no file for {}", row.name);
    }
    let http = Client::builder().no_proxy().user_agent("test").timeout(PATIENCE).build().unwrap();
    let giving = bench(&http, quick()).await;
    let replays = exchanges.iter().map(|exchange| replay(&http, &giving, exchange));
    let faults: Vec<String> = stream::iter(replays).buffer_unordered(AT_ONCE).concat().await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Produces one exchange and says what is wrong with it; what is given to a simulator needs none of its own.
async fn replay(http: &Client, giving: &Bench, exchange: &Exchange) -> Vec<String> {
    let name = exchange.name();
    let Some(row) = row_of(exchange) else { return vec![format!("{name} has no way of being produced")] };
    let made = match row.way {
        Way::Given => ask(giving, exchange, &row).await,
        Way::Sent => callback(giving, exchange, &row).await,
        own => {
            let mut config = quick();
            (row.config)(&mut config);
            let bench = bench(http, config).await;
            match own {
                Way::Record => record(&bench, exchange, &row).await,
                Way::Callback => callback(&bench, exchange, &row).await,
                _ => ask(&bench, exchange, &row).await,
            }
        }
    };
    compare(exchange, &made)
}

async fn bench(http: &Client, config: SimConfig) -> Bench {
    Bench { sim: Sim::start(config).await.unwrap(), http: http.clone() }
}

fn compare(exchange: &Exchange, made: &Made) -> Vec<String> {
    let sample = exchange.body();
    let open: Vec<&str> =
        OPEN.iter().filter(|(name, _)| *name == exchange.name()).map(|(_, path)| *path).collect();
    let mut faults = shape::differences(&made.body, sample, &open);
    if made.status != exchange.status() {
        faults.push(format!("  status {} in place of {}", made.status, exchange.status()));
    }
    if made.body["code"] != sample["code"] {
        faults.push(format!("  code {} in place of {}", made.body["code"], sample["code"]));
    }
    // Of a refusal or a failure the words are part of what a client may look at.
    if sample["code"] != 200 && made.body["msg"] != sample["msg"] {
        faults.push(format!("  words {} in place of {}", made.body["msg"], sample["msg"]));
    }
    for field in ["state", "failCode", "failMsg"] {
        if sample["data"]["state"] == "fail" && made.body["data"][field] != sample["data"][field] {
            faults.push(format!("  {field} {}", made.body["data"][field]));
        }
    }
    if !faults.is_empty() {
        faults.insert(0, format!("{}: {}", exchange.name(), made.body));
    }
    faults
}

fn arm(bench: &Bench, row: &Row) {
    row.faults.iter().for_each(|fault| bench.sim.script(Script::parse(fault).unwrap()));
}

/// Asks the endpoint until its answer is of the sample's kind: limits strike late.
async fn ask(bench: &Bench, exchange: &Exchange, row: &Row) -> Made {
    arm(bench, row);
    if row.way == Way::Given {
        let (_, path) = exchange.endpoint();
        let place = json!({"path": path, "task": exchange.name(), "answer": exchange.body()});
        let placed = bench.post("sim/records", &place).send().await.unwrap();
        assert_eq!(placed.status(), 204, "{}: {}", exchange.name(), placed.text().await.unwrap());
    }
    let task = match exchange.name() {
        "record-info-429" | "download-url-ok" => bench.accepted("kite", None).await,
        // Samples of a family share their id, and are given at the same time.
        name if row.way == Way::Given => name.to_owned(),
        _ => exchange.task().to_owned(),
    };
    if exchange.name() == "download-url-ok" {
        bench.finished(&task).await;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = request(bench, exchange, &task).send().await.unwrap();
        let made = Made { status: answer.status().as_u16(), body: answer.json().await.unwrap() };
        let alike = made.status == exchange.status() && made.body["code"] == exchange.body()["code"];
        if alike || Instant::now() > deadline {
            return made;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The request that such an answer belongs to.
fn request(bench: &Bench, exchange: &Exchange, task: &str) -> RequestBuilder {
    let (method, path) = exchange.endpoint();
    let path = path.trim_start_matches('/');
    match exchange.name() {
        // The same for every path that wants the key; this one is not simulated.
        "auth-401" => bench.http.get(bench.at("api/v1/chat/credit")),
        "auth-401-documented" => bench.http.post(bench.at(path)).bearer_auth(KEY).body("{}"),
        "create-task-422-model" => bench.post(path, &json!({"model": "no/such", "input": {}})),
        "create-task-500-validation" => bench.post(path, &json!({"model": "z-image"})),
        "download-url-422" => bench.post(path, &json!({"url": "https://elsewhere.example/x.png"})),
        "download-url-ok" => bench.post(path, &json!({"url": bench.at(&format!("r/{task}/0.png"))})),
        "models-empty" => bench.get(&format!("{path}?q=nothing-like-this")),
        "record-info-400" => bench.get(path),
        "upload-400-base64" => bench.post(path, &json!({"base64Data": "%", "uploadPath": "x"})),
        "upload-400-missing" => stream_upload(bench, path, false),
        "upload-401" => bench.http.post(bench.at(path)).json(&json!({"base64Data": "", "uploadPath": "x"})),
        "upload-ok" => stream_upload(bench, path, true),
        name if name.starts_with("create-task-") && path.ends_with("createTask") => {
            bench.post(path, &image("kite", None))
        }
        _ if method == "POST" => bench.post(path, &json!({"taskId": task, "url": "https://h/1.png"})),
        _ => bench.get(&format!("{path}?taskId={task}&index=0")),
    }
}

fn stream_upload(bench: &Bench, path: &str, with_folder: bool) -> RequestBuilder {
    let folder = "--b\r\nContent-Disposition: form-data; name=\"uploadPath\"\r\n\r\nimages\r\n";
    let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"1.png\"\r\n\
                Content-Type: image/png\r\n\r\nbytes\r\n--b--\r\n";
    let body = format!("{}{file}", if with_folder { folder } else { "" });
    let request = bench.http.post(bench.at(path)).bearer_auth(KEY);
    request.header("content-type", "multipart/form-data; boundary=b").body(body)
}

/// Orders as the sample says and reads until the state is the sample's. A busy machine may miss a state in the middle;
/// then a slower task is ordered.
async fn record(bench: &Bench, exchange: &Exchange, row: &Row) -> Made {
    arm(bench, row);
    let mut made = read_until_alike(bench, exchange).await;
    for slower in ["duration=12s", "duration=48s"] {
        if !row.faults.contains(&THIRDS) || alike(&made, exchange) {
            break;
        }
        bench.sim.clear_scripts();
        bench.sim.script(Script::parse(slower).unwrap());
        made = read_until_alike(bench, exchange).await;
    }
    made
}

fn alike(made: &Made, exchange: &Exchange) -> bool {
    made.body["data"]["state"] == exchange.body()["data"]["state"]
}

async fn read_until_alike(bench: &Bench, exchange: &Exchange) -> Made {
    let accepted = bench.order(&exchange.ordered().unwrap()).await;
    let Some(id) = accepted["data"]["taskId"].as_str() else { return Made { status: 200, body: accepted } };
    let ended = || bench.sim.find_task(id).is_none_or(|task| task.completed_ms.is_some());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let over = ended();
        let answer = bench.read(id).send().await.unwrap();
        let made = Made { status: answer.status().as_u16(), body: answer.json().await.unwrap() };
        if alike(&made, exchange) || over || Instant::now() > deadline {
            return made;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Receives a callback, answers it as the sample's receiver does, and looks at its signature.
async fn callback(bench: &Bench, exchange: &Exchange, row: &Row) -> Made {
    let receiver = Receiver::start(&[exchange.status(); 4]).await;
    let id = if row.way == Way::Sent {
        let order = json!({"url": receiver.url, "task": exchange.task(), "body": exchange.body()});
        let sent = bench.post("sim/callbacks", &order).send().await.unwrap();
        assert_eq!(sent.status(), 202, "{}", exchange.name());
        exchange.task().to_owned()
    } else {
        let mut order = if let Some(order) = exchange.ordered() {
            arm(bench, row);
            order
        } else {
            image(&format!("kite [sim:{}]", row.faults.join("] [sim:")), None)
        };
        order["callBackUrl"] = json!(receiver.url);
        bench.order(&order).await["data"]["taskId"].as_str().unwrap().to_owned()
    };
    let arrived = receiver.wait_for(1).await.remove(0);
    let mismatch = exchange.0["expect"]["callback"]["signature"] == "mismatch";
    assert_eq!(crate::callbacks::valid(&arrived, &id), !mismatch, "the signature of {}", exchange.name());
    let answered = || bench.sim.callbacks().into_iter().find(|sent| sent.url == receiver.url);
    until("its answer is in the log", || answered().is_some()).await;
    let status = answered().and_then(|sent| sent.status).unwrap();
    Made { status, body: arrived.json() }
}
