//! The words an operator types; those of a group are in a file of their own.

mod account;
mod catalogue;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use runtime::config::{Config, DatabaseConfig, KieConfig, LogConfig, MediaConfig, Since, duration, since};

pub(crate) use account::{AccountCommand, Movement};
pub(crate) use catalogue::{CatalogueCommand, Look};

/// The operator's tool of a KIE shop. Reading needs only `DATABASE_URL`.
///
/// Exit codes: 0 done and all is well; 1 findings, alarms, failures, or the answer was no; 2 it could not look or act.
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
        /// Show what is due, and claim nothing.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Work without end, as a worker without a front end does; SIGTERM finishes open steps first.
    Watch {
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
        /// Compare KIE's credit balance with what our jobs consumed; a note, never a finding.
        #[arg(long)]
        provider: bool,
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(flatten)]
        storage: MediaConfig,
        #[command(flatten)]
        kie: KieConfig,
    },
    /// Read stored objects again and compare their hashes, all of them or a sample.
    Verify {
        /// So many, chosen by chance; all if not given.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(operations::SAMPLE_MAX)))]
        sample: Option<u32>,
        /// Only those of this account.
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(flatten)]
        storage: MediaConfig,
    },
    /// Find objects without rows and rows without objects; delete the former, with --tombstones mend the latter, once you
    /// agree.
    Sweep {
        /// Leave objects alone that are younger than this.
        #[arg(long, default_value = "1h", value_parser = duration)]
        older: Duration,
        /// Fetch files again whose objects are gone, and mark their rows as deleted where KIE has them no more; needs the
        /// whole configuration.
        #[arg(long)]
        tombstones: bool,
        #[command(flatten)]
        act: Act,
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Count stored images without a thumbnail; with --backfill make what is missing.
    Previews {
        /// Make them.
        #[arg(long)]
        backfill: bool,
        #[command(flatten)]
        change: Change,
        #[command(flatten)]
        storage: MediaConfig,
    },
    /// Write an account's library to a zip: files, prompts, hashes and receipts in manifest.json.
    Export {
        /// The account.
        account: String,
        /// A new file.
        #[arg(long, value_name = "FILE.zip")]
        out: PathBuf,
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(flatten)]
        storage: MediaConfig,
    },
    /// What operators did that belongs to no job and no transfer.
    Acts {
        /// The newest so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        database: DatabaseConfig,
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
        act: Act,
        #[command(flatten)]
        config: Box<Config>,
    },
    /// All there is to know of a job, by its id, a task id or a file's id.
    Job {
        /// Job id, KIE's task id, or the id of a file.
        id: String,
        /// Read KIE's record now, too; needs the whole configuration.
        #[arg(long)]
        live: bool,
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Jobs, deliveries or callbacks in trouble.
    List {
        /// Which.
        #[arg(long, value_enum)]
        state: ListState,
        /// Only those ordered (callbacks: come) since: a duration such as 2h or 3d, or a time such as 2026-07-01T12:00:00Z.
        #[arg(long, value_name = "WHEN", value_parser = since)]
        since: Option<Since>,
        #[command(flatten)]
        database: DatabaseConfig,
    },
    /// Wake a job whatever it waits for; of a job that is over, fetch stored files again that are gone or overwritten.
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
        change: Change,
    },
    /// Send the deliveries of a job again, with the same ids.
    Redeliver {
        id: String,
        #[command(flatten)]
        change: Change,
    },
    /// Take users, balances and generations of an old shop over; a second pass brings only differences.
    Import(Box<crate::commands::import::ImportArgs>),
    /// Accounts, tokens and money.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Our models against what KIE says of its own; models that it refused.
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

/// A change, and the database that it is made in.
#[derive(Debug, Args)]
pub(crate) struct Change {
    #[command(flatten)]
    pub(crate) act: Act,
    #[command(flatten)]
    pub(crate) database: DatabaseConfig,
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
    /// Callbacks that name a task or job that is not here.
    Orphan,
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    /// Words that only look; what they write is a file that the operator names.
    const LOOKING: [&str; 15] = [
        "audit",
        "verify",
        "export",
        "acts",
        "status",
        "check",
        "job",
        "list",
        "account list",
        "account tokens",
        "account transfers",
        "catalogue check",
        "catalogue diff",
        "catalogue sync",
        "help",
    ];
    /// Words that do what a worker does all the time.
    const WORKING: [&str; 2] = ["once", "watch"];

    /// Every word without further words under it, with its path.
    fn leaves(command: &Command, path: &str, found: &mut Vec<(String, Command)>) {
        for word in command.get_subcommands() {
            let path = format!("{path} {}", word.get_name()).trim().to_owned();
            if word.has_subcommands() {
                leaves(word, &path, found);
            } else {
                found.push((path, word.clone()));
            }
        }
    }

    #[test]
    fn what_changes_something_can_be_tried_asks_and_takes_a_reason() {
        let mut found = Vec::new();
        leaves(&super::Cli::command(), "", &mut found);
        let known = |words: &[&str], path: &str| words.contains(&path);
        for (path, word) in &found {
            let has = |flag: &str| word.get_arguments().any(|arg| arg.get_long() == Some(flag));
            let flags = ["dry-run", "yes", "reason"].map(has);
            if known(&LOOKING, path) || known(&WORKING, path) {
                assert!(!has("yes") && !has("reason"), "`{path}` is said to change nothing");
            } else {
                assert_eq!(flags, [true; 3], "`{path}` lacks one of --dry-run, --yes, --reason");
            }
        }
        let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
        let stale: Vec<_> =
            LOOKING.iter().chain(&WORKING).filter(|path| **path != "help" && !paths.contains(path)).collect();
        assert!(stale.is_empty(), "there are no such words: {stale:?}");
        assert!(paths.len() > 25, "{paths:?}");
    }

    #[test]
    fn every_word_prints_json_on_demand() {
        let mut command = super::Cli::command();
        command.build();
        let mut found = Vec::new();
        leaves(&command, "", &mut found);
        for (path, word) in found.iter().filter(|(path, _)| !path.contains("help")) {
            assert!(word.get_arguments().any(|arg| arg.get_long() == Some("json")), "`{path}` has no --json");
        }
    }

    #[test]
    fn the_words_are_well_formed() {
        super::Cli::command().debug_assert();
    }
}
