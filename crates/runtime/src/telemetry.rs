//! Logs: for people or as JSON lines, to standard error.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::config::LogConfig;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Starts logging by the configuration; `default` is the filter where it names none, in the form of `RUST_LOG`.
///
/// # Errors
/// When the filter cannot be read, or logging was started before.
pub fn init_telemetry(config: &LogConfig, default: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(config.filter.as_deref().unwrap_or(default))?;
    let registry = tracing_subscriber::registry().with(filter);
    match config.log_format {
        LogFormat::Pretty => {
            let colours = std::io::stderr().is_terminal();
            let layer = fmt::layer().with_target(false).with_ansi(colours).with_writer(std::io::stderr);
            registry.with(layer).try_init()?;
        }
        LogFormat::Json => {
            registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init()?;
        }
    }
    Ok(())
}
