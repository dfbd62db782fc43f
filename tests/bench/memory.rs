//! The memory of the whole process while it copies a film of 1 GiB from the provider to the storage.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kie_sim::{Sim, SimConfig};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::programs::Programs;
use crate::receiver::Receiver;
use crate::shop::{HMAC_KEY, Place, Shop, order_body};
use crate::table::{Figure, say};

const BYTES: u64 = 1 << 30;
const BAR_MIB: u64 = 96;
const PATIENCE: Duration = Duration::from_mins(5);
const BUCKET: &str = "media";
const SECRET: &str = "bench-secret-of-the-bucket";

pub(crate) async fn measure(programs: &Programs) -> anyhow::Result<Vec<Figure>> {
    let local = tempfile::tempdir()?;
    let media = format!("file://{}", local.path().join("media").display());
    let to_folder = copy(programs, local.path(), &media, &[]).await?;
    drop(local);

    let remote = tempfile::tempdir()?;
    let (server, endpoint) = start_s3(programs, &remote.path().join("buckets")).await?;
    let variables = [
        ("AWS_ENDPOINT", endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "bench"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
    ];
    let to_s3 = copy(programs, remote.path(), &format!("s3://{BUCKET}/shop"), &variables).await?;
    drop(server);
    let figure = |name: &str, peak: u64| {
        Figure::new(name, format!("{peak} MiB"), format!("< {BAR_MIB} MiB"), peak < BAR_MIB)
    };
    Ok(vec![
        figure("peak memory, 1 GiB to the local folder", to_folder),
        figure("peak memory, 1 GiB to S3", to_s3),
    ])
}

/// Orders the film and waits until its owner was told; the peak in MiB, rounded up.
async fn copy(programs: &Programs, folder: &Path, media: &str, more: &[(&str, &str)]) -> anyhow::Result<u64> {
    let sim = Sim::start(SimConfig { hmac_key: Some(HMAC_KEY.to_owned()), ..SimConfig::default() }).await?;
    let receiver = Receiver::start().await?;
    let place = Place {
        database: &format!("sqlite://{}", folder.join("kie.db").display()),
        media,
        provider: sim.addr(),
        provider_key: sim.api_key(),
        receiver: receiver.address,
        more,
    };
    let shop = Shop::start(programs, folder, &place).await?;
    let customer = programs.add_customer(&shop.variables).await?;
    let idle = shop.memory_kib("VmRSS")?.div_ceil(1024);

    let input = json!({ "sound": false });
    let prompt = "A red kite rises [sim:size=1GiB] [sim:duration=1s]";
    let body = order_body("kling-2.6/text-to-video", input, prompt, receiver.address);
    let begun = Instant::now();
    let job = shop.order(&customer.token, "film", &body).await?;
    receiver.wait(&job, PATIENCE).await?;
    let took = begun.elapsed().as_secs_f64();
    let peak = shop.memory_kib("VmHWM")?.div_ceil(1024);

    let film = shop.job(&customer.token, &job).await?;
    let (state, bytes) = (film["state"].as_str(), film["outputs"][0]["bytes"].as_u64());
    ensure!(state == Some("done") && bytes == Some(BYTES), "the film did not arrive whole: {film}");
    let variables = shop.variables.clone();
    shop.stop().await?;
    programs.audit(&variables, true).await?;
    sim.stop().await;
    let to = media.split(':').next().unwrap_or_default();
    say(&format!(
        "1 GiB to {to}: ordered to delivered {took:.1} s, before it {idle} MiB, peak {peak} MiB, audit clean"
    ))?;
    Ok(peak)
}

async fn start_s3(programs: &Programs, folder: &Path) -> anyhow::Result<(Child, String)> {
    let mut child = Command::new(programs.path("s3-server"))
        .args(["--bucket", BUCKET, "--access-key", "bench", "--secret-key", SECRET])
        .arg("--folder")
        .arg(folder)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("s3-server cannot be started")?;
    let told = child.stdout.take().context("its output is piped")?;
    let line = BufReader::new(told).lines().next_line().await?;
    Ok((child, line.context("s3-server tells its address")?))
}
