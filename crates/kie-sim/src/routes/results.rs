//! Result files: public, with ranges, streamed, mortal.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use crate::call::Call;
use crate::clock::whole_ms;
use crate::fault::{Answer, Fault, Moment, ResultFault, Route};
use crate::files::{Blob, Format};
use crate::links;
use crate::ranges::{Want, wanted};
use crate::reply::{Reply, sleep_or_stop};
use crate::script::Scene;
use crate::task::{Outcome, Task};
use crate::world::World;

type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// `GET /r/{task}/{name}`
pub(super) async fn direct(
    State(world): State<Arc<World>>,
    Path((id, name)): Path<(String, String)>,
    call: Call,
) -> Response {
    serve(&world, &id, &name, call, false).await
}

/// `GET /dl/{task}/{name}?expires=…&sign=…`
pub(super) async fn by_link(
    State(world): State<Arc<World>>,
    Path((id, name)): Path<(String, String)>,
    call: Call,
) -> Response {
    let until_ms = call.parameter("expires").and_then(|text| text.parse().ok()).unwrap_or(0);
    let signed =
        call.parameter("sign").is_some_and(|sign| sign == links::sign(world.seed, &id, &name, until_ms));
    if !signed || call.at_ms > until_ms {
        return finish(&world, &call, Some(&id), status_page(StatusCode::FORBIDDEN));
    }
    serve(&world, &id, &name, call, true).await
}

async fn serve(world: &Arc<World>, id: &str, name: &str, call: Call, fresh: bool) -> Response {
    let Some((task, format)) = find(world, id, name, call.at_ms) else {
        return finish(world, &call, Some(id), status_page(StatusCode::NOT_FOUND));
    };
    if call.header(header::USER_AGENT).is_some_and(|agent| agent.starts_with("Python-urllib")) {
        return finish(world, &call, Some(id), status_page(StatusCode::FORBIDDEN));
    }
    let fault = fault_now(world, &task, &call, fresh);
    if let Some(ResultFault::Answer(Answer::Slow(by))) = &fault {
        sleep_or_stop(world, *by).await;
    } else if let Some(ResultFault::Answer(answer)) = &fault {
        let page = Reply { content_type: format.mime(), code: None, ..Reply::ok(&serde_json::Value::Null) };
        return call.answer(world, page.spoilt(answer).about(id)).await;
    }
    if let Some(response) = fault.as_ref().and_then(replacement) {
        return finish(world, &call, Some(id), response);
    }
    match world.renders.file(&task, name, format, task.order.bytes).await {
        Ok(blob) => {
            let response = file_response(world, &call, blob, format, fault.as_ref());
            finish(world, &call, Some(id), response)
        }
        Err(error) => {
            tracing::error!(%error, task = id, "a result could not be made");
            finish(world, &call, Some(id), status_page(StatusCode::INTERNAL_SERVER_ERROR))
        }
    }
}

/// A finished task that still has its files, and the format of this one.
fn find(world: &World, id: &str, name: &str, now_ms: u64) -> Option<(Arc<Task>, Format)> {
    let task = world.find(id)?;
    let progress = task.progress();
    let alive = progress.done_ms.saturating_add(whole_ms(world.config.result_life)) > now_ms;
    let (stem, extension) = name.rsplit_once('.')?;
    let number = stem.rsplit_once('-').map_or(stem, |(_, number)| number).parse::<u32>().ok()?;
    let format = Format::from_extension(extension)?;
    (progress.outcome == Some(Outcome::Success) && alive && number < task.order.count.max(1))
        .then_some((task, format))
}

fn fault_now(world: &World, task: &Task, call: &Call, fresh: bool) -> Option<ResultFault> {
    let scene = Scene { route: Some(Route::Result), ..task.scene() };
    let faults = task.pick(Moment::Result).into_iter().chain(world.scripts.pick(Moment::Result, &scene));
    let mut faults = faults.filter_map(|fault| match fault {
        Fault::Result(fault) => Some(fault),
        _ => None,
    });
    faults.find(|fault| match fault {
        ResultFault::Expired => !fresh,
        ResultFault::NeedsAgent => call.header(header::USER_AGENT).is_none(),
        _ => true,
    })
}

/// A sound PNG but for its pixels: the header says 30,000 × 30,000, the data are 64 bytes of black.
const HOSTILE_PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x75\x30\0\0\x75\x30\x08\x02\0\0\0\xe9\x45\x6f\xed\
    \0\0\0\x0cIDAT\x78\x9c\x63\x60\xa0\x0c\0\0\0\x40\0\x01\xb7\x34\x7c\xef\0\0\0\0IEND\xae\x42\x60\x82";

/// An answer that has nothing of the file.
fn replacement(fault: &ResultFault) -> Option<Response> {
    Some(match fault {
        ResultFault::Json => {
            page(StatusCode::OK, "application/json", "{\"code\":500,\"msg\":\"file not ready\"}")
        }
        ResultFault::Hostile => page(StatusCode::OK, "image/png", HOSTILE_PNG),
        ResultFault::Status(status) => {
            status_page(StatusCode::from_u16(*status).unwrap_or(StatusCode::NOT_FOUND))
        }
        ResultFault::Expired | ResultFault::NeedsAgent => status_page(StatusCode::FORBIDDEN),
        ResultFault::Redirect(url) => {
            let mut response = page(StatusCode::FOUND, "text/html", "");
            let target = HeaderValue::from_str(url).unwrap_or(HeaderValue::from_static("/"));
            response.headers_mut().insert(header::LOCATION, target);
            response
        }
        _ => return None,
    })
}

fn file_response(
    world: &Arc<World>,
    call: &Call,
    blob: Arc<Blob>,
    format: Format,
    fault: Option<&ResultFault>,
) -> Response {
    let len = blob.len();
    let want = if fault == Some(&ResultFault::NoRange) {
        Want::Whole
    } else {
        wanted(call.header(header::RANGE), len)
    };
    let (status, start, end) = match want {
        Want::Whole => (StatusCode::OK, 0, len),
        Want::Part(start, end) => (StatusCode::PARTIAL_CONTENT, start, end),
        Want::Nothing => return unsatisfiable(len),
    };
    let body = if call.method == "HEAD" {
        Body::empty()
    } else {
        Body::from_stream(pieces(world, call, blob, (start, end), fault))
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    file_headers(headers, format, fault);
    if fault != Some(&ResultFault::NoLength) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(end - start));
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{len}", end.saturating_sub(1));
        headers.insert(
            header::CONTENT_RANGE,
            HeaderValue::from_str(&range).unwrap_or(HeaderValue::from_static("")),
        );
    }
    response
}

fn file_headers(headers: &mut HeaderMap, format: Format, fault: Option<&ResultFault>) {
    headers.insert(header::SERVER, HeaderValue::from_static("cloudflare"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=14400"));
    if fault != Some(&ResultFault::NoRange) {
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    let kind = match fault {
        Some(ResultFault::NoType) => return,
        Some(ResultFault::WrongType) => "text/plain",
        _ => format.mime(),
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
}

/// The bytes asked for, or what a fault leaves of them.
fn pieces(
    world: &Arc<World>,
    call: &Call,
    blob: Arc<Blob>,
    (start, end): (u64, u64),
    fault: Option<&ResultFault>,
) -> Pieces {
    let half = start + (end - start) / 2;
    let world = Arc::clone(world);
    match fault {
        Some(ResultFault::Truncated) => {
            let grip = call.grip.clone();
            let close = stream::once(async move {
                sleep_or_stop(&world, Duration::from_millis(50)).await;
                grip.cut();
                Err(io::ErrorKind::ConnectionReset.into())
            });
            Box::pin(blob.stream(start, half).chain(close))
        }
        Some(ResultFault::Stall) => {
            let silence = stream::once(async move {
                sleep_or_stop(&world, Duration::from_mins(10)).await;
                Err(io::ErrorKind::TimedOut.into())
            });
            Box::pin(blob.stream(start, half).chain(silence))
        }
        Some(ResultFault::Pace(per_second)) => {
            let per_second = *per_second;
            Box::pin(blob.stream(start, end).then(move |piece| {
                let world = Arc::clone(&world);
                async move {
                    let bytes = piece.as_ref().map_or(0, |piece| piece.len() as u64);
                    sleep_or_stop(&world, Duration::from_millis(bytes.saturating_mul(1000) / per_second))
                        .await;
                    piece
                }
            }))
        }
        _ => Box::pin(blob.stream(start, end)),
    }
}

fn unsatisfiable(len: u64) -> Response {
    let mut response = page(StatusCode::RANGE_NOT_SATISFIABLE, "text/plain", "");
    let range = HeaderValue::from_str(&format!("bytes */{len}")).unwrap_or(HeaderValue::from_static(""));
    response.headers_mut().insert(header::CONTENT_RANGE, range);
    response
}

/// The XML of an object store.
fn status_page(status: StatusCode) -> Response {
    let code = if status == StatusCode::FORBIDDEN { "AccessDenied" } else { "NoSuchKey" };
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code></Error>");
    page(status, "application/xml", text)
}

fn page(status: StatusCode, kind: &'static str, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn finish(world: &World, call: &Call, task_id: Option<&str>, response: Response) -> Response {
    world.requests.push(call.line(Some(response.status().as_u16()), None, task_id.map(str::to_owned)));
    response
}
