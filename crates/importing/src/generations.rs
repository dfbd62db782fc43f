//! Generations become jobs; what is not final is woken.

use std::collections::HashMap;
use std::time::Duration;

use domain::{AccountId, Cause, JobState, Money};
use futures_util::{StreamExt, stream};
use old_shops::{OldGeneration, OldStatus, Read};
use store::{Imported, NewImport, SourceNoun, StoreError, WakeJob, WakeReason};

use crate::Lost;
use crate::amount::amount;
use crate::job;
use crate::look::{is_kie, look};
use crate::pass::{ImportError, Pass, ROUBLES, row_error};
use crate::plan::{Look, Plan, Take, Terms, plan};
use crate::report::{End, ImportReport, LostRow};
use crate::users::{Holds, add};

const NOUN: &str = "generation";

/// Rows that are looked at and written at once.
const AT_ONCE: usize = 8;

/// When finished generations become due: one after the other, so that new orders do not wait behind them.
pub(crate) struct Queue {
    per_second: u32,
    number: u64,
}

impl Queue {
    pub(crate) const fn new(per_second: u32) -> Self {
        Self { per_second, number: 0 }
    }

    fn next(&mut self) -> Duration {
        let Some(millis) = self.number.saturating_mul(1000).checked_div(u64::from(self.per_second)) else {
            return Duration::ZERO;
        };
        self.number = self.number.saturating_add(1);
        Duration::from_millis(millis)
    }
}

/// One row with what is known of it before anything is looked at.
struct Row {
    old: OldGeneration,
    known: Option<Imported>,
    account: Option<AccountId>,
    /// Whether its user has no account and gets none.
    ownerless: bool,
    price: Money,
    covered: Money,
    delay: Duration,
}

/// What became of one row.
struct Outcome {
    key: String,
    word: String,
    end: End,
    state: Option<JobState>,
    take: Option<Take>,
    lost: Option<LostRow>,
    problem: Option<String>,
}

/// Takes a portion of generations over.
pub(crate) async fn take_over(
    pass: &Pass<'_>,
    portion: Vec<Read<OldGeneration>>,
    (holds, queue): (&mut Holds, &mut Queue),
    report: &mut ImportReport,
) -> Result<(), ImportError> {
    let rows = prepare(pass, portion, holds, queue, report).await?;
    let mut ended = stream::iter(rows).map(|row| one(pass, row)).buffered(AT_ONCE);
    while let Some(outcome) = ended.next().await {
        tell(outcome?, report);
    }
    Ok(())
}

fn tell(outcome: Outcome, report: &mut ImportReport) {
    report.status(&outcome.word, outcome.end);
    if let Some(state) = outcome.state {
        report.state(state);
    }
    if let Some(take) = outcome.take {
        add(&mut report.money.held, take.held);
        add(&mut report.money.refunded, take.refunded);
        add(&mut report.money.kept, take.kept);
    }
    report.lost.extend(outcome.lost);
    if let Some(reason) = outcome.problem {
        report.problem(NOUN, &outcome.key, reason, outcome.end != End::Refused);
    }
}

/// What is known of the rows, in their order: old holds are used up by the first that need them.
async fn prepare(
    pass: &Pass<'_>,
    portion: Vec<Read<OldGeneration>>,
    holds: &mut Holds,
    queue: &mut Queue,
    report: &mut ImportReport,
) -> Result<Vec<Row>, ImportError> {
    let keys: Vec<String> = portion.iter().flatten().map(|old| old.key.clone()).collect();
    let users: Vec<String> = portion.iter().flatten().map(|old| old.user.clone()).collect();
    let shop = &*pass.options.shop;
    let by_key = |found: Vec<Imported>| -> HashMap<String, Imported> {
        found.into_iter().map(|one| (one.key.clone(), one)).collect()
    };
    let mut known = by_key(pass.store().find_imported(shop, SourceNoun::Generation, &keys).await?);
    let users = by_key(pass.store().find_imported(shop, SourceNoun::User, &users).await?);
    let mut rows = Vec::with_capacity(portion.len());
    for read in portion {
        match read.map_err(|bad| (bad.key, bad.reason)).and_then(|old| priced(pass, old)) {
            Err((key, reason)) => {
                report.status("(unreadable)", End::Refused);
                report.problem(NOUN, &key, reason, false);
            }
            Ok((old, price)) => {
                let known = known.remove(&old.key);
                let in_flight = matches!(old.status, OldStatus::Waiting | OldStatus::Working);
                // Those that were taken over before have used up the same.
                let covered = match &known {
                    Some(known) => holds.cover(&old.user, known.amount),
                    None if in_flight => holds.cover(&old.user, price),
                    None => Money::ZERO,
                };
                let account = users.get(&old.user).map(|user| user.account);
                let delay = if in_flight || known.is_some() { Duration::ZERO } else { queue.next() };
                let ownerless = account.is_none() && (!pass.options.dry_run || holds.is_refused(&old.user));
                rows.push(Row { old, known, account, ownerless, price, covered, delay });
            }
        }
    }
    Ok(rows)
}

fn priced(pass: &Pass<'_>, old: OldGeneration) -> Result<(OldGeneration, Money), (String, String)> {
    let Some(text) = &old.price else { return Ok((old, Money::ZERO)) };
    if pass.currency().code() != ROUBLES {
        return Err((old.key, "its price is in roubles, this shop's currency is not".to_owned()));
    }
    let price = amount(text, pass.currency()).filter(|price| *price >= Money::ZERO);
    match price {
        Some(price) => Ok((old, price)),
        None => Err((old.key, format!("price `{}` is no amount", text.chars().take(40).collect::<String>()))),
    }
}

async fn one(pass: &Pass<'_>, row: Row) -> Result<Outcome, ImportError> {
    match &row.known {
        Some(known) => again(pass, &row, known).await,
        None => first(pass, &row).await,
    }
}

fn outcome(row: &Row, end: End) -> Outcome {
    Outcome {
        key: row.old.key.clone(),
        word: row.old.word.clone(),
        end,
        state: None,
        take: None,
        lost: None,
        problem: None,
    }
}

fn refused(row: &Row, reason: String) -> Outcome {
    Outcome { problem: Some(reason), ..outcome(row, End::Refused) }
}

/// A row that no pass has seen.
async fn first(pass: &Pass<'_>, row: &Row) -> Result<Outcome, ImportError> {
    let old = &row.old;
    let in_flight = matches!(old.status, OldStatus::Waiting | OldStatus::Working);
    if in_flight && !is_kie(old) {
        let provider = old.provider.as_deref().unwrap_or_default();
        return Ok(refused(row, format!("it is in flight at {provider}, which is not KIE")));
    }
    if row.ownerless {
        return Ok(refused(row, "its user was not taken over".to_owned()));
    }
    let terms = Terms {
        price: row.price,
        covered: row.covered,
        has_task: old.task.is_some(),
        settled_only: pass.options.settled_only,
        lost: pass.options.lost,
    };
    let seen = if terms.settled_only && in_flight {
        Look::default()
    } else {
        look(pass.lifecycle, old, &pass.options.media_at, pass.now).await
    };
    let take = match plan(old.status, &seen, &terms) {
        Plan::Left => return Ok(outcome(row, End::Left)),
        Plan::Refused(reason) => return Ok(refused(row, reason)),
        Plan::Job(take) => take,
    };
    let order = match job::order(pass, old, &seen, &take) {
        Ok(order) => order,
        Err(reason) => return Ok(refused(row, reason)),
    };
    let uncovered = in_flight && !take.lost && take.held < row.price;
    let problem = uncovered
        .then(|| "the old shop has not set its price aside: it is finished without a charge".to_owned());
    let mut outcome =
        Outcome { state: Some(take.state), take: Some(take), problem, ..outcome(row, End::New) };
    if let Some(account) = row.account.filter(|_| !pass.options.dry_run) {
        let mut import = job::import(pass, old, (&order, &take), account, (row.price, row.delay));
        if let Err(reason) = write(pass, &mut import).await? {
            return Ok(refused(row, reason));
        }
        outcome.lost = take.lost.then(|| lost_row(row, import.job, money_word(&take)));
    } else {
        outcome.lost = take.lost.then(|| lost_row(row, None, money_word(&take)));
    }
    Ok(outcome)
}

/// Writes a job; what another row of the old shop has taken already is left out where the job can do without it.
async fn write(pass: &Pass<'_>, import: &mut NewImport) -> Result<Result<(), String>, ImportError> {
    for _round in 0..3 {
        match pass.store().import(import).await {
            Ok(true) => return Ok(Ok(())),
            Ok(false) => return Ok(Err("another import took it over at the same time".to_owned())),
            Err(StoreError::Taken { what: "order key" }) if job::forget_order_key(pass, import) => {}
            Err(StoreError::Taken { what: "task" }) if job::forget_task(import) => {}
            Err(StoreError::Taken { what: "task" }) => {
                return Ok(Err("its task belongs to another generation".to_owned()));
            }
            Err(StoreError::Taken { what: "object" }) => {
                return Ok(Err("its file belongs to another generation".to_owned()));
            }
            Err(StoreError::Short) => {
                return Ok(Err("less is left of the balance here than was set aside for it".to_owned()));
            }
            Err(error) => return row_error(error).map(Err),
        }
    }
    Ok(Err("its keys belong to other generations".to_owned()))
}

/// A row that was taken over before: what changed wakes its job, and what was lost since is given back.
async fn again(pass: &Pass<'_>, row: &Row, known: &Imported) -> Result<Outcome, ImportError> {
    let changed = known.fingerprint != row.old.fingerprint;
    let mut ended = outcome(row, if changed { End::Changed } else { End::Same });
    ended.state = known.state;
    if changed && !pass.options.dry_run {
        renew(pass, row, known).await?;
    }
    // A generation that the old shop had finished is lost whatever made it fail here.
    if known.state == Some(JobState::Failed) && (finished(row) || known.cause == Some(Cause::NoResult)) {
        ended.lost = Some(lost_row(row, known.job, refund(pass, row, known, &mut ended).await?));
    }
    Ok(ended)
}

/// Remembers the change and wakes the job: its own facts decide.
async fn renew(pass: &Pass<'_>, row: &Row, known: &Imported) -> Result<(), ImportError> {
    let import = NewImport {
        shop: pass.options.shop.clone(),
        noun: SourceNoun::Generation,
        key: row.old.key.clone(),
        known: Some(known.version),
        fingerprint: row.old.fingerprint,
        amount: known.amount,
        account: known.account,
        open: None,
        job: known.job,
        write: None,
        transfers: Vec::new(),
        at: pass.now,
    };
    pass.store().import(&import).await?;
    let awake = known.state.is_some_and(|state| !state.is_final());
    if let Some(job) = known.job.filter(|_| awake) {
        let (scope, reason) = (domain::Scope::All, WakeReason::Asked);
        let wake = WakeJob { job, scope, at: pass.now, reason, at_most_every: Duration::ZERO };
        pass.store().wake_job(&wake).await?;
    }
    Ok(())
}

/// Gives the price of a finished generation back whose result turned out to be lost, once.
async fn refund(
    pass: &Pass<'_>,
    row: &Row,
    known: &Imported,
    ended: &mut Outcome,
) -> Result<&'static str, ImportError> {
    if known.amount.is_positive() {
        return Ok("released");
    }
    if row.price.is_zero() {
        return Ok("none");
    }
    let to_refund = finished(row) && pass.options.lost == Lost::Refund;
    let Some(job) = known.job.filter(|_| to_refund) else { return Ok("decided") };
    if pass.options.dry_run {
        return Ok("refunded");
    }
    let transfer = job::refund(pass, &row.old, (known.account, job), row.price);
    match pass.store().credit(std::slice::from_ref(&transfer), pass.now).await {
        Ok(store::Credited::Applied(_)) => {
            ended.end = End::Changed;
            ended.take = Some(Take {
                state: JobState::Failed,
                cause: known.cause,
                held: Money::ZERO,
                refunded: row.price,
                kept: Money::ZERO,
                lost: true,
            });
            Ok("refunded")
        }
        Ok(store::Credited::Replayed(_)) => Ok("refunded"),
        Ok(store::Credited::KeyReused | store::Credited::Short) => {
            ended.problem = Some("its price has changed since it was given back".to_owned());
            Ok("refunded")
        }
        Err(error) => {
            ended.problem = Some(row_error(error)?);
            Ok("decided")
        }
    }
}

fn finished(row: &Row) -> bool {
    row.old.status == OldStatus::Succeeded
}

fn money_word(take: &Take) -> &'static str {
    match (take.refunded.is_positive(), take.kept.is_positive()) {
        (true, _) => "refunded",
        (_, true) => "kept",
        (false, false) => "none",
    }
}

fn lost_row(row: &Row, job: Option<domain::JobId>, money: &'static str) -> LostRow {
    let in_flight = matches!(row.old.status, OldStatus::Waiting | OldStatus::Working);
    let money = match money {
        // Its hold was never placed: what was set aside stays available.
        "none" if in_flight && row.covered.is_positive() => "released",
        "none" if !in_flight && row.price.is_positive() => "kept",
        other => other,
    };
    LostRow {
        key: row.old.key.clone(),
        user: row.old.user.clone(),
        job,
        task: row.old.task.clone(),
        price: row.price,
        money,
    }
}
