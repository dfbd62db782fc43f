//! The provider's record of a task: the only answer that states, results and cost are taken from.

use std::fmt;

use serde_json::Value;

use crate::{
    answer::{self, Answer},
    client::{Client, ReadRequest},
    credits::Credits,
    error::ReadError,
    fields::Fields,
    instant,
    limit::Call,
    param::{self, Request},
    results::{Extra, Results},
    snippet::Snippet,
    task::TaskId,
    texts, trace,
};

const RECORD_PATH: &str = "/api/v1/jobs/recordInfo";
const MAX_RAW: usize = 4096;
const MAX_WORD: usize = 64;
const MAX_MODEL: usize = 128;

/// Where the provider says a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// Accepted; most models stay here until the end.
    Waiting,
    /// In the provider's queue.
    Queuing,
    /// Being made.
    Generating,
    /// Made. The results may still be missing from the record for a while.
    Success,
    /// Failed for good, and not charged by the provider.
    Fail,
    /// A word that is not documented; to be treated as still running.
    Unknown(String),
}

impl TaskState {
    /// Whether the state is documented never to change again.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Success | Self::Fail)
    }

    fn of_market(word: &str) -> Self {
        match word {
            "waiting" => Self::Waiting,
            "queuing" => Self::Queuing,
            "generating" => Self::Generating,
            "success" => Self::Success,
            "fail" => Self::Fail,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

/// What the provider's record says about a task. Its `Debug` shows neither the raw text nor the request it repeats.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Record {
    /// The task the record is about.
    pub task_id: TaskId,
    /// The model as it was ordered.
    pub model: Option<String>,
    /// Where the task is.
    pub state: TaskState,
    /// The provider's own word for the state; empty when it gave none.
    pub raw_state: String,
    /// Addresses of the results in the provider's order, without duplicates, at most 32. Empty with
    /// [`TaskState::Success`] means that the results are not in the record (yet).
    pub outputs: Vec<String>,
    /// Frames, covers, watermarked copies: made beside the outputs.
    pub extras: Vec<Extra>,
    /// The result of a model that answers with data instead of files.
    pub result_object: Option<Value>,
    /// The provider's code of the failure: digits or a word.
    pub fail_code: Option<String>,
    /// The provider's words about the failure, shortened.
    pub fail_message: Option<String>,
    /// The provider's cost. Not final before the state is.
    pub credits: Option<Credits>,
    /// The callback address the task was created with, as far as the record shows it.
    pub callback_url: Option<String>,
    /// When the task was created, in milliseconds since 1970. None where the provider writes a time without saying in
    /// which zone, as it does for Veo and for Suno's WAV and video (`2026-01-29 15:12:40`), and for Runway, which tells
    /// no such time.
    pub created_at_ms: Option<i64>,
    /// When the task ended, in milliseconds since 1970; none as for [`created_at_ms`](Self::created_at_ms).
    pub completed_at_ms: Option<i64>,
    /// The provider says that it has deleted the files; their addresses may still be among the outputs. Only records of
    /// Runway say so.
    pub expired: bool,
    /// The beginning of the answer as it came. It holds the prompt and the callback address: not for logs.
    pub raw: String,
    pub(crate) request: Request,
}

impl Record {
    /// Reads the body of a `recordInfo` answer.
    pub fn parse(body: &[u8]) -> Result<Self, ReadError> {
        Self::read(&answer_of(body))
    }

    /// The input that the task was created with, as far as the record shows it; of a family's task all parameters but
    /// the callback address. It is taken out of text inside text at every call, and nothing else fails because of it.
    ///
    /// The provider adds members: defaults, its own name of the model, what it derived. To find out whether a task is
    /// yours, look for the members that you sent. It holds the prompt: not for logs.
    ///
    /// ```
    /// use kie_client::Record;
    ///
    /// let body = br#"{"code":200,"data":{"taskId":"a1","param":"{\"input\":\"{\\\"prompt\\\":\\\"kite\\\"}\"}"}}"#;
    /// assert_eq!(Record::parse(body)?.input().unwrap()["prompt"], "kite");
    /// # Ok::<(), kie_client::ReadError>(())
    /// ```
    pub fn input(&self) -> Option<Value> {
        self.request.input()
    }

    /// Whether the failure is about what the input shows or says.
    pub fn is_moderation(&self) -> bool {
        self.fail_code.as_deref().is_some_and(texts::is_moderation_code)
            || self.fail_message.as_deref().is_some_and(texts::is_moderation)
    }

    /// Whether the task succeeded and its results are in the record.
    pub fn has_results(&self) -> bool {
        self.state == TaskState::Success && (!self.outputs.is_empty() || self.result_object.is_some())
    }

    pub(crate) fn read(answer: &Answer) -> Result<Self, ReadError> {
        let text = answer.text();
        let envelope = answer::open(&text, answer.status, answer.retry_after)?;
        let data = answer::require_object(&envelope)?;
        let word = data.word("state").unwrap_or_default();
        let mut record = Self::common(&data, &text, false)?;
        record.state = TaskState::of_market(&word);
        record.raw_state = texts::shorten(&word, MAX_WORD);
        record.take_results(market_results(&data));
        Ok(record)
    }

    /// The members that every family spells alike; state and results are the caller's. `flat` is [`Request`]'s.
    pub(crate) fn common(data: &Fields<'_>, text: &str, flat: bool) -> Result<Self, ReadError> {
        let id = data.word("taskId").or_else(|| data.word("task_id"));
        let id = id.ok_or_else(|| ReadError::malformed("data.taskId: missing", Snippet::new(text)))?;
        let task_id = TaskId::new(id)
            .map_err(|error| ReadError::malformed(format!("data.taskId: {error}"), Snippet::new(text)))?;
        Ok(Self {
            task_id,
            model: data.text("model").map(|model| texts::shorten(&model, MAX_MODEL)),
            state: TaskState::Unknown(String::new()),
            raw_state: String::new(),
            outputs: Vec::new(),
            extras: Vec::new(),
            result_object: None,
            fail_code: fail_code(data),
            fail_message: message(data),
            credits: credits(data),
            callback_url: param::callback_url(data),
            created_at_ms: time(data, "createTime"),
            completed_at_ms: time(data, "completeTime"),
            expired: data.word("expireFlag").is_some_and(|flag| flag == "1"),
            raw: texts::shorten(text, MAX_RAW),
            request: Request::of(data, flat),
        })
    }

    pub(crate) fn take_results(&mut self, results: Results) {
        self.outputs = results.outputs;
        self.extras = results.extras;
        self.result_object = results.object;
    }

    pub(crate) fn expect_task(self, expected: &TaskId) -> Result<Self, ReadError> {
        if self.task_id == *expected {
            return Ok(self);
        }
        Err(ReadError::malformed("data.taskId: the record of another task", Snippet::new(&self.raw)))
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("task_id", &self.task_id)
            .field("model", &self.model)
            .field("state", &self.state)
            .field("raw_state", &self.raw_state)
            .field("outputs", &self.outputs)
            .field("extras", &self.extras)
            .field("result_object", &self.result_object.is_some())
            .field("fail_code", &self.fail_code)
            .field("fail_message", &self.fail_message)
            .field("credits", &self.credits)
            .field("created_at_ms", &self.created_at_ms)
            .field("completed_at_ms", &self.completed_at_ms)
            .field("expired", &self.expired)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Reads the record of a task that [`create_task`](Client::create_task) made. A young task may be
    /// [not found](ReadError::is_not_found) for up to 90 seconds.
    pub async fn record(&self, task_id: &TaskId) -> Result<Record, ReadError> {
        self.read_record("record", RECORD_PATH, task_id, Record::read).await
    }

    pub(crate) async fn read_record(
        &self,
        operation: &'static str,
        path: &str,
        task_id: &TaskId,
        read: impl Fn(&Answer) -> Result<Record, ReadError> + Sync,
    ) -> Result<Record, ReadError> {
        let span = trace::span(operation, Some(task_id), None);
        let query = [("taskId", task_id.as_str())];
        let request = ReadRequest { path, query: &query, body: None };
        let read = |answer: &Answer| {
            let record = read(answer)?.expect_task(task_id)?;
            span.record("state", &record.raw_state);
            Ok(record)
        };
        self.read(Call::Read, &span, request, read).await
    }
}

pub(crate) fn answer_of(body: &[u8]) -> Answer {
    Answer { status: 200, retry_after: None, body: body.to_vec() }
}

fn market_results(data: &Fields<'_>) -> Results {
    ["resultJson", "response", "resultInfoJson"]
        .iter()
        .filter_map(|key| data.value(key))
        .map(Results::read)
        .find(|results| !results.is_empty())
        .or_else(|| top_level_results(data))
        .unwrap_or_default()
}

/// Results beside the state instead of inside `resultJson`.
pub(crate) fn top_level_results(data: &Fields<'_>) -> Option<Results> {
    let keys = ["resultUrls", "result_urls", "resultObject", "data", "info", "images"];
    let object = keys.iter().filter_map(|key| Some(((*key).to_owned(), data.value(key)?))).collect();
    Some(Results::read(Value::Object(object))).filter(|results| !results.is_empty())
}

/// A time in milliseconds, or as text that names its zone.
fn time(data: &Fields<'_>, key: &str) -> Option<i64> {
    data.integer(key).or_else(|| instant::milliseconds(&data.text(key)?))
}

fn fail_code(data: &Fields<'_>) -> Option<String> {
    let code = data.word("failCode").or_else(|| data.word("errorCode"))?;
    // Several pages give 0 or 200 as the error code of a success.
    (!matches!(code.as_str(), "0" | "200")).then(|| texts::shorten(&code, MAX_WORD))
}

fn message(data: &Fields<'_>) -> Option<String> {
    let keys = ["failMsg", "errorMessage", "errorMsg"];
    keys.iter().find_map(|key| data.text(key)).map(|text| texts::shorten_message(&text))
}

fn credits(data: &Fields<'_>) -> Option<Credits> {
    let token = data.raw("creditsConsumed").or_else(|| data.raw("consumeCredits"))?;
    Credits::from_json(token).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(data: &str) -> Record {
        Record::parse(format!(r#"{{"code":200,"msg":"success","data":{data}}}"#).as_bytes()).unwrap()
    }

    #[test]
    fn states_are_strict() {
        for (word, state) in [
            ("waiting", TaskState::Waiting),
            ("queuing", TaskState::Queuing),
            ("generating", TaskState::Generating),
            ("success", TaskState::Success),
            ("fail", TaskState::Fail),
            ("SUCCESS", TaskState::Unknown("SUCCESS".into())),
            ("succeeded", TaskState::Unknown("succeeded".into())),
        ] {
            let read = record(&format!(r#"{{"taskId":"a1","state":"{word}"}}"#));
            assert_eq!((read.state, read.raw_state.as_str()), (state, word));
        }
        assert_eq!(record(r#"{"taskId":"a1"}"#).state, TaskState::Unknown(String::new()));
    }

    #[test]
    fn the_cost_keeps_its_digits() {
        assert_eq!(record(r#"{"taskId":"a1","creditsConsumed":0.19}"#).credits.unwrap().micro(), 190_000);
        assert_eq!(record(r#"{"taskId":"a1","consumeCredits":100}"#).credits.unwrap().micro(), 100_000_000);
        assert_eq!(record(r#"{"taskId":"a1","creditsConsumed":null}"#).credits, None);
        assert_eq!(record(r#"{"taskId":"a1","creditsConsumed":-1}"#).credits, None);
    }

    #[test]
    fn success_without_results_is_visible() {
        for result in ["\"\"", "null", "\"{truncat\"", "\"{\\\"resultUrls\\\":[]}\""] {
            let read = record(&format!(r#"{{"taskId":"a1","state":"success","resultJson":{result}}}"#));
            assert_eq!(read.state, TaskState::Success);
            assert!(!read.has_results(), "{result}");
        }
    }

    #[test]
    fn data_null_and_data_absent_are_not_found() {
        for body in [r#"{"code":200,"msg":"success","data":null}"#, r#"{"code":200,"msg":"success"}"#] {
            assert!(Record::parse(body.as_bytes()).unwrap_err().is_not_found(), "{body}");
        }
        assert!(
            Record::parse(br#"{"code":422,"msg":"recordInfo is null","data":null}"#)
                .unwrap_err()
                .is_not_found()
        );
    }

    #[test]
    fn another_task_is_not_ours() {
        let read = record(r#"{"taskId":"a1","state":"success"}"#);
        let error = read.expect_task(&TaskId::new("b2").unwrap()).unwrap_err();
        assert!(matches!(error, ReadError::Malformed { .. }));
    }

    #[test]
    fn debug_hides_prompt_and_callback() {
        let read = record(r#"{"taskId":"a1","param":"{\"callBackUrl\":\"https://app.example/secret\"}"}"#);
        assert!(!format!("{read:?}").contains("secret"));
    }
}
