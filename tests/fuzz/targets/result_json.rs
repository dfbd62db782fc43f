//! The text in `resultJson` of a record that succeeded: as the text, and as a value in its place.

use kie_client::Record;
use serde_json::{Value, json};

pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let record = |result: &Value| {
        let data = json!({"taskId": "t1", "model": "z-image", "state": "success", "resultJson": result});
        Record::parse(json!({"code": 200, "msg": "success", "data": data}).to_string().as_bytes())
    };
    let read = record(&json!(text));
    // Whatever a result says, the record itself was read.
    assert!(read.as_ref().is_ok_and(|record| record.task_id.as_str() == "t1"), "{read:?}");
    super::record::judge(&read);
    if let Ok(value) = serde_json::from_str::<Value>(&text) {
        super::record::judge(&record(&value));
    }
}
