//! The one call that costs money.

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use tracing::{Instrument, Span, field};
use url::Url;

use crate::{
    client::Client,
    limit::Call,
    refusal::{self, CreateError},
    task::TaskId,
    trace,
};

const CREATE_PATH: &str = "/api/v1/jobs/createTask";
const MAX_MODEL: usize = 128;

/// A task to be bought.
///
/// ```
/// use kie_client::NewTask;
///
/// let input = serde_json::json!({ "prompt": "a red kite", "aspect_ratio": "1:1" });
/// let callback = "https://shop.example/callbacks/kie?k=1".parse()?;
/// let task = NewTask::new("z-image", &input).callback_url(&callback);
/// assert_eq!(task.callback_url, Some(&callback));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Serialize)]
#[non_exhaustive]
pub struct NewTask<'a> {
    /// The provider's exact id of the model, one or two segments: `nano-banana-2`, `wan/2-7-image-to-video`.
    pub model: &'a str,
    /// All parameters of the model, as a JSON object. Documented defaults are not applied by the provider.
    pub input: &'a Value,
    /// Where the provider shall announce the end; it is repeated in records and callbacks.
    #[serde(rename = "callBackUrl", skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<&'a Url>,
}

impl<'a> NewTask<'a> {
    /// A task without a callback address.
    pub const fn new(model: &'a str, input: &'a Value) -> Self {
        Self { model, input, callback_url: None }
    }

    /// The same with this callback address.
    #[must_use]
    pub const fn callback_url(mut self, url: &'a Url) -> Self {
        self.callback_url = Some(url);
        self
    }

    fn check(&self) -> Result<(), CreateError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
        if self.model.is_empty() || self.model.len() > MAX_MODEL || !self.model.bytes().all(allowed) {
            return Err(CreateError::invalid(
                "the model id is empty, too long or has characters that no model has",
            ));
        }
        if !self.input.is_object() {
            return Err(CreateError::invalid("the input is not a JSON object"));
        }
        Ok(())
    }
}

/// A task that the provider accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreatedTask {
    /// The provider's id of the task.
    pub task_id: TaskId,
}

impl Client {
    /// Buys one task. **Sent exactly once**, over a connection of its own; nothing here repeats it. When the error
    /// [is of unknown outcome](CreateError::is_outcome_unknown), a task may exist. The same holds when the future
    /// is dropped before it is done.
    pub async fn create_task(&self, task: &NewTask<'_>) -> Result<CreatedTask, CreateError> {
        task.check()?;
        let body = serde_json::to_vec(task)
            .map_err(|_error| CreateError::invalid("the input cannot be written as JSON"))?;
        let span = trace::span("create_task", None, Some(task.model));
        self.send_once(body, &span).instrument(span.clone()).await
    }

    async fn send_once(&self, body: Vec<u8>, span: &Span) -> Result<CreatedTask, CreateError> {
        let started = Instant::now();
        let result = match self.limiter().acquire(Call::Create).await {
            Ok(()) => refusal::judge(self.transport().send_create(CREATE_PATH, body).await),
            Err(denied) => Err(CreateError::denied(denied)),
        };
        let elapsed_ms = trace::elapsed_ms(started);
        if let Some(task_id) =
            result.as_ref().map_or_else(CreateError::task_id, |created| Some(&created.task_id))
        {
            span.record("task_id", field::display(task_id));
        }
        match &result {
            Ok(_) => tracing::debug!(elapsed_ms, "call done"),
            Err(error) => tracing::debug!(
                elapsed_ms,
                refusal = ?error.refusal(),
                code = error.code(),
                http_status = error.http_status(),
                "call failed"
            ),
        }
        result
    }
}
