//! `kie-bot`: the worker with callbacks, media and health. The Telegram dialogue is not there yet.

use std::process::ExitCode;

use clap::{Args, Parser};
use runtime::Front;
use runtime::config::{Config, LogConfig};
use tokio_util::task::TaskTracker;

/// The worker of a KIE shop with callbacks, media and health, and no pages. It has no Telegram dialogue yet.
///
/// Every flag has an environment variable; no .env file is read.
#[derive(Debug, Parser)]
#[command(name = "kie-bot", version, max_term_width = 120)]
struct Cli {
    #[command(flatten)]
    serve: ServeArgs,
    #[command(flatten)]
    log: LogConfig,
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Serve only; workers run in other processes.
    #[arg(long, env = "NO_WORKER", value_parser = clap::builder::FalseyValueParser::new())]
    no_worker: bool,
    #[command(flatten)]
    config: Config,
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::exit_code(run(Cli::parse()).await)
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let _log = runtime::init_telemetry(&cli.log, "info")?;
    let signals = TaskTracker::new();
    let shutdown = runtime::shutdown_token(&signals)?;
    let front = Front { worker: !cli.serve.no_worker, callbacks_only: true, ..Front::default() };
    Ok(runtime::serve(&cli.serve.config, front, shutdown).await?.wait().await)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_words_are_well_formed() {
        super::Cli::command().debug_assert();
    }
}
