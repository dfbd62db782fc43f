//! Receives callbacks: checks the signature, answers 200 at once, and reads the record before believing anything.
//!
//! `KIE_API_KEY=… cargo run --example callback`, then create a task with this program's public address as callback.
//! With `KIE_WEBHOOK_HMAC_KEY` set, callbacks must carry the provider's signature. `KIE_BASE_URL` and `KIE_UPLOAD_URL`
//! point it at a simulator.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program for the terminal")]

use std::{
    env,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, RawQuery, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use kie_client::{
    Client, SecretString, TaskId,
    callback::{self, SIGNATURE_HEADER, TIMESTAMP_HEADER},
};
use tokio::{net::TcpListener, sync::mpsc};

const TOLERANCE: Duration = Duration::from_mins(10);

#[derive(Clone)]
struct Receiver {
    key: Option<SecretString>,
    hints: mpsc::Sender<TaskId>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = connect()?;
    let (hints, mut wakes) = mpsc::channel(1000);
    let receiver = Receiver { key: env::var("KIE_WEBHOOK_HMAC_KEY").ok().map(SecretString::from), hints };
    tokio::spawn(async move {
        while let Some(task_id) = wakes.recv().await {
            match client.record(&task_id).await {
                Ok(record) => println!("{task_id}: {:?}, {} outputs", record.state, record.outputs.len()),
                Err(error) => println!("{task_id}: {error}"),
            }
        }
    });
    let app = Router::new()
        .route("/callback", post(receive))
        .layer(DefaultBodyLimit::max(256 * 1024))
        .with_state(receiver);
    let listener = TcpListener::bind("127.0.0.1:8090").await?;
    println!("listening on http://{}/callback", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

fn connect() -> anyhow::Result<Client> {
    let mut builder = Client::builder(env::var("KIE_API_KEY").context("KIE_API_KEY is not set")?);
    if let Ok(base) = env::var("KIE_BASE_URL") {
        builder = builder.base_url(base.parse().context("KIE_BASE_URL is not an address")?);
    }
    if let Ok(base) = env::var("KIE_UPLOAD_URL") {
        builder = builder.upload_url(base.parse().context("KIE_UPLOAD_URL is not an address")?);
    }
    Ok(builder.build()?)
}

async fn receive(
    State(receiver): State<Receiver>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let hint = callback::read(&body, query.as_deref());
    // Without an id there is nothing to do, and nothing that another delivery would make better.
    let Some(task_id) = hint.task_id else { return StatusCode::OK };
    if let Some(key) = &receiver.key
        && !is_signed(key, &task_id, &headers)
    {
        return StatusCode::UNAUTHORIZED;
    }
    // A real service writes the hint down before it answers; 503 makes the provider deliver again.
    match receiver.hints.try_send(task_id) {
        Ok(()) => StatusCode::OK,
        Err(_full) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn is_signed(key: &SecretString, task_id: &TaskId, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let (timestamp, signature) = (text(TIMESTAMP_HEADER), text(SIGNATURE_HEADER));
    callback::verify_signature(key, task_id.as_str(), timestamp, signature, now, TOLERANCE).is_ok()
}
