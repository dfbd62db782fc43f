//! The words that start the shop.

use clap::{Args, Parser, Subcommand};
use runtime::config::{Config, LogConfig};

/// A shop for KIE generations: HTTP API, pages, callbacks, media, and the worker.
///
/// Without a command it serves. Every flag has an environment variable; no .env file is read.
#[derive(Debug, Parser)]
#[command(name = "kie-web", version, args_conflicts_with_subcommands = true, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    #[command(flatten)]
    pub(crate) log: LogConfig,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve until SIGTERM or ^C.
    Serve(Box<ServeArgs>),
    /// Try it: the whole shop against a simulated KIE, with a demo account that has money.
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Serve only; workers run in other processes.
    #[arg(long, env = "NO_WORKER", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) no_worker: bool,
    #[command(flatten)]
    pub(crate) config: Config,
}

#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Run in a temporary folder on free ports, exit when everything was delivered: 0 if it was, 1 if not.
    #[arg(long)]
    pub(crate) once: bool,
    /// Where the demo keeps its database, media, and the simulator's tasks, port and secrets.
    #[arg(long, default_value = "data/demo")]
    pub(crate) folder: std::path::PathBuf,
    /// Another database than the folder's; one with accounts that the demo did not create is refused.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Another storage than the folder's.
    #[arg(long, env = "MEDIA_URL")]
    pub(crate) media_url: Option<String>,
    /// Where to listen; only this machine's own addresses are taken.
    #[arg(long, env = "LISTEN_ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen_addr: std::net::SocketAddr,
    #[arg(long, env = "PORT", hide = true)]
    pub(crate) port: Option<u16>,
    #[arg(long, env = "KIE_API_KEY", hide = true, hide_env_values = true)]
    pub(crate) kie_api_key: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_words_are_well_formed() {
        super::Cli::command().debug_assert();
    }
}
