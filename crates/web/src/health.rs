//! Alive, and ready.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::front::{Front, Shared};
use crate::problem::error_chain;

const KEPT_FOR: Duration = Duration::from_secs(2);
const ASK_WITHIN: Duration = Duration::from_secs(3);
const OK: &str = "ok";
const DOWN: &str = "down";

/// The process is there.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    status: &'static str,
    /// The program's version.
    version: &'static str,
}

/// Whether what the process needs is there.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ok` or `down`.
    database: &'static str,
    /// `ok` or `down`.
    schema: &'static str,
    /// `ok` or `down`.
    storage: &'static str,
}

/// Is the process alive?
#[utoipa::path(get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, description = "Yes", body = Alive)))]
pub(crate) async fn alive(State(front): State<Shared>) -> axum::Json<Alive> {
    axum::Json(Alive { status: OK, version: front.settings().version })
}

/// Can it work?
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses(
        (status = 200, description = "Yes", body = Readiness),
        (status = 503, description = "Not at the moment", body = Readiness),
    ))]
pub(crate) async fn ready(State(front): State<Shared>) -> Response {
    let readiness = current(&front).await;
    let good = [readiness.database, readiness.schema, readiness.storage].iter().all(|word| *word == OK);
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(readiness)).into_response()
}

/// Asked at most every two seconds; one question answers all who wait.
async fn current(front: &Front) -> Readiness {
    let mut kept = front.readiness.lock().await;
    if let Some((asked_at, readiness)) = &*kept
        && asked_at.elapsed() < KEPT_FOR
    {
        return readiness.clone();
    }
    let store = front.store();
    let (database, schema, storage) = futures_util::join!(
        word("database", store.ping()),
        word("schema", store.schema_version()),
        word("storage", front.app.media.ping()),
    );
    let readiness = Readiness { database, schema, storage };
    *kept = Some((Instant::now(), readiness.clone()));
    readiness
}

async fn word<T, E>(part: &'static str, asked: impl Future<Output = Result<T, E>>) -> &'static str
where
    E: std::error::Error + 'static,
{
    match tokio::time::timeout(ASK_WITHIN, asked).await {
        Ok(Ok(_)) => OK,
        Ok(Err(error)) => {
            tracing::warn!(part, error = error_chain(&error), "ready.down");
            DOWN
        }
        Err(_elapsed) => {
            tracing::warn!(part, "ready.slow");
            DOWN
        }
    }
}
