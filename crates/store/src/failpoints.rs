//! Fail points: named places at which a test kills, breaks or delays the program. Without the feature `failpoints`
//! there are none.

/// Every fail point, in the order of a job's life. What is behind a name's first word tells where it lies: the use cases
/// have the words of their files, the adapters begin with their engine's name.
#[cfg(feature = "failpoints")]
pub const POINTS: &[&str] = &[
    "order.checked",
    "order.placed",
    "worker.claimed",
    "worker.claimed_delivery",
    "input.opened",
    "input.uploaded",
    "input.kept",
    "buy.ready",
    "buy.committed",
    "buy.answered",
    "buy.saved",
    "buy.trusted",
    "buy.refused",
    "refusal.pushed",
    "refusal.blocked",
    "refusal.counted",
    "adopt.read",
    "adopt.saved",
    "observe.read",
    "keep.begun",
    "keep.landed",
    "keep.copied",
    "keep.stored",
    "step.made",
    "step.recorded",
    "deliver.ready",
    "deliver.sent",
    "deliver.recorded",
    "callback.read",
    "callback.kept",
    "upload.announced",
    "upload.written",
    "upload.kept",
    "retry.noted",
    "resolve.noted",
    "restore.noted",
    "restore.fetched",
    "house.marked",
    "house.deleted",
    "credit.asked",
    "credit.written",
    "sqlite.place.jobs",
    "sqlite.place.free",
    "sqlite.place.held",
    "sqlite.place.told",
    "sqlite.claim.leased",
    "sqlite.begin.slot",
    "sqlite.begin.trial",
    "sqlite.begin.attempt",
    "sqlite.begin.moved",
    "sqlite.begin.told",
    "sqlite.task.set",
    "sqlite.task.woken",
    "sqlite.breaker.renewed",
    "sqlite.health.counted",
    "sqlite.record.patched",
    "sqlite.record.summed",
    "sqlite.record.answered",
    "sqlite.record.followed",
    "sqlite.record.moved",
    "sqlite.record.announced",
    "sqlite.record.owed",
    "sqlite.record.told",
    "sqlite.transfers.written",
    "sqlite.credit.refunded",
    "sqlite.credit.moved",
    "sqlite.recount.summed",
    "sqlite.asset.stored",
    "sqlite.asset.lost",
    "sqlite.thumbnail.named",
    "sqlite.delivery.leased",
    "sqlite.delivery.ended",
    "sqlite.delivery.again",
    "sqlite.purge.files",
    "sqlite.purge.jobs",
    "sqlite.purge.uploads",
    "sqlite.callback.added",
    "sqlite.callback.woken",
    "sqlite.callback.deleted",
    "sqlite.erase.account",
    "sqlite.erase.tokens",
    "sqlite.erase.owed",
    "sqlite.erase.told",
    "sqlite.erase.jobs",
    "sqlite.import.opened",
    "sqlite.import.job",
    "sqlite.import.attempt",
    "sqlite.import.moved",
    "sqlite.import.asset",
    "sqlite.import.told",
    "sqlite.import.marked",
    "postgres.credit.written",
    "postgres.recount.locked",
    "postgres.erase.jobs",
    "postgres.erase.account",
    "postgres.erase.owed",
    "postgres.erase.told",
    "postgres.erase.tokens",
    "postgres.import.opened",
    "postgres.import.job",
    "postgres.import.attempt",
    "postgres.import.asset",
    "postgres.import.told",
    "postgres.import.written",
    "postgres.import.moved",
    "postgres.import.marked",
];

/// Marks a fail point in an `async` function whose error can be made of a [`StoreError`](crate::StoreError). A case (a
/// state, a kind) tells visits of one point apart.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! fail_point {
    ($name:literal) => {
        $crate::failpoints::reach($name, &"").await?
    };
    ($name:literal, $case:expr) => {
        $crate::failpoints::reach($name, &$case).await?
    };
}

/// Marks a fail point; in this build it is nothing.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! fail_point {
    ($name:literal) => {};
    ($name:literal, $case:expr) => {};
}

#[cfg(feature = "failpoints")]
pub use armed::{install, reach};

#[cfg(feature = "failpoints")]
mod armed {
    use std::collections::HashSet;
    use std::fmt::Display;
    use std::io::Write;
    use std::path::PathBuf;
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::time::Duration;

    use super::POINTS;
    use crate::StoreError;

    /// What happens at an armed point.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Action {
        /// The process ends as by `kill -9`.
        Kill,
        /// The call fails as if the database were away: once, then never again.
        Error,
        /// The call goes on later.
        Delay(Duration),
        /// Only the visit is noted.
        Note,
    }

    /// Where a test and its program meet: it writes the file `armed`, we append every visit of an armed point to `reached`.
    struct Desk {
        folder: PathBuf,
        broken: Mutex<HashSet<String>>,
    }

    static DESK: OnceLock<Desk> = OnceLock::new();

    /// From now on, points are armed by the file `armed` of this folder: lines of the form `PATTERN=ACTION`, of which the
    /// first that fits counts. A pattern is `*`, a name, or `name:case`; an action `kill`, `error` (once for each name and
    /// case), `delay:MILLISECONDS` or `note`. Only the first call of a process counts.
    pub fn install(folder: PathBuf) {
        let _first_one_counts = DESK.set(Desk { folder, broken: Mutex::default() });
    }

    /// Passes a fail point.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it is armed with `error`; [`StoreError::Internal`] when the file cannot be read.
    pub async fn reach(name: &'static str, case: &(dyn Display + Sync)) -> Result<(), StoreError> {
        let Some(desk) = DESK.get() else { return Ok(()) };
        let case = case.to_string();
        let visit = if case.is_empty() { name.to_owned() } else { format!("{name}:{case}") };
        let Some(action) = desk.action(name, &visit)? else { return Ok(()) };
        if action == Action::Error && !desk.is_first_error(&visit) {
            return Ok(());
        }
        desk.note(&visit).map_err(|error| StoreError::Internal(Box::new(error)))?;
        match action {
            Action::Note => Ok(()),
            Action::Delay(pause) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
            Action::Error => Err(StoreError::Unavailable(format!("the fail point {visit} is armed").into())),
            Action::Kill => {
                let killed =
                    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                killed.map_err(|error| StoreError::Internal(Box::new(error)))
            }
        }
    }

    impl Desk {
        /// The file is small and read at each point: then a test can arm a program that runs.
        fn action(&self, name: &str, visit: &str) -> Result<Option<Action>, StoreError> {
            let Ok(text) = std::fs::read_to_string(self.folder.join("armed")) else { return Ok(None) };
            for line in text.lines() {
                let (pattern, action) = rule(line)
                    .ok_or_else(|| StoreError::Internal(format!("`{line}` arms no fail point").into()))?;
                if pattern == "*" || pattern == name || pattern == visit {
                    return Ok(Some(action));
                }
            }
            Ok(None)
        }

        fn is_first_error(&self, visit: &str) -> bool {
            self.broken.lock().unwrap_or_else(PoisonError::into_inner).insert(visit.to_owned())
        }

        fn note(&self, visit: &str) -> std::io::Result<()> {
            let mut file =
                std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("reached"))?;
            file.write_all(format!("{visit}\n").as_bytes())
        }
    }

    fn rule(line: &str) -> Option<(&str, Action)> {
        let (pattern, action) = line.split_once('=')?;
        let name = pattern.split(':').next().unwrap_or_default();
        if pattern != "*" && !POINTS.contains(&name) {
            return None;
        }
        let action = match action.split_once(':') {
            None if action == "kill" => Action::Kill,
            None if action == "error" => Action::Error,
            None if action == "note" => Action::Note,
            Some(("delay", pause)) => Action::Delay(Duration::from_millis(pause.parse().ok()?)),
            _ => return None,
        };
        Some((pattern, action))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn rules_name_a_point_and_an_action() {
            assert_eq!(rule("buy.committed=kill"), Some(("buy.committed", Action::Kill)));
            assert_eq!(rule("step.made:done=error"), Some(("step.made:done", Action::Error)));
            assert_eq!(rule("*=delay:20"), Some(("*", Action::Delay(Duration::from_millis(20)))));
            for wrong in ["", "buy.committed", "buy.unknown=kill", "buy.committed=explode", "*=delay:long"] {
                assert_eq!(rule(wrong), None, "{wrong}");
            }
        }

        #[tokio::test]
        async fn without_a_folder_points_are_passed() {
            reach("buy.committed", &"").await.unwrap();
        }
    }
}
