//! Which test proves which fault line; printed into `docs/faults.md`, and refused where a line has none.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::repo;

/// What goes wrong, by line.
const LINES: [&str; 57] = [
    "the answer of createTask is lost",
    "createTask answers 200 with a refusal in its body",
    "createTask answers 200 without a task id, or broken JSON",
    "killed between the commit of `submitting` and the saved task id",
    "the database refuses the job row",
    "a payload that the model does not take",
    "a model renamed or withdrawn by the provider",
    "the provider's account has no money, its key is refused or capped",
    "a refusal that appears only in the record",
    "a status word that nobody knows",
    "success without results",
    "the callback never comes",
    "a callback before the job knows its task",
    "the same callback twenty times at once",
    "callbacks that contradict each other, or come after the end",
    "a forged callback, or a genuine one with another body",
    "a callback with an odd body",
    "the database is down while a callback arrives",
    "a callback while everything behind it is slow",
    "a hundred orders on the last coin",
    "a double click, a client's retry",
    "a release or refund asked twice",
    "killed between a state and its money",
    "a price that changes while the job runs",
    "a real cost above the hold",
    "a batch whose jobs end differently, a job that lost an output",
    "a top-up twice, without a right, with another amount or currency",
    "one invoice of Stars paid twice, a refund that was made already",
    "the customer leaves during the job",
    "a job that runs longer than usual",
    "success after the release",
    "a poll that fails",
    "a thousand open jobs and a slow provider",
    "two reconcilers at once, a lease lost in the middle",
    "one poisoned job",
    "a worker that stopped silently for hours",
    "clocks that jump or differ",
    "a dead result link",
    "a page, nothing, half a file or another type instead of the file",
    "our storage refuses",
    "killed during the copy, or between copy and row",
    "a result at a private address",
    "a hostile file for the preview",
    "a link that ends while the page is open",
    "killed between a message and our mark of it",
    "Telegram tells to wait",
    "a recipient that is gone",
    "a file too large for Telegram",
    "the delivery row is written and sending fails",
    "a webhook that is down for days, redirects or is gone",
    "old and new version together, two processes on one database",
    "a rolling restart under load",
    "a schema that is missing, behind, ahead or changed by hand",
    "last night's backup is restored",
    "a broken catalogue or price file",
    "slow reports, slow logs",
    "secrets in logs, a foreign job id",
];

/// Lines about the Telegram channel, which is not built yet.
const TELEGRAM: [usize; 3] = [28, 46, 48];

/// A test, and what its source says of how it runs.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Proof {
    path: String,
    name: String,
    /// Such as `2 workers`; nothing for tests that are no stories.
    workers: Option<String>,
}

/// How many workers a function of this text asks for, by itself or by one that it calls; `usual` if it says nothing.
fn workers(text: &str, name: &str, usual: &str, asked: &mut BTreeSet<String>) -> Option<String> {
    let body = body(text, name)?;
    let number = |mark: &str| {
        let digits = body.split_once(mark)?.1.split_once(')')?.0;
        digits.parse::<usize>().ok()
    };
    let words =
        |count: usize, noun: &str, many: &str| format!("{count} {}", if count == 1 { noun } else { many });
    if let Some(count) = number(".programs(") {
        return Some(words(count, "process", "processes"));
    }
    if let Some(count) = number(".workers(") {
        return Some(words(count, "worker", "workers"));
    }
    if body.contains("World::builder(") {
        return Some(usual.to_owned());
    }
    let known = text.split("fn ").skip(1).filter_map(|rest| rest.split_once('(')).map(|(name, _)| name);
    let called: Vec<&str> = known.filter(|other| body.contains(&format!("{other}("))).collect();
    called.into_iter().find_map(|other| {
        let is_new = asked.insert(other.to_owned());
        is_new.then(|| workers(text, other, usual, asked)).flatten()
    })
}

/// What stands between the name of a function and the next function.
fn body<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = text.split_once(&format!("fn {name}("))?.1.split_once('{')?.1;
    let ends =
        ["\n    async fn ", "\nasync fn ", "\nfn ", "\n    fn "].iter().filter_map(|mark| rest.find(mark));
    rest.get(..ends.min().unwrap_or(rest.len()))
}

/// Workers of a story that does not say how many.
fn usual_workers() -> String {
    let builder = repo::read("tests/src/builder.rs");
    let mut said = builder.split(" workers: ").skip(1).filter_map(|rest| rest.split_once(','));
    let count: usize = said.find_map(|(count, _)| count.parse().ok()).expect("the builder says it");
    format!("{count} workers")
}

/// Names of the tests by the line that they begin with: `f07_…` proves line 7.
fn tests_by_line() -> BTreeMap<usize, BTreeSet<Proof>> {
    let mut found: BTreeMap<usize, BTreeSet<Proof>> = BTreeMap::new();
    let usual = usual_workers();
    for path in ["crates", "bins", "tests"].into_iter().flat_map(|folder| repo::files(folder, ".rs")) {
        let text = repo::read(&path);
        for line in text.lines() {
            let Some((_, rest)) = line.split_once("fn f") else { continue };
            let Some((digits, _)) = rest.split_once('_') else { continue };
            let Some(number) = (digits.len() == 2).then(|| digits.parse().ok()).flatten() else { continue };
            let name = format!("f{}", rest.split('(').next().unwrap_or_default());
            let is_story = path.starts_with("tests/it/");
            let workers = is_story.then(|| workers(&text, &name, &usual, &mut BTreeSet::new())).flatten();
            found.entry(number).or_default().insert(Proof { path: path.clone(), name, workers });
        }
    }
    found
}

#[test]
fn every_fault_line_has_a_test() {
    let tests = tests_by_line();
    let lines: BTreeSet<usize> = (1..=LINES.len()).collect();
    let proven: BTreeSet<usize> = tests.keys().copied().collect();
    let open: Vec<&usize> = lines.difference(&proven).collect();
    assert_eq!(open, TELEGRAM.iter().collect::<Vec<_>>(), "left: lines without a test");
    assert!(proven.is_subset(&lines), "{proven:?}");
}

#[test]
fn the_table_of_faults_is_printed() {
    let mut text = String::from(
        "# Faults and their proofs\n\n\
         Printed by `tests/it/fault_table.rs` (`make bless` renews it). After every story the audit's invariants I1 to I6 are\n\
         checked. In brackets stands who works in a story: workers in one process, or whole processes; each story runs on\n\
         SQLite and on PostgreSQL. What has no brackets is no story: it runs on what its own crate has, or, as the storm, on\n\
         a cluster of its own.\n\n\
         | line | what goes wrong | proven by |\n|---|---|---|\n",
    );
    let tests = tests_by_line();
    for (at, what) in LINES.iter().enumerate() {
        let number = at + 1;
        let proofs = tests.get(&number).map(|tests| {
            let names = tests.iter().map(|Proof { path, name, workers }| {
                let words = name[4..].replace('_', " ");
                let workers = workers.as_ref().map(|workers| format!(" ({workers})")).unwrap_or_default();
                format!("[{words}](../{path}){workers}")
            });
            names.collect::<Vec<_>>().join("; ")
        });
        let proofs = proofs.unwrap_or_else(|| "nothing yet: it comes with the Telegram channel".to_owned());
        writeln!(text, "| F{number:02} | {what} | {proofs} |").unwrap();
    }
    let path = repo::root().join("docs/faults.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(repo::read("docs/faults.md"), text, "left: docs/faults.md; `make bless` renews it");
}
