//! Printing: tables for people, JSON for programs.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use comfy_table::{Table, presets};
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

/// One text on standard output.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end())?;
    Ok(())
}

/// A table without frames.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().map(|word| word.to_uppercase()));
    let mut empty = true;
    for row in rows {
        table.add_row(row);
        empty = false;
    }
    if empty { "none".to_owned() } else { table.to_string() }
}

/// What could not be done, and the code for it.
pub(crate) fn fail(error: &anyhow::Error, json: bool) -> ExitCode {
    let mut out = std::io::stderr().lock();
    let text = if json {
        serde_json::json!({ "error": format!("{error:#}") }).to_string()
    } else {
        format!("{error:#}")
    };
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
