//! `kie-reconciler`: what operators do, over the same code as the services.

mod cli;
mod commands;
mod show;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(wrong) if wrong.use_stderr() && std::env::args_os().any(|word| word == "--json") => {
            return show::fail(&anyhow::Error::msg(usage_words(&wrong)), true);
        }
        Err(wrong) => wrong.exit(),
    };
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

/// What is wrong with the words, without how they are used.
fn usage_words(wrong: &clap::Error) -> String {
    let text = wrong.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let lines: Vec<_> = first.lines().map(str::trim).collect();
    let line = lines.join(" ");
    line.strip_prefix("error: ").map_or_else(|| line.clone(), str::to_owned)
}
