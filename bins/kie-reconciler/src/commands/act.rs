//! What every change has in common: it is looked at first, can be tried, asks, and leaves a trace.

use std::process::ExitCode;

use operations::Foreseen;
use runtime::{Store, Timestamp};
use serde::Serialize;

use crate::cli::Act;
use crate::show;

/// The code to end with instead of acting: 0 after a dry run, 1 after a "no". What is refused was refused before, by
/// [`operations::foresee`]: a dry run and the deed say the same.
pub(super) fn stop(json: bool, act: &Act, foreseen: impl Into<Foreseen>) -> anyhow::Result<Option<ExitCode>> {
    let foreseen = foreseen.into();
    if act.dry_run {
        show::print(json, &DryRun { dry_run: true, foreseen }, |run| {
            let again =
                if run.foreseen.done_before { ", but it is so already: nothing would change" } else { "" };
            format!("would {}{again}", run.foreseen.would)
        })?;
        return Ok(Some(ExitCode::SUCCESS));
    }
    // What changes nothing needs no yes.
    if foreseen.done_before || show::confirm(&format!("{}?", foreseen.would), act.yes)? {
        return Ok(None);
    }
    show::print(json, &Declined { done: None, declined: foreseen.would }, |_| "nothing was done".to_owned())?;
    Ok(Some(ExitCode::FAILURE))
}

#[derive(Serialize)]
struct DryRun {
    dry_run: bool,
    #[serde(flatten)]
    foreseen: Foreseen,
}

/// Beside what [`done`] prints: nothing.
#[derive(Serialize)]
struct Declined {
    done: Option<String>,
    declined: String,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_no_is_told_in_json_too() {
        let declined = Declined { done: None, declined: "wake job 7".to_owned() };
        assert_eq!(serde_json::to_string(&declined).unwrap(), r#"{"done":null,"declined":"wake job 7"}"#);
    }
}
