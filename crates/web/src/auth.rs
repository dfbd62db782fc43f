//! Who asks: bearer tokens, sessions of browsers, tokens of the shop's identity provider; and what each role may do.

mod cache;
mod jwks;
mod key_set;
mod roles;
mod session;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{Method, header};
use secrecy::ExposeSecret;
use store::TokenOwner;

pub(crate) use cache::TokenCache;
pub(crate) use jwks::Jwks;
pub(crate) use roles::{Cashier, Customer, Operator, Reader};
pub(crate) use session::{check_same_origin, end_cookie, find_cookie, start_cookie};

use crate::front::Front;
use crate::problem::{Kind, Problem};
use crate::request_id;

/// Whoever stands behind the request's credentials.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller(pub(crate) TokenOwner);

impl FromRequestParts<Arc<Front>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, front: &Arc<Front>) -> Result<Self, Problem> {
        // A handler may name two roles; its caller is found, and counted, once.
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(*caller);
        }
        let caller = find_caller(parts, front).await?.ok_or_else(|| Problem::new(Kind::Unauthorized))?;
        parts.extensions.insert(caller);
        Ok(caller)
    }
}

/// Whoever reads a page: the caller, or, in the demo, its customer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageCaller {
    pub(crate) owner: TokenOwner,
    /// Without credentials of its own it only looks.
    pub(crate) is_demo: bool,
}

impl PageCaller {
    /// None without credentials, and with some that are not valid any more.
    pub(crate) async fn find(parts: &Parts, front: &Front) -> Result<Option<Self>, Problem> {
        let has_credentials =
            bearer(parts)?.is_some() || find_cookie(&parts.headers, front.is_secure()).is_some();
        match find_caller(parts, front).await {
            Ok(Some(Caller(owner))) => return Ok(Some(Self { owner, is_demo: false })),
            Err(problem) if problem.kind() != Kind::Unauthorized => return Err(problem),
            Ok(None) | Err(_) if has_credentials => return Ok(None),
            Ok(None) | Err(_) => {}
        }
        let Some(token) = &front.settings().demo_token else { return Ok(None) };
        if !is_safe(&parts.method) {
            return Ok(None);
        }
        let owner = look_up(token.expose_secret(), parts, front).await?;
        Ok(owner.map(|owner| Self { owner, is_demo: true }))
    }
}

/// The caller, if the request has credentials; [`Kind::Unauthorized`] if they are not valid.
///
/// A session's cookie is sent by the browser unasked, so what it may change is checked for its origin.
pub(crate) async fn find_caller(parts: &Parts, front: &Front) -> Result<Option<Caller>, Problem> {
    let token = match bearer(parts)? {
        Some(token) => token,
        None => match find_cookie(&parts.headers, front.is_secure()) {
            Some(token) => {
                if !is_safe(&parts.method) {
                    check_same_origin(&parts.headers)?;
                }
                token
            }
            None => return Ok(None),
        },
    };
    let owner = look_up(token, parts, front).await?.ok_or_else(|| Problem::new(Kind::Unauthorized))?;
    front.limits.check_token(owner.token)?;
    request_id::note_account(owner.account);
    Ok(Some(Caller(owner)))
}

/// Who stands behind a token: from memory for up to two seconds, else from the database.
pub(crate) async fn look_up(
    token: &str,
    parts: &Parts,
    front: &Front,
) -> Result<Option<TokenOwner>, Problem> {
    let hash = lifecycle::token_hash(token);
    if let Some(owner) = front.tokens.find(&hash) {
        return Ok(Some(owner));
    }
    front.limits.check_address(front.proxies.client(parts))?;
    let found = match &front.jwks {
        Some(jwks) if jwks::looks_like_jwt(token) => jwks.owner_of(token, front).await?,
        _ => front.store().find_token(&hash).await?,
    };
    if let Some(owner) = found {
        front.tokens.keep(hash, owner);
    }
    Ok(found)
}

fn bearer(parts: &Parts) -> Result<Option<&str>, Problem> {
    let Some(value) = parts.headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().ok().and_then(|text| text.split_once(' '));
    match text {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(Problem::new(Kind::Unauthorized).detail("send `Authorization: Bearer <token>`")),
    }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
