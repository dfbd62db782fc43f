//! Every route on one page.

use std::any::Any;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{DefaultBodyLimit, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, middleware as layers};
use http::{HeaderName, HeaderValue, Method, header};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{accounts, acts, events, history, jobs, models, money, operators, overview, uploads};
use crate::front::{Front, Shared};
use crate::problem::{Kind, Problem};
use crate::{
    App, SettingsError, callback, docs, headers, health, media, metrics, openapi, pages, request_id,
};

/// Paths that an old shop's callback may not take.
const OURS: [&str; 12] = [
    "/v1",
    "/callbacks",
    "/media",
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/openapi.json",
    "/library",
    "/g",
    "/balance",
    "/session",
];

/// The whole front end: API, pages, callbacks, media, health, metrics.
///
/// # Errors
/// When a setting cannot be read; says which.
pub fn router(app: App) -> Result<Router, SettingsError> {
    let front = Front::new(app)?;
    let (api, document) = described().split_for_parts();
    let document = openapi::finish(document, front.settings().version);
    let json = document.to_json().map_err(SettingsError::Description)?;
    let html = docs::render(&json).map_err(SettingsError::Description)?;
    let routes = api
        .merge(pages())
        .route("/metrics", get(metrics::for_operators))
        .route("/openapi.json", get(docs::document).layer(axum::Extension(docs::Json(json.into()))))
        .route("/docs", get(docs::page).layer(axum::Extension(docs::Html(html.into()))));
    finish(with_legacy_callbacks(routes, &front)?, front)
}

/// Callbacks, media and health only: for a process that is no shop window.
///
/// # Errors
/// As [`router`].
pub fn callbacks_router(app: App) -> Result<Router, SettingsError> {
    let front = Front::new(app)?;
    let (routes, _) = hints().split_for_parts();
    finish(with_legacy_callbacks(routes, &front)?, front)
}

/// `/metrics` without a token, for a listener of its own.
///
/// # Errors
/// As [`router`].
pub fn metrics_router(app: App) -> Result<Router, SettingsError> {
    let front = Front::new(app)?;
    Ok(Router::new().route("/metrics", get(metrics::open)).with_state(front))
}

/// What OpenAPI describes.
fn described() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(openapi::Api::openapi())
        .routes(routes!(jobs::submit, jobs::list))
        .routes(routes!(jobs::get, acts::mark, acts::hide))
        .routes(routes!(acts::confirm))
        .routes(routes!(acts::cancel))
        .routes(routes!(acts::sync))
        .routes(routes!(acts::redeliver))
        .routes(routes!(acts::restore))
        .routes(routes!(history::timeline))
        .routes(routes!(history::receipt))
        .routes(routes!(operators::refund))
        .routes(routes!(operators::retry))
        .routes(routes!(operators::resolve))
        .routes(routes!(operators::dead_deliveries))
        .routes(routes!(overview::get))
        .routes(routes!(events::listen))
        .routes(routes!(models::list))
        .routes(routes!(models::get))
        .routes(routes!(models::quote))
        .routes(routes!(uploads::upload))
        .routes(routes!(money::balance))
        .routes(routes!(money::list_transfers))
        .routes(routes!(money::transfer_receipt))
        .routes(routes!(accounts::open))
        .routes(routes!(accounts::top_up))
        .routes(routes!(accounts::add_token))
        .routes(routes!(accounts::webhook_secret))
        .merge(hints())
}

/// What the provider, players and load balancers call.
fn hints() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(callback::receive))
        .routes(routes!(media::read))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
}

/// What browsers show.
fn pages() -> Router<Shared> {
    Router::new()
        .route("/", get(async || Redirect::to("/library")))
        .route("/library", get(pages::library))
        .route("/g/{job}", get(pages::generation))
        .route("/g/{job}/tile", get(pages::tile))
        .route("/g/{job}/part", get(pages::part))
        .route("/g/{job}/{act}", post(pages::act))
        .route("/balance", get(pages::balance))
        .route("/signin", get(pages::sign_in))
        .route("/session", post(pages::start_session))
        .route("/session/end", post(pages::end_session))
        .route("/assets/style.css", get(pages::style))
        .route("/assets/live.js", get(pages::script))
}

fn with_legacy_callbacks(mut routes: Router<Shared>, front: &Front) -> Result<Router<Shared>, SettingsError> {
    let mut seen = std::collections::HashSet::new();
    for path in &front.settings().legacy_callbacks {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        let mine = OURS
            .iter()
            .any(|ours| path.strip_prefix(ours).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
        if !path.starts_with('/') || path.len() < 2 || !path.chars().all(plain) || mine || !seen.insert(path)
        {
            return Err(SettingsError::LegacyCallback(path.clone()));
        }
        routes = routes.route(path, post(callback::receive_legacy));
    }
    Ok(routes)
}

/// The layers, outermost last.
fn finish(routes: Router<Shared>, front: Shared) -> Result<Router, SettingsError> {
    let cors = cors(&front.settings().allowed_origins)?;
    let routes = routes
        .route_layer(layers::from_fn_with_state(front.clone(), readable_path))
        .fallback(not_found)
        .method_not_allowed_fallback(async || Problem::new(Kind::MethodNotAllowed))
        // Bodies are bounded where they are read: JSON, callbacks and uploads differ.
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(panicked));
    let routes = match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    Ok(routes
        .layer(layers::from_fn_with_state(front.clone(), headers::secure))
        .layer(layers::from_fn_with_state(front.clone(), request_id::follow))
        .with_state(front))
}

async fn not_found(State(front): State<Shared>, request: Request) -> Response {
    pages::not_found(&front, &request)
}

/// A path that is no text names nothing.
async fn readable_path(
    State(front): State<Shared>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    match path {
        Ok(_) => next.run(request).await,
        Err(_) => pages::not_found(&front, &request),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic's payload over")]
fn panicked(payload: Box<dyn Any + Send + 'static>) -> Response {
    let words = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Problem::internal(format!("a handler panicked: {}", words.unwrap_or("without words"))).into_response()
}

fn cors(origins: &[String]) -> Result<Option<CorsLayer>, SettingsError> {
    if origins.is_empty() {
        return Ok(None);
    }
    let origin = |text: &String| {
        let refused = || SettingsError::Origin(text.clone());
        let url = url::Url::parse(text).map_err(|_no_url| refused())?;
        // An origin is scheme, host and port, as a browser writes them.
        let same = url.origin().ascii_serialization() == *text && url.has_host();
        HeaderValue::from_str(text).ok().filter(|_| same).ok_or_else(refused)
    };
    let origins = origins.iter().map(origin).collect::<Result<Vec<_>, _>>()?;
    let asked = ["idempotency-key", "last-event-id", "x-request-id"].map(HeaderName::from_static);
    let shown = ["idempotent-replayed", "x-request-id"].map(HeaderName::from_static);
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers(
            asked
                .into_iter()
                .chain([header::AUTHORIZATION, header::CONTENT_TYPE, header::RANGE])
                .collect::<Vec<_>>(),
        )
        .expose_headers(
            shown.into_iter().chain([header::RETRY_AFTER, header::CONTENT_RANGE]).collect::<Vec<_>>(),
        )
        .max_age(std::time::Duration::from_mins(10));
    Ok(Some(layer))
}
