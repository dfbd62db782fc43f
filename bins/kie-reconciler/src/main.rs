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
    let _log = match runtime::init_telemetry(&cli.log, level) {
        Ok(log) => log,
        Err(error) => return show::fail(&error, cli.json),
    };
    match commands::run(&cli).await {
        Ok(code) => code,
        Err(error) => show::fail(&error, cli.json),
    }
}
