//! What the database alone can do: the writes of an order in one statement, sent by pgbench.

use std::path::Path;

use anyhow::{Context, ensure};
use tokio::process::Command;

/// A form of the statement.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) name: &'static str,
    pub(crate) script: &'static str,
}

/// The best of them is the reference.
pub(crate) const FORMS: [Form; 2] = [
    Form { name: "one statement", script: include_str!("sql/order-statement.sql") },
    Form { name: "one function", script: include_str!("sql/order-function.sql") },
];

/// What pgbench did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) transactions: u64,
    pub(crate) per_second: f64,
    pub(crate) latency_ms: f64,
}

/// Runs a script for some seconds.
pub(crate) async fn pgbench(
    script: &Path,
    database: &str,
    connections: usize,
    seconds: u64,
) -> anyhow::Result<Ran> {
    let output = Command::new("pgbench")
        .args(["--no-vacuum", "--protocol", "prepared", "--jobs", "2"])
        .args(["--client", &connections.to_string(), "--time", &seconds.to_string()])
        .arg("--file")
        .arg(script)
        .arg(database)
        // As the shop's connections have it.
        .env("PGOPTIONS", "-c plan_cache_mode=force_generic_plan")
        .kill_on_drop(true)
        .output()
        .await
        .context("pgbench cannot be run")?;
    let (told, faults) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "pgbench failed:\n{faults}");
    let after = |label: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(label));
        let number = line.and_then(|line| line.split([' ', '/']).find(|word| !word.is_empty()));
        number
            .and_then(|number| number.parse::<f64>().ok())
            .with_context(|| format!("no `{label}` in:\n{told}"))
    };
    ensure!(after("number of failed transactions:")? == 0.0, "statements of pgbench failed:\n{told}");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pgbench prints a count")]
    let transactions = after("number of transactions actually processed:")? as u64;
    Ok(Ran { transactions, per_second: after("tps =")?, latency_ms: after("latency average =")? })
}
