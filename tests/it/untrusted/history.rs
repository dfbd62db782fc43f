//! One account that tries things: every call, with ids, keys, files and bodies that are foreign, odd or its own.

use std::collections::BTreeMap;

use acceptance::{Customer, IMAGE, prompt};
use domain::{AccountId, Chance, SeededChance};
use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};

use super::Victim;

/// Models and the names under which they take pictures.
const TAKES_PICTURES: [(&str, &str); 2] =
    [("google/nano-banana-edit", "image_urls"), ("qwen/image-edit", "image_url")];

/// The calls of one account, all of them chosen by its seed.
pub(super) struct History<'a> {
    pub(super) who: Customer,
    /// Top-ups that were answered with 201, by account.
    pub(super) granted: BTreeMap<String, i64>,
    /// How often it came to something.
    pub(super) outcomes: BTreeMap<&'static str, usize>,
    victim: &'a Victim,
    chance: SeededChance,
    seed: u64,
    ids: Vec<String>,
}

impl<'a> History<'a> {
    pub(super) fn new(seed: u64, victim: &'a Victim, mut ids: Vec<String>, who: Customer) -> Self {
        ids.extend([who.id.to_string(), "0".to_owned(), "..%2f..".to_owned(), "%00".to_owned()]);
        let chance = SeededChance::new(seed);
        Self { who, granted: BTreeMap::new(), outcomes: BTreeMap::new(), victim, chance, seed, ids }
    }

    /// What was topped up for this account.
    pub(super) fn granted_to(&self, account: AccountId) -> i64 {
        self.granted.get(&account.to_string()).copied().unwrap_or(0)
    }

    /// One more call, most often a random one.
    pub(super) async fn call_one_of(&mut self, calls: &[(Method, String)]) {
        match self.below(10) {
            0 => self.upload().await,
            1 => self.order_with_a_foreign_upload().await,
            2 => self.top_up().await,
            _ => {
                let (method, template) = self.one_of(calls).clone();
                self.call(&method, &template).await;
            }
        }
    }

    async fn call(&mut self, method: &Method, template: &str) {
        let mut path = template.to_owned();
        while let (Some(from), Some(to)) = (path.find('{'), path.find('}')) {
            path.replace_range(from..=to, &self.id());
        }
        let query = [String::new(), format!("?account={}", self.id()), "?limit=100&state=done".to_owned()];
        let path = format!("{path}{}", self.one_of(&query));
        let body = self.body();
        let ordered = path.starts_with("/v1/jobs") && !path.starts_with("/v1/jobs/");
        let status =
            self.send(self.request(method, &path).json(&body), &format!("{method} {path} {body}")).await;
        if method == Method::POST && ordered && status == 201 {
            self.count("ordered");
        }
    }

    /// A real file, half of one, or something else.
    async fn upload(&mut self) {
        let picture = &self.victim.picture;
        let bytes = match self.below(4) {
            0 => b"no picture at all".to_vec(),
            1 => picture[..picture.len() / 2].to_vec(),
            _ => picture.clone(),
        };
        // Where a file is refused unread, the connection ends.
        let request = self.request(&Method::POST, "/v1/uploads").header("connection", "close");
        let request = if self.below(2) == 0 {
            request.header("content-type", "image/png").body(bytes)
        } else {
            let head = "--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"../../kite.png\"\r\n\r\n";
            let form = [head.as_bytes(), bytes.as_slice(), b"\r\n--edge--\r\n"].concat();
            request.header("content-type", "multipart/form-data; boundary=edge").body(form)
        };
        if self.send(request, "an upload").await == 201 {
            self.count("uploaded");
        }
    }

    async fn order_with_a_foreign_upload(&mut self) {
        let (model, name) = *self.one_of(&TAKES_PICTURES);
        let url = self.victim.upload_url.clone();
        let bare = url.split('?').next().unwrap_or_default().to_owned();
        let url = self.one_of(&[url, bare]).clone();
        let pictures = if name.ends_with('s') { json!([url]) } else { json!(url) };
        let mut input = Map::from_iter([("prompt".to_owned(), json!("theirs"))]);
        input.insert(name.to_owned(), pictures);
        let draft = *self.one_of(&[true, false]);
        let body = json!({ "model": model, "input": input, "draft": draft });
        let status = self.send(self.request(&Method::POST, "/v1/jobs").json(&body), &body.to_string()).await;
        assert_ne!(status, 201, "UNTRUSTED_SEED={}: an order took a foreign upload: {body}", self.seed);
        self.count("named a foreign upload");
    }

    async fn top_up(&mut self) {
        let account = self.id();
        let path = format!("/v1/accounts/{account}/topups");
        let amount = *self.one_of(&[500_i64, 1, 0, -500, i64::MAX, 7]);
        let currency = *self.one_of(&["RUB", "RUB", "USD", ""]);
        let body = json!({ "amount": amount, "currency": currency });
        let status =
            self.send(self.request(&Method::POST, &path).json(&body), &format!("{path} {body}")).await;
        if status == 201 {
            *self.granted.entry(account).or_default() += amount;
            self.count("topped up");
        }
    }

    /// A request with one of a few keys, of which the first is the victim's.
    fn request(&self, method: &Method, path: &str) -> RequestBuilder {
        let keys =
            ["shared-key".to_owned(), format!("key-{}", self.one_of(&[1, 2, 3])), self.who.fresh_key()];
        self.who.request(method.clone(), path).header("idempotency-key", self.one_of(&keys))
    }

    async fn send(&mut self, request: RequestBuilder, what: &str) -> u16 {
        let answer = self.who.send(request).await;
        let (status, text, seed) = (answer.status, answer.body.to_string(), self.seed);
        assert!(status < 500, "UNTRUSTED_SEED={seed}: {what}: {status} {text}");
        let told = self.victim.secrets.iter().find(|secret| text.contains(*secret));
        assert!(told.is_none(), "UNTRUSTED_SEED={seed}: {what} tells {told:?}: {text}");
        // What it learns, it tries.
        self.ids.extend(ids_in(&text).into_iter().take(3));
        status
    }

    fn body(&self) -> Value {
        if *self.one_of(&[true, false, false]) {
            let draft = *self.one_of(&[true, false]);
            return json!({ "model": IMAGE, "input": prompt("theirs"), "count": self.one_of(&[1, 2]), "draft": draft });
        }
        let names = [
            "amount",
            "currency",
            "reason",
            "action",
            "task_id",
            "favourite",
            "hidden",
            "external_id",
            "telegram_id",
            "role",
            "name",
            "model",
            "input",
            "count",
            "deliver",
            "account",
            "account_id",
            "price",
            "state",
        ];
        let fields =
            (0..*self.one_of(&[0, 1, 2, 3, 5])).map(|_| ((*self.one_of(&names)).to_owned(), self.value()));
        fields.collect()
    }

    fn value(&self) -> Value {
        let values = [
            json!(null),
            json!(true),
            json!(0),
            json!(-500),
            json!(500),
            json!(i64::MAX),
            json!(1e300),
            json!("RUB"),
            json!("release"),
            json!("adopt"),
            json!("operator"),
            json!("customer"),
            json!(IMAGE),
            json!("why not"),
            json!(self.id()),
            json!([self.id()]),
            json!({ "prompt": self.id() }),
            json!({ "prompt": "theirs", "image_urls": [self.victim.upload_url] }),
            json!([{ "channel": "webhook", "url": self.victim.who.hook }]),
            json!("\u{0}\u{202e}'; drop table job; --"),
        ];
        self.one_of(&values).clone()
    }

    fn id(&self) -> String {
        self.one_of(&self.ids).clone()
    }

    fn one_of<'b, T>(&self, from: &'b [T]) -> &'b T {
        &from[self.below(from.len())]
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small counts"
    )]
    fn below(&self, count: usize) -> usize {
        ((self.chance.fraction() * count as f64) as usize).min(count - 1)
    }

    fn count(&mut self, what: &'static str) {
        *self.outcomes.entry(what).or_default() += 1;
    }
}

/// All UUIDs of a text.
pub(super) fn ids_in(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_hexdigit() || letter == '-'));
    let mut ids: Vec<String> = words.filter(|word| word.len() == 36).map(str::to_owned).collect();
    ids.sort();
    ids.dedup();
    ids
}
