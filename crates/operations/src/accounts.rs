//! Accounts, tokens and money by an operator's hand.

use anyhow::{Context, bail};
use domain::{AccountId, Book, Currency, Job, Money, Role, TokenId};
use ledger::{Adjustment, Ids, Refund, TopUp};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use store::{Added, Credited, NewAccount, NewToken, Store};

/// An account that exists now.
#[derive(Debug, Clone, Serialize)]
pub struct AccountAdded {
    /// Its id.
    pub id: String,
    /// Whether it is new.
    pub new: bool,
}

/// A token that exists now; it is shown this once.
#[derive(Debug, Clone, Serialize)]
pub struct TokenAdded {
    /// Its id: not secret, what it is revoked by.
    pub id: TokenId,
    /// The token itself.
    pub token: String,
    /// What it may do.
    pub role: Role,
}

/// A movement of money that is written now, or was before.
#[derive(Debug, Clone, Serialize)]
pub struct Moved {
    /// Its id.
    pub transfer: String,
    /// Minor units; below zero if it left the account.
    pub amount: Money,
    /// Whether the key had been used for the same movement before.
    pub replayed: bool,
    /// What the account has now, minor units.
    pub available: Money,
}

/// Opens an account; idempotent by `external_id`, else by `telegram_id`.
///
/// # Errors
/// When the chat belongs to another account, or the database fails.
pub async fn add_account(
    store: &dyn Store,
    ids: &Ids,
    external_id: Option<String>,
    name: Option<String>,
    telegram_id: Option<i64>,
    demo: bool,
) -> anyhow::Result<AccountAdded> {
    let mut webhook_key = [0_u8; 32];
    ids.chance.fill(&mut webhook_key);
    let at = ids.now();
    let id = AccountId::generate(at, &*ids.chance);
    let account = NewAccount { id, external_id, name, telegram_id, webhook_key, demo, at };
    let added = store.add_account(&account).await?;
    let new = matches!(added, Added::New(_));
    Ok(AccountAdded { id: added.into_inner().id.to_string(), new })
}

/// A token that nobody has yet: its id may be noted before it is of use to anybody.
pub struct DrawnToken {
    row: NewToken,
    token: SecretString,
}

impl DrawnToken {
    /// Its id, by which it is revoked.
    pub const fn id(&self) -> TokenId {
        self.row.id
    }

    /// Adds it to its account. Only its hash is kept.
    ///
    /// # Errors
    /// When there is no such open account, or the database fails.
    pub async fn add(self, store: &dyn Store) -> anyhow::Result<TokenAdded> {
        let NewToken { id, account, role, .. } = self.row;
        store.add_token(&self.row).await.with_context(|| format!("no token for account {account}"))?;
        Ok(TokenAdded { id, token: self.token.expose_secret().to_owned(), role })
    }
}

/// Draws a token by chance; it is nobody's until it is added.
pub fn draw_token(ids: &Ids, account: AccountId, role: Role) -> DrawnToken {
    let token: SecretString = lifecycle::account_token(&*ids.chance);
    let at = ids.now();
    let (id, hash) = (TokenId::generate(at, &*ids.chance), lifecycle::token_hash(token.expose_secret()));
    DrawnToken { row: NewToken { id, account, role, hash, at }, token }
}

/// Draws a token and adds it.
///
/// # Errors
/// As [`DrawnToken::add`].
pub async fn add_token(
    store: &dyn Store,
    ids: &Ids,
    account: AccountId,
    role: Role,
) -> anyhow::Result<TokenAdded> {
    draw_token(ids, account, role).add(store).await
}

/// Whether somebody stands behind this token.
///
/// # Errors
/// When the database fails.
pub async fn is_token_known(store: &dyn Store, token: &str) -> anyhow::Result<bool> {
    Ok(store.find_token(&lifecycle::token_hash(token)).await?.is_some())
}

/// The role of this name.
///
/// # Errors
/// When there is none.
pub fn parse_role(word: &str) -> anyhow::Result<Role> {
    word.parse().context("a role is customer, payments or operator")
}

/// The shop's currency as the database keeps it.
pub(crate) async fn currency(store: &dyn Store) -> anyhow::Result<Currency> {
    match store.currency().await? {
        Some(text) => Ok(text.parse()?),
        None => {
            bail!("the shop was never opened: start kie-web or kie-bot once, so that the currency is fixed")
        }
    }
}

/// Credits an amount in major units, once by its key.
///
/// # Errors
/// When the amount or key is refused, or the database fails.
pub async fn top_up(
    store: &dyn Store,
    ids: &Ids,
    account: AccountId,
    amount: &str,
    (key, reason): (&str, &str),
) -> anyhow::Result<Moved> {
    let amount = currency(store).await?.parse_amount(amount)?;
    let order = TopUp { account, amount, key, reason: Some(reason) };
    moved(store, account, ledger::top_up(store, ids, &order).await?).await
}

/// Corrects a balance by an amount in major units, `+5` or `-5`.
///
/// # Errors
/// When the amount or key is refused, the balance does not suffice, or the database fails.
pub async fn adjust(
    store: &dyn Store,
    ids: &Ids,
    account: AccountId,
    amount: &str,
    (key, reason): (&str, &str),
) -> anyhow::Result<Moved> {
    let amount = currency(store).await?.parse_amount(amount)?;
    let order = Adjustment { account, amount, key, reason };
    moved(store, account, ledger::adjust(store, ids, &order).await?).await
}

/// Gives a captured price back, in full or by an amount in major units.
///
/// # Errors
/// When it is more than was captured, the key is refused, or the database fails.
pub async fn refund(
    store: &dyn Store,
    ids: &Ids,
    job: &Job,
    amount: Option<&str>,
    (key, reason): (&str, &str),
) -> anyhow::Result<Moved> {
    let currency = currency(store).await?;
    let amount = amount.map(|text| currency.parse_amount(text)).transpose()?;
    let order = Refund { job, amount, key, reason };
    moved(store, job.account, ledger::refund(store, ids, &order).await?).await
}

async fn moved(store: &dyn Store, account: AccountId, credited: Credited) -> anyhow::Result<Moved> {
    let replayed = matches!(credited, Credited::Replayed(_));
    // The ledger makes errors of the other two.
    let (Credited::Applied(transfers) | Credited::Replayed(transfers)) = credited else {
        bail!("nothing was moved")
    };
    let first = transfers.first().context("a movement without a transfer")?;
    let available = store.find_account(account).await?.map_or(Money::ZERO, |account| account.available);
    let amount = match first.debit {
        Book::Available => Money::ZERO.minus(first.amount)?,
        _ => first.amount,
    };
    Ok(Moved { transfer: first.id.to_string(), amount, replayed, available })
}
