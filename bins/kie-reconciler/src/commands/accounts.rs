//! Words for accounts.

use std::process::ExitCode;

use anyhow::Context;
use operations::Moved;
use runtime::AccountId;

use crate::cli::AccountCommand;
use crate::show;

fn account_id(text: &str) -> anyhow::Result<AccountId> {
    text.parse().with_context(|| format!("`{text}` is not an account's id"))
}

pub(crate) async fn run(json: bool, command: &AccountCommand) -> anyhow::Result<ExitCode> {
    let ids = runtime::ids();
    match command {
        AccountCommand::Add { name, telegram, external, database } => {
            let store = runtime::open_store(database).await?;
            let added =
                operations::add_account(&*store, &ids, external.clone(), name.clone(), *telegram, false)
                    .await?;
            show::print(json, &added, |added| added.id.clone())?;
            store.close().await;
        }
        AccountCommand::Token { id, role, database } => {
            let store = runtime::open_store(database).await?;
            let role = operations::parse_role(role)?;
            let added = operations::add_token(&*store, &ids, account_id(id)?, role).await?;
            show::print(json, &added, |added| added.token.clone())?;
            store.close().await;
        }
        AccountCommand::Topup { id, amount, key, database } => {
            let store = runtime::open_store_for_reading(database).await?;
            let moved = operations::top_up(&*store, &ids, account_id(id)?, amount, key).await?;
            show_moved(json, &moved)?;
            store.close().await;
        }
        AccountCommand::Adjust { id, amount, key, act, database } => {
            let store = runtime::open_store_for_reading(database).await?;
            let what = format!("adjust account {id} by {amount}");
            if act.dry_run {
                return show::line(&format!("would {what}")).map(|()| ExitCode::SUCCESS);
            }
            if show::confirm(&format!("{what}?"), act.yes)? {
                let why = (key.as_str(), act.reason.as_str());
                let moved = operations::adjust(&*store, &ids, account_id(id)?, amount, why).await?;
                show_moved(json, &moved)?;
            }
            store.close().await;
        }
        AccountCommand::Erase { id, act, database } => {
            let store = runtime::open_store_for_reading(database).await?;
            let what = format!("close account {id} and remove its name, chat, tokens and prompts");
            if act.dry_run {
                return show::line(&format!("would {what}")).map(|()| ExitCode::SUCCESS);
            }
            if show::confirm(&format!("{what}?"), act.yes)? {
                store.erase_account(account_id(id)?, runtime::now()).await?;
                show::print(json, &serde_json::json!({ "erased": id }), |_| format!("erased {id}"))?;
            }
            store.close().await;
        }
        AccountCommand::List { database } => list(json, database).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show_moved(json: bool, moved: &Moved) -> anyhow::Result<()> {
    show::print(json, moved, |moved| {
        let again = if moved.replayed { " (was done before)" } else { "" };
        format!("{} minor units moved{again}; available {}", moved.amount.minor(), moved.available.minor())
    })
}

async fn list(json: bool, database: &runtime::config::DatabaseConfig) -> anyhow::Result<()> {
    let store = runtime::open_store_for_reading(database).await?;
    let mut rows = Vec::new();
    let mut after = None;
    loop {
        let page = store.list_accounts(after, 500).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        rows.extend(page.into_iter().map(|account| {
            serde_json::json!({
                "id": account.id.to_string(), "external_id": account.external_id, "name": account.name,
                "available": account.available, "held": account.held, "closed": account.closed_at.is_some()
            })
        }));
    }
    show::print(json, &rows, |rows| {
        let cell =
            |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let lines = rows.iter().map(|row| {
            ["id", "external_id", "name", "available", "held"]
                .iter()
                .map(|field| cell(&row[*field]))
                .collect()
        });
        show::table(&["id", "external", "name", "available", "held"], lines)
    })?;
    store.close().await;
    Ok(())
}
