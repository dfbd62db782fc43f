//! Records of the older families, whose tasks are not made here: a test puts them where their client looks.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::Value;

use crate::lock::locked;

/// The status paths of the families, and how each says that it does not know a task.
pub(crate) const FAMILIES: [(&str, Unknown); 14] = [
    ("/api/v1/veo/record-info", Unknown::NoData),
    ("/api/v1/generate/record-info", Unknown::NoData),
    ("/api/v1/lyrics/record-info", Unknown::NoData),
    ("/api/v1/wav/record-info", Unknown::Refused("Record does not exist")),
    ("/api/v1/vocal-removal/record-info", Unknown::Refused("Record does not exist")),
    ("/api/v1/mp4/record-info", Unknown::Refused("Record does not exist")),
    ("/api/v1/midi/record-info", Unknown::Refused("Record does not exist")),
    ("/api/v1/suno/cover/record-info", Unknown::Refused("Record does not exist")),
    ("/api/v1/gpt4o-image/record-info", Unknown::Refused("The record does not exist")),
    ("/api/v1/flux/kontext/record-info", Unknown::Refused("The record does not exist")),
    ("/api/v1/runway/record-detail", Unknown::Refused("Record does not exist")),
    ("/api/v1/aleph/record-info", Unknown::NoData),
    ("/api/v1/mj/record-info", Unknown::Refused("Record does not exist")),
    ("/api/v1/modify/record-info", Unknown::Refused("Record does not exist")),
];

/// More records than this are refused.
const RECORDS_MAX: usize = 10_000;

/// What a family says of a task that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Code 200 without data.
    NoData,
    /// Code 422 with this text.
    Refused(&'static str),
}

/// The records by path and task.
#[derive(Default)]
pub(crate) struct FamilyRecords(Mutex<HashMap<(String, String), Value>>);

impl FamilyRecords {
    /// Puts an answer where it is asked for from now on; the error says what is wrong with the request.
    pub(crate) fn put(&self, path: &str, task: &str, answer: Value) -> Result<(), String> {
        if !FAMILIES.iter().any(|(known, _)| *known == path) {
            let known = FAMILIES.map(|(known, _)| known).join(", ");
            return Err(format!("`{path}` is no status path of a family; there are {known}"));
        }
        if task.is_empty() || !answer.is_object() {
            return Err("a record needs a task id, and a JSON object as its answer".to_owned());
        }
        let mut records = locked(&self.0);
        if records.len() >= RECORDS_MAX {
            return Err(format!("there are {RECORDS_MAX} records already"));
        }
        records.insert((path.to_owned(), task.to_owned()), answer);
        Ok(())
    }

    pub(crate) fn find(&self, path: &str, task: &str) -> Option<Value> {
        locked(&self.0).get(&(path.to_owned(), task.to_owned())).cloned()
    }

    pub(crate) fn clear(&self) {
        locked(&self.0).clear();
    }
}
