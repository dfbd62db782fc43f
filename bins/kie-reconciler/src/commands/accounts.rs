//! Words for accounts.

use std::process::ExitCode;

use anyhow::{Context, bail};
use operations::Moved;
use runtime::config::DatabaseConfig;
use runtime::{AccountId, Store};

use super::act::{done, note, stop};
use crate::cli::{AccountCommand, Act};
use crate::show;

pub(crate) fn account_id(text: &str) -> anyhow::Result<AccountId> {
    text.parse().with_context(|| format!("`{text}` is not an account's id"))
}

pub(crate) async fn run(json: bool, command: &AccountCommand) -> anyhow::Result<ExitCode> {
    match command {
        AccountCommand::Add { name, telegram, external, act, database } => {
            add(json, database, (name, *telegram, external), act).await
        }
        AccountCommand::Token { id, role, act, database } => token(json, database, (id, role), act).await,
        AccountCommand::Tokens { id, database } => tokens(json, database, id).await,
        AccountCommand::Revoke { id, token, act, database } => revoke(json, database, (id, token), act).await,
        AccountCommand::Topup { id, amount, key, act, database } => {
            topup(json, database, (id, amount, key), act).await
        }
        AccountCommand::Adjust { id, amount, key, act, database } => {
            adjust(json, database, (id, amount, key), act).await
        }
        AccountCommand::Recount { id, act, database } => recount(json, database, id, act).await,
        AccountCommand::Erase { id, act, database } => erase(json, database, id, act).await,
        AccountCommand::List { database } => list(json, database).await,
    }
}

async fn add(
    json: bool,
    database: &DatabaseConfig,
    (name, telegram, external): (&Option<String>, Option<i64>, &Option<String>),
    act: &Act,
) -> anyhow::Result<ExitCode> {
    let words = [name.clone(), external.clone(), telegram.map(|chat| format!("chat {chat}"))];
    let words: Vec<_> = words.into_iter().flatten().collect();
    let who = if words.is_empty() { "without a name".to_owned() } else { words.join(", ") };
    if let Some(code) = stop(json, act, &format!("open an account ({who})"))? {
        return Ok(code);
    }
    let store = runtime::open_store(database).await?;
    let added =
        operations::add_account(&*store, &runtime::ids(), external.clone(), name.clone(), telegram, false)
            .await?;
    if added.new {
        note(&*store, "account add", &added.id, act).await?;
    }
    store.close().await;
    show::print(json, &added, |added| added.id.clone())?;
    Ok(ExitCode::SUCCESS)
}

async fn token(
    json: bool,
    database: &DatabaseConfig,
    (id, role): (&str, &str),
    act: &Act,
) -> anyhow::Result<ExitCode> {
    let (account, role) = (account_id(id)?, operations::parse_role(role)?);
    if let Some(code) = stop(json, act, &format!("make a token for account {account} with the role {role}"))?
    {
        return Ok(code);
    }
    let store = runtime::open_store(database).await?;
    let added = operations::add_token(&*store, &runtime::ids(), account, role).await?;
    note(&*store, "account token", &format!("{account}, token {} ({role})", added.id), act).await?;
    store.close().await;
    show::print(json, &added, |added| added.token.clone())?;
    Ok(ExitCode::SUCCESS)
}

async fn tokens(json: bool, database: &DatabaseConfig, id: &str) -> anyhow::Result<ExitCode> {
    let store = runtime::open_store_for_reading(database).await?;
    let account = existing(&*store, id).await?;
    let tokens = store.list_tokens(account).await?;
    store.close().await;
    show::print(json, &tokens, |tokens| {
        let rows = tokens
            .iter()
            .map(|token| vec![token.id.to_string(), token.role.to_string(), token.created_at.to_string()]);
        show::table(&["token", "role", "made"], rows)
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn revoke(
    json: bool,
    database: &DatabaseConfig,
    (id, token): (&str, &str),
    act: &Act,
) -> anyhow::Result<ExitCode> {
    let token =
        token.parse().with_context(|| format!("`{token}` is not a token's id: see `account tokens`"))?;
    let store = runtime::open_store_for_reading(database).await?;
    let account = existing(&*store, id).await?;
    if !store.list_tokens(account).await?.iter().any(|kept| kept.id == token) {
        bail!("account {account} has no token {token}: see `account tokens`");
    }
    let what = format!("revoke token {token} of account {account}");
    if let Some(code) = stop(json, act, &what)? {
        return Ok(code);
    }
    if store.revoke_token(account, token).await? {
        note(&*store, "account revoke", &format!("{account}, token {token}"), act).await?;
    }
    store.close().await;
    done(json, &what)
}

async fn topup(
    json: bool,
    database: &DatabaseConfig,
    (id, amount, key): (&str, &str, &str),
    act: &Act,
) -> anyhow::Result<ExitCode> {
    let store = runtime::open_store_for_reading(database).await?;
    let account = existing(&*store, id).await?;
    if let Some(code) = stop(json, act, &format!("credit {amount} to account {account}"))? {
        return Ok(code);
    }
    let why = (key, act.reason.as_str());
    let moved = operations::top_up(&*store, &runtime::ids(), account, amount, why).await?;
    store.close().await;
    show_moved(json, &moved)
}

async fn adjust(
    json: bool,
    database: &DatabaseConfig,
    (id, amount, key): (&str, &str, &str),
    act: &Act,
) -> anyhow::Result<ExitCode> {
    let store = runtime::open_store_for_reading(database).await?;
    let account = existing(&*store, id).await?;
    if let Some(code) = stop(json, act, &format!("adjust account {account} by {amount}"))? {
        return Ok(code);
    }
    let why = (key, act.reason.as_str());
    let moved = operations::adjust(&*store, &runtime::ids(), account, amount, why).await?;
    store.close().await;
    show_moved(json, &moved)
}

async fn recount(json: bool, database: &DatabaseConfig, id: &str, act: &Act) -> anyhow::Result<ExitCode> {
    let store = runtime::open_store_for_reading(database).await?;
    let account = existing(&*store, id).await?;
    let what = format!("set the balance of account {account} to what its transfers make");
    if let Some(code) = stop(json, act, &what)? {
        return Ok(code);
    }
    let recounted = store.recount(account).await?;
    let (before, after) = (recounted.before, recounted.after);
    let change = format!(
        "available {} → {}, held {} → {} (minor units)",
        before.available, after.available, before.held, after.held
    );
    note(&*store, "account recount", &format!("{account}: {change}"), act).await?;
    store.close().await;
    done(json, &format!("account {account}: {change}"))
}

async fn erase(json: bool, database: &DatabaseConfig, id: &str, act: &Act) -> anyhow::Result<ExitCode> {
    let store = runtime::open_store_for_reading(database).await?;
    let account = existing(&*store, id).await?;
    let what = format!("close account {account} and remove its name, chat, tokens and prompts");
    if let Some(code) = stop(json, act, &what)? {
        return Ok(code);
    }
    store.erase_account(account, runtime::now()).await?;
    note(&*store, "account erase", &account.to_string(), act).await?;
    store.close().await;
    show::print(json, &serde_json::json!({ "erased": account }), |_| format!("erased {account}"))?;
    Ok(ExitCode::SUCCESS)
}

async fn existing(store: &dyn Store, id: &str) -> anyhow::Result<AccountId> {
    let account = account_id(id)?;
    match store.find_account(account).await? {
        Some(_) => Ok(account),
        None => bail!("there is no account {account}: see `account list`"),
    }
}

fn show_moved(json: bool, moved: &Moved) -> anyhow::Result<ExitCode> {
    show::print(json, moved, |moved| {
        let again = if moved.replayed { " (was done before)" } else { "" };
        format!("{} minor units moved{again}; available {}", moved.amount.minor(), moved.available.minor())
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn list(json: bool, database: &DatabaseConfig) -> anyhow::Result<ExitCode> {
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
    store.close().await;
    show::print(json, &rows, |rows| {
        let cell = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => "-".to_owned(),
            other => other.to_string(),
        };
        let columns = ["id", "external_id", "name", "available", "held", "closed"];
        let lines = rows.iter().map(|row| columns.iter().map(|field| cell(&row[*field])).collect());
        show::table(&["id", "external", "name", "available", "held", "closed"], lines)
    })?;
    Ok(ExitCode::SUCCESS)
}
