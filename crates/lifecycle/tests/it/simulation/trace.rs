//! What a run did, line by line: the end of it explains a failure, the whole of it proves that a seed replays.

use std::cell::RefCell;
use std::fmt::Display;
use std::rc::Rc;

use domain::Timestamp;

/// Clones write into the same trace, which outlives a run that panics.
#[derive(Clone, Default)]
pub(super) struct Trace(Rc<RefCell<Vec<String>>>);

impl Trace {
    pub(super) fn tell(&self, at: Timestamp, words: impl Display) {
        self.line(format!("{at} {words}"));
    }

    pub(super) fn line(&self, line: String) {
        self.0.borrow_mut().push(line);
    }

    /// The last lines.
    pub(super) fn end(&self, most: usize) -> String {
        let lines = self.0.borrow();
        lines[lines.len().saturating_sub(most)..].join("\n")
    }

    pub(super) fn contains(&self, words: &str) -> bool {
        self.0.borrow().iter().any(|line| line.contains(words))
    }

    /// The first line in which two traces differ.
    pub(super) fn difference(&self, other: &Self) -> Option<(usize, Option<String>, Option<String>)> {
        let (ours, theirs) = (self.0.borrow(), other.0.borrow());
        (0..ours.len().max(theirs.len()))
            .find(|number| ours.get(*number) != theirs.get(*number))
            .map(|number| (number, ours.get(number).cloned(), theirs.get(number).cloned()))
    }
}
