//! The words an operator types.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use runtime::config::{Config, DatabaseConfig, KieConfig, LogConfig, MediaConfig};

/// The operator's tool of a KIE shop. Reading needs only `DATABASE_URL`.
///
/// Exit codes: 0 done and all is well; 1 findings, failures or a refused act; 2 it could not look.
#[derive(Debug, Parser)]
#[command(name = "kie-reconciler", version, max_term_width = 120)]
pub(crate) struct Cli {
    /// Print JSON on standard output instead of tables.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) log: LogConfig,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Do what a worker does until nothing is due; needs the whole configuration.
    Once {
        /// Stop after so many claimed rows.
        #[arg(long, default_value_t = 100_000)]
        limit: u64,
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Prove the books: 0 clean, 1 findings, 2 could not look.
    Audit {
        /// Compare every stored object with its row, too (length).
        #[arg(long)]
        media: bool,
        /// With --media: read every object and compare its hash.
        #[arg(long, requires = "media")]
        hash: bool,
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(flatten)]
        storage: MediaConfig,
    },
    /// The shop at a glance, and what to do about it.
    Status {
        /// Hours to look back.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=24 * 365))]
        hours: u64,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Is everything there that the shop needs? Key, database, schema, clock, storage, public address.
    Check {
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Order the free models, end to end, for an account of its own.
    Smoke {
        /// Buy one paid image, video and sound, too; the account must have money.
        #[arg(long)]
        real: bool,
        /// The account that orders; without it, one with the external id `smoke`.
        #[arg(long)]
        account: Option<String>,
        /// Minutes that all may take.
        #[arg(long, default_value_t = 15)]
        minutes: u64,
        #[command(flatten)]
        config: Box<Config>,
    },
    /// All there is to know of a job, by its id or a task id.
    Job {
        /// Job id or KIE's task id.
        id: String,
        /// Read KIE's record now, too; needs the whole configuration.
        #[arg(long)]
        live: bool,
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Jobs or deliveries in trouble.
    List {
        /// Which.
        #[arg(long, value_enum)]
        state: ListState,
        /// Only those ordered in the last so many hours.
        #[arg(long)]
        since_hours: Option<u64>,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Wake a job whatever it waits for; the next step decides what can be done.
    Retry {
        id: String,
        #[command(flatten)]
        act: Act,
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Decide an unclear job.
    Resolve {
        id: String,
        #[command(flatten)]
        decision: DecisionArgs,
        #[command(flatten)]
        act: Act,
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Give a captured price back, in full or in part.
    Refund {
        id: String,
        /// In major units, such as 15.60; all that is left if not given.
        #[arg(long)]
        amount: Option<String>,
        /// Makes the refund happen once.
        #[arg(long)]
        key: String,
        #[command(flatten)]
        act: Act,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Send the deliveries of a job again, with the same ids.
    Redeliver {
        id: String,
        #[command(flatten)]
        act: Act,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Take users, balances and generations of an old shop over; a second pass brings only differences.
    Import(Box<crate::commands::import::ImportArgs>),
    /// Accounts, tokens and money.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Compare our models with what KIE says of its own; needs only KIE's key.
    #[command(subcommand)]
    Catalogue(CatalogueCommand),
}

/// Why, and whether really.
#[derive(Debug, Args)]
pub(crate) struct Act {
    /// Why; goes into the history.
    #[arg(long, default_value = "by an operator")]
    pub(crate) reason: String,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct DecisionArgs {
    /// The job follows this task of KIE's; its record must agree.
    #[arg(long, value_name = "TASK")]
    pub(crate) adopt: Option<String>,
    /// Send another attempt; KIE may then have made two.
    #[arg(long)]
    pub(crate) resend: bool,
    /// Give the money back.
    #[arg(long)]
    pub(crate) release: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ListState {
    /// Nobody knows whether KIE has the task.
    Unclear,
    /// Not final and older than its kind allows.
    Stuck,
    /// Dead deliveries.
    Dead,
    /// Failed jobs.
    Failed,
}

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
        database: DatabaseConfig,
    },
    /// Make a token for an account; it is shown this once.
    Token {
        id: String,
        /// customer, payments or operator.
        #[arg(long)]
        role: String,
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

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogueCommand {
    /// Does each side list the same models? 0 yes, 1 no, 2 could not look.
    Check {
        #[command(flatten)]
        look: Look,
    },
    /// What differs in inputs; prices side by side. 0 nothing, 1 something, 2 could not look.
    Diff {
        /// Show models that agree, too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        look: Look,
    },
    /// Write a proposed model file for every new or changed model; a person reviews and prices it.
    Sync {
        /// A new folder, outside of the source of truth.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        #[command(flatten)]
        look: Look,
    },
}

/// What to compare, and how fast.
#[derive(Debug, Args)]
pub(crate) struct Look {
    /// Only models whose id fits, such as kling* or */text-to-video.
    #[arg(long, value_name = "GLOB", default_value = "*")]
    pub(crate) model: String,
    /// Milliseconds between calls; KIE allows one in a second, a simulator may allow more.
    #[arg(long, value_name = "MS", default_value_t = 1100, value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub(crate) pace: u64,
    #[command(flatten)]
    pub(crate) kie: KieConfig,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_words_are_well_formed() {
        super::Cli::command().debug_assert();
    }
}
