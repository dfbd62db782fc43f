//! The faults by the moment at which they strike.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::telegram::{PaymentFault, TelegramFault, UpdateFault};

/// One thing that goes wrong, or one wish about a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The task runs for so long.
    Duration(Duration),
    /// The task makes so many files.
    Count(u32),
    /// Each file of the task has so many bytes.
    Size(u64),
    /// The task costs so many millionths of a credit.
    Cost(u64),
    /// The task fails with this code and text.
    Fail(String, String),
    /// The form of `resultJson`.
    Shape(Shape),
    /// The callback.
    Callback(CallbackFault),
    /// The answer to createTask.
    Create(CreateFault),
    /// The answer to recordInfo.
    Record(RecordFault),
    /// The download of a result.
    Result(ResultFault),
    /// The answer of any other route.
    Answer(Answer),
    /// A call of the Bot API.
    Telegram(TelegramFault),
    /// An update to the bot.
    Update(UpdateFault),
    /// A payment in the messenger.
    Payment(PaymentFault),
}

/// When a fault is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Plan,
    Start,
    End,
    Shape,
    Link,
    Callback,
    Create,
    Record,
    Result,
    Other,
    Telegram,
    Update,
    Payment,
}

impl Fault {
    pub(crate) fn moment(&self) -> Moment {
        match self {
            Self::Duration(_) | Self::Count(_) | Self::Size(_) | Self::Cost(_) => Moment::Plan,
            Self::Fail(..) => Moment::End,
            Self::Shape(_) => Moment::Shape,
            Self::Callback(CallbackFault::Early | CallbackFault::BeforeAnswer) => Moment::Start,
            Self::Callback(_) => Moment::Callback,
            Self::Create(_) => Moment::Create,
            Self::Record(_) => Moment::Record,
            Self::Result(ResultFault::Private(_)) => Moment::Link,
            Self::Result(_) => Moment::Result,
            Self::Answer(_) => Moment::Other,
            Self::Telegram(_) => Moment::Telegram,
            Self::Update(_) => Moment::Update,
            Self::Payment(_) => Moment::Payment,
        }
    }
}

/// A wrong answer to createTask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateFault {
    /// What is answered.
    pub answer: CreateAnswer,
    /// Whether the task exists all the same.
    pub task: bool,
}

/// What createTask answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateAnswer {
    /// A fault of the answer itself.
    Answer(Answer),
    /// Code 200 with empty data.
    NoId,
    /// `message` in place of `msg`.
    MessageKey,
    /// An id of the documented form `task_…` and no `recordId`.
    DocumentedId,
}

/// A wrong answer to recordInfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordFault {
    /// A fault of the answer itself.
    Answer(Answer),
    /// `recordInfo is null`.
    Null,
    /// This word as the state, whatever the truth is.
    State(String),
    /// The record of another task id.
    OtherTask,
    /// The record names another model.
    OtherModel,
    /// The record shows another `callBackUrl` in `param`.
    OtherCallback,
    /// A record padded to so many bytes.
    Huge(u64),
    /// `failCode` as a number.
    NumericFailCode,
    /// `param` that is not JSON.
    BrokenParam,
}

/// The form of `resultJson` of a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An empty list of URLs.
    NoUrls,
    /// The empty string.
    EmptyText,
    /// Null.
    Null,
    /// A text that is not JSON.
    NotJson,
    /// JSON cut in the middle.
    Truncated,
    /// An object instead of a text.
    Object,
    /// An object instead of a text, with one URL in place of the list.
    ObjectUrlText,
    /// One URL as a text in place of the list.
    UrlText,
    /// Objects with `url` in place of URLs.
    UrlObjects,
    /// A bare array at the top.
    Array,
    /// A bare URL.
    BareUrl,
    /// `outputs` in place of `resultUrls`.
    Outputs,
    /// With `resultWaterMarkUrls` and `progress`.
    Watermark,
    /// With `firstFrameUrl` and `lastFrameUrl`.
    Frames,
    /// The documented sample: `costTime` in ms, empty strings, `input` as an object.
    Documented,
}

/// A callback that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallbackFault {
    /// None at all.
    None,
    /// A success that is told before the record says so, and again at the end.
    Early,
    /// So many copies at once.
    Duplicate(u32),
    /// The task ends, and the callback is delivered, before createTask is answered.
    BeforeAnswer,
    /// So much later.
    Late(Duration),
    /// Signed with another key.
    BadSignature,
    /// Not signed although a key is set.
    NoSignature,
    /// Signed for an hour ago.
    StaleTimestamp,
    /// A valid signature over another body: foreign URLs.
    ForeignBody,
    /// The body inside an array.
    Array,
    /// The body as a JSON text.
    TextBody,
    /// Not JSON.
    NotJson,
    /// No body.
    Empty,
    /// Two different ids.
    Conflict,
    /// The id as `data.task_id`.
    SnakeId,
    /// The id at the top only.
    TopId,
    /// The same id in both spellings.
    BothIds,
    /// No id.
    NoId,
    /// An id that never existed, signed for it.
    UnknownTask,
    /// Padded to so many bytes.
    Huge(u64),
    /// Without `resultJson`.
    NoResult,
    /// The form of 2025 with the account's balance.
    Legacy,
    /// Only the fields of the shortest failure.
    Minimal,
    /// Only id, state and result.
    Short,
    /// Without `msg`.
    NoMsg,
    /// A success with `failCode` and `failMsg`, both null.
    Nulls,
    /// `input` inside `param` as a JSON text, as recordInfo has it.
    NestedParam,
    /// The form that the page about signatures shows.
    Documented,
    /// A failure after the true callback.
    ThenFail,
    /// A failure before the true callback.
    FailFirst,
    /// A running state after the true callback.
    ThenProgress,
}

/// A download that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultFault {
    /// A fault of the answer itself.
    Answer(Answer),
    /// JSON under HTTP 200.
    Json,
    /// A picture of 69 bytes whose header promises 30,000 × 30,000 pixels.
    Hostile,
    /// Half of the file under the whole length.
    Truncated,
    /// This HTTP status with an XML body, as object stores answer.
    Status(u16),
    /// A redirect to this address.
    Redirect(String),
    /// The link in the record points to this address.
    Private(String),
    /// The right bytes under a wrong content type.
    WrongType,
    /// The right bytes without a content type.
    NoType,
    /// The right bytes without a content length.
    NoLength,
    /// Ranges are ignored.
    NoRange,
    /// 403 on the direct link; a link made by download-url works.
    Expired,
    /// 403 without a user agent.
    NeedsAgent,
    /// Stops after half of the file, with the connection open.
    Stall,
    /// About so many bytes per second.
    Pace(u64),
}

/// The routes a script can be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// `POST /api/v1/jobs/createTask`
    #[serde(alias = "createTask")]
    CreateTask,
    /// `GET /api/v1/jobs/recordInfo`
    #[serde(alias = "recordInfo")]
    RecordInfo,
    /// `GET /api/v1/chat/credit`
    Credit,
    /// `POST /api/v1/common/download-url`
    DownloadUrl,
    /// The three upload paths.
    Upload,
    /// The discovery paths.
    Models,
    /// Downloads of results.
    Result,
}
