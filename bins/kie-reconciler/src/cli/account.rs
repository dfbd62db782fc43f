//! Words for accounts, tokens and money.

use clap::Subcommand;
use runtime::config::DatabaseConfig;

use super::Act;

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
        act: Act,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Make a token for an account; it is shown this once.
    Token {
        id: String,
        /// customer, payments or operator.
        #[arg(long)]
        role: String,
        #[command(flatten)]
        act: Act,
        #[command(flatten)]
        database: DatabaseConfig,
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
        act: Act,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Credit an amount in major units, once by its key.
    Topup {
        id: String,
        /// Such as 100.00.
        amount: String,
        /// Makes the top-up happen once.
        #[arg(long)]
        key: String,
        #[command(flatten)]
        act: Act,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Correct a balance by +N or -N in major units.
    Adjust {
        id: String,
        /// Such as +5 or -5.00.
        #[arg(allow_hyphen_values = true)]
        amount: String,
        /// Makes the correction happen once.
        #[arg(long)]
        key: String,
        #[command(flatten)]
        act: Act,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Set a balance that was changed by hand to what the account's transfers make.
    Recount {
        id: String,
        #[command(flatten)]
        act: Act,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Close an account and remove what names a person; jobs and money stay.
    Erase {
        id: String,
        #[command(flatten)]
        act: Act,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Accounts and their balances.
    List {
        #[command(flatten)]
        database: DatabaseConfig,
    },
}
