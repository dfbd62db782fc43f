//! Files laid over the packed ones.

use std::fs;

use kie_catalogue::{Catalogue, LoadError};
use serde_json::{Value, json};

use crate::catalogue;

fn file() -> Value {
    json!({
        "id": "acme/draw", "family": "acme", "title": "Acme: image from text", "kind": "image", "task": "text-to-image",
        "status": "listed", "aliases": [{"id": "acme/old-draw", "until": "2026-05-01"}],
        "input": {
            "type": "object", "additionalProperties": false, "required": ["prompt"],
            "properties": {"prompt": {"type": "string", "maxLength": 10}, "n": {"type": "integer", "minimum": 1, "maximum": 4}},
        },
        "outputs": [{"when": {"n": {"present": true}}, "field": "n"}, {"count": 1}],
        "cost": {"as_of": "2026-06-01", "rules": [{"credits": "2.5", "times": [{"by": "field", "field": "n", "missing": "1"}]}]},
        "example": {"prompt": "kite"}, "bad_example": {}, "bad_reason": "leaves out `prompt`",
        "origin": {"sources": ["https://acme.example/docs"], "read_on": "2026-06-01", "backing": "documented"},
    })
}

fn one(name: &str, file: &Value) -> Vec<(String, String)> {
    vec![(name.to_owned(), file.to_string())]
}

#[test]
fn adds_and_replaces_models_and_changes_the_version() {
    let base = catalogue().clone();
    let version = base.version().to_owned();
    let more = base.with_overlay(one("acme/acme_draw.json", &file()));
    assert_eq!(more.faults(), []);
    assert_eq!(more.models().count(), 198);
    assert_ne!(more.version(), version);
    let mut dearer = file();
    dearer["cost"]["rules"][0]["credits"] = json!("3");
    let dearer = more.with_overlay(one("mine.json", &dearer));
    let input = dearer.get("acme/draw").unwrap().validate(json!({"prompt": "kite", "n": 2})).unwrap();
    assert_eq!((input.cost().upper().unwrap().to_string().as_str(), input.outputs()), ("6", 2));
}

#[test]
fn an_earlier_id_still_opens() {
    let more = Catalogue::load(one("a.json", &file()));
    let model = more.get("acme/old-draw").unwrap();
    assert_eq!((model.id(), model.aliases()[0].until.as_str()), ("acme/draw", "2026-05-01"));
    assert_eq!(model.validate(json!({"prompt": "kite"})).unwrap().model_id(), "acme/draw");
    assert!(more.models().all(|model| model.id() != "acme/old-draw"));
}

#[test]
fn an_alias_never_hides_a_model() {
    let mut greedy = file();
    greedy["aliases"][0]["id"] = json!("z-image");
    let more = catalogue().clone().with_overlay(one("a.json", &greedy));
    assert_eq!(more.get("z-image").unwrap().id(), "z-image");
    assert_eq!(more.faults().len(), 1);
}

#[test]
fn a_broken_file_takes_its_model_off_sale_but_old_orders_open() {
    for (name, text) in [
        ("z-image/z-image.json", "{ broken".to_owned()),
        ("whatever.json", json!({"id": "z-image", "title": 1}).to_string()),
        ("z-image.json", String::new()),
    ] {
        let less = catalogue().clone().with_overlay([(name.to_owned(), text)]);
        let model = less.get("z-image").unwrap();
        assert!(!model.is_sellable() && model.is_listed(), "{name}");
        assert!(model.fault().is_some());
        assert_eq!((less.faults().len(), less.faults()[0].file.as_str()), (1, name));
        assert_eq!(less.models().filter(|model| model.is_sellable()).count() + 1, sellable());
        assert_ne!(less.version(), catalogue().version());
        assert!(model.validate(json!({"prompt": "kite"})).is_ok());
    }
}

fn sellable() -> usize {
    catalogue().models().filter(|model| model.is_sellable()).count()
}

#[test]
fn a_file_that_contradicts_itself_is_off_sale() {
    type Damage = fn(&mut Value);
    let cases: [(&str, Damage); 10] = [
        ("the example is refused", |file| file["example"] = json!({"prompt": "far too long a prompt"})),
        ("the bad example passes", |file| file["bad_example"] = json!({"prompt": "kite"})),
        ("`m` is named by a rule", |file| file["cost"]["rules"][0]["times"][0]["field"] = json!("m")),
        ("either `count` or `field`", |file| file["outputs"] = json!([{"count": 1, "field": "n"}])),
        ("refuses unknown fields", |file| file["input"]["additionalProperties"] = json!(true)),
        ("does not compile", |file| file["input"]["properties"]["prompt"]["pattern"] = json!("(")),
        ("does not compile", |file| file["input"]["$ref"] = json!("https://elsewhere.example/schema")),
        ("not a model file", |file| file["cost"]["rules"][0]["credits"] = json!(2.5)),
        ("not a model file", |file| file["unheard_of"] = json!(1)),
        ("not a model file", |file| file["kind"] = json!("x".repeat(100_000))),
    ];
    for (reason, damage) in cases {
        let mut damaged = file();
        damage(&mut damaged);
        let loaded = Catalogue::load(one("acme/acme_draw.json", &damaged));
        assert_eq!(loaded.faults().len(), 1, "{reason}");
        assert!(
            loaded.faults()[0].reason.contains(reason),
            "{} is not about: {reason}",
            loaded.faults()[0].reason
        );
        assert!(loaded.faults()[0].reason.len() <= 4_000, "{reason}: not longer than a log line may be");
        assert!(loaded.models().all(|model| !model.is_sellable()), "{reason}");
    }
}

#[test]
fn a_file_without_rules_is_not_for_sale_and_no_fault() {
    let mut unpriced = file();
    unpriced["cost"] = json!({"rules": [], "unknown": "no price is published"});
    let loaded = Catalogue::load(one("a.json", &unpriced));
    assert_eq!(loaded.faults(), []);
    assert!(!loaded.get("acme/draw").unwrap().is_sellable());
}

#[test]
fn two_files_of_one_model_are_noticed() {
    let loaded = Catalogue::load([
        ("a.json".to_owned(), file().to_string()),
        ("b.json".to_owned(), file().to_string()),
    ]);
    assert_eq!(loaded.faults().len(), 1);
}

#[test]
fn a_directory_is_read_with_its_folders() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("acme")).unwrap();
    fs::write(folder.path().join("acme/acme_draw.json"), file().to_string()).unwrap();
    fs::write(folder.path().join("z-image.json"), [0xff, 0xfe]).unwrap();
    fs::write(folder.path().join("README.md"), "not a model").unwrap();
    let laid = catalogue().clone().overlay_directory(folder.path()).unwrap();
    assert!(laid.get("acme/draw").unwrap().is_sellable());
    assert!(!laid.get("z-image").unwrap().is_sellable());
    assert_eq!(laid.faults().len(), 1);
    let missing = catalogue().clone().overlay_directory(&folder.path().join("nowhere"));
    assert!(matches!(missing, Err(LoadError::Unreadable { .. })));
}
