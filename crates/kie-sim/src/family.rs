//! The paths of the older families: how each is asked, what it says by itself, and the answers that tests put there.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::Value;

use crate::lock::locked;

/// How a path is asked, and what it says when nobody put an answer there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// `GET` with `taskId` in the query.
    Read(Unknown),
    /// `POST` with `taskId` in the body.
    Ask(Unknown),
    /// `POST` of a new task, answered with a fresh id; some want a `callBackUrl`.
    Order { must_tell: bool },
    /// `POST` of a text that is answered at once.
    Style,
}

/// What a family says of a task that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Code 200 without data.
    NoData,
    /// Code 422 with this text.
    Refused(&'static str),
}

const GONE: Unknown = Unknown::Refused("Record does not exist");
const MISSING: Unknown = Unknown::Refused("The record does not exist");
/// Observed for the links of 4o; those of veo are taken to say the same.
const NO_LINK: Unknown = Unknown::Refused("record is null");
const ORDER: Door = Door::Order { must_tell: false };
const TOLD_ORDER: Door = Door::Order { must_tell: true };

/// Every path of the families.
pub(crate) const DOORS: [(&str, Door); 42] = [
    ("/api/v1/veo/record-info", Door::Read(Unknown::NoData)),
    ("/api/v1/generate/record-info", Door::Read(Unknown::NoData)),
    ("/api/v1/lyrics/record-info", Door::Read(Unknown::NoData)),
    ("/api/v1/wav/record-info", Door::Read(GONE)),
    ("/api/v1/vocal-removal/record-info", Door::Read(GONE)),
    ("/api/v1/mp4/record-info", Door::Read(GONE)),
    ("/api/v1/midi/record-info", Door::Read(GONE)),
    ("/api/v1/suno/cover/record-info", Door::Read(GONE)),
    ("/api/v1/gpt4o-image/record-info", Door::Read(MISSING)),
    ("/api/v1/flux/kontext/record-info", Door::Read(MISSING)),
    ("/api/v1/runway/record-detail", Door::Read(GONE)),
    ("/api/v1/aleph/record-info", Door::Read(Unknown::NoData)),
    ("/api/v1/mj/record-info", Door::Read(GONE)),
    ("/api/v1/modify/record-info", Door::Read(GONE)),
    ("/api/v1/veo/get-1080p-video", Door::Read(NO_LINK)),
    ("/api/v1/veo/get-4k-video", Door::Ask(NO_LINK)),
    ("/api/v1/gpt4o-image/download-url", Door::Ask(NO_LINK)),
    ("/api/v1/veo/generate", ORDER),
    ("/api/v1/veo/extend", ORDER),
    ("/api/v1/generate", TOLD_ORDER),
    ("/api/v1/generate/extend", TOLD_ORDER),
    ("/api/v1/generate/upload-cover", TOLD_ORDER),
    ("/api/v1/generate/upload-extend", TOLD_ORDER),
    ("/api/v1/generate/add-instrumental", TOLD_ORDER),
    ("/api/v1/generate/add-vocals", TOLD_ORDER),
    ("/api/v1/generate/mashup", TOLD_ORDER),
    ("/api/v1/generate/replace-section", ORDER),
    ("/api/v1/generate/sounds", ORDER),
    ("/api/v1/lyrics", ORDER),
    ("/api/v1/wav/generate", TOLD_ORDER),
    ("/api/v1/vocal-removal/generate", TOLD_ORDER),
    ("/api/v1/mp4/generate", TOLD_ORDER),
    ("/api/v1/midi/generate", TOLD_ORDER),
    ("/api/v1/suno/cover/generate", ORDER),
    ("/api/v1/style/generate", Door::Style),
    ("/api/v1/gpt4o-image/generate", ORDER),
    ("/api/v1/flux/kontext/generate", ORDER),
    ("/api/v1/runway/generate", ORDER),
    ("/api/v1/runway/extend", ORDER),
    ("/api/v1/aleph/generate", ORDER),
    ("/api/v1/mj/generate", ORDER),
    ("/api/v1/modify/generate", ORDER),
];

pub(crate) fn door(path: &str) -> Option<Door> {
    DOORS.iter().find(|(known, _)| *known == path).map(|(_, door)| *door)
}

/// More records than this are refused.
const RECORDS_MAX: usize = 10_000;
/// Records that would be longer than this together are refused, too.
const BYTES_MAX: usize = 64 << 20;

/// The answers by path and task.
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

/// What is wrong with the place of an answer.
fn misplaced(path: &str, task: &str) -> Option<String> {
    match door(path) {
        Some(Door::Read(_) | Door::Ask(_)) if task.is_empty() => {
            Some(format!("an answer at `{path}` needs the task id that is asked for"))
        }
        Some(Door::Order { .. } | Door::Style) if !task.is_empty() => Some(format!(
            "at `{path}` no task is asked for; leave `task` out, and every order gets the answer"
        )),
        Some(_) => None,
        None => {
            let known = DOORS.map(|(known, _)| known).join(", ");
            Some(format!("`{path}` is no path of a family; there are {known}"))
        }
    }
}

impl FamilyRecords {
    /// Puts an answer where it is asked for from now on; the error says what is wrong with the request.
    pub(crate) fn put(&self, path: &str, task: &str, answer: Value) -> Result<(), String> {
        if let Some(fault) = misplaced(path, task) {
            return Err(fault);
        }
        if !answer.is_object() {
            return Err("the answer must be a JSON object, the whole envelope".to_owned());
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

    /// The answer for a task; for an order the task is the empty text.
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

    #[test]
    fn an_answer_needs_a_place_that_is_asked() {
        let records = FamilyRecords::default();
        let answer = || serde_json::json!({ "code": 200 });
        assert!(records.put(VEO, "", answer()).unwrap_err().contains("task id"));
        assert!(records.put("/x", "a1", answer()).unwrap_err().contains("no path of a family"));
        assert!(
            records.put("/api/v1/veo/generate", "a1", answer()).unwrap_err().contains("leave `task` out")
        );
        assert!(records.put(VEO, "a1", Value::Null).unwrap_err().contains("JSON object"));
        records.put("/api/v1/veo/generate", "", answer()).unwrap();
    }
}
