//! Words for the catalogue.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use runtime::config::KieConfig;

use super::Change;

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogueCommand {
    /// Does each side list the same models, at prices that we know? 0 yes, 1 no, 2 could not look.
    Check {
        #[command(flatten)]
        look: Look,
    },
    /// What differs in inputs and prices. 0 nothing, 1 something, 2 could not look.
    ///
    /// Of inputs: fields, their types, values, bounds and defaults; not formats, patterns and conditions between fields.
    /// KIE's prices are prose: they differ when none of our amounts is named there.
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
    /// Put a model back on sale that KIE refused three times in a row; needs only the database.
    Sell {
        /// The model's id.
        model: String,
        #[command(flatten)]
        change: Change,
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
