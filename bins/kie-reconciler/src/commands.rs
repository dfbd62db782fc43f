//! One function for each word.

mod accounts;
mod catalogue;
mod decide;
pub(crate) mod import;
mod look;
mod work;

use std::process::ExitCode;

use crate::cli::{Cli, Command};

/// Runs what was asked for.
pub(crate) async fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let json = cli.json;
    match &cli.command {
        Command::Once { limit, config } => work::once(json, config, *limit).await,
        Command::Check { config } => work::check(json, config).await,
        Command::Smoke { real, account, minutes, config } => {
            work::smoke(json, config, *real, account.as_deref(), *minutes).await
        }
        Command::Audit { media, hash, database, storage } => {
            look::audit(json, database, media.then_some((storage, *hash))).await
        }
        Command::Status { hours, database } => look::status(json, database, *hours).await,
        Command::Job { id, live, config } => look::job(json, config, id, *live).await,
        Command::List { state, since_hours, database } => {
            look::list(json, database, *state, *since_hours).await
        }
        Command::Retry { id, act, config } => decide::retry(json, config, id, act).await,
        Command::Resolve { id, decision, act, config } => {
            decide::resolve(json, config, id, decision, act).await
        }
        Command::Refund { id, amount, key, act, database } => {
            decide::refund(json, database, id, (amount.as_deref(), key), act).await
        }
        Command::Redeliver { id, act, database } => decide::redeliver(json, database, id, act).await,
        Command::Import(args) => import::run(json, args).await,
        Command::Account(command) => accounts::run(json, command).await,
        Command::Catalogue(command) => catalogue::run(json, command).await,
    }
}
