//! A job's history: its lines in order, repeats counted in one.

use domain::JobState;

use super::Fixture;
use super::fixture::{at_once, entry};
use crate::NewEntry;

/// Lines of history with the same fold key are counted in one; others stand alone, oldest first.
pub async fn repeated_history_is_counted_in_one_line(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let first = fx.now();
    let folded = |key: &str| NewEntry { fold: Some(key.to_owned()), ..entry("poll.failed") };
    fx.store.note(job.id, &[folded("a"), entry("plain")], fx.now()).await.unwrap();
    fx.advance(5);
    let detailed = NewEntry { detail: Some("HTTP 502".to_owned()), ..entry("plain") };
    fx.store.note(job.id, &[folded("b"), detailed, folded("a")], fx.now()).await.unwrap();
    fx.advance(5);
    let claimed = fx.claim_this(job.id).await;
    let mut step = fx.step(&claimed, JobState::Pending);
    step.timeline = vec![folded("a"), folded("a")];
    fx.applied(&step).await;
    let lines = fx.store.timeline(job.id).await.unwrap();
    let counted: Vec<_> = lines.iter().map(|line| (line.event.as_str(), line.times)).collect();
    let wanted = [("job.ordered", 1), ("poll.failed", 4), ("plain", 1), ("poll.failed", 1), ("plain", 1)];
    assert_eq!(counted, wanted);
    assert_eq!((lines[1].at, lines[1].last_at), (first, fx.now()));
    assert_eq!((lines[4].source.as_str(), lines[4].detail.as_deref()), ("test", Some("HTTP 502")));
}

/// A folded line has the newest words, and the latest time whatever order its repeats come in.
pub async fn the_newest_words_of_a_folded_line_win(fx: Fixture) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    let folded = |words: &str| NewEntry {
        detail: Some(words.to_owned()),
        fold: Some("same".to_owned()),
        ..entry("poll.failed")
    };
    let line = async || {
        let line = fx.store.timeline(job.id).await.unwrap().remove(1);
        (line.times, line.last_at, line.detail)
    };
    fx.store.note(job.id, &[folded("first"), folded("second")], fx.now()).await.unwrap();
    assert_eq!(line().await, (2, fx.now(), Some("second".to_owned())));
    fx.advance(5);
    let claimed = fx.claim_this(job.id).await;
    let begin = crate::BeginAttempt { timeline: vec![folded("third")], ..fx.begin(&claimed) };
    fx.store.begin_attempt(&begin).await.unwrap();
    assert_eq!(line().await, (3, fx.now(), Some("third".to_owned())));
    let sent = fx.job(job.id).await;
    let mut step = fx.step(&sent, JobState::Unclear);
    step.timeline = vec![folded("fourth"), folded("fifth")];
    fx.applied(&step).await;
    assert_eq!(line().await, (5, fx.now(), Some("fifth".to_owned())));
    fx.store.note(job.id, &[folded("late")], fx.after(-3)).await.unwrap();
    assert_eq!(line().await, (6, fx.now(), Some("late".to_owned())));
}

/// Folded lines of two jobs do not meet.
pub async fn history_is_folded_within_one_job(fx: Fixture) {
    let account = fx.account(0).await;
    let (one, two) = (fx.pending(account, 0).await, fx.pending(account, 0).await);
    let folded = NewEntry { fold: Some("same".to_owned()), ..entry("poll.failed") };
    for job in [one.id, two.id] {
        fx.store.note(job, std::slice::from_ref(&folded), fx.now()).await.unwrap();
        let lines = fx.store.timeline(job).await.unwrap();
        assert_eq!((lines.len(), lines[1].times), (2, 1));
    }
}

/// Parallel notes with one fold key are all counted.
pub async fn parallel_repeats_are_all_counted(fx: Fixture) {
    let account = fx.account(0).await;
    let job = fx.pending(account, 0).await;
    at_once(10, |_| {
        let (store, id, at) = (fx.store.clone(), job.id, fx.now());
        let folded = NewEntry { fold: Some("same".to_owned()), ..entry("poll.failed") };
        async move { store.note(id, &[folded], at).await.expect("the note is written") }
    })
    .await;
    assert_eq!(fx.store.timeline(job.id).await.unwrap()[1].times, 10);
}
