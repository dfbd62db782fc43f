//! Words for accounts, tokens and money.

use clap::{Args, Subcommand};
use runtime::config::DatabaseConfig;

use super::Change;

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Open an account; idempotent by --external, else by --telegram. Prints its id.
    Add {
        /// A name for people.
        #[arg(long)]
        name: Option<String>,
        /// The linked Telegram chat.
        #[arg(long)]
        telegram: Option<i64>,
        /// The shop's own id of the customer.
        #[arg(long)]
        external: Option<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Make a token for an account; it is shown this once.
    Token {
        id: String,
        /// customer, payments or operator.
        #[arg(long)]
        role: String,
        #[command(flatten)]
        change: Change,
    },
    /// The tokens of an account by their ids; their texts are not kept.
    Tokens {
        id: String,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Revoke one token of an account, by the token's id; running processes forget it within two seconds.
    Revoke {
        id: String,
        /// Its id, as `account tokens` shows it.
        token: String,
        #[command(flatten)]
        change: Change,
    },
    /// Credit an amount in major units, such as 100.00, once by its key.
    Topup(Movement),
    /// Correct a balance by +N or -N in major units, once by its key.
    Adjust(Movement),
    /// Set a balance that was changed by hand to what the account's transfers make.
    Recount {
        id: String,
        #[command(flatten)]
        change: Change,
    },
    /// Close an account and remove what names a person; jobs and money stay.
    Erase {
        id: String,
        #[command(flatten)]
        change: Change,
    },
    /// An account's movements of money, newest first.
    Transfers {
        id: String,
        /// The newest so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Those before this one, as the page before says it.
        #[arg(long, value_name = "TRANSFER")]
        before: Option<String>,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Accounts and their balances.
    List {
        #[command(flatten)]
        database: DatabaseConfig,
    },
}

/// Money into an account, or out of it.
#[derive(Debug, Args)]
pub(crate) struct Movement {
    pub(crate) id: String,
    /// In major units, such as 5.00.
    #[arg(allow_hyphen_values = true)]
    pub(crate) amount: String,
    /// Makes it happen once.
    #[arg(long)]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) change: Change,
}
