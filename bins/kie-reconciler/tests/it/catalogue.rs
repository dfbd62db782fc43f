//! `catalogue check|diff|sync` against a provider whose catalogue is not ours.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use kie_catalogue::Catalogue;
use kie_sim::{Sim, SimConfig};
use serde_json::{Value, json};

const CHANGED: &str = "z-image";
const NEW: &str = "zebra/text-to-video";
const GONE: &str = "kling-2.6/text-to-video";

fn packed(id: &str) -> Value {
    let packed: serde_json::Map<String, Value> =
        serde_json::from_str(include_str!("../../../../crates/kie-catalogue/packed/models.json")).unwrap();
    packed.values().find(|file| file["id"] == id).unwrap().clone()
}

/// Starts a provider that changed one model, has a new one and dropped one.
async fn changed_provider() -> Sim {
    let mut changed = packed(CHANGED);
    let input = &mut changed["input"];
    input["properties"]["prompt"]["maxLength"] = json!(800);
    input["properties"]["aspect_ratio"]["enum"] = json!(["1:1", "4:3", "21:9"]);
    input["properties"]["style"] = json!({"type": "string", "enum": ["plain", "fancy"], "default": "plain"});
    input["properties"].as_object_mut().unwrap().remove("nsfw_checker");
    input["required"] = json!(["prompt"]);
    let mut new = packed("wan/2-6-text-to-video");
    new["id"] = json!(NEW);
    let mut gone = packed(GONE);
    gone["status"] = json!("delisted");
    let overlay = [changed, new, gone].map(|file| (format!("{}.json", file["id"]), file.to_string()));
    let catalogue = Catalogue::packed().unwrap().with_overlay(overlay);
    assert_eq!(catalogue.faults(), []);
    provider(Some(Arc::new(catalogue)), 0).await
}

async fn provider(catalogue: Option<Arc<Catalogue>>, models_per_second: u32) -> Sim {
    let config =
        SimConfig { api_key: "test-key".to_owned(), catalogue, models_per_second, ..SimConfig::default() };
    Sim::start(config).await.unwrap()
}

async fn run(sim: &Sim, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kie-reconciler"));
    command.arg("catalogue").args(words).args(["--pace", "0"]);
    command.env_clear().env("KIE_API_KEY", "test-key").env("KIE_BASE_URL", sim.url().as_str());
    if let Some(certificates) = std::env::var_os("SSL_CERT_FILE") {
        command.env("SSL_CERT_FILE", certificates);
    }
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_new_from_gone() {
    let sim = changed_provider().await;
    let output = run(&sim, &["check", "--json"]).await;
    let report = report(&output);
    assert_eq!(code(&output), 1, "{report:#}");
    assert_eq!((&report["gone"], &report["new"][0]["model"]), (&json!([GONE]), &json!(NEW)));
    assert_eq!(report["here"], report["there"]);
    let output = run(&sim, &["check", "--model", "flux*"]).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(code(&output), 0, "{text}");
    assert!(text.contains(": the same"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_names_every_changed_field_and_both_prices() {
    let sim = changed_provider().await;
    let output = run(&sim, &["diff", "--json", "--model", "z*"]).await;
    let report = report(&output);
    assert_eq!(code(&output), 1, "{report:#}");
    let [changed, new] = report.as_array().unwrap().as_slice() else { panic!("{report:#}") };
    assert_eq!((&changed["model"], &changed["standing"]), (&json!(CHANGED), &json!("changed")));
    let fields: Vec<_> = changed["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            format!("{} {} {} {}", one["field"], one["aspect"], one["here"], one["there"])
                .replace(['"', '\\'], "")
        })
        .collect();
    assert_eq!(
        fields,
        [
            "aspect_ratio required required optional",
            "aspect_ratio values only here: 16:9, 3:4, 9:16 only there: 21:9",
            "nsfw_checker removed optional; boolean null",
            "prompt maxLength 1000 800",
            "style added null optional; string; one of fancy, plain; default plain",
        ]
    );
    assert_eq!(changed["price_here"], json!(["0.8 credits"]));
    assert_eq!(changed["price_there"], "0.8 credits per request");
    assert_eq!((&new["model"], &new["standing"], &new["fields"]), (&json!(NEW), &json!("new"), &json!([])));

    let output = run(&sim, &["diff", "--model", "z-image"]).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("z-image: changed") && text.contains("price there: 0.8 credits per request"),
        "{text}"
    );
}

/// Nothing but the price of a model changed: an old figure would sell below cost.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_price_is_told_by_check_and_diff_and_proposed() {
    let mut dearer = packed(CHANGED);
    dearer["cost"]["rules"][0]["credits"] = json!("8");
    let overlay = Catalogue::packed().unwrap().with_overlay([("z.json".to_owned(), dearer.to_string())]);
    let sim = provider(Some(Arc::new(overlay)), 0).await;
    let output = run(&sim, &["check", "--json"]).await;
    let priced = &report(&output)["priced"];
    assert_eq!((code(&output), &priced[0]["model"], &priced[1]), (1, &json!(CHANGED), &Value::Null));
    let output = run(&sim, &["diff", "--model", "z*"]).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(code(&output), 1, "{text}");
    assert!(text.contains("z-image: price") && text.contains("price there: 8 credits"), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("proposals");
    let output = run(&sim, &["sync", "--json", "--out", out.to_str().unwrap()]).await;
    assert_eq!(report(&output)[0]["standing"], "price");
    assert!(out.join("z-image/z-image.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_catalogue_does_not_differ_anywhere() {
    let sim = provider(None, 0).await;
    let output = run(&sim, &["diff", "--json"]).await;
    assert_eq!((code(&output), report(&output)), (0, json!([])));
    assert_eq!(code(&run(&sim, &["check"]).await), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_writes_proposals_that_load_but_are_not_for_sale() {
    let sim = changed_provider().await;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("proposals");
    let output = run(&sim, &["sync", "--json", "--model", "*", "--out", out.to_str().unwrap()]).await;
    let report = report(&output);
    assert_eq!(code(&output), 0, "{report:#}");
    let find =
        |model: &str| report.as_array().unwrap().iter().find(|one| one["model"] == model).unwrap().clone();
    assert_eq!((&find(GONE)["standing"], &find(GONE)["file"]), (&json!("gone"), &Value::Null));
    assert_eq!(report.as_array().unwrap().len(), 3);

    let proposed = Catalogue::load([]).overlay_directory(&out).unwrap();
    assert_eq!(proposed.faults(), [], "{report:#}");
    for id in [CHANGED, NEW] {
        let model = proposed.get(id).unwrap();
        assert!(!model.is_sellable() && model.notes()[0].starts_with("PROPOSAL of 20"), "{id}");
        assert!(model.unpriced_because().unwrap().contains("credits"), "{:?}", model.unpriced_because());
        assert!(find(id)["remark"].is_null());
    }
    let changed = proposed.get(CHANGED).unwrap().schema();
    assert_eq!(changed["properties"]["prompt"]["maxLength"], 800);
    fits_the_schema_of_files(&out.join("z-image/z-image.json"));
    fits_the_schema_of_files(&out.join("zebra/zebra_text-to-video.json"));

    let again = run(&sim, &["sync", "--out", out.to_str().unwrap()]).await;
    assert_eq!(code(&again), 2);
    assert!(String::from_utf8_lossy(&again.stderr).contains("is not empty"));
    let source = folder.path().join("source_of_truth/models");
    let refused = run(&sim, &["sync", "--out", source.to_str().unwrap()]).await;
    assert_eq!((code(&refused), source.exists()), (2, false));
}

/// The required keys, and no other than the known ones.
fn fits_the_schema_of_files(path: &Path) {
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let schema: Value =
        serde_json::from_str(include_str!("../../../../source_of_truth/model.schema.json")).unwrap();
    let known = schema["properties"].as_object().unwrap();
    for name in file.as_object().unwrap().keys() {
        assert!(known.contains_key(name), "{name} in {}", path.display());
    }
    for name in schema["required"].as_array().unwrap() {
        assert!(file.get(name.as_str().unwrap()).is_some(), "{name} in {}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_at_is_code_2() {
    let sim = provider(None, 0).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_kie-reconciler"));
    command.args(["catalogue", "check"]).env_clear().env("KIE_BASE_URL", sim.url().as_str());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(code(&output), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("KIE_API_KEY"));
}
