//! Buys one task, waits for it, and streams the first result to disk with progress.
//!
//! `KIE_API_KEY=… cargo run --example generate -- z-image '{"prompt":"a red kite","aspect_ratio":"1:1"}' kite.png`
//!
//! `KIE_BASE_URL` points it at a simulator.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program for the terminal"
)]

use std::{env, io::Write, sync::Arc};

use anyhow::{Context, bail};
use kie_client::{Client, CreateRefusal, NewTask, TaskState, WaitPolicy, WindowLimiter};
use serde_json::Value;
use tokio::{fs::File, io::AsyncWriteExt};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let model = arguments.next().context("usage: generate MODEL INPUT_JSON FILE")?;
    let input: Value = serde_json::from_str(&arguments.next().context("the input is missing")?)?;
    let path = arguments.next().context("the file name is missing")?;
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
    eprintln!("task {}", created.task_id);

    let record = client.wait(&created.task_id, &WaitPolicy::default()).await?;
    if record.state == TaskState::Fail {
        bail!("failed: {}", record.fail_message.as_deref().unwrap_or("the provider does not say why"));
    }
    if let Some(credits) = record.credits {
        eprintln!("cost {credits} credits");
    }
    if let Some(url) = record.outputs.first() {
        return save(&client, url, &path).await;
    }
    println!("{:#}", record.result_object.unwrap_or_default());
    Ok(())
}

fn connect() -> anyhow::Result<Client> {
    let key = env::var("KIE_API_KEY").context("KIE_API_KEY is not set")?;
    let mut builder = Client::builder(key).limiter(Arc::new(WindowLimiter::default()));
    if let Ok(base) = env::var("KIE_BASE_URL") {
        builder = builder.base_url(base.parse().context("KIE_BASE_URL is not an address")?);
    }
    Ok(builder.build()?)
}

/// Holds one chunk in memory at a time, so the length of a video does not matter.
async fn save(client: &Client, url: &str, path: &str) -> anyhow::Result<()> {
    let mut download = client.download(url).await?;
    let length = download.content_length();
    let mut file = File::create(path).await?;
    let mut written = 0;
    while let Some(chunk) = download.chunk().await? {
        file.write_all(&chunk).await?;
        written += chunk.len() as u64;
        show_progress(written, length)?;
    }
    file.sync_all().await?;
    eprintln!();
    println!("{path}");
    Ok(())
}

fn show_progress(written: u64, length: Option<u64>) -> std::io::Result<()> {
    const WIDTH: u64 = 40;
    match length.filter(|length| *length > 0) {
        Some(length) => {
            let filled = written.min(length) * WIDTH / length;
            let bar: String = (0..WIDTH).map(|cell| if cell < filled { '#' } else { '.' }).collect();
            eprint!("\r[{bar}] {written} of {length} bytes");
        }
        None => eprint!("\r{written} bytes"),
    }
    std::io::stderr().flush()
}
