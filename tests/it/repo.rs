//! The repository's own files, for tests that read them.

use std::path::{Path, PathBuf};

/// The folder that holds everything.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file by its path from the root.
pub(crate) fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Folders of our packages, from the root: `crates/domain`, `bins/kie-web` …, `tests`.
pub(crate) fn packages() -> Vec<String> {
    let mut found = vec!["tests".to_owned()];
    for parent in ["crates", "bins"] {
        found.extend(names(parent).into_iter().map(|name| format!("{parent}/{name}")));
    }
    found.sort();
    found
}

/// A package's manifest.
pub(crate) fn manifest(package: &str) -> toml::Table {
    read(&format!("{package}/Cargo.toml")).parse().unwrap_or_else(|error| panic!("{package}: {error}"))
}

/// What lies in a folder, by name; sorted.
pub(crate) fn names(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Files below `folder` whose names end in `ending`, as paths from the root; sorted.
pub(crate) fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for name in names(&folder) {
            let path = format!("{folder}/{name}");
            let is_hidden = name.starts_with('.') || name == "target";
            if root().join(&path).is_dir() {
                folders.extend((!is_hidden).then_some(path));
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
