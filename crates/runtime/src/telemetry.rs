//! Logs: for people or as JSON lines, to standard error.

use std::io::{IsTerminal, Write};

use clap::ValueEnum;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, ParseError};
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

/// Keeps logging alive; whoever holds it last writes what still waits, and tells how much was dropped.
#[derive(Debug)]
#[must_use]
pub struct LogGuard {
    written_on_drop: Option<WorkerGuard>,
    dropped: ErrorCounter,
    format: LogFormat,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        drop(self.written_on_drop.take());
        let lines = self.dropped.dropped_lines();
        if lines == 0 {
            return;
        }
        let words = "log lines were dropped: standard error was read too slowly";
        let mut out = std::io::stderr().lock();
        // There is nowhere left to tell of a broken standard error.
        let _ = match self.format {
            LogFormat::Pretty => writeln!(out, "{lines} {words}"),
            LogFormat::Json => writeln!(out, r#"{{"level":"WARN","message":"{words}","lines":{lines}}}"#),
        };
    }
}

/// What PostgreSQL tells with its answers, such as "schema exists, skipping" at every start.
const NOTICES: &str = "sqlx::postgres::notice";

/// The filter of this text. Notices are of interest from `warn` on, unless the text names them itself.
fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    let filter = EnvFilter::try_new(text)?;
    if filter.max_level_hint().is_some_and(|level| level < LevelFilter::WARN) {
        return Ok(filter);
    }
    EnvFilter::try_new(format!("{NOTICES}=warn,{text}"))
}

/// Starts logging by the configuration; `default` is the filter where it names none, in the form of `RUST_LOG`. Lines
/// are written by a thread of their own: a full pipe or a slow disk holds nobody up.
///
/// # Errors
/// When the filter cannot be read, or logging was started before.
pub fn init_telemetry(config: &LogConfig, default: &str) -> anyhow::Result<LogGuard> {
    let filter = filter(config.filter.as_deref().unwrap_or(default))?;
    let lines = NonBlockingBuilder::default().buffered_lines_limit(LINES_WAITING).lossy(true);
    let (writer, guard) = lines.finish(std::io::stderr());
    let dropped = writer.error_counter();
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
    Ok(LogGuard { written_on_drop: Some(guard), dropped, format: config.log_format })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_told_from_warnings_on_unless_they_are_asked_for() {
        let has = |text: &str, directive: &str| {
            let filter = filter(text).unwrap().to_string();
            filter.split(',').any(|one| one == directive)
        };
        assert!(has("info,lifecycle=debug", "sqlx::postgres::notice=warn"));
        assert!(has("info,sqlx::postgres::notice=info", "sqlx::postgres::notice=info"));
        assert!(!has("error", "sqlx::postgres::notice=warn"));
        assert!(filter("info,=").is_err());
    }
}
