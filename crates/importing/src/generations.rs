//! Generations become jobs; what is not final is woken.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use domain::{AccountId, JobState, Money, Timestamp, to_micros};
use futures_util::{StreamExt, TryStreamExt, stream};
use old_shops::{OldGeneration, OldStatus, Read};
use store::{Imported, NewImport, SourceNoun, StoreError};

use crate::again::{Found, again, find};
use crate::amount::{amount, refusal};
use crate::job::{self, Order, When};
use crate::look::{is_kie, look};
use crate::pass::{ERASED, ImportError, Pass, ROUBLES, row_error};
use crate::plan::{Look, Plan, Take, Terms, plan};
use crate::report::{End, ImportReport, LostRow};
use crate::users::{Crowd, add};

const NOUN: &str = "generation";

const TWICE: &str = "its id is there more than once (blanks around it do not count), so none of its rows is taken: put the \
    old table right first, then import again";
const USER_TWICE: &str =
    "its user_id is in the old shop more than once, so nothing more of its user is taken over";
const NO_USER: &str = "its user was not taken over";

/// Rows that are looked at at once. They are written one after the other: of two that want the same, the first has it.
const AT_ONCE: usize = 8;
/// Owners that are remembered. To find one sums up all that was taken over of it, so it is not found for each portion.
const OWNERS_MAX: usize = 10_000;

/// What the portions of a pass share.
pub(crate) struct Course {
    crowd: Crowd,
    queue: Queue,
    owners: HashMap<String, AccountId>,
    /// Keys of more than one row; true for those whose hold counts as used up.
    twice: HashMap<String, bool>,
}

impl Course {
    pub(crate) fn new(crowd: Crowd, twice: HashSet<String>, per_second: u32) -> Self {
        let twice = twice.into_iter().map(|key| (key, false)).collect();
        Self { crowd, queue: Queue::new(per_second), owners: HashMap::new(), twice }
    }

    /// The account that a new row of this user belongs to, or why there is none.
    fn owner(&self, user: &str) -> Result<AccountId, &'static str> {
        match self.owners.get(user) {
            _ if self.crowd.twice.contains(user) => Err(USER_TWICE),
            Some(account) => Ok(*account),
            None => Err(NO_USER),
        }
    }

    /// Whether the row's key is there more than once. What an earlier pass held for it has used up an old hold, once.
    fn is_twice(&mut self, old: &OldGeneration, known: Option<&Imported>) -> bool {
        let Some(is_used) = self.twice.get_mut(&old.key) else { return false };
        if let Some(known) = known.filter(|_| !*is_used) {
            self.crowd.holds.cover(&old.user, known.amount);
            *is_used = true;
        }
        true
    }

    /// Learns the accounts of these users, as far as they have one.
    async fn meet(&mut self, pass: &Pass<'_>, users: HashSet<&str>) -> Result<(), ImportError> {
        if self.owners.len() > OWNERS_MAX {
            self.owners.clear();
        }
        let new = users.into_iter().filter(|user| !self.owners.contains_key(*user));
        let new: Vec<String> = new.map(str::to_owned).collect();
        if !new.is_empty() {
            self.owners.extend(pass.desk.owners(&pass.options.shop, new).await?);
        }
        Ok(())
    }
}

/// When finished generations become due: one after the other, so that new orders do not wait behind them.
struct Queue {
    step: Duration,
    next: Option<Timestamp>,
}

impl Queue {
    fn new(per_second: u32) -> Self {
        Self { step: Duration::from_secs(1).checked_div(per_second).unwrap_or_default(), next: None }
    }

    fn next(&mut self, now: Timestamp) -> Timestamp {
        let due = self.next.map_or(now, |next| next.max(now));
        self.next = due.saturating_add(self.step).ok();
        to_micros(due)
    }
}

/// One row with what is known of it before anything is looked at.
pub(crate) struct Row {
    pub(crate) old: OldGeneration,
    known: Option<Imported>,
    /// Its user's account, or why there is none.
    account: Result<AccountId, &'static str>,
    pub(crate) price: Money,
    covered: Money,
    /// When its job becomes due.
    pub(crate) due: Timestamp,
}

impl Row {
    /// Whether the old shop is at work on it.
    pub(crate) fn is_in_flight(&self) -> bool {
        matches!(self.old.status, OldStatus::Waiting | OldStatus::Working)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.old.status == OldStatus::Succeeded
    }
}

/// What became of one row.
pub(crate) struct Outcome {
    key: String,
    word: String,
    pub(crate) end: End,
    pub(crate) state: Option<JobState>,
    pub(crate) take: Option<Take>,
    pub(crate) lost: Option<LostRow>,
    pub(crate) problem: Option<String>,
}

/// Takes a portion of generations over.
pub(crate) async fn take_over(
    pass: &Pass<'_>,
    portion: Vec<Read<OldGeneration>>,
    course: &mut Course,
    report: &mut ImportReport,
) -> Result<(), ImportError> {
    let rows = prepare(pass, portion, course, report).await?;
    // Looking ends before writing begins: nobody would attend to requests under way while a row is written.
    let decided = stream::iter(rows).map(|row| decide(pass, row)).buffered(AT_ONCE);
    let deeds: Vec<Deed> = decided.try_collect().await?;
    for deed in deeds {
        tell(deed.done(pass).await?, report);
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
    course: &mut Course,
    report: &mut ImportReport,
) -> Result<Vec<Row>, ImportError> {
    let keys: Vec<String> = portion.iter().flatten().map(|old| old.key.clone()).collect();
    let known = pass.store().find_imported(&pass.options.shop, SourceNoun::Generation, &keys).await?;
    let mut known: HashMap<String, Imported> = known.into_iter().map(|one| (one.key.clone(), one)).collect();
    course.meet(pass, portion.iter().flatten().map(|old| &*old.user).collect()).await?;
    let now = pass.now();
    let mut rows = Vec::with_capacity(portion.len());
    for read in portion {
        if let Ok(old) = &read
            && course.is_twice(old, known.get(&old.key))
        {
            report.status(&old.word, End::Refused);
            report.problem(NOUN, &old.key, TWICE, false);
            continue;
        }
        match read.map_err(|bad| (bad.key, bad.reason)).and_then(|old| priced(pass, old)) {
            Err((key, reason)) => {
                report.status("(unreadable)", End::Refused);
                report.problem(NOUN, &key, reason, false);
            }
            Ok((old, price)) => rows.push(prepared(known.remove(&old.key), (old, price), course, now)),
        }
    }
    Ok(rows)
}

fn prepared(
    known: Option<Imported>,
    (old, price): (OldGeneration, Money),
    course: &mut Course,
    now: Timestamp,
) -> Row {
    let account = course.owner(&old.user);
    let mut row = Row { old, known, account, price, covered: Money::ZERO, due: now };
    // Those that were taken over before have used up the same.
    row.covered = match &row.known {
        Some(known) => course.crowd.holds.cover(&row.old.user, known.amount),
        None if row.is_in_flight() => course.crowd.holds.cover(&row.old.user, price),
        None => Money::ZERO,
    };
    let failed = row.known.as_ref().is_some_and(|known| known.state == Some(JobState::Failed));
    if row.is_finished() && (row.known.is_none() || failed) {
        row.due = course.queue.next(now);
    }
    row
}

fn priced(pass: &Pass<'_>, old: OldGeneration) -> Result<(OldGeneration, Money), (String, String)> {
    let Some(text) = &old.price else { return Ok((old, Money::ZERO)) };
    if pass.currency().code() != ROUBLES {
        return Err((old.key, "its price is in roubles, this shop's currency is not".to_owned()));
    }
    let reason = match amount(text, pass.currency()) {
        Ok(price) if price >= Money::ZERO => return Ok((old, price)),
        Ok(_) => "is below zero",
        Err(reason) => reason,
    };
    let reason = refusal("price", text, reason);
    Err((old.key, reason))
}

/// What is to be written of a row, in its turn.
enum Deed {
    /// Nothing.
    Rest(Box<Outcome>),
    /// A row that no pass has seen becomes a job.
    First(Row, Take, Box<Order>, Option<String>),
    /// A row that an earlier pass has taken over.
    Again(Row, Imported, Box<Found>),
}

impl Deed {
    async fn done(self, pass: &Pass<'_>) -> Result<Outcome, ImportError> {
        match self {
            Self::Rest(outcome) => Ok(*outcome),
            Self::First(row, take, order, problem) => first(pass, &row, (&take, &order), problem).await,
            Self::Again(row, known, found) => again(pass, &row, &known, &found).await,
        }
    }
}

/// Looks at a row and decides; nothing is written yet.
async fn decide(pass: &Pass<'_>, mut row: Row) -> Result<Deed, ImportError> {
    let now = pass.now();
    if let Some(known) = row.known.take() {
        let found = find(pass, &row, &known, now).await?;
        return Ok(Deed::Again(row, known, Box::new(found)));
    }
    let (take, seen) = match judge(pass, &row, now).await {
        Ok(judged) => judged,
        Err(outcome) => return Ok(Deed::Rest(outcome)),
    };
    Ok(match job::order(pass, &row.old, &seen, &take) {
        Ok(order) => {
            let problem = odd(&row, &seen, &take);
            Deed::First(row, take, Box::new(order), problem)
        }
        Err(reason) => Deed::Rest(Box::new(refused(&row, reason))),
    })
}

pub(crate) fn outcome(row: &Row, end: End) -> Outcome {
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

pub(crate) fn refused(row: &Row, reason: impl Into<String>) -> Outcome {
    Outcome { problem: Some(reason.into()), ..outcome(row, End::Refused) }
}

/// What becomes of a row that no pass has seen, or how it ended with nothing.
async fn judge(pass: &Pass<'_>, row: &Row, now: Timestamp) -> Result<(Take, Look), Box<Outcome>> {
    let old = &row.old;
    let terms = Terms {
        price: row.price,
        covered: row.covered,
        has_task: old.task.is_some(),
        settled_only: pass.options.settled_only,
        lost: pass.options.lost,
    };
    let refused = |reason: String| Err(Box::new(refused(row, reason)));
    let left = || Err(Box::new(outcome(row, End::Left)));
    if terms.settled_only && row.is_in_flight() {
        return left();
    }
    if row.is_in_flight() && !is_kie(old) {
        let provider = old.provider.as_deref().unwrap_or_default();
        return refused(format!("it is in flight at {provider}, which is not KIE"));
    }
    if let Err(reason) = row.account {
        return refused(reason.to_owned());
    }
    let seen = look(pass, old, now).await;
    match plan(old.status, &seen, &terms) {
        Plan::Left => left(),
        Plan::Refused(reason) => refused(reason),
        Plan::Job(take) => Ok((take, seen)),
    }
}

/// Writes the job that a row becomes.
async fn first(
    pass: &Pass<'_>,
    row: &Row,
    (take, order): (&Take, &Order),
    problem: Option<String>,
) -> Result<Outcome, ImportError> {
    let account = match row.account {
        Ok(account) if pass.desk.is_erased(account).await? => return Ok(refused(row, ERASED)),
        Ok(account) => account,
        Err(reason) => return Ok(refused(row, reason)),
    };
    let when = When { now: pass.now(), due: row.due };
    let mut import = job::import(pass, &row.old, (order, take), account, (row.price, when));
    if let Err(reason) = write(pass, &mut import).await? {
        return Ok(refused(row, reason));
    }
    let job = import.job.filter(|_| !pass.options.dry_run);
    Ok(Outcome {
        state: Some(take.state),
        take: Some(*take),
        lost: take.lost.then(|| lost_row(row, job, money_word(row, take))),
        problem,
        ..outcome(row, End::New)
    })
}

/// What a person should know of a row that is taken over.
fn odd(row: &Row, seen: &Look, take: &Take) -> Option<String> {
    if row.is_in_flight() && !take.lost && take.held < row.price {
        return Some("the old shop has not set its price aside: it is finished without a charge".to_owned());
    }
    let results = seen.gone.saturating_add(seen.sources.len());
    let is_partly_gone = take.state == JobState::Storing && seen.gone > 0;
    is_partly_gone.then(|| format!("{} of its {results} results cannot be had any more", seen.gone))
}

/// Writes a job; what another row of the old shop has taken already is left out where the job can do without it.
async fn write(pass: &Pass<'_>, import: &mut NewImport) -> Result<Result<(), String>, ImportError> {
    for _round in 0..3 {
        match pass.desk.import(import).await {
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

fn money_word(row: &Row, take: &Take) -> &'static str {
    match (row.is_in_flight(), take.refunded.is_positive()) {
        (_, true) => "refunded",
        // Its hold was never placed: what was set aside stays available.
        (true, false) if row.price.is_positive() => "released",
        (false, false) if row.price.is_positive() => "kept",
        (true | false, false) => "none",
    }
}

pub(crate) fn lost_row(row: &Row, job: Option<domain::JobId>, money: &'static str) -> LostRow {
    LostRow {
        key: row.old.key.clone(),
        user: row.old.user.clone(),
        job,
        task: row.old.task.clone(),
        price: row.price,
        money,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finished_ones_become_due_one_after_the_other_and_never_in_the_past() {
        let start = Timestamp::from_second(1_740_830_400).unwrap();
        let at = |millis: u64| start.saturating_add(Duration::from_millis(millis)).unwrap();
        let mut queue = Queue::new(10);
        assert_eq!([queue.next(start), queue.next(start), queue.next(start)], [at(0), at(100), at(200)]);
        assert_eq!(queue.next(at(5000)), at(5000), "a slow pass does not add to the waiting");
        assert_eq!(queue.next(at(5000)), at(5100));
        let mut all = Queue::new(0);
        assert_eq!([all.next(start), all.next(start)], [start, start]);
    }
}
