//! Printing: tables for people, JSON for programs.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// Prints `value` as JSON, or what `people` makes of it.
pub(crate) fn print<T: Serialize>(
    json: bool,
    value: &T,
    people: impl FnOnce(&T) -> String,
) -> anyhow::Result<()> {
    let text = if json { serde_json::to_string_pretty(value)? } else { people(value) };
    line(&text)
}

/// One text on standard output. What customers and providers wrote cannot steer the terminal.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    let text = text.trim_end().replace(|letter: char| letter.is_control() && letter != '\n', "\u{fffd}");
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(())
}

/// An empty table.
const NONE: &str = "none";

/// A table without frames.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().map(|word| word.to_uppercase()));
    let mut empty = true;
    for row in rows {
        table.add_row(row);
        empty = false;
    }
    if empty { NONE.to_owned() } else { table.to_string() }
}

/// The same among other tables: an empty one says of what there is none.
pub(crate) fn titled(title: &str, header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let table = table(header, rows);
    if table == NONE { format!("no {title}") } else { table }
}

/// What could not be done, and the code for it.
pub(crate) fn fail(error: &anyhow::Error, json: bool) -> ExitCode {
    let mut out = std::io::stderr().lock();
    let words = operations::error_words(error);
    let text = if json { serde_json::json!({ "error": words }).to_string() } else { words };
    // There is nowhere left to tell of a broken standard error.
    let _ = writeln!(out, "{text}");
    ExitCode::from(2)
}

/// Asks on a terminal; elsewhere, and with `yes`, the answer is yes.
pub(crate) fn confirm(question: &str, yes: bool) -> anyhow::Result<bool> {
    if yes || !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    let mut out = std::io::stderr().lock();
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// What long work has done so far, on a terminal; silent elsewhere.
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// `of`: how many there are, if that is known.
    pub(crate) fn new(json: bool, what: &'static str, of: Option<u64>) -> Self {
        let shown = !json && std::io::stderr().is_terminal();
        Self(shown.then(|| {
            let (bar, form) = match of {
                Some(of) => (ProgressBar::new(of), "{bar:30} {pos}/{len} {msg} {eta}"),
                None => (ProgressBar::new_spinner(), "{spinner} {pos} {msg} {elapsed}"),
            };
            let bar = match ProgressStyle::with_template(form) {
                Ok(style) => bar.with_style(style),
                Err(_not_a_template) => bar,
            };
            bar.with_message(what)
        }))
    }

    /// So many more are done.
    pub(crate) fn add(&self, more: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(more);
        }
    }

    /// So many are done in all.
    pub(crate) fn set(&self, done: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(done);
        }
    }

    /// So many are done, of so many.
    pub(crate) fn set_of(&self, done: u64, of: u64) {
        if let Some(bar) = &self.0 {
            bar.set_length(of);
            bar.set_position(done);
        }
    }

    /// What is being done now.
    pub(crate) fn say(&self, what: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(what.to_owned());
        }
    }

    /// Takes it off the screen.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
