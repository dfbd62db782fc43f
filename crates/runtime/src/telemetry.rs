//! Logs: for people or as JSON lines, to standard error.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
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

/// At most so many lines wait for a reader that is slow; more are dropped.
const LINES_WAITING: usize = 8_192;

/// Keeps logging alive; whoever holds it last writes what still waits.
#[derive(Debug)]
#[must_use]
pub struct LogGuard {
    _written_on_drop: WorkerGuard,
}

/// Starts logging by the configuration; `default` is the filter where it names none, in the form of `RUST_LOG`. Lines
/// are written by a thread of their own: a full pipe or a slow disk holds nobody up.
///
/// # Errors
/// When the filter cannot be read, or logging was started before.
pub fn init_telemetry(config: &LogConfig, default: &str) -> anyhow::Result<LogGuard> {
    let filter = EnvFilter::try_new(config.filter.as_deref().unwrap_or(default))?;
    let lines = NonBlockingBuilder::default().buffered_lines_limit(LINES_WAITING).lossy(true);
    let (writer, guard) = lines.finish(std::io::stderr());
    let registry = tracing_subscriber::registry().with(filter);
    match config.log_format {
        LogFormat::Pretty => {
            let colours = std::io::stderr().is_terminal();
            let layer = fmt::layer().with_target(false).with_ansi(colours).with_writer(writer);
            registry.with(layer).try_init()?;
        }
        LogFormat::Json => {
            registry.with(fmt::layer().json().flatten_event(true).with_writer(writer)).try_init()?;
        }
    }
    Ok(LogGuard { _written_on_drop: guard })
}
