//! The chaos run as a program: `make chaos`.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use acceptance::chaos::{Scale, run};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Kills, cuts and fills everything of a shop under load, and proves that nothing is lost and nothing happens twice.
///
/// Exit code 0: every promise was kept; 1: one was not, the report says which.
#[derive(Debug, Parser)]
#[command(name = "chaos", version)]
struct Options {
    /// Decides what is done and what is ordered; a new one is drawn if none is given.
    #[arg(long, env = "CHAOS_SEED")]
    seed: Option<u64>,
    /// Jobs that are ordered.
    #[arg(long, env = "CHAOS_JOBS", default_value_t = 10_000)]
    jobs: u32,
    /// Processes that are killed; as many other things go wrong.
    #[arg(long, env = "CHAOS_KILLS", default_value_t = 240)]
    kills: u32,
    /// How long things go wrong, in seconds.
    #[arg(long, env = "CHAOS_SECONDS", default_value_t = 1200)]
    seconds: u64,
}

#[tokio::main(worker_threads = 4)]
async fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let drawn = runtime::now().as_microsecond().unsigned_abs() % 1_000_000;
    let scale = Scale {
        seed: options.seed.unwrap_or(drawn),
        jobs: options.jobs,
        kills: options.kills,
        storm: Duration::from_secs(options.seconds),
    };
    say(&format!("chaos: seed {}, {} jobs in {} s", scale.seed, scale.jobs, options.seconds))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let report = tokio::select! {
        report = run(&scale) => report,
        _ = tokio::signal::ctrl_c() => return Ok(ExitCode::from(130)),
        // Whatever was started ends with its owner.
        _ = terminate.recv() => return Ok(ExitCode::from(143)),
    };
    say(&report.to_string())?;
    Ok(if report.is_clean() && report.was_timely() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}
