//! Accounts: opening them, topping them up, giving them tokens; the key of their webhooks.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{Account, AccountId, Money, Role, Timestamp, TokenId};
use http::{StatusCode, header};
use ledger::{LedgerError, TopUp};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use store::{Added, Credited, NewAccount, NewToken};
use utoipa::ToSchema;

use super::keys::{IdempotencyKey, bad_key, created_or_replayed};
use crate::auth::{Cashier, Customer, Operator};
use crate::body::{Json, OptionalJson};
use crate::front::{Front, Shared};
use crate::params::Id;
use crate::problem::{FieldError, Kind, Problem, ProblemBody};
use crate::view::TransferView;

/// One top-up may not exceed this many minor units; far below what a balance can hold.
const TOPUP_MAX: i64 = 1_000_000_000_000_000;
const TEXT_MAX: usize = 255;

/// An account to be opened.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccountBody {
    /// The shop's own id of the customer; opening it twice gives the same account.
    external_id: Option<String>,
    /// A name for people.
    name: Option<String>,
    /// The customer's Telegram chat.
    telegram_id: Option<i64>,
}

/// A customer.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(crate) struct AccountView {
    /// Its id.
    #[schema(value_type = String)]
    id: AccountId,
    /// The shop's own id.
    external_id: Option<String>,
    /// A name for people.
    name: Option<String>,
    /// The linked chat.
    telegram_id: Option<i64>,
    /// When it was opened.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// Money paid in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTopUp {
    /// Minor units, above zero.
    amount: i64,
    /// The shop's currency.
    currency: String,
    /// A reason for people.
    reason: Option<String>,
}

/// What a token may do.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTokenBody {
    /// `customer`, `payments` or `operator`.
    #[schema(value_type = String)]
    role: Role,
}

/// A new token; it is never shown again.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenView {
    /// Its id, not secret.
    #[schema(value_type = String)]
    id: TokenId,
    /// The token itself.
    token: String,
    /// What it may do.
    #[schema(value_type = String)]
    role: Role,
}

/// The key of an account's webhooks.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookSecret {
    /// `whsec_…`, as Standard Webhooks libraries take it.
    secret: String,
}

/// Open an account
#[utoipa::path(
    post, path = "/v1/accounts", tag = "accounts", request_body = Option<NewAccountBody>,
    responses(
        (status = 201, description = "The new account", body = AccountView),
        (status = 200, description = "The account of this `external_id`, unchanged", body = AccountView),
        (status = 409, description = "`taken`: the chat belongs to another account", body = ProblemBody<'static>),
    ),
)]
pub(crate) async fn open(
    State(front): State<Shared>,
    _: Operator,
    OptionalJson(body): OptionalJson<NewAccountBody>,
) -> Result<Response, Problem> {
    let body = body.unwrap_or_default();
    check_texts(&[("/external_id", body.external_id.as_deref()), ("/name", body.name.as_deref())])?;
    let ids = front.lifecycle().ids();
    let mut webhook_key = [0_u8; 32];
    ids.chance.fill(&mut webhook_key);
    let at = ids.now();
    let account = NewAccount {
        id: AccountId::generate(at, &*ids.chance),
        external_id: body.external_id,
        name: body.name,
        telegram_id: body.telegram_id,
        webhook_key,
        demo: false,
        at,
    };
    let (status, account) = match front.store().add_account(&account).await? {
        Added::New(account) => (StatusCode::CREATED, account),
        Added::Existing(account) => (StatusCode::OK, account),
    };
    tracing::info!(account = %account.id, new = status == StatusCode::CREATED, "account.opened");
    Ok((status, axum::Json(AccountView::from(account))).into_response())
}

/// Top up
#[utoipa::path(
    post, path = "/v1/accounts/{id}/topups", tag = "accounts", request_body = NewTopUp,
    params(
        ("id" = String, Path),
        ("Idempotency-Key" = String, Header, description = "Unique in the whole shop: the payment's id"),
    ),
    responses(
        (status = 201, description = "The movement", body = TransferView),
        (status = 200, description = "It had been credited before", body = TransferView),
        (status = 409, description = "`idempotency-key-reused`", body = ProblemBody<'static>),
        (status = 422, description = "`invalid`: amount or currency", body = ProblemBody<'static>),
    ),
)]
pub(crate) async fn top_up(
    State(front): State<Shared>,
    _: Cashier,
    Id(account): Id<AccountId>,
    IdempotencyKey(key): IdempotencyKey,
    Json(body): Json<NewTopUp>,
) -> Result<Response, Problem> {
    check_money(&front, &body)?;
    check_texts(&[("/reason", body.reason.as_deref())])?;
    let amount = Money::from_minor(body.amount);
    let top_up = TopUp { account, amount, key: &key, reason: body.reason.as_deref() };
    let credited = ledger::top_up(front.store(), front.lifecycle().ids(), &top_up).await?;
    answer_credited(&front, credited)
}

/// Give an account a token
#[utoipa::path(
    post, path = "/v1/accounts/{id}/tokens", tag = "accounts", request_body = NewTokenBody,
    params(("id" = String, Path)),
    responses((status = 201, description = "The token, shown this once", body = TokenView)),
)]
pub(crate) async fn add_token(
    State(front): State<Shared>,
    _: Operator,
    Id(account): Id<AccountId>,
    Json(body): Json<NewTokenBody>,
) -> Result<Response, Problem> {
    let ids = front.lifecycle().ids();
    let token = lifecycle::account_token(&*ids.chance);
    let at = ids.now();
    let id = TokenId::generate(at, &*ids.chance);
    let hash = lifecycle::token_hash(token.expose_secret());
    front.store().add_token(&NewToken { id, account, role: body.role, hash, at }).await?;
    tracing::info!(%account, token = %id, role = %body.role, "token.added");
    let view = TokenView { id, token: token.expose_secret().to_owned(), role: body.role };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], axum::Json(view)).into_response())
}

/// Read the key of the account's webhooks
#[utoipa::path(
    get, path = "/v1/webhook-secret", tag = "accounts",
    responses((status = 200, description = "The key", body = WebhookSecret)),
)]
pub(crate) async fn webhook_secret(
    State(front): State<Shared>,
    Customer(owner): Customer,
) -> Result<Response, Problem> {
    let key = front.store().webhook_key(owner.account).await?;
    let body = WebhookSecret { secret: delivery::webhook_secret(&key) };
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response())
}

/// 201 with the movement, or 200 if it had been made before.
pub(crate) fn answer_credited(front: &Front, credited: Credited) -> Result<Response, Problem> {
    let (transfers, replayed) = match credited {
        Credited::Applied(transfers) => (transfers, false),
        Credited::Replayed(transfers) => (transfers, true),
        Credited::KeyReused => return Err(Problem::new(Kind::KeyReused)),
        Credited::Short => return Err(Problem::new(Kind::BalanceShort)),
    };
    let first = transfers.first().ok_or_else(|| Problem::internal("a movement without a row"))?;
    let view = TransferView::from(ledger::transfer_receipt(first, &front.lifecycle().policy().currency));
    Ok(created_or_replayed(view, replayed))
}

/// Refuses texts that cannot be kept: too long, or with a NUL, which PostgreSQL does not hold.
pub(crate) fn check_texts(texts: &[(&str, Option<&str>)]) -> Result<(), Problem> {
    let fits = |text: &str| (1..=TEXT_MAX).contains(&text.chars().count());
    if let Some((pointer, _)) = texts.iter().find(|(_, text)| text.is_some_and(|text| text.contains('\0'))) {
        return Err(Problem::invalid(*pointer, "must not contain the NUL character"));
    }
    match texts.iter().find(|(_, text)| text.is_some_and(|text| !fits(text))) {
        Some((pointer, _)) => {
            Err(Problem::invalid(*pointer, format!("must have 1 to {TEXT_MAX} characters")))
        }
        None => Ok(()),
    }
}

fn check_money(front: &Front, body: &NewTopUp) -> Result<(), Problem> {
    let currency = front.lifecycle().policy().currency.code();
    let mut faults = Vec::new();
    let mut fault = |pointer: &str, detail: String| {
        faults.push(FieldError { pointer: pointer.to_owned(), detail });
    };
    if !(1..=TOPUP_MAX).contains(&body.amount) {
        fault("/amount", format!("must be 1 to {TOPUP_MAX} minor units"));
    }
    if body.currency != currency {
        fault("/currency", format!("this shop's currency is {currency}"));
    }
    if faults.is_empty() { Ok(()) } else { Err(Problem::faults(faults)) }
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        let Account { id, external_id, name, telegram_id, created_at, .. } = account;
        Self { id, external_id, name, telegram_id, created_at }
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::NotPositive => Self::invalid("/amount", "must be above zero"),
            LedgerError::Amount(error) => Self::invalid("/amount", error.to_string()),
            LedgerError::BadKey => bad_key(),
            LedgerError::KeyReused => Self::new(Kind::KeyReused),
            LedgerError::Short => Self::new(Kind::BalanceShort),
            LedgerError::AboveCaptured { refundable } => {
                Self::new(Kind::RefundTooLarge).fact("refundable", refundable.minor())
            }
            LedgerError::Store(error) => error.into(),
        }
    }
}
