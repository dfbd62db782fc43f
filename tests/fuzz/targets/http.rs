//! Requests to the front end, as strangers send them:
//! `{"method": …, "path": …, "headers": {…}, "body": JSON, or "raw": a character for each byte}`, or some of them in an
//! array. Other bytes are the body of an operation that they choose. `{job}` and the like stand for what is there.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderName, HeaderValue, Method, Request};
use serde_json::Value;

use super::world::{Answer, World};

/// Requests of one input.
const REQUESTS_MAX: usize = 6;
/// After so many inputs the world is made anew: it does not grow without end, and no input has a long past.
const INPUTS: u32 = 500;
/// Where an error may be a page.
const PAGES: [&str; 5] = ["/library", "/g/", "/balance", "/signin", "/session"];

/// Method and path of each described operation.
pub(crate) static OPERATIONS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(include_str!("../../../crates/web/openapi.json")).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| (method.to_uppercase(), named(path)))
    });
    operations.collect()
});

/// The path with names of what is there in the place of its parameters.
fn named(path: &str) -> String {
    let id = ["/v1/accounts", "/v1/models", "/v1/transfers"].iter().position(|root| path.starts_with(root));
    let id = id.map_or("{job}", |at| ["{account}", "z-image", "{transfer}"][at]);
    path.replace("{id}", id).replace("{token}", "{callback}").replace("{name}", "kite.png")
}

pub(crate) fn run(data: &[u8]) {
    thread_local! {
        // A world, with its folder, goes with its thread.
        static WORLD: RefCell<World> = RefCell::new(World::open());
        static INPUTS_SEEN: Cell<u32> = const { Cell::new(0) };
    }
    if INPUTS_SEEN.replace(INPUTS_SEEN.get() + 1) == INPUTS {
        INPUTS_SEEN.set(0);
        WORLD.set(World::open());
    }
    WORLD.with_borrow(|world| judge(world, data));
}

fn judge(world: &World, data: &[u8]) {
    let asks = asks(world, data);
    let holds = |words: &[String]| words.iter().any(|word| asks.iter().any(|ask| ask.holds(word)));
    // Who knows a secret may well be told it.
    if holds(&world.secrets) || holds(&[world.private.to_owned()]) {
        return;
    }
    let is_trusted = holds(&world.trusted);
    let before = world.money();
    for ask in &asks {
        let Some(request) = ask.request() else { continue };
        let path = request.uri().path().to_owned();
        let answer = world.send(request);
        let text = format!("{:?}{}", answer.headers, String::from_utf8_lossy(&answer.body));
        let found = world.secrets.iter().find(|secret| text.contains(*secret));
        assert_eq!(found, None, "told by {ask:?}");
        assert!(is_trusted || !text.contains(world.private), "{ask:?} shows another's generation");
        ask.check(&path, &answer);
    }
    assert!(is_trusted || world.money() == before, "{before:?} became {:?} by {asks:?}", world.money());
}

fn asks(world: &World, data: &[u8]) -> Vec<Ask> {
    let text = std::str::from_utf8(data).map(|text| world.filled(text)).unwrap_or_default();
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Array(list)) => list.iter().take(REQUESTS_MAX).map(Ask::read).collect(),
        Ok(value) => vec![Ask::read(&value)],
        Err(_) => vec![Ask::choose(world, data)],
    }
}

/// A request that is asked for.
#[derive(Debug)]
struct Ask {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask {
    fn read(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let headers = value["headers"].as_object().into_iter().flatten();
        let headers = headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        let body = match (&value["raw"], &value["body"]) {
            (Value::String(raw), _) => bytes_of(raw),
            (_, Value::Null) => Vec::new(),
            (_, body) => body.to_string().into_bytes(),
        };
        Self { method: text("method"), path: text("path"), headers: headers.collect(), body }
    }

    /// The bytes are the body of an operation that their sum chooses.
    fn choose(world: &World, data: &[u8]) -> Self {
        let sum =
            data.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
        let (method, path) = &OPERATIONS[sum % OPERATIONS.len()];
        let who = ["Bearer {customer}", "Bearer {operator}", "Bearer {payments}"][sum / 64 % 3];
        let kind = ["application/json", "multipart/form-data; boundary=x", "image/png"][sum / 256 % 3];
        let headers = [("authorization", who), ("content-type", kind), ("idempotency-key", "chosen")];
        let headers = headers.map(|(name, value)| (name.to_owned(), world.filled(value))).to_vec();
        Self { method: method.clone(), path: world.filled(path), headers, body: data.to_vec() }
    }

    /// As a server has it; none for what no server takes.
    fn request(&self) -> Option<Request<Body>> {
        let method = Method::from_bytes(self.method.as_bytes()).ok()?;
        let peer = ConnectInfo(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        let mut request = Request::builder().method(method).uri(&self.path).extension(peer);
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            request = request.header(name, HeaderValue::from_bytes(&bytes_of(value)).ok()?);
        }
        request.body(Body::from(self.body.clone())).ok()
    }

    fn holds(&self, word: &str) -> bool {
        let headers = self.headers.iter().flat_map(|(name, value)| [name, value]);
        headers.chain([&self.path]).any(|text| text.contains(word))
            || String::from_utf8_lossy(&self.body).contains(word)
    }

    /// What holds for every answer.
    fn check(&self, path: &str, answer: &Answer) {
        let (status, kind) = (answer.status.as_u16(), answer.header("content-type"));
        let shown = || format!("{status} {}: {self:?}", String::from_utf8_lossy(&answer.body));
        // The one failure of others that is told; nothing else is down here.
        let is_providers = status == 502 && path.ends_with("/resolve");
        assert!(status < 500 || is_providers, "{}", shown());
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{}", shown());
        assert!(!answer.header("x-request-id").is_empty(), "{}", shown());
        if self.method == "HEAD" {
            return;
        }
        if kind == "application/json" {
            assert!(serde_json::from_slice::<Value>(&answer.body).is_ok(), "{}", shown());
        }
        if status >= 400 && !(kind == "text/html; charset=utf-8" && self.may_be_a_page(path)) {
            assert_eq!(kind, "application/problem+json", "{}", shown());
            let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let row =
                format!("| `{}` | {} |", problem["type"].as_str().unwrap_or_default(), problem["status"]);
            assert!(include_str!("../../../docs/api.md").contains(&row), "no documented type: {}", shown());
            assert_eq!(problem["status"], status, "{}", shown());
            assert_eq!(problem["request_id"], answer.header("x-request-id"), "{}", shown());
        }
    }

    fn may_be_a_page(&self, path: &str) -> bool {
        let asked = self
            .headers
            .iter()
            .any(|(name, value)| name.eq_ignore_ascii_case("accept") && value.contains("text/html"));
        asked || PAGES.iter().any(|page| path.starts_with(page))
    }
}

/// A byte for each character; one that is none keeps its UTF-8.
fn bytes_of(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}
