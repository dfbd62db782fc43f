//! One span for each call and one line at its end. Neither shows the key, inputs, addresses or the balance.

use tokio::time::Instant;
use tracing::{
    Instrument, Span,
    field::{self, Empty},
};

use crate::{error::ReadError, task::TaskId};

/// The span of one call, named like the function that makes it. `state`, `bytes` and a new task's id are told later.
pub(crate) fn span(operation: &'static str, task_id: Option<&TaskId>, model: Option<&str>) -> Span {
    let task_id = task_id.map(field::display);
    tracing::info_span!("kie", operation, task_id, model, state = Empty, bytes = Empty)
}

/// The call in its span, with the line at its end. The time taken holds waits and repetitions.
pub(crate) async fn traced<T>(
    span: &Span,
    call: impl Future<Output = Result<T, ReadError>>,
) -> Result<T, ReadError> {
    let started = Instant::now();
    let call = async {
        let result = call.await;
        ended(started, result.as_ref().err());
        result
    };
    call.instrument(span.clone()).await
}

/// The line at the end of a call.
pub(crate) fn ended(started: Instant, error: Option<&ReadError>) {
    let elapsed_ms = elapsed_ms(started);
    match error {
        None => tracing::debug!(elapsed_ms, "call done"),
        Some(error) => tracing::debug!(elapsed_ms, fault = error.kind(), code = error.code(), "call failed"),
    }
}

pub(crate) fn elapsed_ms(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}
