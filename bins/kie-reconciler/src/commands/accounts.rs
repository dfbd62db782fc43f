//! Words for accounts.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use operations::{AccountTransfers, Deed, MoneyForm, Moved, moment};
use runtime::config::DatabaseConfig;
use runtime::{Account, AccountId, StoreError};

use super::act::{done, stop};
use super::books::Books;
use crate::cli::{AccountCommand, Change, Movement};
use crate::show;

pub(crate) fn account_id(text: &str) -> anyhow::Result<AccountId> {
    // The parser's words help nobody.
    text.parse().map_err(|_not_an_id| anyhow!("`{text}` is not an account's id: see `account list`"))
}

pub(crate) async fn run(json: bool, command: &AccountCommand) -> anyhow::Result<ExitCode> {
    match command {
        AccountCommand::Add { name, telegram, external, change } => {
            add(json, (name, *telegram, external), change).await
        }
        AccountCommand::Token { id, role, change } => token(json, (id, role), change).await,
        AccountCommand::Tokens { id, database } => tokens(json, database, id).await,
        AccountCommand::Revoke { id, token, change } => revoke(json, (id, token), change).await,
        AccountCommand::Topup(topup) => credit(json, topup, Way::Topup).await,
        AccountCommand::Adjust(adjust) => credit(json, adjust, Way::Adjust).await,
        AccountCommand::Recount { id, change } => recount(json, id, change).await,
        AccountCommand::Erase { id, change } => erase(json, id, change).await,
        AccountCommand::Transfers { id, limit, before, database } => {
            transfers(json, database, id, (before.as_deref(), *limit)).await
        }
        AccountCommand::List { database } => list(json, database).await,
    }
}

async fn add(
    json: bool,
    (name, telegram, external): (&Option<String>, Option<i64>, &Option<String>),
    Change { act, database }: &Change,
) -> anyhow::Result<ExitCode> {
    let words = [name.clone(), external.clone(), telegram.map(|chat| format!("chat {chat}"))];
    let words: Vec<_> = words.into_iter().flatten().collect();
    let who = if words.is_empty() { "without a name".to_owned() } else { words.join(", ") };
    let foreseen = match Books::open(database).await {
        Ok(books) => {
            let foreseen = books.foresee(&Deed::Open(external.as_deref(), telegram, &who)).await?;
            books.close().await;
            foreseen
        }
        // It is made, or brought up to date, together with its first account.
        Err(error) if matches!(error.downcast_ref(), Some(StoreError::NotMigrated(_))) => {
            format!("open an account ({who})").into()
        }
        Err(error) => return Err(error),
    };
    if let Some(code) = stop(json, act, foreseen)? {
        return Ok(code);
    }
    let books = Books::make(database).await?;
    let (external, name) = (external.clone(), name.clone());
    let added = operations::add_account(&*books.store, &books.ids, external, name, telegram, false).await?;
    if added.new {
        // Only now it has an id. An account by itself gives nobody anything.
        books.note("account add", &added.id, act).await?;
    }
    books.close().await;
    show::print(json, &added, |added| added.id.clone())?;
    Ok(ExitCode::SUCCESS)
}

async fn token(
    json: bool,
    (id, role): (&str, &str),
    Change { act, database }: &Change,
) -> anyhow::Result<ExitCode> {
    let (account, role) = (account_id(id)?, operations::parse_role(role)?);
    let books = Books::open(database).await?;
    let foreseen = books.foresee(&Deed::Token(account, role)).await?;
    if let Some(code) = stop(json, act, foreseen)? {
        return Ok(code);
    }
    let drawn = operations::draw_token(&books.ids, account, role);
    books.note("account token", &format!("{account}, token {} ({role})", drawn.id()), act).await?;
    let added = drawn.add(&*books.store).await?;
    books.close().await;
    show::print(json, &added, |added| added.token.clone())?;
    Ok(ExitCode::SUCCESS)
}

async fn tokens(json: bool, database: &DatabaseConfig, id: &str) -> anyhow::Result<ExitCode> {
    let books = Books::open(database).await?;
    let account = existing(&books, id).await?.id;
    let tokens = books.store.list_tokens(account).await?;
    books.close().await;
    show::print(json, &tokens, |tokens| {
        let rows = tokens
            .iter()
            .map(|token| vec![token.id.to_string(), token.role.to_string(), moment(token.created_at)]);
        show::table(&["token", "role", "made"], rows)
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn revoke(
    json: bool,
    (id, token): (&str, &str),
    Change { act, database }: &Change,
) -> anyhow::Result<ExitCode> {
    let token =
        token.parse().map_err(|_not_an_id| anyhow!("`{token}` is not a token's id: see `account tokens`"))?;
    let books = Books::open(database).await?;
    let account = existing(&books, id).await?.id;
    if !books.store.list_tokens(account).await?.iter().any(|kept| kept.id == token) {
        bail!("account {account} has no token {token}: see `account tokens`");
    }
    let what = format!("revoke token {token} of account {account}");
    if let Some(code) = stop(json, act, what.as_str())? {
        return Ok(code);
    }
    books.note("account revoke", &format!("{account}, token {token}"), act).await?;
    books.store.revoke_token(account, token).await?;
    books.close().await;
    done(json, &what)
}

/// How an operator moves money.
#[derive(Clone, Copy)]
enum Way {
    Topup,
    Adjust,
}

async fn credit(json: bool, movement: &Movement, way: Way) -> anyhow::Result<ExitCode> {
    let Movement { id, amount, key, change: Change { act, database } } = movement;
    let books = Books::open(database).await?;
    let account = account_id(id)?;
    let deed = match way {
        Way::Topup => Deed::TopUp(account, amount, key),
        Way::Adjust => Deed::Adjust(account, amount, key),
    };
    let foreseen = books.foresee(&deed).await?;
    if let Some(code) = stop(json, act, foreseen)? {
        return Ok(code);
    }
    let (store, ids, why) = (&*books.store, &books.ids, (key.as_str(), act.reason.as_str()));
    let moved = match way {
        Way::Topup => operations::top_up(store, ids, account, amount, why).await?,
        Way::Adjust => operations::adjust(store, ids, account, amount, why).await?,
    };
    let form = MoneyForm::of(store).await?;
    books.close().await;
    show_moved(json, &moved, &form)
}

async fn recount(json: bool, id: &str, Change { act, database }: &Change) -> anyhow::Result<ExitCode> {
    let books = Books::open(database).await?;
    let Account { id: account, available, held, .. } = existing(&books, id).await?;
    let foreseen = books.foresee(&Deed::Recount(account)).await?;
    let is_right = foreseen.done_before;
    if let Some(code) = stop(json, act, foreseen)? {
        return Ok(code);
    }
    let form = MoneyForm::of(&*books.store).await?;
    let (available, held) = (form.text(available), form.text(held));
    if is_right {
        books.close().await;
        let right = "is what its transfers make: nothing was changed";
        return done(
            json,
            &format!("the balance of account {account}, available {available}, held {held}, {right}"),
        );
    }
    // What it will be follows from the transfers; what it was is nowhere else.
    let was = format!("{account}, which had available {available}, held {held}");
    books.note("account recount", &was, act).await?;
    let recounted = books.store.recount(account).await?;
    let (before, after) = (recounted.before, recounted.after);
    books.close().await;
    done(json, &format!("account {account}: {}", operations::recounted_text(&form, before, after)))
}

async fn erase(json: bool, id: &str, Change { act, database }: &Change) -> anyhow::Result<ExitCode> {
    let books = Books::open(database).await?;
    let account = existing(&books, id).await?.id;
    let foreseen = books.foresee(&Deed::Erase(account)).await?;
    let is_erased = foreseen.done_before;
    if let Some(code) = stop(json, act, foreseen)? {
        return Ok(code);
    }
    if !is_erased {
        books.note("account erase", &account.to_string(), act).await?;
    }
    // Once more if it was erased already: something may have come in since.
    books.store.erase_account(account, books.now()).await?;
    books.close().await;
    if is_erased {
        return done(json, &format!("account {account} was erased already: nothing is left of it"));
    }
    show::print(json, &serde_json::json!({ "erased": account }), |_| format!("erased {account}"))?;
    Ok(ExitCode::SUCCESS)
}

async fn existing(books: &Books, id: &str) -> anyhow::Result<Account> {
    operations::existing(&*books.store, account_id(id)?).await
}

async fn transfers(
    json: bool,
    database: &DatabaseConfig,
    id: &str,
    (before, limit): (Option<&str>, u32),
) -> anyhow::Result<ExitCode> {
    let before = before
        .map(|text| text.parse().map_err(|_not_an_id| anyhow!("`{text}` is not a transfer's id")))
        .transpose()?;
    let books = Books::open(database).await?;
    let account = existing(&books, id).await?.id;
    let page = operations::account_transfers(&*books.store, account, (before, limit)).await?;
    let form = MoneyForm::of(&*books.store).await?;
    books.close().await;
    show::print(json, &page, |page| transfers_text(page, &form))?;
    Ok(ExitCode::SUCCESS)
}

fn transfers_text(page: &AccountTransfers, form: &MoneyForm) -> String {
    let rows = page.transfers.iter().map(|one| {
        vec![
            moment(one.at),
            one.kind.to_string(),
            format!("{} → {}", one.from, one.to),
            form.text(one.amount),
            one.job.map(|job| job.to_string()).unwrap_or_default(),
            one.key.clone(),
            one.reason.clone().unwrap_or_default(),
        ]
    });
    let table = show::table(&["at", "transfer", "books", "amount", "job", "key", "reason"], rows);
    let more = page.before.map(|before| format!("\nolder ones: --before {before}")).unwrap_or_default();
    format!("{table}{more}")
}

fn show_moved(json: bool, moved: &Moved, form: &MoneyForm) -> anyhow::Result<ExitCode> {
    show::print(json, moved, |moved| {
        let again = if moved.replayed { " (was done before)" } else { "" };
        format!("{} moved{again}; available {}", form.text(moved.amount), form.text(moved.available))
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn list(json: bool, database: &DatabaseConfig) -> anyhow::Result<ExitCode> {
    let books = Books::open(database).await?;
    let mut rows = Vec::new();
    let mut after = None;
    loop {
        let page = books.store.list_accounts(after, 500).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        rows.extend(page);
    }
    let form = MoneyForm::of(&*books.store).await?;
    books.close().await;
    let value: Vec<_> = rows
        .iter()
        .map(|account| {
            serde_json::json!({
                "id": account.id.to_string(), "external_id": account.external_id, "name": account.name,
                "available": account.available, "held": account.held, "closed": account.closed_at.is_some()
            })
        })
        .collect();
    show::print(json, &value, |_| {
        let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let lines = rows.iter().map(|account| {
            vec![
                account.id.to_string(),
                word(&account.external_id),
                word(&account.name),
                form.text(account.available),
                form.text(account.held),
                account.closed_at.map(moment).unwrap_or_default(),
            ]
        });
        show::table(&["id", "external", "name", "available", "held", "closed"], lines)
    })?;
    Ok(ExitCode::SUCCESS)
}
