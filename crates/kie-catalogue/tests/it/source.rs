//! The model files themselves: shape, names, examples, and the packed copy.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kie_catalogue::{Catalogue, Cost, OutputKind};
use serde_json::Value;

use crate::catalogue;

#[test]
fn no_file_has_a_fault() {
    assert_eq!(catalogue().faults(), []);
}

#[test]
fn the_catalogue_is_complete() {
    let count = |kind: OutputKind| {
        catalogue().models().filter(|model| model.is_listed() && model.kind() == kind).count()
    };
    assert_eq!(
        [OutputKind::Image, OutputKind::Video, OutputKind::Audio, OutputKind::Text].map(count),
        [65, 87, 20, 12]
    );
    assert_eq!(catalogue().models().filter(|model| !model.is_listed()).count(), 13);
}

#[test]
fn examples_pass_and_are_priced() {
    for model in catalogue().models() {
        let input = model
            .validate(model.example().clone())
            .unwrap_or_else(|faults| panic!("{}: {faults:?}", model.id()));
        assert!((1..=32).contains(&input.outputs()), "{}", model.id());
        assert_eq!(input.cost() == Cost::Unknown, model.unpriced_because().is_some(), "{}", model.id());
        assert_eq!(model.is_sellable(), model.is_listed() && input.cost() != Cost::Unknown, "{}", model.id());
    }
}

#[test]
fn bad_examples_are_refused_for_the_stated_reason() {
    for model in catalogue().models() {
        let faults = model.validate(model.bad_example().clone()).expect_err(model.id());
        let field = model.bad_reason().split('`').nth(1).unwrap();
        assert!(
            faults.iter().any(|fault| fault.pointer.starts_with(&format!("/{field}"))),
            "{}: {} is not among {faults:?}",
            model.id(),
            model.bad_reason()
        );
    }
}

#[test]
fn every_message_names_no_schema_words() {
    for model in catalogue().models() {
        for fault in model.validate(model.bad_example().clone()).expect_err(model.id()) {
            for word in ["schema", "anyOf", "oneOf", "allOf", "additionalProperties", "another value"] {
                assert!(!fault.message.contains(word), "{}: {fault}", model.id());
            }
        }
    }
}

/// The repository's files; `None` only inside a package (cargo leaves `Cargo.toml.orig` there), which has none.
fn source_of_truth() -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    (!home.join("Cargo.toml.orig").exists()).then(|| home.join("../../source_of_truth"))
}

fn source_files(root: &Path) -> BTreeMap<String, String> {
    let models = root.join("models");
    let mut files = BTreeMap::new();
    for family in fs::read_dir(&models).unwrap() {
        for file in fs::read_dir(family.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.strip_prefix(&models).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    files
}

#[test]
fn every_file_fits_its_schema() {
    let Some(root) = source_of_truth() else { return };
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(root.join("model.schema.json")).unwrap()).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let files = source_files(&root);
    assert_eq!(files.len(), 197);
    for (name, text) in files {
        let file: Value = serde_json::from_str(&text).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&file).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
}

#[test]
fn every_file_is_named_after_its_model() {
    let Some(root) = source_of_truth() else { return };
    for (name, text) in source_files(&root) {
        let file: Value = serde_json::from_str(&text).unwrap();
        let (family, id) = (file["family"].as_str().unwrap(), file["id"].as_str().unwrap());
        assert_eq!(name, format!("{}/{}.json", family.replace('/', "-"), id.replace('/', "_")));
    }
}

#[test]
fn packed_is_the_source_of_truth() {
    let Some(root) = source_of_truth() else { return };
    let files = source_files(&root);
    let packed: BTreeMap<String, Value> =
        serde_json::from_str(include_str!("../../packed/models.json")).unwrap();
    let read: BTreeMap<String, Value> =
        files.iter().map(|(name, text)| (name.clone(), serde_json::from_str(text).unwrap())).collect();
    assert!(packed == read, "run `make bless`: packed/models.json is not what source_of_truth/models holds");
    assert_eq!(Catalogue::load(files).version(), catalogue().version());
}
