//! Marks in texts: `[sim:name=value]`, those that are known and those that are not.

use super::rule::Rule;

/// The rules in `[sim:…]` marks of a text; marks that say nothing known are left alone.
pub(crate) fn marks_in(text: &str) -> Vec<Rule> {
    marks(text).filter_map(|mark| mark?.parse().ok()).collect()
}

/// The marks of a text that say nothing known, or are not closed; long ones are cut.
pub(crate) fn unknown_marks_in(text: &str) -> impl Iterator<Item = String> {
    let unknown = marks(text).zip(text.split("[sim:").skip(1)).filter_map(|(mark, rest)| match mark {
        Some(mark) => mark.parse::<Rule>().is_err().then(|| format!("[sim:{}]", shortened(mark))),
        None => Some(format!("[sim:{}", shortened(rest))),
    });
    unknown.take(UNKNOWN_MAX)
}

/// What stands in each mark; `None` for one that is not closed.
fn marks(text: &str) -> impl Iterator<Item = Option<&str>> {
    text.split("[sim:").skip(1).map(|rest| rest.split_once(']').map(|(mark, _)| mark))
}

fn shortened(mark: &str) -> String {
    mark.chars().take(MARK_LETTERS_MAX).collect()
}

/// So many unknown marks are told, each with so many letters.
pub(crate) const UNKNOWN_MAX: usize = 20;
const MARK_LETTERS_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fault::Fault;

    #[test]
    fn marks_are_read_with_their_counters() {
        let rules = marks_in(
            "a kite [sim:duration=250ms] and [sim:create=429:times=2] [sim:fail=500:Internal server error]",
        );
        assert_eq!(rules.len(), 3);
        assert_eq!(rules[0].fault, Fault::Duration(Duration::from_millis(250)));
        assert_eq!(rules[1].times, Some(2));
        assert_eq!(rules[2].fault, Fault::Fail("500".into(), "Internal server error".into()));
    }

    #[test]
    fn what_is_no_fault_is_an_unknown_mark() {
        assert!(marks_in("[sim:nothing] [sim:").is_empty());
        let unknown: Vec<_> =
            unknown_marks_in("[sim:crete=429] a [sim:create=429] kite [sim:create=429:p=7] [sim:fai")
                .collect();
        assert_eq!(unknown, ["[sim:crete=429]", "[sim:create=429:p=7]", "[sim:fai"]);
    }
}
