//! Signing in and out: a session is a cookie that holds the customer's own token.

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use domain::Role;
use http::request::Parts;
use http::{StatusCode, header};

use super::frame::{self, Frame, html};
use crate::auth::{check_same_origin, end_cookie, look_up, start_cookie};
use crate::body::{Read, read_bounded};
use crate::front::{Front, Shared};
use crate::problem::{Kind, Problem};
use crate::words::Language;

const FORM_MAX: usize = 16 * 1024;

#[derive(Template)]
#[template(path = "signin.html")]
struct SignIn {
    frame: Frame,
    wrong: bool,
}

pub(crate) async fn sign_in(State(front): State<Shared>, parts: Parts) -> Response {
    let language = Language::of_request(&parts.headers, front.language);
    let page = html(&SignIn { frame: Frame::bare(language), wrong: false });
    frame::answer(&front, &parts, page)
}

pub(crate) async fn start_session(State(front): State<Shared>, parts: Parts, body: Body) -> Response {
    let started = start(&front, &parts, body).await;
    match started {
        // Who is sent to the sign-in by a wrong token would not learn that it was wrong.
        Err(problem) if problem.kind() == Kind::Unauthorized => {
            let language = Language::of_request(&parts.headers, front.language);
            let page = html(&SignIn { frame: Frame::bare(language), wrong: true });
            let page = frame::answer(&front, &parts, page);
            (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
        }
        other => frame::answer(&front, &parts, other),
    }
}

pub(crate) async fn end_session(State(front): State<Shared>, parts: Parts) -> Response {
    let ended = check_same_origin(&parts.headers).map(|()| {
        let cookie = end_cookie(front.is_secure());
        ([(header::SET_COOKIE, cookie)], Redirect::to("/signin")).into_response()
    });
    frame::answer(&front, &parts, ended)
}

async fn start(front: &Front, parts: &Parts, body: Body) -> Result<Response, Problem> {
    check_same_origin(&parts.headers)?;
    let Read::Whole(form) = read_bounded(body, FORM_MAX).await else {
        return Err(Problem::new(Kind::BadRequest));
    };
    let token = url::form_urlencoded::parse(&form).find(|(name, _)| name == "token");
    let token = token.map(|(_, token)| token.trim().to_owned()).unwrap_or_default();
    let plain = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if token.is_empty() || !plain {
        return Err(Problem::new(Kind::Unauthorized));
    }
    let owner = look_up(&token, parts, front).await?;
    let owner = owner.filter(|owner| owner.role != Role::Payments);
    let owner = owner.ok_or_else(|| Problem::new(Kind::Unauthorized))?;
    tracing::info!(account = %owner.account, "session.started");
    let cookie = start_cookie(&token, front.is_secure());
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/library")).into_response())
}
