//! `GET /api/v1/chat/credit`: the balance as a bare number.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::guarded;
use crate::call::Call;
use crate::fault::Route;
use crate::record::credits;
use crate::reply::Reply;
use crate::world::World;

pub(super) async fn credit(State(world): State<Arc<World>>, call: Call) -> Response {
    guarded(&world, call, Route::Credit, async |_| Reply::ok(&credits(world.balance_micro()))).await
}
