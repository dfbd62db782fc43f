//! The shape of the repository: what may lie where, how large a file may grow, how it begins.

use std::collections::BTreeSet;

use crate::repo;

/// What the top level holds.
const TOP: &[&str] = &[
    ".cargo",
    ".ci",
    ".env.example",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "Makefile",
    "README.md",
    "bins",
    "clippy.toml",
    "crates",
    "deny.toml",
    "docs",
    "migrations",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "source_of_truth",
    "tests",
];

/// What a working copy may have besides: all of it is git's or ignored by git.
const LOCAL: &[&str] = &[".env", ".git", "data", "target"];

/// Lines of a source file; beyond it a file has a second reason to change.
const LINES_MAX: usize = 450;

/// Source files that may be longer, and why.
const LONG: &[(&str, &str)] =
    &[("crates/kie-sim/src/telegram/customer.rs", "what a person can do in a chat: one list of short acts")];

/// Every Rust file of ours.
fn sources() -> Vec<String> {
    ["crates", "bins", "tests"].into_iter().flat_map(|folder| repo::files(folder, ".rs")).collect()
}

#[test]
fn the_top_level_holds_what_it_should_and_nothing_else() {
    let found: BTreeSet<String> =
        repo::names(".").into_iter().filter(|name| !LOCAL.contains(&name.as_str())).collect();
    let known: BTreeSet<String> = TOP.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(found, known, "left: what is there; right: what should be");
}

#[test]
fn a_package_is_called_as_its_folder_and_takes_the_shared_settings() {
    for folder in repo::packages() {
        let manifest = repo::manifest(&folder);
        let name = manifest["package"]["name"].as_str().unwrap();
        let expected = if folder == "tests" { "acceptance" } else { folder.rsplit('/').next().unwrap() };
        assert_eq!(name, expected, "{folder}");
        let inherits = |value: Option<&toml::Value>| {
            value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
        };
        assert!(inherits(manifest.get("lints")), "{folder} does not take the lints of the workspace");
        for field in ["version", "edition", "rust-version", "license"] {
            let value = manifest["package"].get(field);
            assert!(inherits(value), "{folder} has a `{field}` of its own");
        }
    }
}

#[test]
fn every_file_says_first_what_it_is_for() {
    // A published crate says it with its README.
    let shows_readme =
        |line: &str| line.starts_with("#![") && line.contains("include_str!(\"../README.md\")");
    let begins_well = |text: &str| text.starts_with("//! ") || text.lines().next().is_some_and(shows_readme);
    let faults: Vec<String> = sources().into_iter().filter(|path| !begins_well(&repo::read(path))).collect();
    assert!(faults.is_empty(), "these do not open with a `//!` sentence: {faults:#?}");
}

#[test]
fn no_source_file_outgrows_its_reason() {
    let folders = ["crates", "bins"].into_iter().flat_map(|folder| repo::files(folder, ".rs"));
    let mut long: BTreeSet<String> = BTreeSet::new();
    for path in folders.filter(|path| path.contains("/src/")) {
        let lines = repo::read(&path).lines().count();
        if lines > LINES_MAX {
            long.insert(path);
        }
    }
    let known: BTreeSet<String> = LONG.iter().map(|(path, _why)| (*path).to_owned()).collect();
    assert_eq!(long, known, "left: files of more than {LINES_MAX} lines; right: those that have a reason");
}

#[test]
fn no_test_is_left_out() {
    let mark = concat!("#[", "ignore");
    let faults: Vec<String> = sources().into_iter().filter(|path| repo::read(path).contains(mark)).collect();
    assert!(faults.is_empty(), "tests that are never run: {faults:#?}");
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |engine: &str| repo::names(&format!("migrations/{engine}"));
    assert_eq!(names("postgres"), names("sqlite"));
    assert!(!names("sqlite").is_empty());
}

#[test]
fn only_the_composition_root_reads_the_environment() {
    let marks = ["env::var(", "env::vars(", "env::var_os("];
    let reads = |path: &str| {
        let text = repo::read(path);
        // Tests at the end of a file may look whether they are to renew a document.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        marks.iter().any(|mark| code.contains(mark))
    };
    let libraries = repo::files("crates", ".rs").into_iter().filter(|path| path.contains("/src/"));
    let found: Vec<String> = libraries.filter(|path| reads(path)).collect();
    assert_eq!(found, ["crates/runtime/src/wire.rs"]);
}
