//! What a change would do, looked up before anybody is asked: what is refused here would be refused then, in the same words.

use anyhow::{Context, bail, ensure};
use domain::{Account, AccountId, DeliveryState, Job, JobState, Role};
use ledger::{Adjustment, Ids, Movement, Refund, TopUp};
use lifecycle::{Decision, Lifecycle, RetryPlan};
use serde::Serialize;
use serde_json::{Value, json};
use store::{Delta, Store, StoreError};

use crate::accounts::currency;

/// A change that an operator wants.
pub enum Deed<'a> {
    /// A job is decided.
    Decide(&'a Lifecycle, &'a Job, &'a Decision),
    /// A job is woken, or its files are fetched again.
    Retry(&'a Lifecycle, &'a Job),
    /// A captured price is given back; all that is left if there is no amount. With its key.
    Refund(&'a Job, Option<&'a str>, &'a str),
    /// The deliveries of a job are sent again.
    Redeliver(&'a Job),
    /// An amount is credited to an account. With its key.
    TopUp(AccountId, &'a str, &'a str),
    /// A balance is corrected by an amount. With its key.
    Adjust(AccountId, &'a str, &'a str),
    /// A balance is set to what the account's transfers make.
    Recount(AccountId),
    /// A token is made.
    Token(AccountId, Role),
    /// An account is opened: the shop's own id of the customer, the linked chat, and what it is called here.
    Open(Option<&'a str>, Option<i64>, &'a str),
}

/// What a change would do.
#[derive(Debug, Clone, Serialize)]
pub struct Foreseen {
    /// In words, without its subject: "wake job …".
    pub would: String,
    /// Whether it was done before, so that nothing would change.
    pub done_before: bool,
    /// The numbers and names in it.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub details: Value,
}

impl From<String> for Foreseen {
    fn from(would: String) -> Self {
        Self { would, done_before: false, details: Value::Null }
    }
}

impl From<&str> for Foreseen {
    fn from(would: &str) -> Self {
        would.to_owned().into()
    }
}

/// Looks what a change would do now; nothing is written.
///
/// # Errors
/// When the change would be refused, or the database fails.
pub async fn foresee(store: &dyn Store, ids: &Ids, deed: &Deed<'_>) -> anyhow::Result<Foreseen> {
    match deed {
        Deed::Decide(lifecycle, job, decision) => decide(lifecycle, job, decision).await,
        Deed::Retry(lifecycle, job) => retry(lifecycle, job).await,
        Deed::Redeliver(job) => redeliver(store, job).await,
        Deed::Recount(account) => recount(store, *account).await,
        Deed::Token(account, role) => {
            let id = open_account(store, *account).await?.id;
            Ok(format!("make a token for account {id} with the role {role}").into())
        }
        Deed::Open(external, telegram, name) => open(store, *external, *telegram, name).await,
        Deed::TopUp(account, amount, key) => {
            let account = existing(store, *account).await?.id;
            let amount = currency(store).await?.parse_amount(amount)?;
            money(store, ids, Movement::TopUp(TopUp { account, amount, key, reason: None })).await
        }
        Deed::Adjust(account, amount, key) => {
            let account = existing(store, *account).await?.id;
            let amount = currency(store).await?.parse_amount(amount)?;
            money(store, ids, Movement::Adjust(Adjustment { account, amount, key, reason: "" })).await
        }
        Deed::Refund(job, amount, key) => {
            let currency = currency(store).await?;
            let amount = amount.map(|text| currency.parse_amount(text)).transpose()?;
            money(store, ids, Movement::Refund(Refund { job, amount, key, reason: "" })).await
        }
    }
}

/// The account of this id.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn existing(store: &dyn Store, account: AccountId) -> anyhow::Result<Account> {
    let found = store.find_account(account).await?;
    found.with_context(|| format!("there is no account {account}: see `account list`"))
}

/// The same of one that is not closed.
///
/// # Errors
/// As [`existing`], and when it is closed.
pub async fn open_account(store: &dyn Store, account: AccountId) -> anyhow::Result<Account> {
    let account = existing(store, account).await?;
    ensure!(account.closed_at.is_none(), "account {} is closed", account.id);
    Ok(account)
}

/// By the rule of [`store::AccountStore::add_account`].
async fn open(
    store: &dyn Store,
    external: Option<&str>,
    telegram: Option<i64>,
    name: &str,
) -> anyhow::Result<Foreseen> {
    let of_chat = match telegram {
        Some(chat) => find_by_chat(store, chat).await?,
        None => None,
    };
    let known = match external {
        Some(external) => store.find_account_by_external_id(external).await?,
        None => of_chat.clone(),
    };
    if known.is_none() && of_chat.is_some() {
        return Err(StoreError::Taken { what: "telegram id" }.into());
    }
    let would = format!("open an account ({name})");
    Ok(Foreseen { would, done_before: known.is_some(), details: Value::Null })
}

async fn find_by_chat(store: &dyn Store, chat: i64) -> anyhow::Result<Option<Account>> {
    let mut after = None;
    loop {
        let page = store.list_accounts(after, 500).await?;
        let Some(last) = page.last() else { return Ok(None) };
        after = Some(last.id);
        if let Some(found) = page.into_iter().find(|account| account.telegram_id == Some(chat)) {
            return Ok(Some(found));
        }
    }
}

async fn decide(lifecycle: &Lifecycle, job: &Job, decision: &Decision) -> anyhow::Result<Foreseen> {
    let done_before = !lifecycle.foresee_decision(job, decision).await?;
    let words = match decision {
        Decision::Adopt { task_id } => format!("let it follow task {task_id}"),
        Decision::Resend => "send another attempt (KIE may have made the first one, too)".to_owned(),
        Decision::Release => "give the money back".to_owned(),
    };
    let would = format!("decide job {} ({}): {words}", job.id, job.state);
    Ok(Foreseen { would, done_before, details: Value::Null })
}

async fn retry(lifecycle: &Lifecycle, job: &Job) -> anyhow::Result<Foreseen> {
    let (id, state) = (job.id, job.state);
    match lifecycle.foresee_retry(job).await? {
        RetryPlan::Wake if state == JobState::Failed => {
            Ok(format!("wake job {id} (failed): a late result would be stored as a gift").into())
        }
        RetryPlan::Wake => Ok(format!("wake job {id} ({state}): a worker takes its next step").into()),
        RetryPlan::Fetch(files) => {
            let would = format!("fetch {} files of job {id} ({state}) again", files.len());
            Ok(Foreseen { would, done_before: false, details: json!({ "files": files }) })
        }
        RetryPlan::Nothing => {
            bail!("job {id} is {state}, and everything that it stored is there: nothing is left to do for it")
        }
    }
}

async fn redeliver(store: &dyn Store, job: &Job) -> anyhow::Result<Foreseen> {
    let deliveries = store.deliveries_of(&[job.id]).await?;
    let is_over = |state| matches!(state, DeliveryState::Done | DeliveryState::Dead);
    let count = deliveries.iter().filter(|delivery| is_over(delivery.state)).count();
    ensure!(!deliveries.is_empty(), "job {} has no deliveries: nobody asked to be told of it", job.id);
    ensure!(count > 0, "the deliveries of job {} are still on their way: see `job {}`", job.id, job.id);
    let would = format!("send {count} deliveries of job {} again", job.id);
    Ok(Foreseen { would, done_before: false, details: json!({ "deliveries": count }) })
}

async fn money(store: &dyn Store, ids: &Ids, movement: Movement<'_>) -> anyhow::Result<Foreseen> {
    let currency = currency(store).await?;
    let foreseen = ledger::foresee(store, ids, &movement).await?;
    let amount = currency.format(foreseen.amount);
    let words = match &movement {
        Movement::TopUp(one) => format!("credit {amount} to account {}", one.account),
        Movement::Adjust(one) => {
            format!("adjust account {} by {}", one.account, currency.format(one.amount))
        }
        Movement::Refund(one) => format!("refund {amount} of job {}", one.job.id),
    };
    let would = format!("{words}; available would be {}", currency.format(foreseen.available));
    let details = json!({ "amount": foreseen.amount, "available": foreseen.available });
    Ok(Foreseen { would, done_before: foreseen.replayed, details })
}

async fn recount(store: &dyn Store, account: AccountId) -> anyhow::Result<Foreseen> {
    let Account { id, available, held, .. } = existing(store, account).await?;
    let (before, after) =
        (Delta { available: available.minor(), held: held.minor() }, ledger::fold(store, id).await?);
    if after.available < 0 {
        let currency = currency(store).await?;
        let missing = currency.format(domain::Money::from_minor(after.available.saturating_neg()));
        let number = missing.split(' ').next().unwrap_or_default();
        bail!(
            "account {id} spent {missing} more than its transfers ever brought: `account adjust {id} +{number} --key KEY`, \
             then `account recount {id}`"
        );
    }
    let would = format!(
        "set the balance of account {id} to what its transfers make: available {} → {}, held {} → {} (minor units)",
        before.available, after.available, before.held, after.held
    );
    let side = |delta: Delta| json!({ "available": delta.available, "held": delta.held });
    let details = json!({ "before": side(before), "after": side(after) });
    Ok(Foreseen { would, done_before: before == after, details })
}
