//! Waits for a video that was bought before, and streams it to disk with a progress bar.
//!
//! `KIE_API_KEY=… cargo run --example download -- TASK kite.mp4`, with the id that the example `generate` prints. It may
//! be stopped and started again: nothing is bought here.
//!
//! `KIE_BASE_URL` and `KIE_UPLOAD_URL` point it at a simulator.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program for the terminal"
)]

use std::{env, io::Write, time::Duration};

use anyhow::{Context, bail};
use kie_client::{Client, TaskId, TaskState, WaitPolicy};
use tokio::{fs::File, io::AsyncWriteExt};

/// Videos take minutes, and hours on a bad day: fewer questions, and more patience.
const FOR_A_VIDEO: WaitPolicy = WaitPolicy::new()
    .first_pause(Duration::from_secs(5))
    .max_pause(Duration::from_secs(30))
    .timeout(Duration::from_hours(3));

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let task_id = TaskId::new(arguments.next().context("usage: download TASK FILE")?)?;
    let path = arguments.next().context("the file name is missing")?;
    let client = connect()?;

    eprintln!("waiting for {task_id}");
    let record = client.wait(&task_id, &FOR_A_VIDEO).await?;
    if record.state == TaskState::Fail {
        bail!("failed: {}", record.fail_message.as_deref().unwrap_or("the provider does not say why"));
    }
    let url = record.outputs.first().context("the task made no file")?;
    save(&client, url, &path).await?;
    println!("{path}");
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
    Ok(())
}

/// A bar where the server states the length; it often does not.
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
