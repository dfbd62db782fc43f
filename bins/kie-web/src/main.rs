//! `kie-web`: the shop over HTTP, with the worker beside it.

mod cli;
#[cfg(feature = "demo")]
mod demo;

use std::process::ExitCode;

use clap::Parser;
use runtime::Front;
use tokio_util::task::TaskTracker;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let cli = cli::Cli::parse();
    runtime::init_telemetry(&cli.log.filter, cli.log.log_format)?;
    match cli.command {
        #[cfg(feature = "demo")]
        Some(cli::Command::Demo(args)) => demo::run(&args).await,
        Some(cli::Command::Serve(args)) => serve(*args).await,
        None => serve(cli.serve).await,
    }
}

async fn serve(args: cli::ServeArgs) -> anyhow::Result<ExitCode> {
    let signals = TaskTracker::new();
    let shutdown = runtime::shutdown_token(&signals)?;
    let front = Front { worker: !args.no_worker, ..Front::default() };
    runtime::serve(&args.config, front, shutdown).await?.wait().await;
    Ok(ExitCode::SUCCESS)
}
