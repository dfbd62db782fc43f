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

/// Names of the tests by the line that they begin with: `f07_…` proves line 7.
fn tests_by_line() -> BTreeMap<usize, BTreeSet<(String, String)>> {
    let mut found: BTreeMap<usize, BTreeSet<(String, String)>> = BTreeMap::new();
    for path in ["crates", "bins", "tests"].into_iter().flat_map(|folder| repo::files(folder, ".rs")) {
        for line in repo::read(&path).lines() {
            let Some((_, rest)) = line.split_once("fn f") else { continue };
            let Some((digits, _)) = rest.split_once('_') else { continue };
            let Some(number) = (digits.len() == 2).then(|| digits.parse().ok()).flatten() else { continue };
            let name = rest.split('(').next().unwrap_or_default();
            found.entry(number).or_default().insert((path.clone(), format!("f{name}")));
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
         checked; stories run on SQLite and on PostgreSQL.\n\n\
         | line | what goes wrong | proven by |\n|---|---|---|\n",
    );
    let tests = tests_by_line();
    for (at, what) in LINES.iter().enumerate() {
        let number = at + 1;
        let proofs = tests.get(&number).map(|tests| {
            let names = tests.iter().map(|(path, name)| {
                let words = name[4..].replace('_', " ");
                format!("[{words}](../{path})")
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
