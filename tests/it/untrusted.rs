//! Whatever one account calls, another's rows stay as they are and no money appears.

mod history;

use std::collections::BTreeMap;

use acceptance::{Customer, IMAGE, World, prompt, stories};
use domain::{AccountId, AssetId, Money, Role, Scope, TransferKind};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{JobFilter, TransferFilter};

use history::History;

/// Calls of one history.
const CALLS: usize = 120;
/// What each account begins with, minor units.
const BEGUN_WITH: i64 = 1000;
/// A stream that does not end by itself; it writes nothing.
const ENDLESS: &str = "/v1/events";
/// Stands in what the victim ordered, and in no answer to anybody else.
const CANARY: &str = "words-of-the-victim-alone";

stories! {
    async fn no_calls_of_one_account_change_anothers_rows_or_create_money(db) {
        let world = World::builder(db).start().await;
        let victim = Victim::settle(&world).await;
        let calls = calls_of(&victim.who.get("/openapi.json").await.expect(200));
        assert!(calls.len() > 25, "{calls:?}");
        let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
        for seed in seeds() {
            // Every third one is the part of the shop that tops accounts up.
            let role = if seed % 3 == 2 { Role::Payments } else { Role::Customer };
            let before = Rows::of(&world, &victim).await;
            let attacker = world.account_with("10.00").await;
            let attacker = world.holder_of(attacker.id, role).await;
            let counted = ["kie.account", "kie.token", "kie.act"];
            let mut rows = Vec::new();
            for table in counted {
                rows.push(world.count(table).await);
            }
            let mut history = History::new(seed, &victim, before.ids(), attacker);
            for _ in 0..CALLS {
                history.call_one_of(&calls).await;
            }
            let after = Rows::of(&world, &victim).await;
            assert_eq!(after.text, before.text, "UNTRUSTED_SEED={seed} changed another account");
            let granted = history.granted_to(victim.who.id);
            assert_eq!(after.topped_up, before.topped_up + granted, "UNTRUSTED_SEED={seed}: money appeared");
            assert!(role == Role::Payments || history.granted == BTreeMap::new(), "UNTRUSTED_SEED={seed}");
            money_is_what_it_was(&world, history.who.id, history.granted_to(history.who.id), seed).await;
            for (table, rows) in counted.iter().zip(rows) {
                assert_eq!(world.count(table).await, rows, "UNTRUSTED_SEED={seed}: rows of {table}");
            }
            for (what, count) in history.outcomes {
                *outcomes.entry(what).or_default() += count;
            }
        }
        // A single seed need not do everything.
        let tried = ["ordered", "uploaded", "named a foreign upload", "topped up"];
        assert!(is_one_seed() || tried.iter().all(|what| outcomes.get(what) > Some(&0)), "{outcomes:?}");
        world.finish().await;
    }
}

#[expect(clippy::disallowed_methods, reason = "switches of this test, not configuration")]
fn switch(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("it is a number"))
}

fn is_one_seed() -> bool {
    switch("UNTRUSTED_SEED").is_some()
}

/// Histories, each by an account of its own: `UNTRUSTED_SEED=…` repeats one, `UNTRUSTED_SEEDS=…` makes more of them.
#[expect(clippy::print_stderr, reason = "who reads a failure wants to know where it began")]
fn seeds() -> std::ops::Range<u64> {
    let seeds = switch("UNTRUSTED_SEED")
        .map_or_else(|| 0..switch("UNTRUSTED_SEEDS").unwrap_or(15), |seed| seed..seed.saturating_add(1));
    eprintln!("histories with the seeds {seeds:?}");
    seeds
}

/// Somebody who has one of everything.
struct Victim {
    who: Customer,
    upload: AssetId,
    upload_url: String,
    picture: Vec<u8>,
    secrets: Vec<String>,
}

impl Victim {
    async fn settle(world: &World) -> Self {
        let who = world.account_with("1000.00").await;
        let done = who.order_and_wait(IMAGE, prompt(CANARY)).await;
        who.until_told(done.id()).await;
        let (_, picture) = who.download(done.outputs()[0]["url"].as_str().unwrap()).await;
        let request = who.request(Method::POST, "/v1/uploads").header("content-type", "image/png");
        let upload = who.send(request.body(picture.clone())).await.expect(201);
        let upload_url = upload["url"].as_str().unwrap().to_owned();
        let input = json!({ "prompt": CANARY, "image_urls": [upload_url] });
        let edited = who.order_and_wait("google/nano-banana-edit", input).await;
        who.until_told(edited.id()).await;
        let failed = who.order_and_wait(IMAGE, prompt(&format!("[sim:moderation] {CANARY}"))).await;
        who.until_told(failed.id()).await;
        let draft = json!({ "model": IMAGE, "input": prompt(CANARY), "draft": true });
        who.post("/v1/jobs", Some("shared-key"), &draft).await.expect(201);
        let second_device = world.holder_of(who.id, Role::Customer).await;
        let secret = who.get("/v1/webhook-secret").await.expect(200)["secret"].as_str().unwrap().to_owned();
        let secrets = vec![secret, who.token.clone(), second_device.token, CANARY.to_owned()];
        let upload = upload["id"].as_str().unwrap().parse().unwrap();
        Self { who, upload, upload_url, picture, secrets }
    }
}

/// Every call of the description but the endless one.
fn calls_of(description: &Value) -> Vec<(Method, String)> {
    let paths = description["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &Value)| {
        let methods: Vec<String> =
            methods.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        let calls = methods.into_iter().filter_map(|method| Some((method.parse().ok()?, path.clone())));
        calls.collect::<Vec<_>>()
    };
    let ours = paths.iter().filter(|(path, _)| {
        (path.starts_with("/v1/") || path.starts_with("/media/")) && path.as_str() != ENDLESS
    });
    ours.flat_map(of_path).collect()
}

/// Everything that belongs to an account; top-ups are told apart, because some may make them.
struct Rows {
    /// All of it, in words.
    text: String,
    topped_up: i64,
}

impl Rows {
    async fn of(world: &World, victim: &Victim) -> Self {
        let (store, account) = (&world.store, victim.who.id);
        let filter = TransferFilter { account: Some(account), limit: 1000, ..TransferFilter::default() };
        let mut transfers = store.list_transfers(&filter).await.unwrap();
        transfers.retain(|transfer| transfer.kind != TransferKind::Topup);
        let topped_up = topped_up(world, account).await;
        let mut row = store.find_account(account).await.unwrap().unwrap();
        row.available = Money::from_minor(row.available.minor() - topped_up);
        let filter =
            JobFilter { account: Some(account), with_hidden: true, limit: 100, ..JobFilter::default() };
        let jobs = store.list_jobs(&filter).await.unwrap();
        let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
        let mut histories = Vec::new();
        for id in &ids {
            histories.push((store.timeline(*id).await.unwrap(), store.attempts(*id).await.unwrap()));
        }
        let assets = store.assets_of(&ids).await.unwrap();
        let upload = store.find_asset(victim.upload, Scope::All).await.unwrap();
        let objects = assets.iter().chain(&upload).map(|asset| &asset.object);
        let bytes: Vec<String> = objects
            .map(|object| {
                format!("{:x?}", Sha256::digest(std::fs::read(world.path("media").join(object)).unwrap()))
            })
            .collect();
        let text = format!(
            "{row:#?}\n{jobs:#?}\n{transfers:#?}\n{histories:#?}\n{assets:#?}\n{upload:#?}\n{bytes:?}\n{:#?}\n{:?}\n{:?}",
            store.deliveries_of(&ids).await.unwrap(),
            store.list_tokens(account).await.unwrap(),
            store.webhook_key(account).await.unwrap(),
        );
        Self { text, topped_up }
    }

    fn ids(&self) -> Vec<String> {
        history::ids_in(&self.text)
    }
}

async fn topped_up(world: &World, account: AccountId) -> i64 {
    sums(world, account).await(TransferKind::Topup)
}

/// The account's transfers of a kind together.
async fn sums(world: &World, account: AccountId) -> impl Fn(TransferKind) -> i64 {
    let filter = TransferFilter { account: Some(account), limit: 1000, ..TransferFilter::default() };
    let transfers = world.store.list_transfers(&filter).await.unwrap();
    move |kind| transfers.iter().filter(|one| one.kind == kind).map(|one| one.amount.minor()).sum()
}

async fn money_is_what_it_was(world: &World, account: AccountId, granted: i64, seed: u64) {
    let sum = sums(world, account).await;
    assert_eq!(sum(TransferKind::Topup), BEGUN_WITH + granted, "UNTRUSTED_SEED={seed}: money appeared");
    let given = [TransferKind::Refund, TransferKind::Adjust, TransferKind::Reversal].map(&sum);
    assert_eq!(given, [0; 3], "UNTRUSTED_SEED={seed}: only operators do this");
    let row = world.store.find_account(account).await.unwrap().unwrap();
    let has = row.available.minor() + row.held.minor() + sum(TransferKind::Capture);
    assert_eq!(has, BEGUN_WITH + granted, "UNTRUSTED_SEED={seed}: {row:#?}");
}
