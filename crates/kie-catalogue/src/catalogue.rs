//! The catalogue: all models by id, with the faults of the files that did not make it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::Model;
use crate::nearest::nearest;
use crate::read::{self, ReadFile};

/// All models that are known, immutable; share it in an `Arc`.
#[derive(Clone, Debug)]
pub struct Catalogue {
    models: BTreeMap<String, Model>,
    /// Earlier id to present id.
    aliases: BTreeMap<String, String>,
    faults: Vec<FileFault>,
    /// Content hash of each file that made it.
    digests: BTreeMap<String, [u8; 32]>,
    version: String,
}

/// A model file that could not be used, or only in part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileFault {
    /// The name under which the file was given.
    pub file: String,
    /// One clause without full stop.
    pub reason: String,
}

/// The source of the models could not be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A folder cannot be listed; check the path and its permissions.
    #[error("the folder {} cannot be read", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A folder holds more files than a catalogue ever does; probably the wrong folder.
    #[error("more than {limit} model files under {}", path.display())]
    TooManyFiles {
        /// The folder.
        path: PathBuf,
        /// The most that is read.
        limit: usize,
    },
    /// The packed file inside the library is damaged; build it anew.
    #[error("the packed catalogue is damaged")]
    Packed(#[source] serde_json::Error),
}

impl Catalogue {
    /// The source of truth that is packed into this library.
    ///
    /// # Errors
    /// [`LoadError::Packed`] if the packed file is not JSON, which its test excludes.
    #[cfg(feature = "packed")]
    pub fn packed() -> Result<Catalogue, LoadError> {
        use serde_json::value::RawValue;
        let files: BTreeMap<String, &RawValue> =
            serde_json::from_str(include_str!("../packed/models.json")).map_err(LoadError::Packed)?;
        Ok(Catalogue::load(files.into_iter().map(|(name, text)| (name, text.get().to_owned()))))
    }

    /// A catalogue of the given files (name, JSON text). Never fails as a whole: see [`Catalogue::faults`].
    pub fn load(files: impl IntoIterator<Item = (String, String)>) -> Catalogue {
        Catalogue::empty().extended(files.into_iter().map(|(name, text)| (name, Ok(text))))
    }

    /// Replaces or adds models. A broken file takes the model it stands for off sale and is listed as a fault.
    #[must_use]
    pub fn with_overlay(self, files: impl IntoIterator<Item = (String, String)>) -> Catalogue {
        self.extended(files.into_iter().map(|(name, text)| (name, Ok(text))))
    }

    /// [`Catalogue::with_overlay`] with all `.json` files under a folder, in the order of their names.
    ///
    /// # Errors
    /// If the folder cannot be listed or holds too many files. A single unreadable file is only a fault.
    pub fn overlay_directory(self, dir: &Path) -> Result<Catalogue, LoadError> {
        Ok(self.extended(read::directory(dir)?))
    }

    /// Twelve hexadecimal digits that change exactly when the content of some file does.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The model of that id, or the one that once had it.
    pub fn get(&self, id: &str) -> Option<&Model> {
        self.models.get(id).or_else(|| self.models.get(self.aliases.get(id)?))
    }

    /// All models in the order of their ids, delisted and faulty ones too.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.values()
    }

    /// The known id nearest to an unknown one, for "did you mean". Models on sale are preferred.
    pub fn nearest(&self, id: &str) -> Option<&str> {
        let bonus = |candidate: &str| {
            if self.models.get(candidate).is_some_and(Model::is_sellable) { 0.05 } else { 0.0 }
        };
        nearest(id, self.models.keys().map(String::as_str), bonus)
    }

    /// The files that could not be used, in the order in which they were given. Each was also logged as a warning.
    pub fn faults(&self) -> &[FileFault] {
        &self.faults
    }

    fn empty() -> Catalogue {
        let (models, aliases, digests) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Catalogue { models, aliases, faults: Vec::new(), digests, version: String::new() }
    }

    fn extended(mut self, files: impl IntoIterator<Item = ReadFile>) -> Catalogue {
        let is_overlay = !self.models.is_empty();
        let mut taken = BTreeSet::new();
        for (name, text) in files {
            if let Some(id) = self.take(name.clone(), &text)
                && !taken.insert(id)
            {
                self.fault(name, "an earlier file describes the same model; this one counts".to_owned());
            }
        }
        self.link_aliases();
        self.version = version(&self.digests, &self.models);
        self.tell_unpriced(&taken, is_overlay);
        self
    }

    /// Who sells should know what is not for sale for want of a price; a file of one's own most of all.
    fn tell_unpriced(&self, taken: &BTreeSet<String>, is_overlay: bool) {
        let taken = taken.iter().filter_map(|id| self.models.get(id));
        let unpriced: Vec<&Model> = taken.filter(|model| model.is_unpriced()).collect();
        if is_overlay {
            for model in unpriced {
                let reason = model.unpriced_because().unwrap_or("no rule gives the example a price");
                tracing::warn!(model = model.id(), reason, "catalogue.unpriced: this model is off sale");
            }
        } else if !unpriced.is_empty() {
            let models: Vec<&str> = unpriced.into_iter().map(Model::id).collect();
            tracing::info!(models = models.join(" "), "catalogue.unpriced: these models are off sale");
        }
    }

    /// The id of the model that the file gave.
    fn take(&mut self, name: String, text: &Result<String, String>) -> Option<String> {
        let read = match text {
            Ok(text) => read::model(&name, text),
            Err(reason) => Err(read::broken_file(&name, reason.clone())),
        };
        match read {
            Ok((model, value)) => {
                if let Some(reason) = model.fault() {
                    self.fault(name, reason.to_owned());
                }
                let id = model.id().to_owned();
                self.digests.insert(id.clone(), digest(&value));
                self.models.insert(id.clone(), model);
                Some(id)
            }
            Err(broken) => {
                let known = broken.id.and_then(|id| self.models.remove_entry(&id));
                if let Some((id, model)) = known {
                    self.models.insert(id, model.withdrawn(&broken.reason));
                }
                self.fault(name, broken.reason);
                None
            }
        }
    }

    fn link_aliases(&mut self) {
        self.aliases.clear();
        let mut clashes = Vec::new();
        for model in self.models.values() {
            for alias in model.aliases() {
                let taken = self.models.contains_key(&alias.id)
                    || self.aliases.insert(alias.id.clone(), model.id().to_owned()).is_some();
                if taken {
                    clashes.push((
                        model.id().to_owned(),
                        format!("its alias `{}` belongs to another model", alias.id),
                    ));
                }
            }
        }
        for (id, reason) in clashes {
            self.fault(id, reason);
        }
    }

    fn fault(&mut self, file: String, reason: String) {
        let fault = FileFault { file, reason };
        if self.faults.contains(&fault) {
            return;
        }
        tracing::warn!(file = fault.file, reason = fault.reason, "catalogue.fault: this model is off sale");
        self.faults.push(fault);
    }
}

fn version(digests: &BTreeMap<String, [u8; 32]>, models: &BTreeMap<String, Model>) -> String {
    let mut hash = Sha256::new();
    for (id, digest) in digests {
        hash.update(digest);
        hash.update([u8::from(models.get(id).is_some_and(|model| model.fault().is_some()))]);
    }
    let bytes: [u8; 32] = hash.finalize().into();
    let head = bytes.iter().take(6).fold(0_u64, |head, byte| head << 8 | u64::from(*byte));
    format!("{head:012x}")
}

/// Hash of the content, whatever the order of keys and the white space in the file.
fn digest(value: &Value) -> [u8; 32] {
    let mut hash = Sha256::new();
    feed(&mut hash, value);
    hash.finalize().into()
}

fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(name, _)| *name);
            hash.update(b"{");
            for (name, value) in entries {
                hash.update(name.as_bytes());
                hash.update(b"\0");
                feed(hash, value);
            }
            hash.update(b"}");
        }
        Value::Array(list) => {
            hash.update(b"[");
            for value in list {
                feed(hash, value);
            }
            hash.update(b"]");
        }
        scalar => hash.update(format!("{scalar},").as_bytes()),
    }
}
