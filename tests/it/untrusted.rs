//! Whatever one account calls, another's rows stay as they are and no money appears.

use acceptance::{Customer, IMAGE, World, prompt, stories};
use domain::{AccountId, Chance, SeededChance, TransferKind};
use reqwest::Method;
use serde_json::{Value, json};
use store::{JobFilter, TransferFilter};

/// Histories, each by an account of its own.
const SEEDS: u64 = 4;
/// Calls of one history.
const CALLS: usize = 120;
/// What each account begins with, minor units.
const BEGUN_WITH: i64 = 1000;
/// These hold the line or the caller for a while, and write nothing of their own.
const SLOW: [&str; 2] = ["/v1/events", "/v1/jobs/{id}/sync"];

stories! {
    async fn no_calls_of_one_account_change_anothers_rows_or_create_money(db) {
        let world = World::builder(db).start().await;
        let victim = world.account_with("10.00").await;
        let done = victim.order_and_wait(IMAGE, prompt("mine")).await;
        victim.until_told(done.id()).await;
        let draft = json!({ "model": IMAGE, "input": prompt("later"), "draft": true });
        victim.post("/v1/jobs", Some("shared-key"), &draft).await.expect(201);
        let before = rows_of(&world, victim.id).await;
        let calls = calls_of(&victim.get("/openapi.json").await.expect(200));
        assert!(calls.len() > 25, "{calls:?}");
        for seed in 0..SEEDS {
            let attacker = world.account_with("10.00").await;
            let mut history = History::new(seed, ids_in(&before), attacker);
            for _ in 0..CALLS {
                let (method, path) = history.one_of(&calls).clone();
                history.call(&method, &path).await;
            }
            assert_eq!(rows_of(&world, victim.id).await, before, "seed {seed} changed another account");
            money_is_what_it_was(&world, history.who.id, seed).await;
        }
        world.finish().await;
    }
}

/// Every call of the description, but the slow ones.
fn calls_of(description: &Value) -> Vec<(Method, String)> {
    let paths = description["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &Value)| {
        let methods: Vec<String> =
            methods.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        let calls = methods.into_iter().filter_map(|method| Some((method.parse().ok()?, path.clone())));
        calls.collect::<Vec<_>>()
    };
    let ours = paths.iter().filter(|(path, _)| path.starts_with("/v1/") && !SLOW.contains(&path.as_str()));
    ours.flat_map(of_path).collect()
}

/// Everything that belongs to the account, in words.
async fn rows_of(world: &World, account: AccountId) -> String {
    let store = &world.store;
    let filter = JobFilter { account: Some(account), with_hidden: true, limit: 100, ..JobFilter::default() };
    let jobs = store.list_jobs(&filter).await.unwrap();
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    let filter = TransferFilter { account: Some(account), limit: 100, ..TransferFilter::default() };
    format!(
        "{:#?}\n{jobs:#?}\n{:#?}\n{:#?}\n{:#?}",
        store.find_account(account).await.unwrap(),
        store.list_transfers(&filter).await.unwrap(),
        store.assets_of(&ids).await.unwrap(),
        store.deliveries_of(&ids).await.unwrap(),
    )
}

/// All UUIDs of a text.
fn ids_in(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_hexdigit() || letter == '-'));
    let mut ids: Vec<String> = words.filter(|word| word.len() == 36).map(str::to_owned).collect();
    ids.sort();
    ids.dedup();
    ids
}

async fn money_is_what_it_was(world: &World, account: AccountId, seed: u64) {
    let filter = TransferFilter { account: Some(account), limit: 1000, ..TransferFilter::default() };
    let transfers = world.store.list_transfers(&filter).await.unwrap();
    let sum = |kind: TransferKind| -> i64 {
        transfers.iter().filter(|one| one.kind == kind).map(|one| one.amount.minor()).sum()
    };
    assert_eq!(sum(TransferKind::Topup), BEGUN_WITH, "seed {seed}: money appeared");
    let given = [TransferKind::Refund, TransferKind::Adjust, TransferKind::Reversal].map(sum);
    assert_eq!(given, [0; 3], "seed {seed}: only operators do this");
    let row = world.store.find_account(account).await.unwrap().unwrap();
    let has = row.available.minor() + row.held.minor() + sum(TransferKind::Capture);
    assert_eq!(has, BEGUN_WITH, "seed {seed}: {row:#?}");
}

/// One account that tries things.
struct History {
    who: Customer,
    chance: SeededChance,
    seed: u64,
    ids: Vec<String>,
}

impl History {
    fn new(seed: u64, mut ids: Vec<String>, who: Customer) -> Self {
        ids.extend([who.id.to_string(), "0".to_owned(), "..%2f..".to_owned(), "%00".to_owned()]);
        Self { who, chance: SeededChance::new(seed), seed, ids }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small counts"
    )]
    fn one_of<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[((self.chance.fraction() * from.len() as f64) as usize).min(from.len() - 1)]
    }

    fn id(&self) -> String {
        self.one_of(&self.ids).clone()
    }

    async fn call(&mut self, method: &Method, template: &str) {
        let path = template.replace("{id}", &self.id());
        let query = [String::new(), format!("?account={}", self.id()), "?limit=100&state=done".to_owned()];
        let path = format!("{path}{}", self.one_of(&query));
        let keys =
            ["shared-key".to_owned(), format!("key-{}", self.one_of(&[1, 2, 3])), self.who.fresh_key()];
        let request = self.who.request(method.clone(), &path).header("idempotency-key", self.one_of(&keys));
        let body = self.body();
        let answer = self.who.send(request.json(&body)).await;
        assert!(
            answer.status < 500,
            "seed {}: {method} {path} {body}: {} {}",
            self.seed,
            answer.status,
            answer.body
        );
        // What it learns, it tries.
        self.ids.extend(ids_in(&answer.body.to_string()).into_iter().take(3));
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
            json!("\u{0}\u{202e}'; drop table job; --"),
        ];
        self.one_of(&values).clone()
    }
}
