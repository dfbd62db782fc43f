//! Accounts, roles, and whose rows a reader may see.

use crate::{AccountId, Money, Timestamp, text_enum::text_enum};

text_enum!(
    /// What a token may do; a token has one role.
    Role, "role" {
        /// Orders and reads its own account.
        Customer = "customer",
        /// Tops up accounts.
        Payments = "payments",
        /// Reads any account and decides jobs; does not order.
        Operator = "operator",
    }
);

/// A customer with a balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The shop's own id of this customer; unique where present.
    pub external_id: Option<String>,
    /// A name for people.
    pub name: Option<String>,
    /// The linked Telegram chat; unique where present.
    pub telegram_id: Option<i64>,
    /// Money that may be spent, minor units.
    pub available: Money,
    /// Money set aside for open jobs, minor units.
    pub held: Money,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was closed and anonymised, if it was.
    pub closed_at: Option<Timestamp>,
}

/// Whose rows a query may touch; ownership is checked in the query itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One account's own rows.
    Account(AccountId),
    /// Any account's rows: operators and the service itself.
    All,
}

impl Scope {
    /// The account to filter by; `None` means no filter.
    pub const fn account(self) -> Option<AccountId> {
        match self {
            Self::Account(id) => Some(id),
            Self::All => None,
        }
    }
}
