//! An answer to recordInfo, of the families' record paths, and to createTask.

use kie_client::{CreateRefusal, CreatedTask, Family, ReadError, Record, TaskState};

pub(crate) fn run(data: &[u8]) {
    judge(&Record::parse(data));
    for family in Family::ALL {
        judge(&Record::parse_family(family, data));
    }
    for status in [200, 400, 429, 500] {
        match CreatedTask::parse(status, data) {
            Ok(created) => assert!(created.task_id.as_str().len() <= 128),
            Err(error) => {
                assert!(!(error.is_outcome_unknown() && error.is_retryable()), "{error}");
                assert!(error.message().len() <= 2100, "{}", error.message().len());
                assert!(!matches!(error.refusal(), CreateRefusal::NotSent), "an answer came: {error}");
            }
        }
    }
}

/// What holds for every record, whatever its family.
pub(crate) fn judge(read: &Result<Record, ReadError>) {
    match read {
        Ok(record) => sound(record),
        Err(error) => {
            assert!(error.to_string().len() <= 4096 && error.message().len() <= 2100, "{error}");
            assert!(format!("{error:?}").len() <= 8192);
        }
    }
}

fn sound(record: &Record) {
    assert!(record.outputs.len() <= 32 && record.extras.len() <= 32);
    for (at, url) in record.outputs.iter().enumerate() {
        assert!(url.len() <= 8192, "an address of {} bytes", url.len());
        assert!(!record.outputs[..at].contains(url), "twice: {url}");
    }
    assert!(record.raw.len() <= 4 * 4100 && record.raw_state.len() <= 4 * 65);
    assert!(record.fail_message.as_ref().is_none_or(|text| text.len() <= 4 * 501));
    assert!(record.callback_url.as_ref().is_none_or(|url| url.len() <= 2048));
    assert!(!record.has_results() || record.state == TaskState::Success);
    let _ = record.is_moderation();
    // Logs must not repeat what a customer wrote.
    assert!(format!("{record:?}").len() <= 1 << 20);
}
