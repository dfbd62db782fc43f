//! One function for each word.

mod accounts;
mod act;
mod books;
mod catalogue;
mod decide;
pub(crate) mod import;
mod job;
mod look;
mod storage;
mod sweep;
mod work;

use std::process::ExitCode;

use crate::cli::{Cli, Command};

/// Runs what was asked for.
pub(crate) async fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let json = cli.json;
    match &cli.command {
        Command::Once { limit, dry_run: false, config } => work::once(json, config, *limit).await,
        Command::Once { limit, dry_run: true, config } => look::due(json, &config.database, *limit).await,
        Command::Watch { config } => work::watch(json, config).await,
        Command::Check { config } => work::check(json, config).await,
        Command::Smoke { real, account, minutes, act, config } => {
            work::smoke(json, config, (*real, account.as_deref(), *minutes), act).await
        }
        Command::Audit { media, hash, provider, database, storage, kie } => {
            let places = (media.then_some((storage, *hash)), provider.then_some(kie));
            look::audit(json, database, places).await
        }
        Command::Verify { sample, account, database, storage } => {
            storage::verify(json, (database, storage), account.as_deref(), *sample).await
        }
        Command::Sweep { older, tombstones, act, config } => {
            sweep::sweep(json, config, (*older, *tombstones), act).await
        }
        Command::Previews { backfill, change, storage } => {
            storage::previews(json, (&change.database, storage), *backfill, &change.act).await
        }
        Command::Export { account, out, database, storage } => {
            storage::export(json, (database, storage), account, out).await
        }
        Command::Acts { limit, database } => look::acts(json, database, *limit).await,
        Command::Status { hours, database } => look::status(json, database, *hours).await,
        Command::Job { id, live, config } => job::job(json, config, id, *live).await,
        Command::List { state, since, database } => job::list(json, database, *state, *since).await,
        Command::Retry { id, act, config } => decide::retry(json, config, id, act).await,
        Command::Resolve { id, decision, act, config } => {
            decide::resolve(json, config, id, decision, act).await
        }
        Command::Refund { id, amount, key, change } => {
            decide::refund(json, change, id, (amount.as_deref(), key)).await
        }
        Command::Redeliver { id, change } => decide::redeliver(json, change, id).await,
        Command::Import(args) => import::run(json, args).await,
        Command::Account(command) => accounts::run(json, command).await,
        Command::Catalogue(command) => catalogue::run(json, command).await,
    }
}
