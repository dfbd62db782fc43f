//! What every change has in common: it can be tried, it asks, it leaves a trace.

use std::process::ExitCode;

use runtime::{Store, Timestamp};

use crate::cli::Act;
use crate::show;

/// The code to end with instead of acting: 0 after a dry run, 1 after a "no".
pub(super) fn stop(json: bool, act: &Act, what: &str) -> anyhow::Result<Option<ExitCode>> {
    if act.dry_run {
        let value = serde_json::json!({ "dry_run": true, "would": what });
        show::print(json, &value, |_| format!("would {what}"))?;
        return Ok(Some(ExitCode::SUCCESS));
    }
    Ok((!show::confirm(&format!("{what}?"), act.yes)?).then_some(ExitCode::FAILURE))
}

/// Says what was done.
pub(super) fn done(json: bool, what: &str) -> anyhow::Result<ExitCode> {
    show::print(json, &serde_json::json!({ "done": what }), |_| format!("done: {what}"))?;
    Ok(ExitCode::SUCCESS)
}

/// The trace of an act that belongs to no job and no transfer. It comes before the act: a process that is killed in between
/// leaves a trace of what was wanted, never a deed without a trace.
pub(super) async fn note(
    (store, at): (&dyn Store, Timestamp),
    (command, subject): (&str, &str),
    act: &Act,
) -> anyhow::Result<()> {
    let (command, subject, reason) = (command.to_owned(), subject.to_owned(), act.reason.clone());
    store.note_act(&runtime::Act { at, command, subject, reason }).await?;
    Ok(())
}
