//! Accounts and their tokens.

use async_trait::async_trait;
use domain::{Account, AccountId, Role, Timestamp, TokenId};

use crate::StoreError;

/// An account to be opened.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its id.
    pub id: AccountId,
    /// The shop's own id of the customer.
    pub external_id: Option<String>,
    /// A name for people.
    pub name: Option<String>,
    /// The linked Telegram chat.
    pub telegram_id: Option<i64>,
    /// Key of its outgoing webhooks, 32 random bytes.
    pub webhook_key: [u8; 32],
    /// Whether the demo created it.
    pub demo: bool,
    /// When.
    pub at: Timestamp,
}

/// What became of an order to add something that may exist already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added<T> {
    /// It is new.
    New(T),
    /// It was there before and is unchanged.
    Existing(T),
}

impl<T> Added<T> {
    /// The row, new or not.
    pub fn into_inner(self) -> T {
        match self {
            Self::New(row) | Self::Existing(row) => row,
        }
    }
}

/// A token to be added; only its SHA-256 is kept.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Its id.
    pub id: TokenId,
    /// Whose it is.
    pub account: AccountId,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of the whole token.
    pub hash: [u8; 32],
    /// When.
    pub at: Timestamp,
}

/// Who stands behind a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenOwner {
    /// The token.
    pub token: TokenId,
    /// The account.
    pub account: AccountId,
    /// What it may do.
    pub role: Role,
    /// The account's linked chat.
    pub telegram_id: Option<i64>,
}

/// A token as it is kept: its text is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct KeptToken {
    /// The token.
    pub id: TokenId,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Accounts and tokens.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// Opens an account; idempotent by `external_id`, else by `telegram_id`.
    /// [`StoreError::Taken`] when `external_id` is new but `telegram_id` belongs to another account.
    async fn add_account(&self, account: &NewAccount) -> Result<Added<Account>, StoreError>;
    /// The account, with its cached balance.
    async fn find_account(&self, id: AccountId) -> Result<Option<Account>, StoreError>;
    /// The account with the shop's own id.
    async fn find_account_by_external_id(&self, external_id: &str) -> Result<Option<Account>, StoreError>;
    /// Accounts after `after` by id, at most `limit`.
    async fn list_accounts(&self, after: Option<AccountId>, limit: u32) -> Result<Vec<Account>, StoreError>;
    /// Closes the account and removes name, external id, chat and tokens; rows of money and jobs stay, prompts and inputs
    /// of its jobs are emptied (`prompt` null, `input` `{}`, of an open job when it ends) and its jobs are hidden. Nobody is
    /// told of them any more: recipients and deliveries that are owed or dead go, made ones forget their address.
    /// [`StoreError::NotFound`] if there is none.
    async fn erase_account(&self, id: AccountId, at: Timestamp) -> Result<(), StoreError>;
    /// The key of the account's outgoing webhooks. [`StoreError::NotFound`] if there is none.
    async fn webhook_key(&self, id: AccountId) -> Result<[u8; 32], StoreError>;
    /// Adds a token. [`StoreError::NotFound`] if the account does not exist or is closed.
    async fn add_token(&self, token: &NewToken) -> Result<(), StoreError>;
    /// Who stands behind the token with this SHA-256; nobody if its account is closed.
    async fn find_token(&self, hash: &[u8; 32]) -> Result<Option<TokenOwner>, StoreError>;
    /// The tokens of an account, oldest first.
    async fn list_tokens(&self, account: AccountId) -> Result<Vec<KeptToken>, StoreError>;
    /// Deletes a token; false if the account has no such token.
    async fn revoke_token(&self, account: AccountId, token: TokenId) -> Result<bool, StoreError>;
    /// Whether the database has accounts that the demo did not create.
    async fn has_real_accounts(&self) -> Result<bool, StoreError>;
}
