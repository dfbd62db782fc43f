//! The paths of the simulated service.

mod admin;
mod create;
mod credit;
mod discovery;
mod download;
mod family;
mod missing;
mod record;
mod results;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;

use crate::call::Call;
use crate::conn::Grip;
use crate::fault::{Answer, Fault, Moment, Route};
use crate::reply::Reply;
use crate::script::Scene;
use crate::telegram;
use crate::world::World;

pub(crate) use admin::{bad, limit};
pub(crate) use missing::missing;

/// Larger JSON bodies are refused; base64 uploads have a limit of their own.
const BODY_BYTES_MAX: usize = 16 << 20;

/// All paths.
pub(crate) fn router(world: Arc<World>) -> Router {
    let api = Router::new()
        .route("/api/v1/jobs/createTask", post(create::create_task))
        .route("/api/v1/jobs/recordInfo", get(record::record_info))
        .route("/api/v1/chat/credit", get(credit::credit))
        .route("/api/v1/common/download-url", post(download::download_url))
        .route("/api/v1/models", get(discovery::list))
        .route("/api/v1/models/{*rest}", get(discovery::one))
        .merge(family::router())
        .route("/api/file-base64-upload", post(upload::base64))
        .route("/api/file-stream-upload", post(upload::stream).layer(DefaultBodyLimit::disable()))
        .route("/api/file-url-upload", post(upload::by_url))
        .method_not_allowed_fallback(missing::missing)
        .fallback(missing::missing)
        .layer(CompressionLayer::new());
    let files = Router::new()
        .route("/r/{task}/{name}", get(results::direct))
        .route("/dl/{task}/{name}", get(results::by_link))
        .route("/kieai/{*path}", get(upload::download));
    Router::new()
        .merge(telegram::router())
        .merge(files)
        .merge(admin::router(Arc::clone(&world)))
        .merge(api)
        .with_state(world)
}

/// The request whole, with its body in memory.
impl FromRequest<Arc<World>> for Call {
    type Rejection = Response;

    async fn from_request(request: Request, _world: &Arc<World>) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let grip = grip_of(&parts.extensions);
        match to_bytes(body, BODY_BYTES_MAX).await {
            Ok(body) => Ok(Self::new(parts, body, grip)),
            Err(_) => {
                Err(bad(StatusCode::PAYLOAD_TOO_LARGE, "the body is cut, or longer than 16777216 bytes"))
            }
        }
    }
}

pub(crate) fn grip_of(extensions: &axum::http::Extensions) -> Grip {
    extensions.get::<ConnectInfo<Grip>>().map(|ConnectInfo(grip)| grip.clone()).unwrap_or_default()
}

/// The key first, then what scripts want for this route, then the answer itself.
async fn guarded(
    world: &Arc<World>,
    call: Call,
    route: Route,
    reply: impl AsyncFnOnce(&Call) -> Reply,
) -> Response {
    if !call.authorized(world) {
        return call.answer(world, Reply::unauthorized()).await;
    }
    let reply = match route_fault(world, route) {
        Some(Answer::Code(code, text)) if route == Route::RecordInfo => record::refusal(world, code, &text),
        Some(Answer::Code(code, text)) => Reply::refusal(code, &text),
        Some(answer) => reply(&call).await.spoilt(&answer),
        None => reply(&call).await,
    };
    call.answer(world, reply).await
}

/// What scripts want for a route that has no faults of its own.
fn route_fault(world: &World, route: Route) -> Option<Answer> {
    let scene = Scene { route: Some(route), ..Scene::default() };
    world.scripts.pick(Moment::Other, &scene).into_iter().find_map(|fault| match fault {
        Fault::Answer(answer) => Some(answer),
        _ => None,
    })
}
