//! Reading model files: from text, from the packed file, from a directory.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::Value;

use crate::catalogue::LoadError;
use crate::file::ModelFile;
use crate::model::Model;
use crate::words::bounded_reason;

/// No model file is larger.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// No directory of model files holds more of them.
const MAX_FILES: usize = 5_000;
/// Folders in folders that are still looked into.
const MAX_DEPTH: usize = 4;

/// A file's name and its text, or why there is none.
pub(crate) type ReadFile = (String, Result<String, String>);

/// A file that could not be turned into a model.
pub(crate) struct Broken {
    /// The model's id, if it could be made out.
    pub id: Option<String>,
    pub reason: String,
}

/// The model in a file, and the file as read, for the version.
pub(crate) fn model(name: &str, text: &str) -> Result<(Model, Value), Broken> {
    let broken = |id: Option<String>, reason: String| Broken {
        id: id.or_else(|| id_of_name(name)),
        reason: bounded_reason(&reason),
    };
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let near = around(text, error.line(), error.column());
        broken(None, format!("not JSON: {error}, near `{near}`"))
    })?;
    let id = value.get("id").and_then(Value::as_str).map(str::to_owned);
    let file: ModelFile = serde_json::from_value(value.clone())
        .map_err(|error| broken(id.clone(), format!("not a model file: {error}")))?;
    Ok((Model::new(file).map_err(|reason| broken(id, reason))?, value))
}

/// What stands around a place in a text, on its line; lines and columns count from 1.
fn around(text: &str, line: usize, column: usize) -> String {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    line.chars().skip(column.saturating_sub(30)).take(60).collect::<String>().trim().to_owned()
}

/// A file whose text could not be had.
pub(crate) fn broken_file(name: &str, reason: String) -> Broken {
    Broken { id: id_of_name(name), reason }
}

/// Files are named after their model, with `_` for `/`: `kling/kling-2.6_text-to-video.json`.
fn id_of_name(name: &str) -> Option<String> {
    let stem = Path::new(name).file_stem()?.to_str()?;
    Some(stem.replace('_', "/"))
}

/// All `.json` files under a directory as (relative name, text or fault), in the order of their names.
pub(crate) fn directory(root: &Path) -> Result<Vec<ReadFile>, LoadError> {
    let mut paths = Vec::new();
    collect(root, 0, &mut paths)?;
    paths.sort();
    let file = |path: PathBuf| {
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        let text = text(&path);
        (name, text)
    };
    Ok(paths.into_iter().map(file).collect())
}

fn collect(directory: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), LoadError> {
    let unreadable = |source: io::Error| LoadError::Unreadable { path: directory.to_owned(), source };
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            if depth < MAX_DEPTH {
                collect(&path, depth + 1, paths)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "json") {
            if paths.len() == MAX_FILES {
                return Err(LoadError::TooManyFiles { path: directory.to_owned(), limit: MAX_FILES });
            }
            paths.push(path);
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("larger than {MAX_FILE_BYTES} bytes"));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}
