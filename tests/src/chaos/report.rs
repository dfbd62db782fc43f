//! What a run says in the end.

use std::fmt::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use super::Scale;
use super::people::People;
use super::proof::Proof;
use super::stage::Stage;
use super::storm::KILLED;
use super::tally::Tally;
use super::watch::{Lateness, Waits};

/// A killed worker's rows go on when their lease is over, and not later than this.
const LATE_AFTER: f64 = 2.0;
/// Lines of each kind of fault that are printed.
const SHOWN: usize = 40;

/// The report of one run.
#[derive(Debug)]
pub struct Report {
    /// Processes that were killed.
    pub kills: u64,
    /// Jobs that customers were told are ordered.
    pub jobs: usize,
    /// Where the logs are, if something is wrong.
    pub files: Option<PathBuf>,
    scale: Scale,
    proof: Proof,
    recovery: f64,
    text: String,
}

impl Report {
    pub(crate) fn new(
        scale: &Scale,
        stage: &Stage,
        people: &People,
        proof: Proof,
        lateness: &Lateness,
        times: [Duration; 4],
    ) -> Self {
        let kills = stage.tally.total(KILLED, |_| true);
        let jobs = people.memory().placed.iter().map(|placed| placed.jobs.len()).sum();
        let mut text = String::new();
        write_figures(&mut text, stage, &proof, lateness, times).expect("a text takes all words");
        let recovery = lateness.abandoned().longest;
        Self { kills, jobs, files: None, scale: *scale, proof, recovery, text }
    }

    /// Whether rows of dead workers were acted on in time; a figure of a quiet machine.
    pub fn was_timely(&self) -> bool {
        self.recovery <= LATE_AFTER
    }

    /// Whether every promise was kept.
    pub const fn is_clean(&self) -> bool {
        self.proof.is_clean()
    }
}

fn write_figures(
    text: &mut String,
    stage: &Stage,
    proof: &Proof,
    lateness: &Lateness,
    [start, storm, calm, all]: [Duration; 4],
) -> fmt::Result {
    let seconds = |time: Duration| format!("{:.0} s", time.as_secs_f64());
    writeln!(
        text,
        "times     start {}, storm {}, calm {}, all with the proof {}",
        seconds(start),
        seconds(storm),
        seconds(calm),
        seconds(all)
    )?;
    let words = |counts: Vec<(String, u64)>| {
        let words: Vec<String> = counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    };
    writeln!(text, "ends      {}; gifts {}", words(proof.ends.clone().into_iter().collect()), proof.gifts)?;
    writeln!(text, "tasks     {} at the provider", proof.tasks)?;
    writeln!(
        text,
        "webhooks  {} calls; duties: {}",
        stage.receiver.calls().len(),
        words(proof.deliveries.clone().into_iter().collect())
    )?;
    writeln!(text, "killed    {}", words(stage.tally.under(KILLED)))?;
    writeln!(text, "acts      {}", words(stage.tally.under(Tally::ACTS)))?;
    writeln!(text, "answers   {}", words(stage.tally.under(Tally::ANSWERS)))?;
    writeln!(text, "ended     {}", words(stage.tally.under(Tally::ENDED)))?;
    if stage.false_clock.is_none() {
        writeln!(
            text,
            "clocks    all true: libfaketime is not installed (tests/scripts/ensure-tools.sh faketime)"
        )?;
    }
    if !stage.watches {
        writeln!(text, "reconciler runs `once` again and again")?;
    }
    let waits = |waits: Waits| {
        format!(
            "{} rows, half within {:.2} s, 99 % within {:.2} s, the longest {:.2} s",
            waits.rows, waits.half, waits.most, waits.longest
        )
    };
    let abandoned = lateness.abandoned();
    let verdict = if abandoned.longest <= LATE_AFTER { "met" } else { "MISSED" };
    writeln!(text, "recovery  after a lost lease (bar {LATE_AFTER} s: {verdict}): {}", waits(abandoned))?;
    writeln!(
        text,
        "lateness  of other due rows that waited, in {} looks: {}",
        lateness.looks(),
        waits(lateness.others())
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scale { seed, jobs, kills, storm } = self.scale;
        writeln!(f, "chaos: seed {seed}, {} jobs, {} kills", self.jobs, self.kills)?;
        writeln!(
            f,
            "replay    CHAOS_SEED={seed} CHAOS_JOBS={jobs} CHAOS_KILLS={kills} CHAOS_SECONDS={} make chaos",
            storm.as_secs()
        )?;
        f.write_str(&self.text)?;
        for (name, found) in self.proof.parts() {
            writeln!(f, "{name:<14}{}", found.len())?;
            for line in found.iter().take(SHOWN) {
                writeln!(f, "    {line}")?;
            }
        }
        if let Some(files) = &self.files {
            writeln!(f, "files     {}", files.display())?;
        }
        write!(f, "{}", if self.is_clean() { "every promise was kept" } else { "PROMISES WERE BROKEN" })
    }
}
