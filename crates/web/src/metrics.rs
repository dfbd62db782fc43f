//! Prometheus text: requests by route and status, jobs by state.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{Method, header};
use store::Overview;

use crate::auth::Operator;
use crate::front::Shared;
use crate::problem::Problem;

/// Upper bounds of the buckets, milliseconds.
const BUCKETS_MS: [u64; 8] = [5, 10, 25, 50, 100, 500, 2_500, 10_000];

#[derive(Debug, Clone, Copy, Default)]
struct Series {
    buckets: [u64; BUCKETS_MS.len()],
    count: u64,
    micros: u128,
}

/// Routes are templates and methods a closed list, so the number of series is bounded. One table for the process,
/// as several routers may serve in it.
static REQUESTS: LazyLock<Mutex<Table>> = LazyLock::new(Mutex::default);

/// By method, route and status.
type Table = BTreeMap<(&'static str, String, u16), Series>;

/// Counts one answered request.
pub(crate) fn count_request(method: &Method, route: &str, status: u16, took: Duration) {
    let mut table = REQUESTS.lock().unwrap_or_else(PoisonError::into_inner);
    let series = table.entry((method_word(method), route.to_owned(), status)).or_default();
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    for (bucket, bound) in series.buckets.iter_mut().zip(BUCKETS_MS) {
        *bucket += u64::from(millis <= bound);
    }
    series.count += 1;
    series.micros += took.as_micros();
}

/// `/metrics` for operators.
pub(crate) async fn for_operators(_: Operator, state: State<Shared>) -> Result<Response, Problem> {
    open(state).await
}

/// `/metrics` on a listener of its own.
pub(crate) async fn open(State(front): State<Shared>) -> Result<Response, Problem> {
    let mut text = requests_text();
    states_text(&mut text, &*front.overview().await?);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

fn requests_text() -> String {
    let table = REQUESTS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut text = String::from("# TYPE kie_http_request_duration_seconds histogram\n");
    for ((method, route, status), series) in &table {
        let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
        for (bucket, bound) in series.buckets.iter().zip(BUCKETS_MS) {
            let bound = Duration::from_millis(bound).as_secs_f64();
            let _ = writeln!(
                text,
                "kie_http_request_duration_seconds_bucket{{{labels},le=\"{bound}\"}} {bucket}"
            );
        }
        let seconds = Duration::from_micros(u64::try_from(series.micros).unwrap_or(u64::MAX)).as_secs_f64();
        let count = series.count;
        let _ = writeln!(text, "kie_http_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} {count}");
        let _ = writeln!(text, "kie_http_request_duration_seconds_sum{{{labels}}} {seconds}");
        let _ = writeln!(text, "kie_http_request_duration_seconds_count{{{labels}}} {count}");
    }
    text
}

/// Writing to a `String` cannot fail.
fn states_text(text: &mut String, overview: &Overview) {
    text.push_str("# HELP kie_jobs Jobs by state: open ones now, ended ones of the last 24 hours.\n");
    text.push_str("# TYPE kie_jobs gauge\n");
    for (state, count) in &overview.states {
        let _ = writeln!(text, "kie_jobs{{state=\"{state}\"}} {count}");
    }
    text.push_str("# TYPE kie_deliveries gauge\n");
    for (state, count) in &overview.deliveries {
        let _ = writeln!(text, "kie_deliveries{{state=\"{state}\"}} {count}");
    }
    let _ = writeln!(text, "# TYPE kie_callback_orphans gauge\nkie_callback_orphans {}", overview.orphans);
}

fn method_word(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
