//! What an import did, for people and programs.

use std::collections::BTreeMap;

use domain::{JobId, JobState, Money};
use serde::Serialize;

/// Rows by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// Read.
    pub seen: u64,
    /// Taken over now.
    pub new: u64,
    /// Taken over before; what has changed since was taken over now.
    pub changed: u64,
    /// Taken over before and as they were.
    pub same: u64,
    /// Left to the old shop, which is still working on them.
    pub left: u64,
    /// Not taken over; each is among the problems.
    pub refused: u64,
}

/// Generations with one word of `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusLine {
    /// The old shop's word.
    pub status: String,
    /// What became of them.
    #[serde(flatten)]
    pub rows: Tally,
}

/// Money in minor units; `before` is always `after` and `refused` together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MoneyReport {
    /// Balances of all users in the old shop, what was set aside included.
    pub before: Money,
    /// What of it has entered here, by this and earlier passes; nothing of users that are there more than once.
    pub after: Money,
    /// What has not: of users among the problems; all of it where a user is there more than once. Debts count below zero.
    pub refused: Money,
    /// Of what has entered: set aside for generations in flight when they were taken over.
    pub held: Money,
    /// Prices of lost generations given back to their customers, on top of the balances.
    pub refunded: Money,
}

/// A row with trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// `user` or `generation`.
    pub noun: &'static str,
    /// Its key in the old shop.
    pub key: String,
    /// What is wrong.
    pub reason: String,
    /// Whether it was taken over all the same.
    pub taken: bool,
}

/// A generation whose result is gone everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostRow {
    /// Its key in the old shop.
    pub key: String,
    /// Its owner's key there.
    pub user: String,
    /// The job that it is here; none in a dry run.
    pub job: Option<JobId>,
    /// The provider's task.
    pub task: Option<String>,
    /// Its price in the old shop, minor units.
    pub price: Money,
    /// What became of the price, now or by an earlier pass: `refunded` or `kept` of one that was finished; `released` of
    /// one in flight, which is not charged; `none` where nothing was paid.
    pub money: &'static str,
}

/// What an import did.
#[derive(Debug, Clone, Serialize)]
pub struct ImportReport {
    /// The old shop's name.
    pub shop: String,
    /// Its layout.
    pub layout: &'static str,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Users.
    pub users: Tally,
    /// Generations by the old shop's word.
    pub statuses: Vec<StatusLine>,
    /// Jobs of this old shop by their state here, now.
    pub jobs: BTreeMap<&'static str, u64>,
    /// Money.
    pub money: MoneyReport,
    /// Generations whose result is gone.
    pub lost: Vec<LostRow>,
    /// Rows with trouble.
    pub problems: Vec<Problem>,
}

/// How one row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    New,
    Changed,
    Same,
    Left,
    Refused,
}

impl Tally {
    pub(crate) fn count(&mut self, end: End) {
        self.seen += 1;
        match end {
            End::New => self.new += 1,
            End::Changed => self.changed += 1,
            End::Same => self.same += 1,
            End::Left => self.left += 1,
            End::Refused => self.refused += 1,
        }
    }
}

impl ImportReport {
    pub(crate) fn new(shop: &str, layout: &'static str, dry_run: bool) -> Self {
        Self {
            shop: shop.to_owned(),
            layout,
            dry_run,
            users: Tally::default(),
            statuses: Vec::new(),
            jobs: BTreeMap::new(),
            money: MoneyReport::default(),
            lost: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Whether every row was taken over, or left on purpose.
    pub fn is_clean(&self) -> bool {
        self.problems.iter().all(|problem| problem.taken)
    }

    pub(crate) fn status(&mut self, word: &str, end: End) {
        if let Some(line) = self.statuses.iter_mut().find(|line| line.status == word) {
            return line.rows.count(end);
        }
        let mut rows = Tally::default();
        rows.count(end);
        self.statuses.push(StatusLine { status: word.to_owned(), rows });
    }

    pub(crate) fn state(&mut self, state: JobState) {
        *self.jobs.entry(state.as_str()).or_default() += 1;
    }

    pub(crate) fn problem(&mut self, noun: &'static str, key: &str, reason: impl Into<String>, taken: bool) {
        self.problems.push(Problem { noun, key: key.to_owned(), reason: reason.into(), taken });
    }
}
