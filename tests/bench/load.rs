//! A closed loop of orders over kept connections: each sends the next order when the last one is answered.
//!
//! It shares the machine with what it measures, so it writes and reads plain HTTP/1.1 on one thread.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::table::quantile;

const BODY: &str = r#"{"model":"flux-2/pro-text-to-image","input":{"prompt":"A red fox jumps over a frozen lake at dawn, cinematic, 35 mm, volumetric light","aspect_ratio":"16:9","resolution":"1K"}}"#;
/// Tokens of seed.sql.
const CUSTOMERS: u64 = 100_000;
const ANSWER_MAX: usize = 64 * 1024;

/// What to do to whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// What was taken. Anything but 201 ends the run as an error.
#[derive(Debug)]
pub(crate) struct Taken {
    /// All, those of the warm-up too.
    pub(crate) orders: u64,
    /// Within the measured time, per second.
    pub(crate) per_second: f64,
    /// Milliseconds from sending to the last byte of the answer, of those that were measured.
    latencies_ms: Vec<f64>,
}

impl Taken {
    pub(crate) fn latency(&self) -> String {
        let at = |share| quantile(&self.latencies_ms, share);
        format!("p50 {:.1} p95 {:.1} p99 {:.1} max {:.1} ms", at(0.5), at(0.95), at(0.99), at(1.0))
    }
}

/// Runs the load on a thread of its own.
pub(crate) async fn run(load: Load) -> anyhow::Result<Taken> {
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(all_connections(load))
    })
    .await?
}

async fn all_connections(load: Load) -> anyhow::Result<Taken> {
    let begun = Instant::now();
    let mut connections = JoinSet::new();
    for number in 0..load.connections {
        connections.spawn(one_connection(load, number, begun));
    }
    let mut orders = 0;
    let mut latencies_ms = Vec::new();
    while let Some(ended) = connections.join_next().await {
        let (count, latencies) = ended??;
        orders += count;
        latencies_ms.extend(latencies);
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of answers in memory")]
    let per_second = latencies_ms.len() as f64 / load.measured.as_secs_f64();
    Ok(Taken { orders, per_second, latencies_ms })
}

async fn one_connection(load: Load, number: usize, begun: Instant) -> anyhow::Result<(u64, Vec<f64>)> {
    let mut stream = TcpStream::connect(load.address).await?;
    stream.set_nodelay(true)?;
    let (mut request, mut answer) = (Vec::with_capacity(1024), Vec::with_capacity(4096));
    let mut random = SplitMix(number as u64);
    let mut latencies = Vec::new();
    let end = load.warm_up + load.measured;
    let mut orders = 0_u64;
    while begun.elapsed() < end {
        let customer = random.next() % CUSTOMERS + 1;
        write_request(&mut request, load.address, customer, (number, orders));
        let sent = Instant::now();
        stream.write_all(&request).await?;
        read_created(&mut stream, &mut answer).await?;
        orders += 1;
        let now = begun.elapsed();
        if now >= load.warm_up && now < end {
            latencies.push(sent.elapsed().as_secs_f64() * 1000.0);
        }
    }
    Ok((orders, latencies))
}

fn write_request(
    request: &mut Vec<u8>,
    address: SocketAddr,
    customer: u64,
    (connection, order): (usize, u64),
) {
    request.clear();
    let length = BODY.len();
    let text = format!(
        "POST /v1/jobs HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer kie_bench_token_of_customer_{customer:012}\r\n\
         idempotency-key: bench-{connection:08}-{order:021}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{BODY}"
    );
    request.extend_from_slice(text.as_bytes());
}

/// Reads one whole answer, which must be a 201 of known length.
async fn read_created(stream: &mut TcpStream, answer: &mut Vec<u8>) -> anyhow::Result<()> {
    answer.clear();
    let mut whole = None;
    while whole.is_none_or(|whole| answer.len() < whole) {
        ensure!(stream.read_buf(answer).await? > 0, "the connection was closed");
        ensure!(answer.len() < ANSWER_MAX, "the answer is too long");
        if whole.is_none()
            && let Some(head) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")
        {
            whole = Some(head + 4 + body_length(&answer[..head])?);
        }
    }
    if !answer.starts_with(b"HTTP/1.1 201 ") {
        bail!("an order was not taken: {}", String::from_utf8_lossy(answer));
    }
    Ok(())
}

fn body_length(head: &[u8]) -> anyhow::Result<usize> {
    let head = std::str::from_utf8(head)?;
    let value = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim())
    });
    Ok(value.context("an answer without a length")?.parse()?)
}

/// `SplitMix64`: the same customers in every run.
struct SplitMix(u64);

impl SplitMix {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
