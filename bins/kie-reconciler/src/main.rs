//! `kie-reconciler`: what operators do, over the same code as the services.

mod cli;
mod commands;
mod show;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    // A worker tells what happens; a command has its own words.
    let level = if matches!(cli.command, cli::Command::Watch { .. }) { "info" } else { "warn" };
    if let Err(error) = runtime::init_telemetry(&cli.log, level) {
        return show::fail(&error, cli.json);
    }
    match commands::run(&cli).await {
        Ok(code) => code,
        Err(error) => show::fail(&error, cli.json),
    }
}
