//! How much the simulator bears on one core: it must never be what a test waits for.

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::programs::Programs;
use crate::shop::free_address;
use crate::table::Figure;

const CONNECTIONS: usize = 32;
const WARM_UP: Duration = Duration::from_secs(1);
const READY_WITHIN: Duration = Duration::from_secs(30);
const CREATES_BAR: f64 = 2_000.0;
const READS_BAR: f64 = 5_000.0;
const KEY: &str = "bench-key";

pub(crate) async fn measure(programs: &Programs, seconds: u64) -> anyhow::Result<Vec<Figure>> {
    let base = format!("http://{}", free_address()?);
    let _child = start(programs, &base)?;
    let http = reqwest::Client::builder().pool_max_idle_per_host(CONNECTIONS).build()?;
    until_ready(&http, &base).await?;
    let task = create(&http, &base).await?;
    let measured = Duration::from_secs(seconds);
    let creates = rate(measured, || create(&http, &base)).await?;
    let reads = rate(measured, || read(&http, &base, &task)).await?;
    let figure = |name: &str, value: f64, bar: f64| {
        Figure::new(name, format!("{value:.0}"), format!(">= {bar:.0}"), value >= bar)
    };
    Ok(vec![
        figure("simulator, creates per second on one core", creates, CREATES_BAR),
        figure("simulator, reads per second on one core", reads, READS_BAR),
    ])
}

fn start(programs: &Programs, base: &str) -> anyhow::Result<Child> {
    let off = ["--creates-per-10s", "0", "--reads-per-second", "0", "--credits", "1000000000"];
    let listen = base.trim_start_matches("http://");
    Command::new("taskset")
        .args(["--cpu-list", "0"])
        .arg(programs.path("kie-sim"))
        .args(["serve", "--key", KEY, "--listen", listen])
        .args(off)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("kie-sim cannot be started on one core")
}

async fn until_ready(http: &reqwest::Client, base: &str) -> anyhow::Result<()> {
    let begun = Instant::now();
    while http.get(format!("{base}/sim/script")).send().await.is_err() {
        ensure!(begun.elapsed() < READY_WITHIN, "kie-sim does not listen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// How often a second `call` is answered, by all connections together. One that is refused ends the run.
async fn rate<F: Future<Output = anyhow::Result<T>> + Send, T: Send>(
    measured: Duration,
    call: impl Fn() -> F + Copy + Send,
) -> anyhow::Result<f64> {
    let (begun, answered) = (Instant::now(), AtomicU64::new(0));
    let one = async || {
        while begun.elapsed() < WARM_UP + measured {
            call().await?;
            if begun.elapsed() >= WARM_UP {
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }
        anyhow::Ok(())
    };
    futures_util::future::try_join_all((0..CONNECTIONS).map(|_| one())).await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of seconds")]
    Ok(answered.load(Ordering::Relaxed) as f64 / measured.as_secs_f64())
}

async fn create(http: &reqwest::Client, base: &str) -> anyhow::Result<String> {
    let body = json!({"model": "z-image", "input": {"prompt": "a red kite", "aspect_ratio": "1:1"}});
    let request = http.post(format!("{base}/api/v1/jobs/createTask")).bearer_auth(KEY).json(&body);
    let answer: Value = request.send().await?.json().await?;
    ensure!(answer["code"] == 200, "a create was refused: {answer}");
    Ok(answer["data"]["taskId"].as_str().context("a task has an id")?.to_owned())
}

async fn read(http: &reqwest::Client, base: &str, task: &str) -> anyhow::Result<()> {
    let request = http.get(format!("{base}/api/v1/jobs/recordInfo?taskId={task}")).bearer_auth(KEY);
    let answer: Value = request.send().await?.json().await?;
    ensure!(answer["code"] == 200, "a read was refused: {answer}");
    Ok(())
}
