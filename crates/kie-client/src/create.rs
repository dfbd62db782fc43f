//! The one call that costs money.

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::{
    client::Client,
    limit::Call,
    refusal::{self, CreateError},
    task::TaskId,
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
        self.limiter().acquire(Call::Create).await.map_err(CreateError::denied)?;
        let started = Instant::now();
        let result = refusal::judge(self.transport().send_create(CREATE_PATH, body).await);
        let elapsed_ms = started.elapsed().as_millis();
        match &result {
            Ok(created) => {
                tracing::debug!(model = task.model, task_id = %created.task_id, elapsed_ms, "task created");
            }
            Err(error) => tracing::debug!(
                model = task.model,
                refusal = ?error.refusal(),
                code = error.code(),
                http_status = error.http_status(),
                elapsed_ms,
                "task not created"
            ),
        }
        result
    }
}
