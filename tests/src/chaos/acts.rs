//! What is done to the shop and when: a pure function of the seed.

use std::time::Duration;

use super::Scale;
use super::dice::Dice;

/// Something that can be killed and stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// `kie-web`, the first or the second.
    Web(usize),
    /// `kie-reconciler`.
    Reconciler,
}

/// A line between two parts, through which all their connections go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Line {
    /// Customers and the provider's callbacks to the shop.
    Front,
    /// The shop to its database.
    Database,
    /// The shop to its storage.
    Storage,
    /// The shop to the provider.
    Provider,
    /// The shop to the customers' webhooks.
    Receiver,
}

impl Line {
    pub(crate) const ALL: [Self; 5] =
        [Self::Front, Self::Database, Self::Storage, Self::Provider, Self::Receiver];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::Database => "database",
            Self::Storage => "storage",
            Self::Provider => "provider",
            Self::Receiver => "receiver",
        }
    }
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// `kill -9`; started again after the pause.
    Kill(Who, Duration),
    /// SIGTERM; started again after it ended and after the pause.
    Terminate(Who, Duration),
    /// Stopped in the middle of whatever it does, and continued after this time: its leases may be over by then.
    Freeze(Who, Duration),
    /// `kill -9` of the storage; started again after the pause.
    KillStorage(Duration),
    /// `kill -9` of the whole database server; started again after the pause.
    KillDatabase(Duration),
    /// `kill -9` of one of the server's own processes: it throws everybody out and recovers by itself.
    KillBackend,
    /// Ordered or immediate restart of the database.
    RestartDatabase {
        /// As after a crash.
        immediate: bool,
    },
    /// All connections that are open are cut by the server.
    CutSessions,
    /// All connections of a line break.
    Cut(Line),
    /// A line takes connections and breaks them, for this time.
    Refuse(Line, Duration),
    /// Nothing passes a line for this time; then it goes on.
    Silence(Line, Duration),
    /// Every piece that passes a line is late by the first, for the second time.
    Slow(Line, Duration, Duration),
    /// A line answers every HTTP request itself with this status, for this time.
    Answer(Line, u16, Duration),
    /// The provider does this on every occasion with a chance of so many per cent, for this time.
    Weather(&'static str, u32, Duration),
    /// The clock of the second `kie-web` jumps to so many milliseconds beside the true time.
    Skew(i64),
}

impl Act {
    /// Under which heading it is counted.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Kill(Who::Web(_), _) => "kill -9 kie-web".to_owned(),
            Self::Kill(Who::Reconciler, _) => "kill -9 kie-reconciler".to_owned(),
            Self::Terminate(..) => "SIGTERM and restart".to_owned(),
            Self::Freeze(..) => "process frozen".to_owned(),
            Self::KillStorage(_) => "kill -9 storage".to_owned(),
            Self::KillDatabase(_) => "kill -9 database server".to_owned(),
            Self::KillBackend => "kill -9 database process".to_owned(),
            Self::RestartDatabase { immediate: true } => "database restarted as after a crash".to_owned(),
            Self::RestartDatabase { immediate: false } => "database restarted".to_owned(),
            Self::CutSessions => "database sessions cut".to_owned(),
            Self::Cut(line) => format!("{} connections cut", line.name()),
            Self::Refuse(line, _) => format!("{} away", line.name()),
            Self::Silence(line, _) => format!("{} silent", line.name()),
            Self::Slow(line, _, _) => format!("{} slow", line.name()),
            Self::Answer(line, status, _) => format!("{} answers {status}", line.name()),
            Self::Weather(fault, _, _) => format!("provider: {fault}"),
            Self::Skew(_) => "clock jumps".to_owned(),
        }
    }

    /// Whether something is killed by it.
    pub(crate) const fn kills(&self) -> bool {
        matches!(self, Self::Kill(..) | Self::KillStorage(_) | Self::KillDatabase(_) | Self::KillBackend)
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Everything that is done, in the order of its time.
pub(crate) fn acts(scale: &Scale) -> Vec<(Duration, Act)> {
    let dice = Dice::new(scale.seed, 1);
    let mut acts: Vec<(Duration, Act)> = Vec::new();
    // The last tenth is left to what the acts before it started.
    let within = || dice.between(ms(500), scale.storm.mul_f64(0.9));
    for _ in 0..scale.kills {
        acts.push((within(), kill(&dice)));
    }
    for _ in 0..scale.kills {
        acts.push((within(), trouble(&dice, scale.storm / 6)));
    }
    acts.sort_by_key(|(at, _)| *at);
    acts
}

fn web(dice: &Dice) -> Who {
    Who::Web(dice.below(2))
}

fn kill(dice: &Dice) -> Act {
    let pause = dice.between(ms(50), ms(2000));
    match dice.weighed(&[(50, 0), (20, 1), (13, 2), (5, 3), (12, 4)]) {
        0 => Act::Kill(web(dice), pause),
        1 => Act::Kill(Who::Reconciler, pause),
        2 => Act::KillStorage(pause),
        3 => Act::KillDatabase(pause),
        _ => Act::KillBackend,
    }
}

/// `longest`: no trouble lasts longer.
fn trouble(dice: &Dice, longest: Duration) -> Act {
    let short = dice.between(ms(300), ms(4000)).min(longest);
    let lasting = dice.between(ms(1000), ms(10_000)).min(longest);
    let any = [Line::Front, Line::Database, Line::Storage, Line::Provider, Line::Receiver];
    match dice.weighed(&[
        (10, 0),
        (6, 1),
        (4, 2),
        (6, 3),
        (14, 4),
        (10, 5),
        (8, 6),
        (12, 7),
        (10, 8),
        (14, 9),
        (6, 10),
    ]) {
        0 => Act::Terminate(web(dice), dice.between(ms(0), ms(1000))),
        1 => Act::Freeze(web(dice), dice.between(ms(500), ms(26_000)).min(longest)),
        2 => Act::RestartDatabase { immediate: dice.odds(0.5) },
        3 => Act::CutSessions,
        4 => Act::Cut(any[dice.below(any.len())]),
        5 => Act::Refuse(any[dice.below(any.len())], short),
        6 => Act::Silence(any[dice.below(any.len())], short),
        7 => Act::Slow(
            dice.weighed(&[(3, Line::Storage), (1, Line::Provider), (1, Line::Database)]),
            delay(dice),
            lasting,
        ),
        8 => answer(dice, lasting),
        9 => weather(dice, lasting),
        _ => Act::Skew(i64::try_from(dice.below(3600)).unwrap_or_default() - 1800),
    }
}

fn delay(dice: &Dice) -> Duration {
    dice.between(ms(5), ms(120))
}

/// A full disk, a bucket that refuses, a gateway in front of the provider, a receiver that is broken.
fn answer(dice: &Dice, lasting: Duration) -> Act {
    let (line, status) = dice.weighed(&[
        (4, (Line::Storage, 507)),
        (3, (Line::Storage, 413)),
        (2, (Line::Storage, 503)),
        (2, (Line::Provider, 502)),
        (1, (Line::Provider, 429)),
        (2, (Line::Receiver, 500)),
        (1, (Line::Receiver, 301)),
        (1, (Line::Front, 504)),
    ]);
    Act::Answer(line, status, lasting)
}

fn weather(dice: &Dice, lasting: Duration) -> Act {
    let (fault, percent) = dice.weighed(&[
        (3, ("record=http500", 60)),
        (2, ("record=html", 60)),
        (2, ("record=null", 60)),
        (2, ("record=timeout", 20)),
        (1, ("record=429", 50)),
        (2, ("result=html", 60)),
        (2, ("result=403", 60)),
        (2, ("result=truncated", 60)),
        (2, ("result=reset", 60)),
        (1, ("result=slow:2s", 60)),
        (3, ("create=reset", 20)),
        (2, ("create=http500", 20)),
        (2, ("create=slow:2s", 60)),
        (1, ("create=402", 10)),
        (3, ("callback=none", 90)),
    ]);
    Act::Weather(fault, percent, lasting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_every_act() {
        let scale = |seed| Scale { seed, jobs: 100, kills: 40, storm: Duration::from_mins(2) };
        let first = acts(&scale(7));
        assert_eq!(first, acts(&scale(7)));
        assert_ne!(first, acts(&scale(8)));
        assert_eq!(first.iter().filter(|(_, act)| act.kills()).count(), 40);
        assert!(
            first.is_sorted_by_key(|(at, _)| *at) && first.iter().all(|(at, _)| *at < Duration::from_mins(2))
        );
    }
}
