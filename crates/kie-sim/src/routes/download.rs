//! `POST /api/v1/common/download-url`: a link that lives for twenty minutes.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::guarded;
use crate::call::Call;
use crate::clock::whole_ms;
use crate::fault::Route;
use crate::links;
use crate::reply::Reply;
use crate::task::Outcome;
use crate::world::World;

pub(super) async fn download_url(State(world): State<Arc<World>>, call: Call) -> Response {
    guarded(&world, call, Route::DownloadUrl, async |call| convert(&world, call)).await
}

fn convert(world: &World, call: &Call) -> Reply {
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let Some((id, link)) = body["url"].as_str().and_then(|url| fresh_link(world, call, url)) else {
        return Reply::refusal(422, "url is wrong");
    };
    Reply::ok(&json!(link)).about(&id)
}

/// The task and a new link for a result of ours.
fn fresh_link(world: &World, call: &Call, url: &str) -> Option<(String, String)> {
    let path = url.strip_prefix(&world.base)?.strip_prefix('/')?;
    let path = path.split(['?', '#']).next()?;
    let (id, name) = path.strip_prefix("r/").or_else(|| path.strip_prefix("dl/"))?.split_once('/')?;
    let task = world.find(id)?;
    if task.progress().outcome != Some(Outcome::Success) {
        return None;
    }
    let until_ms = call.at_ms.saturating_add(whole_ms(world.config.link_life));
    let sign = links::sign(world.seed, id, name, until_ms);
    Some((id.to_owned(), format!("{}/dl/{id}/{name}?expires={until_ms}&sign={sign}", world.base)))
}
