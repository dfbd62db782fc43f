//! What a change would do, looked up before anybody is asked: what is refused here would be refused then, in the same words.

use anyhow::{Context, bail, ensure};
use domain::{Account, AccountId, Delivery, DeliveryState, Job, JobState, Money, Role, Timestamp};
use ledger::{Adjustment, Ids, LedgerError, Movement, Refund, TopUp};
use lifecycle::{Decision, Lifecycle, RetryPlan};
use serde::Serialize;
use serde_json::{Value, json};
use store::{Delta, JobFilter, Store, StoreError};

use crate::accounts::currency;
use crate::words::{MoneyForm, counted};

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
    /// An account is closed, and forgets what names a person.
    Erase(AccountId),
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
        Deed::Redeliver(job) => redeliver(store, job, ids.now()).await,
        Deed::Recount(account) => recount(store, *account).await,
        Deed::Erase(account) => erase(store, *account).await,
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
            let would =
                format!("fetch {} of job {id} ({state}) again", counted(files.len(), "file", "files"));
            Ok(Foreseen { would, done_before: false, details: json!({ "files": files }) })
        }
        RetryPlan::Nothing => {
            bail!("job {id} is {state}, and everything that it stored is there: nothing is left to do for it")
        }
        RetryPlan::NoOutput => bail!(
            "job {id} is {state}, but no row of it says that an output is stored, so nothing says what to fetch: only a \
             backup brings it back, else `refund {id}`"
        ),
        RetryPlan::Deleted => bail!("job {id} is {state}, and everything that it stored was deleted"),
    }
}

/// By the rule of [`store::DeliveryStore::redeliver`].
async fn redeliver(store: &dyn Store, job: &Job, now: Timestamp) -> anyhow::Result<Foreseen> {
    let deliveries = store.deliveries_of(&[job.id]).await?;
    let is_moved = |delivery: &&Delivery| match (delivery.state, delivery.wake_at) {
        (DeliveryState::Done | DeliveryState::Dead, _) | (DeliveryState::Pending, None) => true,
        (DeliveryState::Pending, Some(at)) => delivery.attempts > 0 && at > now,
    };
    let count = deliveries.iter().filter(is_moved).count();
    let (id, asked) = (job.id, job.recipients.len());
    if deliveries.is_empty() {
        ensure!(asked > 0, "job {id} has no deliveries: nobody asked to be told of it");
        ensure!(job.state.is_final(), "job {id} is {}: its deliveries are made when it is over", job.state);
        ensure!(job.state != JobState::Canceled, "job {id} was canceled: nobody is told of that");
        let asked = counted(asked, "recipient", "recipients");
        bail!(
            "job {id} has no deliveries, though {asked} asked to be told of it: their rows are gone, and only a backup \
             brings them back"
        );
    }
    ensure!(count > 0, "the deliveries of job {id} are still on their way: see `job {id}`");
    let would = format!("send {} of job {} again", counted(count, "delivery", "deliveries"), job.id);
    Ok(Foreseen { would, done_before: false, details: json!({ "deliveries": count }) })
}

async fn money(store: &dyn Store, ids: &Ids, movement: Movement<'_>) -> anyhow::Result<Foreseen> {
    let currency = currency(store).await?;
    let account = match &movement {
        Movement::TopUp(one) => one.account,
        Movement::Adjust(one) => one.account,
        Movement::Refund(one) => one.job.account,
    };
    let foreseen = match ledger::foresee(store, ids, &movement).await {
        // The account was found before: it is closed.
        Err(LedgerError::Store(StoreError::NotFound { .. })) => {
            bail!("account {account} is closed: nothing more can be given to it")
        }
        foreseen => foreseen?,
    };
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
        let missing = currency.format(Money::from_minor(after.available.saturating_neg()));
        let number = missing.split(' ').next().unwrap_or_default();
        bail!(
            "account {id} spent {missing} more than its transfers ever brought: `account adjust {id} +{number} --key KEY`, \
             then `account recount {id}`"
        );
    }
    let would = format!(
        "set the balance of account {id} to what its transfers make: {}",
        recounted_text(&MoneyForm::of(store).await?, before, after)
    );
    let side = |delta: Delta| json!({ "available": delta.available, "held": delta.held });
    let details = json!({ "before": side(before), "after": side(after) });
    Ok(Foreseen { would, done_before: before == after, details })
}

/// Both balances of an account before and after they were counted anew.
pub fn recounted_text(form: &MoneyForm, before: Delta, after: Delta) -> String {
    let text = |minor| form.text(Money::from_minor(minor));
    format!(
        "available {} → {}, held {} → {}",
        text(before.available),
        text(after.available),
        text(before.held),
        text(after.held)
    )
}

/// Open jobs of a closed account go on, and their money is decided as that of others: whoever closes it knows of both.
async fn erase(store: &dyn Store, account: AccountId) -> anyhow::Result<Foreseen> {
    const STATES: [JobState; 6] = [
        JobState::Draft,
        JobState::Pending,
        JobState::Submitting,
        JobState::Unclear,
        JobState::Running,
        JobState::Storing,
    ];
    /// More are not counted.
    const COUNTED: u32 = 1000;
    let Account { id, available, held, closed_at, .. } = existing(store, account).await?;
    let filter = JobFilter {
        account: Some(id),
        states: STATES.to_vec(),
        with_hidden: true,
        limit: COUNTED,
        ..JobFilter::default()
    };
    let open = store.list_jobs(&filter).await?.len();
    let more = if u32::try_from(open).is_ok_and(|open| open < COUNTED) { "" } else { "at least " };
    let (form, jobs) = (MoneyForm::of(store).await?, counted(open, "open job", "open jobs"));
    let would = format!(
        "close account {id} and remove its name, chat, tokens and prompts; it has {} available and {} held, and {more}{jobs}",
        form.text(available),
        form.text(held)
    );
    let details = json!({ "available": available, "held": held, "open_jobs": open });
    Ok(Foreseen { would, done_before: closed_at.is_some(), details })
}
