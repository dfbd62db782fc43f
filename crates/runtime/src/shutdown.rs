//! The end of a program: the wish to stop, and the code it ends with.

use std::io::Write;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A token that is canceled by the first SIGTERM or ^C; the second one ends the process at once.
///
/// # Errors
/// When the signals cannot be listened to.
pub fn shutdown_token(tasks: &TaskTracker) -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = token.clone();
    tasks.spawn(async move {
        let mut asked = 0;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = stop.cancelled(), if asked == 0 => return,
            }
            asked += 1;
            if asked > 1 {
                tracing::warn!("shutdown.forced");
                std::process::exit(130);
            }
            tracing::info!("shutdown.asked: open work is finished first; ask again to stop at once");
            stop.cancel();
        }
    });
    Ok(token)
}

/// The code that a program ends with; an error is told on standard error in one line, with its causes.
pub fn exit_code(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        // There is nowhere left to tell of a broken standard error.
        let _ = writeln!(std::io::stderr(), "error: {error:#}");
        ExitCode::FAILURE
    })
}
