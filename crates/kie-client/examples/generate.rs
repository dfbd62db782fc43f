//! Buys one task, waits for it, and prints what it made.
//!
//! `KIE_API_KEY=… cargo run --example generate -- z-image '{"prompt":"a red kite","aspect_ratio":"1:1"}'`
//!
//! `KIE_BASE_URL` and `KIE_UPLOAD_URL` point it at a simulator.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program for the terminal"
)]

use std::{env, sync::Arc};

use anyhow::{Context, bail};
use kie_client::{Client, CreateRefusal, NewTask, TaskState, WaitPolicy, WindowLimiter};
use serde_json::Value;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let model = arguments.next().context("usage: generate MODEL INPUT_JSON")?;
    let input: Value = serde_json::from_str(&arguments.next().context("the input is missing")?)?;
    let client = connect()?;

    let task = NewTask::new(&model, &input);
    let created = match client.create_task(&task).await {
        Ok(created) => created,
        Err(error) => match error.refusal() {
            CreateRefusal::Unknown => bail!("{error}; look at your account before you try again"),
            CreateRefusal::Throttled { .. } | CreateRefusal::NotSent => bail!("{error}; try again later"),
            _ => bail!("{error}"),
        },
    };
    // Whatever happens from here on, this id finds what was paid for.
    eprintln!("task {}", created.task_id);

    let record = client.wait(&created.task_id, &WaitPolicy::default()).await?;
    if record.state == TaskState::Fail {
        bail!("failed: {}", record.fail_message.as_deref().unwrap_or("the provider does not say why"));
    }
    if let Some(credits) = record.credits {
        eprintln!("cost {credits} credits");
    }
    for url in &record.outputs {
        println!("{url}");
    }
    if let Some(object) = record.result_object {
        println!("{object:#}");
    }
    Ok(())
}

fn connect() -> anyhow::Result<Client> {
    let key = env::var("KIE_API_KEY").context("KIE_API_KEY is not set")?;
    let mut builder = Client::builder(key).limiter(Arc::new(WindowLimiter::default()));
    if let Ok(base) = env::var("KIE_BASE_URL") {
        builder = builder.base_url(base.parse().context("KIE_BASE_URL is not an address")?);
    }
    if let Ok(base) = env::var("KIE_UPLOAD_URL") {
        builder = builder.upload_url(base.parse().context("KIE_UPLOAD_URL is not an address")?);
    }
    Ok(builder.build()?)
}
