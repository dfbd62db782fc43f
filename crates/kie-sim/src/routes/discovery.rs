//! The catalogue's own paths: models, schema, price, success-rate.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::guarded;
use crate::call::Call;
use crate::clock::iso_utc;
use crate::fault::{Route, UNKNOWN_MODEL};
use crate::ids::{SplitMix, fnv};
use crate::reply::Reply;
use crate::world::World;

/// One day in steps of ten minutes.
const POINTS: u64 = 144;
const STEP_MS: u64 = 600_000;

/// `GET /api/v1/models`
pub(super) async fn list(State(world): State<Arc<World>>, call: Call) -> Response {
    guarded(&world, call, Route::Models, async |call| {
        if !world.model_calls.admit(call.at_ms) {
            return Reply::too_many(&world);
        }
        let filter = |name: &str| call.parameter(name).filter(|text| !text.is_empty());
        let models = world.models.list(
            filter("taskType").as_deref(),
            filter("provider").as_deref(),
            filter("q").as_deref(),
        );
        Reply::ok(&json!({"total": models.len(), "models": models}))
    })
    .await
}

/// `GET /api/v1/models/<model>/{schema|price|success-rate}`; the model's own slash is not encoded.
pub(super) async fn one(State(world): State<Arc<World>>, call: Call) -> Response {
    guarded(&world, call, Route::Models, async |call| {
        if !world.model_calls.admit(call.at_ms) {
            return Reply::too_many(&world);
        }
        describe(&world, call).unwrap_or_else(|| Reply::refusal(404, UNKNOWN_MODEL))
    })
    .await
}

fn describe(world: &World, call: &Call) -> Option<Reply> {
    let (model, what) = call.path.strip_prefix("/api/v1/models/")?.rsplit_once('/')?;
    let model = model.replace("%2F", "/").replace("%2f", "/");
    world.models.kind(&model)?;
    let data = match what {
        "schema" => json!({"model": model, "openapi": world.models.openapi(&model)}),
        "price" => json!({"model": model, "pricingDesc": world.models.price(&model)}),
        "success-rate" => json!({"model": model, "points": points(&model, call.at_ms)}),
        _ => return None,
    };
    Some(Reply::ok(&data))
}

/// Invented but steady: the same model has the same day.
fn points(model: &str, now_ms: u64) -> Vec<Value> {
    let mut mix = SplitMix::new(fnv(model));
    let first = (now_ms / STEP_MS).saturating_sub(POINTS) * STEP_MS;
    let point = |n: u64| {
        let start = first + n * STEP_MS;
        let per_mille = mix.next() % 40;
        let traffic = !mix.next().is_multiple_of(12);
        let rate = |tenths: u64| {
            if traffic { json!(f64::from(u32::try_from(tenths).unwrap_or(0)) / 10.0) } else { Value::Null }
        };
        json!({
            "start": iso_utc(start).replace(".000", ""),
            "end": iso_utc(start + STEP_MS).replace(".000", ""),
            "successRate": rate(1000 - per_mille),
            "errorRate": rate(per_mille),
            "isNormal": true,
        })
    };
    (0..POINTS).map(point).collect()
}
