//! `kie-sim`: the simulator as a program.

mod cli;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use kie_sim::Sim;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, ServeArgs};

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command: Command::Serve(args) } = Cli::parse();
    let filter = EnvFilter::try_new(&args.log).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).init();
    match serve(*args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let url_file = args.url_file.clone();
    let sim = Sim::start(args.into_config()?).await?;
    tracing::info!(url = %sim.url(), "sim.ready");
    if let Some(path) = url_file {
        std::fs::write(&path, sim.url().as_str())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    stop_signal().await?;
    tracing::info!("sim.stopping");
    sim.stop().await;
    Ok(())
}

async fn stop_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("SIGINT cannot be heard"),
        _ = terminate.recv() => Ok(()),
    }
}
