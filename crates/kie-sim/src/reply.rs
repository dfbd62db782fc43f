//! Answers of the API: the envelope, its headers, and the ways an answer can go wrong.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::call::Call;
use crate::config::{FieldSet, ShortText};
use crate::conn::Grip;
use crate::fault::{Answer, UNAUTHORIZED, default_text};
use crate::ids::SplitMix;
use crate::world::World;

pub(crate) const JSON_UTF8: &str = "application/json;charset=UTF-8";
pub(crate) const GATEWAY_PAGE: &str = "<html>\r\n<head><title>Error</title></head>\r\n<body>\r\n<center><h1>The service is unavailable</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n";
/// A silent connection ends after this time even if nobody leaves.
pub(crate) const SILENCE_MAX: Duration = Duration::from_mins(10);

/// What a route answers.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) code: Option<i64>,
    pub(crate) task_id: Option<String>,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    pub(crate) delivery: Delivery,
}

/// How the answer leaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Delivery {
    Whole,
    After(Duration),
    /// Half of the body, then the connection is closed.
    Cut,
    Never,
    Reset,
}

impl Reply {
    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self {
            status,
            code: body.get("code").and_then(Value::as_i64),
            task_id: None,
            content_type: JSON_UTF8,
            body: body.to_string().into(),
            delivery: Delivery::Whole,
        }
    }

    /// HTTP 200 with code 200.
    pub(crate) fn ok(data: &Value) -> Self {
        Self::json(StatusCode::OK, &json!({"code": 200, "msg": "success", "data": data}))
    }

    /// HTTP 200 with a code that is not 200; a 401 has no data, as recorded.
    pub(crate) fn refusal(code: i64, text: &str) -> Self {
        if code == 401 {
            return Self::bare(code, text);
        }
        Self::json(StatusCode::OK, &json!({"code": code, "msg": text, "data": null}))
    }

    /// The same without the member `data`.
    pub(crate) fn bare(code: i64, text: &str) -> Self {
        Self::json(StatusCode::OK, &json!({"code": code, "msg": text}))
    }

    pub(crate) fn unauthorized() -> Self {
        Self::bare(401, UNAUTHORIZED)
    }

    /// Too few credits.
    pub(crate) fn short(world: &World) -> Self {
        match world.config.short_text {
            ShortText::Documented => Self::refusal(402, default_text(402)),
            ShortText::Observed => Self::refusal(500, "Credits insufficient"),
        }
    }

    /// Too many requests, as code or as HTTP status.
    pub(crate) fn too_many(world: &World) -> Self {
        if world.config.http_429 {
            Self::json(StatusCode::TOO_MANY_REQUESTS, &json!({"code": 429, "msg": "Rate limit exceeded"}))
        } else {
            Self::refusal(429, default_text(429))
        }
    }

    #[must_use]
    pub(crate) fn about(mut self, task_id: &str) -> Self {
        self.task_id = Some(task_id.to_owned());
        self
    }

    /// The same answer with something wrong.
    #[must_use]
    pub(crate) fn spoilt(self, answer: &Answer) -> Self {
        let half = self.body.len() / 2;
        match answer {
            Answer::Timeout => Self { delivery: Delivery::Never, ..self },
            Answer::Reset => Self { delivery: Delivery::Reset, ..self },
            Answer::Slow(by) => Self { delivery: Delivery::After(*by), ..self },
            Answer::Html => self.with_page(StatusCode::OK, GATEWAY_PAGE),
            Answer::Empty => self.with_page(StatusCode::OK, ""),
            Answer::BrokenJson => Self { body: self.body.slice(..half), code: None, ..self },
            Answer::Cut => Self { delivery: Delivery::Cut, code: None, ..self },
            Answer::Http(status) => {
                let page = if matches!(status, 502..=504) { GATEWAY_PAGE } else { "" };
                self.with_page(StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY), page)
            }
            Answer::HttpCode(status) => {
                let code = i64::from(*status);
                let text = if *status == 429 { "Rate limit exceeded" } else { default_text(code) };
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
                Self { task_id: self.task_id, ..Self::json(status, &json!({"code": code, "msg": text})) }
            }
            Answer::Code(code, text) => Self { task_id: self.task_id, ..Self::refusal(*code, text) },
            Answer::Nulls => {
                let mut body = serde_json::from_slice(&self.body).unwrap_or_default();
                blank(&mut body);
                Self { body: body.to_string().into(), ..self }
            }
        }
    }

    fn with_page(self, status: StatusCode, page: &'static str) -> Self {
        let content_type = if page.is_empty() { self.content_type } else { "text/html" };
        Self { status, code: None, content_type, body: Bytes::from_static(page.as_bytes()), ..self }
    }

    /// Waits as the delivery wants and makes the HTTP answer.
    pub(crate) async fn send(self, world: &World, call: &Call) -> Response {
        match self.delivery {
            Delivery::After(by) => sleep_or_stop(world, by).await,
            Delivery::Never => {
                sleep_or_stop(world, SILENCE_MAX).await;
                call.grip.cut();
            }
            Delivery::Reset => call.grip.cut(),
            Delivery::Whole | Delivery::Cut => {}
        }
        let cut = self.delivery == Delivery::Cut;
        let body = if cut { cut_body(&self.body, call.grip.clone()) } else { chunked(self.body) };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(header::SERVER, HeaderValue::from_static("cloudflare"));
        headers.insert(HeaderName::from_static("cf-cache-status"), HeaderValue::from_static("DYNAMIC"));
        if world.config.fields == FieldSet::April {
            headers.insert(header::SET_COOKIE, session_cookie());
        }
        response
    }
}

/// Makes null what discovery may leave open: of one model, or of every other one in a list.
fn blank(body: &mut Value) {
    let wipe = |model: &mut Value| {
        for key in ["openapi", "pricingDesc", "description"] {
            if let Some(value) = model.get_mut(key) {
                *value = Value::Null;
            }
        }
    };
    let Some(data) = body.get_mut("data") else { return };
    wipe(data);
    if let Some(models) = data.get_mut("models").and_then(Value::as_array_mut) {
        models.iter_mut().skip(1).step_by(2).for_each(wipe);
    }
}

/// A body of unknown length, so that it leaves in chunks without a content length.
fn chunked(body: Bytes) -> Body {
    Body::from_stream(stream::iter([Ok::<_, Infallible>(body)]))
}

pub(crate) fn cut_body(body: &Bytes, grip: Grip) -> Body {
    let half = Ok(body.slice(..body.len() / 2));
    let end = stream::once(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        grip.cut();
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    Body::from_stream(stream::iter([half]).chain(end))
}

pub(crate) async fn sleep_or_stop(world: &World, span: Duration) {
    world.stop.run_until_cancelled(tokio::time::sleep(span)).await;
}

fn session_cookie() -> HeaderValue {
    let mut mix = SplitMix::new(rand::random());
    let text = format!("JSESSIONID={:016X}{:016X}; Path=/; HttpOnly", mix.next(), mix.next());
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}
