//! Webhooks: a signed, thin HTTP request to the customer's own address.

use std::{error::Error, time::Duration};

use async_trait::async_trait;
use domain::{BatchId, DeliveryEvent, JobId, JobState, Timestamp};
use outbound::{Client, ClientOptions, Guard, Method, OutboundError, Response, header};
use reqwest::StatusCode;
use serde::Serialize;
use url::Url;

use crate::{Channel, Message, Outcome, signature::signature};

/// From the request to the last byte of the answer that is read.
const TIME_LIMIT: Duration = Duration::from_secs(15);
/// An answer is read only so far that its connection can be used again.
const ANSWER_READ_MAX: usize = 1_024;
const ANSWER_READ_LIMIT: Duration = Duration::from_secs(1);
/// The longest wait that a receiver may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);
const ERROR_LENGTH_MAX: usize = 200;

/// The channel of Standard Webhooks; cheap to clone.
#[derive(Debug, Clone)]
pub struct Webhooks {
    client: Client,
}

impl Webhooks {
    /// A channel that reaches what the guard lets through; each try ends within 15 s.
    pub fn new(guard: &Guard) -> Result<Self, OutboundError> {
        Self::with_time_limit(guard, TIME_LIMIT)
    }

    /// The same with another limit for a whole try.
    pub fn with_time_limit(guard: &Guard, limit: Duration) -> Result<Self, OutboundError> {
        let options = ClientOptions {
            connect_timeout: limit.min(Duration::from_secs(10)),
            read_timeout: Some(limit),
            total_timeout: Some(limit),
            ..ClientOptions::default()
        };
        Ok(Self { client: guard.client(&options)? })
    }

    async fn post(&self, url: &Url, message: &Message<'_>) -> Result<Response, OutboundError> {
        let id = message.delivery.id.to_string();
        let seconds = message.at.as_second();
        let body = body(message);
        let signature = signature(message.webhook_key, &id, seconds, &body);
        let request = self
            .client
            .request(Method::POST, url)?
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(body);
        self.client.send(request).await
    }
}

#[async_trait]
impl Channel for Webhooks {
    fn kind(&self) -> domain::Channel {
        domain::Channel::Webhook
    }

    async fn deliver(&self, message: &Message<'_>) -> Outcome {
        let Ok(url) = Url::parse(&message.delivery.address) else {
            return Outcome::Gone { error: "the address is not a URL".to_owned() };
        };
        if let Err(blocked) = self.client.guard().check(&url) {
            return Outcome::Gone { error: blocked.to_string() };
        }
        match self.post(&url, message).await {
            Ok(answer) => judge(answer).await,
            Err(error) => Outcome::Retry { after: None, error: describe(&error) },
        }
    }
}

/// The body; thin, because the receiver asks the API for what it needs, and so it never outgrows a receiver.
#[derive(Serialize)]
struct Body {
    r#type: DeliveryEvent,
    timestamp: Timestamp,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    id: JobId,
    state: JobState,
    gift: bool,
    batch_id: Option<BatchId>,
}

/// `timestamp` is when the duty arose, the same at every try; `data` is the job as it is now.
fn body(message: &Message<'_>) -> Vec<u8> {
    let Message { delivery, job, .. } = message;
    let data = Data { id: job.id, state: job.state, gift: job.gift, batch_id: job.batch };
    let body = Body { r#type: delivery.event, timestamp: delivery.created_at, data };
    #[expect(clippy::expect_used, reason = "the body is made of words, numbers and ids alone")]
    serde_json::to_vec(&body).expect("plain data is JSON")
}

async fn judge(answer: Response) -> Outcome {
    let status = answer.status();
    let after = retry_after(&answer);
    if !status.is_redirection() {
        drain(answer).await;
    }
    if status.is_success() {
        return Outcome::Delivered;
    }
    let code = status.as_u16();
    if status == StatusCode::GONE {
        return Outcome::Gone { error: format!("the receiver answered {code}") };
    }
    let note = if status.is_redirection() { "; redirects are not followed" } else { "" };
    Outcome::Retry { after, error: format!("the receiver answered {code}{note}") }
}

/// The wait in the `Retry-After` header, where it is a number of seconds.
fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// Reads the rest of a short answer; of a long or slow one the connection is given up instead.
async fn drain(mut answer: Response) {
    let read = async {
        let mut length = 0;
        while let Ok(Some(chunk)) = answer.chunk().await {
            length += chunk.len();
            if length > ANSWER_READ_MAX {
                break;
            }
        }
    };
    if tokio::time::timeout(ANSWER_READ_LIMIT, read).await.is_err() {
        tracing::trace!("Gave up reading a webhook receiver's answer");
    }
}

/// The error and its innermost cause, without the URL: `OutboundError` drops it.
fn describe(error: &OutboundError) -> String {
    let mut text = error.to_string();
    if let Some(cause) = innermost(error) {
        text = format!("{text}: {cause}");
    }
    match text.char_indices().nth(ERROR_LENGTH_MAX) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}

fn innermost<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let mut cause = error.source()?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(cause)
}
