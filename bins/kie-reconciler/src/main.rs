//! `kie-reconciler`: what operators do, over the same code as the services.

mod cli;
mod commands;
mod show;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let _log = match runtime::init_telemetry(&cli.log, "warn") {
        Ok(log) => log,
        Err(error) => return show::fail(&error, cli.json),
    };
    match commands::run(&cli).await {
        Ok(code) => code,
        Err(error) => show::fail(&error, cli.json),
    }
}
