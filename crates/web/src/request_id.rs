//! The request's id: taken or made, in every log line and answer; and the one line per request.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use domain::AccountId;
use http::{HeaderName, HeaderValue};
use tracing::Instrument;

use crate::front::Front;
use crate::metrics;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// What a path that belongs to no route is called in logs.
const UNMATCHED: &str = "(unmatched)";

struct Context {
    id: String,
    account: OnceLock<AccountId>,
}

tokio::task_local! {
    static CONTEXT: Arc<Context>;
}

/// The id of the request that this task answers; empty outside of one.
pub(crate) fn current() -> String {
    CONTEXT.try_with(|context| context.id.clone()).unwrap_or_default()
}

/// Notes for the request's log line who asked.
pub(crate) fn note_account(account: AccountId) {
    // A request has one caller; a second note would say the same.
    let _ = CONTEXT.try_with(|context| context.account.set(account));
}

/// Gives the request its id, runs it in a span that carries it, and logs and counts it when it is answered.
///
/// Logs name the route's template: a path may hold a callback token, a query string a signature.
pub(crate) async fn follow(
    State(front): State<Arc<Front>>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let given = request.headers().get(HEADER).and_then(|value| value.to_str().ok()).filter(|id| is_sane(id));
    let id = given.map_or_else(|| make(&front), str::to_owned);
    let started = Instant::now();
    let method = request.method().clone();
    let route = matched.as_ref().map_or(UNMATCHED, MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", request_id = %id);
    let context = Arc::new(Context { id, account: OnceLock::new() });
    let answer = CONTEXT.scope(context.clone(), next.run(request)).instrument(span.clone());
    let mut response = answer.await;
    let (status, took) = (response.status().as_u16(), started.elapsed());
    metrics::count_request(&method, &route, status, took);
    let account = context.account.get().map(tracing::field::display);
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::info!(%method, route, status, ms, account, "http.request"));
    if let Ok(value) = HeaderValue::from_str(&context.id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

fn is_sane(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn make(front: &Front) -> String {
    let mut bytes = [0_u8; 16];
    front.lifecycle().ids().chance.fill(&mut bytes);
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_plain_short_ids_are_taken() {
        for good in ["a", "0190f3a0-0000-7000", "A_b.c"] {
            assert!(super::is_sane(good), "{good}");
        }
        for bad in ["", "a b", "a\"b", "дом", &"x".repeat(65)] {
            assert!(!super::is_sane(bad), "{bad}");
        }
    }
}
