//! What all pages have in common: who looks, the frame around, what is said when a page cannot be shown.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use domain::{AccountId, Role, Scope};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};

use crate::auth::PageCaller;
use crate::front::Front;
use crate::headers;
use crate::problem::{Kind, Problem};
use crate::request_id;
use crate::view::Viewer;
use crate::words::{self, Language, Words};

/// Who looks at a page, and in which language.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visitor {
    pub(super) account: AccountId,
    pub(super) is_demo: bool,
    pub(super) language: Language,
}

impl Visitor {
    /// The session's account, or the demo's; [`Kind::Unauthorized`] leads to the sign-in.
    pub(super) async fn get(front: &Front, parts: &Parts) -> Result<Self, Problem> {
        let caller = PageCaller::find(parts, front).await?;
        let caller = caller.ok_or_else(|| Problem::new(Kind::Unauthorized))?;
        if caller.owner.role == Role::Payments {
            return Err(Problem::new(Kind::Forbidden));
        }
        let language = Language::of_request(&parts.headers, front.language);
        Ok(Self { account: caller.owner.account, is_demo: caller.is_demo, language })
    }

    pub(super) const fn scope(self) -> Scope {
        Scope::Account(self.account)
    }

    /// Pages show everyone what customers see.
    pub(super) const fn viewer(self) -> Viewer {
        Viewer { operator: false, language: self.language }
    }

    pub(super) async fn frame(self, front: &Front) -> Result<Frame, Problem> {
        let account = front.store().find_account(self.account).await?;
        let available = account.ok_or_else(|| Problem::new(Kind::Unauthorized))?.available;
        let currency = &front.lifecycle().policy().currency;
        Ok(Frame {
            language: self.language.code(),
            w: self.language.words(),
            signed_in: true,
            is_demo: self.is_demo,
            balance: currency.format(available),
            digits: currency.digits(),
        })
    }
}

/// The frame around a page.
pub(super) struct Frame {
    pub(super) language: &'static str,
    pub(super) w: &'static Words,
    pub(super) signed_in: bool,
    pub(super) is_demo: bool,
    pub(super) balance: String,
    pub(super) digits: u8,
}

impl Frame {
    /// For visitors without an account.
    pub(super) const fn bare(language: Language) -> Self {
        let (language, w) = (language.code(), language.words());
        Self { language, w, signed_in: false, is_demo: false, balance: String::new(), digits: 0 }
    }
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    frame: Frame,
    title: &'static str,
    text: &'static str,
    request_id: Option<String>,
}

/// A page as an answer.
pub(super) fn html(page: &impl Template) -> Result<Response, Problem> {
    let text = page.render().map_err(Problem::internal)?;
    let content_type = HeaderValue::from_static("text/html; charset=utf-8");
    let policy = (header::CONTENT_SECURITY_POLICY, headers::PAGE);
    Ok(([(header::CONTENT_TYPE, content_type), policy], text).into_response())
}

/// The page, the way to the sign-in, or a page that says what went wrong.
pub(super) fn answer(front: &Front, parts: &Parts, page: Result<Response, Problem>) -> Response {
    match page {
        Ok(page) => page,
        Err(problem) if problem.kind() == Kind::Unauthorized => Redirect::to("/signin").into_response(),
        Err(problem) => message(front, &parts.headers, problem),
    }
}

/// The problem as a page; its cause is logged by the problem's own answer, whose status is kept.
pub(super) fn message(front: &Front, headers: &HeaderMap, problem: Problem) -> Response {
    let language = Language::of_request(headers, front.language);
    let w = language.words();
    let own = match problem.kind() {
        Kind::NotFound => Some((w.not_found, w.not_found_text)),
        kind => words::refusal(kind, language),
    };
    let request_id = own.is_none().then(request_id::current);
    let (title, text) = own.unwrap_or((w.failed_title, w.failed_text));
    let page = Message { frame: Frame::bare(language), title, text, request_id };
    let bare = problem.into_response();
    let status = bare.status();
    match html(&page) {
        Ok(mut shown) => {
            *shown.status_mut() = status;
            shown
        }
        Err(_template) => bare,
    }
}
