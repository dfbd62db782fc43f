//! What a role may do, as extractors: a handler's signature says who may call it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use domain::{AccountId, Role, Scope};
use http::request::Parts;
use store::TokenOwner;

use super::{Caller, PageCaller};
use crate::front::Front;
use crate::params::Params;
use crate::problem::{Kind, Problem};
use crate::view::Viewer;
use crate::words::Language;

/// A customer, for its own account.
pub(crate) struct Customer(pub(crate) TokenOwner);

/// An operator.
pub(crate) struct Operator;

/// One who may top up: payments, and operators.
pub(crate) struct Cashier;

/// One who reads: a customer its own account, an operator all or the one that `?account=` names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader {
    /// Whose rows.
    pub(crate) scope: Scope,
    /// The account that is meant where there must be one.
    pub(crate) account: AccountId,
    /// How rows are shown.
    pub(crate) viewer: Viewer,
}

impl Reader {
    fn new(owner: TokenOwner, parts: &Parts, front: &Front) -> Result<Self, Problem> {
        let asked: Option<AccountId> = Params::read(parts).one("account")?;
        let language = Language::of_request(&parts.headers, front.language);
        let operator = owner.role == Role::Operator;
        let scope = match (owner.role, asked) {
            (Role::Payments, _) => return Err(Problem::new(Kind::Forbidden)),
            (Role::Customer, Some(other)) if other != owner.account => {
                return Err(Problem::new(Kind::Forbidden).detail("a customer reads its own account only"));
            }
            (Role::Customer, _) => Scope::Account(owner.account),
            (Role::Operator, Some(account)) => Scope::Account(account),
            (Role::Operator, None) => Scope::All,
        };
        let account = asked.unwrap_or(owner.account);
        Ok(Self { scope, account, viewer: Viewer { operator, language } })
    }

    /// As any reader; in the demo a browser without credentials, too.
    pub(crate) async fn of_page(parts: &Parts, front: &Front) -> Result<Self, Problem> {
        let caller = PageCaller::find(parts, front).await?;
        let caller = caller.ok_or_else(|| Problem::new(Kind::Unauthorized))?;
        Self::new(caller.owner, parts, front)
    }
}

impl FromRequestParts<Arc<Front>> for Customer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, front: &Arc<Front>) -> Result<Self, Problem> {
        let Caller(owner) = Caller::from_request_parts(parts, front).await?;
        allow(owner, &[Role::Customer]).map(|()| Self(owner))
    }
}

impl FromRequestParts<Arc<Front>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, front: &Arc<Front>) -> Result<Self, Problem> {
        let Caller(owner) = Caller::from_request_parts(parts, front).await?;
        allow(owner, &[Role::Operator]).map(|()| Self)
    }
}

impl FromRequestParts<Arc<Front>> for Cashier {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, front: &Arc<Front>) -> Result<Self, Problem> {
        let Caller(owner) = Caller::from_request_parts(parts, front).await?;
        allow(owner, &[Role::Payments, Role::Operator]).map(|()| Self)
    }
}

impl FromRequestParts<Arc<Front>> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, front: &Arc<Front>) -> Result<Self, Problem> {
        let Caller(owner) = Caller::from_request_parts(parts, front).await?;
        Self::new(owner, parts, front)
    }
}

fn allow(owner: TokenOwner, roles: &[Role]) -> Result<(), Problem> {
    if roles.contains(&owner.role) {
        return Ok(());
    }
    Err(Problem::new(Kind::Forbidden).detail(format!("a token of the role `{}` may not do that", owner.role)))
}
