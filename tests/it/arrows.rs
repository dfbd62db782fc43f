//! The arrows between our crates, read from the manifests: who may name whom, and who may name heavy libraries.

use std::collections::BTreeSet;

use crate::repo;

/// Who may name whom; a crate that is not in this table may not exist. `docs/architecture.md` shows the same lines.
const ARROWS: &[(&str, &[&str])] = &[
    ("kie-catalogue", &[]),
    ("kie-client", &["kie-catalogue"]),
    ("kie-sim", &["kie-catalogue"]),
    ("domain", &[]),
    ("outbound", &[]),
    ("store", &["domain"]),
    ("store-postgres", &["domain", "store"]),
    ("store-sqlite", &["domain", "store"]),
    ("ledger", &["domain", "store"]),
    ("media", &["domain", "outbound"]),
    ("delivery", &["domain", "outbound"]),
    (
        "lifecycle",
        &["delivery", "domain", "kie-catalogue", "kie-client", "ledger", "media", "outbound", "store"],
    ),
    ("web", &["delivery", "domain", "kie-catalogue", "ledger", "lifecycle", "media", "store"]),
    ("old-shops", &[]),
    ("importing", &["domain", "kie-catalogue", "ledger", "lifecycle", "media", "old-shops", "store"]),
    ("operations", &["domain", "kie-catalogue", "kie-client", "ledger", "lifecycle", "media", "store"]),
    (
        "runtime",
        &[
            "delivery",
            "domain",
            "kie-catalogue",
            "kie-client",
            "ledger",
            "lifecycle",
            "media",
            "operations",
            "outbound",
            "store",
            "store-postgres",
            "store-sqlite",
            "web",
        ],
    ),
    ("kie-web", &["kie-sim", "operations", "runtime"]),
    ("kie-bot", &["runtime"]),
    ("kie-reconciler", &["importing", "old-shops", "operations", "runtime"]),
];

/// The tests of the composed services; they may name anything.
const STORIES: &str = "acceptance";

/// What the tests of a crate may name besides: an adapter to run on, the provider to talk to.
const TEST_ARROWS: &[(&str, &[&str])] = &[
    ("kie-reconciler", &["kie-catalogue", "kie-sim"]),
    ("lifecycle", &["store-sqlite"]),
    ("store-postgres", &["store"]),
    ("store-sqlite", &["store"]),
    ("web", &["kie-client", "kie-sim", "outbound", "store-sqlite"]),
];

/// Libraries that only some crates may name, outside of their tests.
const FENCES: &[(&str, &[&str])] = &[
    // An old shop is read where it lies, by queries that are made from its columns.
    ("sqlx", &["old-shops", "store-postgres", "store-sqlite"]),
    // The demo has a webhook receiver of its own.
    ("axum", &["kie-sim", "kie-web", "web"]),
    // `delivery` takes status codes from it, `web` reads a key set of the shop's identity provider.
    ("reqwest", &["delivery", "kie-client", "kie-sim", "outbound", "web"]),
    ("object_store", &["media"]),
    ("jsonschema", &["kie-catalogue"]),
    ("clap", &["kie-bot", "kie-reconciler", "kie-sim", "kie-web", "runtime"]),
    ("tracing-subscriber", &["kie-sim", "runtime"]),
    ("anyhow", &["kie-bot", "kie-reconciler", "kie-sim", "kie-web", "operations", "runtime"]),
];

struct Package {
    name: String,
    normal: BTreeSet<String>,
    tests: BTreeSet<String>,
}

fn packages() -> Vec<Package> {
    repo::packages().iter().map(|folder| package(&repo::manifest(folder))).collect()
}

fn package(manifest: &toml::Table) -> Package {
    let mut package = Package {
        name: manifest["package"]["name"].as_str().unwrap().to_owned(),
        normal: named(manifest, "dependencies"),
        tests: named(manifest, "dev-dependencies"),
    };
    package.normal.extend(named(manifest, "build-dependencies"));
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    for platform in platforms.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table) {
        package.normal.extend(named(platform, "dependencies"));
        package.tests.extend(named(platform, "dev-dependencies"));
    }
    package
}

/// Packages that a table of dependencies names, under their own names if they are renamed.
fn named(table: &toml::Table, section: &str) -> BTreeSet<String> {
    let Some(section) = table.get(section).and_then(toml::Value::as_table) else { return BTreeSet::new() };
    let own_name = |(name, value): (&String, &toml::Value)| {
        value.get("package").and_then(toml::Value::as_str).unwrap_or(name).to_owned()
    };
    section.iter().map(own_name).collect()
}

fn allowed<'a>(table: &'a [(&str, &'a [&str])], name: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(known, _)| *known == name).map(|(_, names)| *names)
}

#[test]
fn every_crate_is_in_the_table_and_every_crate_of_the_table_is_there() {
    let found: BTreeSet<String> = packages().into_iter().map(|package| package.name).collect();
    let known: BTreeSet<String> =
        ARROWS.iter().map(|(name, _)| (*name).to_owned()).chain([STORIES.to_owned()]).collect();
    assert_eq!(found, known, "a new crate needs its arrows here and in docs/architecture.md");
}

#[test]
fn no_crate_names_one_that_it_may_not() {
    let ours: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).chain([STORIES]).collect();
    let mut faults = Vec::new();
    for package in packages().iter().filter(|package| package.name != STORIES) {
        let arrows = allowed(ARROWS, &package.name).unwrap_or_default();
        let test_arrows = allowed(TEST_ARROWS, &package.name).unwrap_or_default();
        for other in package.normal.iter().filter(|name| ours.contains(name.as_str())) {
            if !arrows.contains(&other.as_str()) {
                faults.push(format!("{} → {other}", package.name));
            }
        }
        for other in package.tests.iter().filter(|name| ours.contains(name.as_str())) {
            if !arrows.contains(&other.as_str()) && !test_arrows.contains(&other.as_str()) {
                faults.push(format!("tests of {} → {other}", package.name));
            }
        }
    }
    assert!(faults.is_empty(), "not allowed: {faults:#?}");
}

#[test]
fn heavy_libraries_stay_behind_their_fences() {
    let mut faults = Vec::new();
    for package in packages().iter().filter(|package| package.name != STORIES) {
        for (library, crates) in FENCES {
            if package.normal.contains(*library) && !crates.contains(&package.name.as_str()) {
                faults.push(format!("{} → {library}", package.name));
            }
        }
    }
    assert!(faults.is_empty(), "not allowed: {faults:#?}");
}

#[test]
fn the_architecture_document_shows_these_arrows() {
    let document = repo::read("docs/architecture.md");
    let shown: BTreeSet<(String, BTreeSet<String>)> = document
        .lines()
        .filter_map(|line| line.split_once(" → "))
        .filter(|(name, _)| !name.trim().is_empty() && !name.trim().contains([' ', '|', '`']))
        .map(|(name, others)| (name.trim().to_owned(), words(others)))
        .collect();
    let known = ARROWS
        .iter()
        .filter(|(_, others)| !others.is_empty())
        .map(|(name, others)| ((*name).to_owned(), others.iter().map(|other| (*other).to_owned()).collect()))
        .collect();
    assert_eq!(shown, known, "docs/architecture.md shows other arrows than this test allows");
}

fn words(list: &str) -> BTreeSet<String> {
    list.split(',').map(|word| word.trim().to_owned()).collect()
}
