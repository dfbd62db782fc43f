//! Server-sent events: every change of the account's jobs and balance.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use domain::{Scope, Timestamp};
use futures_util::{Stream, StreamExt, stream};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::auth::Reader;
use crate::events::{HubEvent, PAGE, balance_event, find_balance, job_events, subscribe};
use crate::front::{Front, Shared};
use crate::problem::Problem;
use crate::serve::Shutdown;

const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Then the listener comes again, and its token is judged anew: a stream must not outlive its credentials for long.
const LISTEN_FOR: Duration = Duration::from_mins(5);
/// What was committed a little before the last event may have become visible after it.
const RESUME_OVERLAP: Duration = Duration::from_secs(30);
const RESUME_MAX: Duration = Duration::from_hours(24);
/// More changes than this are not sent again; the listener reads its list anew.
const RESUME_PAGES: usize = 5;

/// Listen to changes
///
/// `job` brings a job's JSON, `balance` the balance. Resume with `Last-Event-ID`: every job changed since, minus 30 s,
/// comes again; drop versions that you have. `reset` means that too much was missed: read the lists anew. A stream ends
/// after five minutes; connect again.
#[utoipa::path(
    get, path = "/v1/events", tag = "jobs",
    params(
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen"),
        ("account" = Option<String>, Query, description = "Operators: this account"),
    ),
    responses((status = 200, description = "The stream", body = String, content_type = "text/event-stream")),
)]
pub(crate) async fn listen(State(front): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    let reader = Reader::of_page(&parts, &front).await?;
    let stop = parts.extensions.get::<Shutdown>().map_or_else(CancellationToken::new, |stop| stop.0.clone());
    // Listening begins before the past is read, so that nothing falls between.
    let live = subscribe(&front, reader.account, reader.viewer);
    let mut first = missed(&front, reader, &parts).await?;
    let now = front.now();
    if let Some(balance) = find_balance(&front, reader.account).await? {
        first.push(balance_event(&balance, now)?);
    }
    let events = stream::iter(first)
        .chain(live_events(live, front.clone()))
        .map(|event| Ok::<_, Infallible>(sent(&event)));
    let events = events.take_until(async move {
        // Either way the stream ends.
        let _ended = tokio::time::timeout(LISTEN_FOR, stop.cancelled_owned()).await;
    });
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // Proxies that gather a response before they pass it on would hold events back.
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(([unbuffered], sse).into_response())
}

/// What happened since the listener's last event; nothing for a new one.
async fn missed(front: &Front, reader: Reader, parts: &Parts) -> Result<Vec<HubEvent>, Problem> {
    let given = parts.headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let Some(given) = given.filter(|id| !id.is_empty()) else { return Ok(Vec::new()) };
    let now = front.now();
    let last = given.parse().ok().and_then(|micros| Timestamp::from_microsecond(micros).ok());
    let oldest = now.saturating_sub(RESUME_MAX).unwrap_or(now);
    let Some(last) = last.filter(|last| *last >= oldest) else { return Ok(vec![reset(now)]) };
    let mut since = last.saturating_sub(RESUME_OVERLAP).unwrap_or(last);
    let mut events = Vec::new();
    for _page in 0..RESUME_PAGES {
        let jobs = front.store().changed_jobs(Scope::Account(reader.account), since, PAGE).await?;
        events.extend(job_events(front, &jobs, reader.viewer).await?);
        match jobs.last() {
            Some(last) if jobs.len() >= PAGE as usize => since = last.updated_at,
            _ => return Ok(events),
        }
    }
    Ok(vec![reset(now)])
}

fn live_events(live: broadcast::Receiver<HubEvent>, front: Shared) -> impl Stream<Item = HubEvent> {
    stream::unfold((live, front), |(mut live, front)| async move {
        match live.recv().await {
            Ok(event) => Some((event, (live, front))),
            Err(RecvError::Lagged(_)) => Some((reset(front.now()), (live, front))),
            Err(RecvError::Closed) => None,
        }
    })
}

fn reset(now: Timestamp) -> HubEvent {
    HubEvent { name: "reset", id: now.as_microsecond(), json: Arc::from("{}") }
}

fn sent(event: &HubEvent) -> Event {
    Event::default().event(event.name).id(event.id.to_string()).data(&*event.json)
}
