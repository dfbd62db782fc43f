//! A request as the routes see it, and its line in the log.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use bytes::Bytes;

use crate::clock::now_ms;
use crate::conn::Grip;
use crate::reply::{Delivery, Reply};
use crate::views::{LoggedRequest, logged};
use crate::world::World;

/// A request with its body.
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) grip: Grip,
    pub(crate) at_ms: u64,
}

impl Call {
    pub(crate) fn new(parts: Parts, body: Bytes, grip: Grip) -> Self {
        Self {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            headers: parts.headers,
            body,
            grip,
            at_ms: now_ms(),
        }
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A parameter of the query, decoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let pairs = url::form_urlencoded::parse(self.query.as_deref()?.as_bytes());
        pairs.into_owned().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Whether the bearer key is right.
    pub(crate) fn authorized(&self, world: &World) -> bool {
        let key = self.header(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        key.is_some_and(|key| key.trim() == world.config.api_key)
    }

    /// Whether the body says it is JSON.
    pub(crate) fn says_json(&self) -> bool {
        self.header(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/json"))
    }

    /// Writes the log line, then lets the answer leave.
    pub(crate) async fn answer(self, world: &Arc<World>, reply: Reply) -> Response {
        let silent = matches!(reply.delivery, Delivery::Never | Delivery::Reset);
        let line = LoggedRequest {
            authorized: Some(self.authorized(world)),
            body: logged(&self.body),
            ..self.line((!silent).then_some(reply.status.as_u16()), reply.code, reply.task_id.clone())
        };
        tracing::debug!(
            method = line.method,
            path = line.path,
            status = line.status,
            code = line.code,
            task = line.task_id,
            "request.answered"
        );
        world.requests.push(line);
        reply.send(world, &self).await
    }

    /// A log line without key and body, as public paths have it.
    pub(crate) fn line(
        &self,
        status: Option<u16>,
        code: Option<i64>,
        task_id: Option<String>,
    ) -> LoggedRequest {
        LoggedRequest {
            at_ms: self.at_ms,
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            status,
            code,
            task_id,
            authorized: None,
            agent: self.header(header::USER_AGENT).map(str::to_owned),
            body: String::new(),
            range: self.header(header::RANGE).map(str::to_owned),
        }
    }
}
