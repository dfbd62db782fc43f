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
/// Records that would be longer than this together are refused, too.
const BYTES_MAX: usize = 64 << 20;

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
pub(crate) struct FamilyRecords(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    answers: HashMap<(String, String), Value>,
    bytes: usize,
}

fn length(answer: &Value) -> usize {
    answer.to_string().len()
}

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
        let key = (path.to_owned(), task.to_owned());
        let mut kept = locked(&self.0);
        let before = kept.answers.get(&key).map(length);
        if before.is_none() && kept.answers.len() >= RECORDS_MAX {
            return Err(format!("there are {RECORDS_MAX} records already"));
        }
        let bytes = kept.bytes - before.unwrap_or(0) + length(&answer);
        if bytes > BYTES_MAX {
            return Err(format!("the records would be longer than {BYTES_MAX} bytes together"));
        }
        kept.bytes = bytes;
        kept.answers.insert(key, answer);
        Ok(())
    }

    pub(crate) fn find(&self, path: &str, task: &str) -> Option<Value> {
        locked(&self.0).answers.get(&(path.to_owned(), task.to_owned())).cloned()
    }

    pub(crate) fn clear(&self) {
        *locked(&self.0) = Kept::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VEO: &str = "/api/v1/veo/record-info";

    #[test]
    fn records_are_bounded_and_can_be_replaced() {
        let records = FamilyRecords::default();
        let answer = |n: usize| serde_json::json!({ "code": n });
        for n in 0..RECORDS_MAX {
            records.put(VEO, &n.to_string(), answer(n)).unwrap();
        }
        assert!(records.put(VEO, "another", answer(1)).unwrap_err().contains("already"));
        records.put(VEO, "7", answer(8)).unwrap();
        assert_eq!(records.find(VEO, "7"), Some(answer(8)));
        let long = serde_json::json!({ "data": "x".repeat(BYTES_MAX) });
        assert!(records.put(VEO, "7", long).unwrap_err().contains("bytes together"));
        assert_eq!(records.find(VEO, "7"), Some(answer(8)));
    }
}
