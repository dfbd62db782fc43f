//! Packs the repository's model files into the one file that travels with the library.
//!
//! `cargo run -p kie-catalogue --example pack` writes `packed/models.json`; the result depends on nothing but the files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::Value;

fn main() -> io::Result<()> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = home.join("../../source_of_truth/models");
    let mut files = BTreeMap::new();
    collect(&source, &source, &mut files)?;
    fs::create_dir_all(home.join("packed"))?;
    fs::write(home.join("packed/models.json"), pack(&files))
}

/// One line per file, in the order of the names.
fn pack(files: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> =
        files.iter().map(|(name, file)| format!("{}:{file}", Value::from(name.as_str()))).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// The same JSON without white space between its tokens; the order of keys stays.
fn compact(json: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    let keep = |c: &char| {
        if in_text {
            in_text = escaped || *c != '"';
            escaped = !escaped && *c == '\\';
            return true;
        }
        in_text = *c == '"';
        !c.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}

fn collect(root: &Path, directory: &Path, files: &mut BTreeMap<String, String>) -> io::Result<()> {
    let entries: io::Result<Vec<PathBuf>> = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect();
    for path in entries? {
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            let text = fs::read_to_string(&path)?;
            serde_json::from_str::<Value>(&text)?;
            files.insert(name, compact(&text));
        }
    }
    Ok(())
}
