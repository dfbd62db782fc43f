//! Pages for people: rendered here, readable without scripts, kept fresh by one small one.

mod balance;
mod frame;
mod generation;
mod library;
mod session;
mod tile;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, header};

pub(crate) use session::{end_session, sign_in, start_session};

use crate::front::{Front, Shared};
use crate::problem::Problem;

const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = include_str!("../assets/live.js");

pub(crate) async fn library(State(front): State<Shared>, parts: Parts) -> Response {
    let page = library::show(&front, &parts).await;
    frame::answer(&front, &parts, page)
}

pub(crate) async fn generation(
    State(front): State<Shared>,
    Path(id): Path<String>,
    parts: Parts,
) -> Response {
    let page = generation::show(&front, &parts, &id).await;
    frame::answer(&front, &parts, page)
}

/// One tile of the library, for the script.
pub(crate) async fn tile(State(front): State<Shared>, Path(id): Path<String>, parts: Parts) -> Response {
    let page = generation::show_tile(&front, &parts, &id).await;
    frame::answer(&front, &parts, page)
}

/// The living part of a generation's page, for the script.
pub(crate) async fn part(State(front): State<Shared>, Path(id): Path<String>, parts: Parts) -> Response {
    let page = generation::show_part(&front, &parts, &id).await;
    frame::answer(&front, &parts, page)
}

/// A button of a generation's page.
pub(crate) async fn act(
    State(front): State<Shared>,
    Path((id, act)): Path<(String, String)>,
    parts: Parts,
) -> Response {
    let page = generation::act(&front, &parts, &id, &act).await;
    frame::answer(&front, &parts, page)
}

pub(crate) async fn balance(State(front): State<Shared>, parts: Parts) -> Response {
    let page = balance::show(&front, &parts).await;
    frame::answer(&front, &parts, page)
}

pub(crate) async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

pub(crate) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

/// For a path without a route: a page for browsers, JSON for programs.
pub(crate) fn not_found(front: &Front, request: &Request) -> Response {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("text/html")) {
        return frame::message(front, request.headers(), Problem::not_found("page"));
    }
    Problem::not_found("route").into_response()
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    (headers, text).into_response()
}
