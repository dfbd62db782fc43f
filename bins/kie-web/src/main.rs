//! `kie-web`: the shop over HTTP, with the worker beside it.

mod cli;
#[cfg(feature = "demo")]
mod demo;

use std::process::ExitCode;

use clap::Parser;
use runtime::Front;
use tokio_util::task::TaskTracker;

#[tokio::main]
async fn main() -> ExitCode {
    runtime::exit_code(run(cli::Cli::parse()).await)
}

async fn run(cli: cli::Cli) -> anyhow::Result<ExitCode> {
    let _log = runtime::init_telemetry(&cli.log, default_log(&cli))?;
    match cli.command {
        #[cfg(feature = "demo")]
        Some(cli::Command::Demo(args)) => demo::run(&args).await,
        Some(cli::Command::Serve(args)) => serve(*args).await,
        None => serve(cli.serve).await,
    }
}

/// The demo tells its story on standard output; its log would only interrupt.
fn default_log(cli: &cli::Cli) -> &'static str {
    match cli.command {
        #[cfg(feature = "demo")]
        Some(cli::Command::Demo(_)) => "warn",
        Some(cli::Command::Serve(_)) | None => "info",
    }
}

async fn serve(args: cli::ServeArgs) -> anyhow::Result<ExitCode> {
    let signals = TaskTracker::new();
    let shutdown = runtime::shutdown_token(&signals)?;
    let front = Front { worker: !args.no_worker, ..Front::default() };
    Ok(runtime::serve(&args.config, front, shutdown).await?.wait().await)
}
