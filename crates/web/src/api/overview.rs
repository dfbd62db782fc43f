//! What an operator looks at first.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use domain::{DeliveryState, Job, JobState, Timestamp};
use serde::Serialize;
use store::{KindCounts, ModelTimes, StuckLimits};
use utoipa::ToSchema;

use crate::auth::Operator;
use crate::front::Shared;
use crate::params::Params;
use crate::problem::Problem;

const WINDOW_USUAL: Duration = Duration::from_hours(24);
const WINDOW_MAX: Duration = Duration::from_hours(90 * 24);
const STUCK_MAX: u32 = 100;

/// The shop in numbers.
#[derive(Serialize, ToSchema)]
#[schema(as = Overview)]
pub(crate) struct OverviewView {
    /// Where the window begins.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Jobs by state: open ones now, final ones that ended in the window.
    states: BTreeMap<&'static str, u64>,
    /// Done among those that ended done or failed, 0 to 1; null without any.
    success_rate: Option<f64>,
    /// Deliveries by state: pending and dead now, done in the window.
    deliveries: BTreeMap<&'static str, u64>,
    /// How long done jobs took from their order to the provider's task, to storage and to delivery; most jobs first.
    #[schema(value_type = Vec<Object>)]
    models: Vec<ModelTimes>,
    /// Outputs expected and stored, and their bytes, by kind.
    #[schema(value_type = Vec<Object>)]
    outputs: Vec<KindCounts>,
    /// The oldest row that is due and that nobody has.
    #[schema(value_type = Option<String>, format = DateTime)]
    oldest_due: Option<Timestamp>,
    /// Jobs that wait for a decision.
    unclear: u64,
    /// Jobs that are older than their kind should be, oldest first, at most 100.
    stuck: Vec<StuckJob>,
    /// Deliveries that were given up.
    dead_letters: u64,
    /// Callbacks in the window that no job knows.
    orphans: u64,
}

/// A job that takes too long.
#[derive(Serialize, ToSchema)]
pub(crate) struct StuckJob {
    /// Its id.
    #[schema(value_type = String)]
    id: domain::JobId,
    /// Its model.
    model: String,
    /// Where it stands.
    #[schema(value_type = String)]
    state: JobState,
    /// When it was ordered.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// Read the overview
#[utoipa::path(
    get, path = "/v1/overview", tag = "operators",
    params(("window" = Option<String>, Query, description = "Such as `30m`, `24h`, `7d`; usually `24h`")),
    responses((status = 200, description = "The overview", body = OverviewView)),
)]
pub(crate) async fn get(
    State(front): State<Shared>,
    _: Operator,
    params: Params,
) -> Result<axum::Json<OverviewView>, Problem> {
    let params = params.only(&["window"])?;
    let window = params.text("window").map_or(Ok(WINDOW_USUAL), read_window)?;
    let now = front.now();
    let since = now.saturating_sub(window).unwrap_or(now);
    let store = front.store();
    let reading = async {
        let overview = store.overview(since, now).await?;
        let limits = StuckLimits::usual(&overview.models);
        let stuck = store.stuck_jobs(&limits, None, now, STUCK_MAX).await?;
        Ok((overview, stuck))
    };
    let (overview, stuck) = front.report(reading).await?;
    let of = |state: JobState| overview.states.iter().find(|(one, _)| *one == state).map_or(0, |(_, n)| *n);
    let dead = overview.deliveries.iter().find(|(state, _)| *state == DeliveryState::Dead);
    Ok(axum::Json(OverviewView {
        since,
        success_rate: success_rate(of(JobState::Done), of(JobState::Failed)),
        unclear: of(JobState::Unclear),
        stuck: stuck.into_iter().map(Into::into).collect(),
        dead_letters: dead.map_or(0, |(_, count)| *count),
        states: overview.states.into_iter().map(|(state, count)| (state.as_str(), count)).collect(),
        deliveries: overview.deliveries.into_iter().map(|(state, count)| (state.as_str(), count)).collect(),
        models: overview.models,
        outputs: overview.outputs,
        oldest_due: overview.oldest_due,
        orphans: overview.orphans,
    }))
}

fn read_window(text: &str) -> Result<Duration, Problem> {
    let refused =
        || Problem::invalid("/query/window", "must be minutes, hours or days up to 90d, such as 24h");
    let (unit_at, unit) = text.char_indices().next_back().ok_or_else(refused)?;
    let number: u64 = text[..unit_at].parse().map_err(|_not_a_number| refused())?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(refused()),
    };
    let window = Duration::from_secs(number.checked_mul(seconds).ok_or_else(refused)?);
    if window.is_zero() || window > WINDOW_MAX { Err(refused()) } else { Ok(window) }
}

#[expect(clippy::cast_precision_loss, reason = "a share for people; counts stay far below 2^52")]
fn success_rate(done: u64, failed: u64) -> Option<f64> {
    let ended = done.saturating_add(failed);
    (ended > 0).then(|| done as f64 / ended as f64)
}

impl From<Job> for StuckJob {
    fn from(job: Job) -> Self {
        Self { id: job.id, model: job.model, state: job.state, created_at: job.created_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_or_refused() {
        assert_eq!(read_window("30m").unwrap(), Duration::from_mins(30));
        assert_eq!(read_window("7d").unwrap(), Duration::from_hours(168));
        for bad in ["", "h", "0h", "-1h", "91d", "24", "24ч", "99999999999999999999d"] {
            assert!(read_window(bad).is_err(), "{bad}");
        }
    }
}
