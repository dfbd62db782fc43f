//! What the worlds sell, and the empty database that each of them starts from.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::{Currency, Timestamp};
use kie_catalogue::Catalogue;
use lifecycle::{GiveUp, Policy, PriceList, Pricing, UnclearPolicy};
use serde_json::{Value, json};
use store::{ShopStore, SlotStore};
use store_sqlite::{SqliteOptions, SqliteStore};

/// 10 credits for each of its `n` pictures: 780 kopecks.
pub(crate) const DRAW: &str = "acme/draw";
/// The price file says 1.00 for any number of pictures.
pub(crate) const POSTER: &str = "acme/poster";
/// At most 50 credits: 3900 kopecks.
pub(crate) const FILM: &str = "acme/film";
/// 5 credits: 390 kopecks.
pub(crate) const SONG: &str = "acme/song";
/// Given away.
pub(crate) const GIFT: &str = "acme/gift";
/// 1 credit: 78 kopecks.
pub(crate) const WORDS: &str = "acme/words";

pub(crate) const SLOTS: u32 = 20;

fn file(id: &str, kind: &str, cost: &Value) -> (String, String) {
    let model = json!({
        "id": id, "family": "acme", "title": id, "kind": kind, "task": "making", "status": "listed",
        "input": {
            "type": "object", "additionalProperties": false, "required": ["prompt"],
            "properties": {
                "prompt": {"type": "string", "maxLength": 100},
                "image_url": {"type": "string", "maxLength": 500},
                "n": {"type": "integer", "minimum": 1, "maximum": 4},
            },
        },
        "outputs": [{"when": {"n": {"present": true}}, "field": "n"}, {"count": 1}],
        "cost": {"as_of": "2026-06-01", "rules": [cost]},
        "example": {"prompt": "kite"}, "bad_example": {}, "bad_reason": "leaves out `prompt`",
        "origin": {"sources": ["https://acme.example/docs"], "read_on": "2026-06-01", "backing": "documented"},
    });
    (format!("{id}.json"), model.to_string())
}

/// All that is sold, loaded once.
pub(crate) fn whole_catalogue() -> Arc<Catalogue> {
    static WHOLE: OnceLock<Arc<Catalogue>> = OnceLock::new();
    WHOLE.get_or_init(|| Arc::new(catalogue(&[]))).clone()
}

pub(crate) fn catalogue(without: &[&str]) -> Catalogue {
    let each = json!([{"by": "field", "field": "n", "missing": "1"}]);
    let models = [
        (DRAW, "image", json!({"credits": "10", "times": each})),
        (POSTER, "image", json!({"credits": "3"})),
        (FILM, "video", json!({"credits": "50", "at_most": true})),
        (SONG, "audio", json!({"credits": "5"})),
        (GIFT, "image", json!({"credits": "1"})),
        (WORDS, "text", json!({"credits": "1"})),
    ];
    let kept = models.iter().filter(|(id, _, _)| !without.contains(id));
    let catalogue = Catalogue::load(kept.map(|(id, kind, cost)| file(id, kind, cost)));
    assert_eq!(catalogue.faults(), []);
    catalogue
}

pub(crate) fn pricing() -> Pricing {
    let currency: Currency = "RUB".parse().unwrap();
    let list = PriceList::parse("[[price]]\nmodel = \"acme/poster\"\namount = \"1.00\"\n", &currency);
    Pricing {
        currency,
        usd_rate: "78".parse().unwrap(),
        markup: "2".parse().unwrap(),
        list,
        free: HashSet::from([GIFT.to_owned()]),
    }
}

/// The product's policy, but for shorter patience with the provider: its reading is what costs steps.
pub(crate) fn policy() -> Policy {
    let minutes = |image, audio, video| GiveUp {
        image: Duration::from_mins(image),
        audio: Duration::from_mins(audio),
        video: Duration::from_mins(video),
    };
    Policy {
        currency: "RUB".parse().unwrap(),
        public_url: "https://shop.example/".parse().unwrap(),
        callbacks: true,
        create_slots: Some(SLOTS),
        create_timeout: Duration::from_mins(2),
        unclear_after: Duration::from_hours(2),
        unclear_policy: UnclearPolicy::Release,
        pending_after: Duration::from_hours(6),
        give_up: minutes(20, 30, 60),
        max_open_jobs: 200,
        free_per_day: 10,
        lease: Duration::from_mins(1),
    }
}

pub(crate) const START: &str = "2026-03-01T12:00:00Z";

/// Puts a migrated, empty database with its slots at `path`; it is made once and copied.
pub(crate) fn lay_database(path: &Path) {
    static EMPTY: OnceLock<Vec<u8>> = OnceLock::new();
    std::fs::write(path, EMPTY.get_or_init(make_database)).unwrap();
}

fn make_database() -> Vec<u8> {
    // On a thread of its own, because the caller is inside a runtime.
    std::thread::spawn(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.db");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let url = format!("sqlite://{}", path.display());
            let store = SqliteStore::connect(&url, SqliteOptions::default()).await.unwrap();
            store.open_shop("RUB:2", START.parse::<Timestamp>().unwrap()).await.unwrap();
            store.ensure_slots(SLOTS).await.unwrap();
            store.close().await;
        });
        assert!(!path.with_extension("db-wal").exists(), "the log was not folded into the file");
        std::fs::read(&path).unwrap()
    })
    .join()
    .unwrap()
}
