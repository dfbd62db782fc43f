//! Looking at a generation outside the old shop's database: does its own copy give a file, does the provider still know
//! the task, do its result addresses answer?

use domain::Timestamp;
use futures_util::{StreamExt, stream};
use lifecycle::{KeepError, Lifecycle, Policy, ReadFailure};
use old_shops::{OldGeneration, OldStatus};

use crate::place::{Place, place};
use crate::plan::{Look, Record};

/// Addresses of one generation asked at once.
const AT_ONCE: usize = 4;

/// Words that old shops have for our provider.
const KIE: [&str; 4] = ["kie", "kie.ai", "kieai", "kie_ai"];

/// Whether the generation's task is one of our provider's.
pub(crate) fn is_kie(old: &OldGeneration) -> bool {
    old.provider.as_deref().is_none_or(|name| KIE.contains(&name.to_ascii_lowercase().as_str()))
}

/// Looks at what the decision needs, and no further.
pub(crate) async fn look(
    lifecycle: &Lifecycle,
    old: &OldGeneration,
    media_at: &[String],
    now: Timestamp,
) -> Look {
    let mut look = Look::default();
    match old.status {
        OldStatus::Draft | OldStatus::Failed | OldStatus::Canceled => {}
        OldStatus::Waiting | OldStatus::Working => {
            read_record(lifecycle, old, now, &mut look).await;
            if look.record == Record::Gone {
                find_sources(lifecycle, old, media_at, &mut look).await;
            }
        }
        OldStatus::Succeeded => {
            ask_own_copy(lifecycle, old, media_at, &mut look).await;
            if look.sources.is_empty() {
                read_record(lifecycle, old, now, &mut look).await;
            }
            if look.record != Record::There {
                let own = look.sources.len();
                ask_results(lifecycle, old, own, &mut look).await;
            }
        }
    }
    look
}

async fn find_sources(lifecycle: &Lifecycle, old: &OldGeneration, media_at: &[String], look: &mut Look) {
    ask_own_copy(lifecycle, old, media_at, look).await;
    let own = look.sources.len();
    ask_results(lifecycle, old, own, look).await;
}

/// The shop's own copy stands for the first result.
async fn ask_own_copy(lifecycle: &Lifecycle, old: &OldGeneration, media_at: &[String], look: &mut Look) {
    let Some(asset) = &old.asset else { return };
    match place(asset, media_at) {
        Place::Unreachable(reason) => look.unreachable = Some(reason),
        Place::Source(source) => take_answer(look, &source, lifecycle.vault().answers(&source).await),
    }
}

/// The results behind the first `own` ones.
async fn ask_results(lifecycle: &Lifecycle, old: &OldGeneration, own: usize, look: &mut Look) {
    let asked = stream::iter(old.results.iter().skip(own))
        .map(|source| async move { (source, lifecycle.vault().answers(source).await) })
        .buffered(AT_ONCE);
    let mut asked = std::pin::pin!(asked);
    while let Some((source, answer)) = asked.next().await {
        take_answer(look, source, answer);
    }
}

fn take_answer(look: &mut Look, source: &str, answer: Result<(), KeepError>) {
    match answer {
        // Trouble on the way may pass; the job tries again.
        Ok(()) | Err(KeepError::Source(_) | KeepError::Storage(_)) => look.sources.push(source.to_owned()),
        Err(KeepError::Gone(_) | KeepError::Unusable(_)) => {}
        Err(KeepError::Blocked(words)) => {
            look.unreachable = Some(format!("{words}: name its host in FETCH_ALLOW, if it is yours"));
        }
    }
}

async fn read_record(lifecycle: &Lifecycle, old: &OldGeneration, now: Timestamp, look: &mut Look) {
    let Some(task) = old.task.as_deref().filter(|_| is_kie(old)) else { return };
    look.record = match lifecycle.provider().record(task).await {
        Ok(record) => {
            look.model = record.model;
            Record::There
        }
        Err(ReadFailure::NotFound) if !is_young(old, now) => Record::Gone,
        Err(ReadFailure::NotFound | ReadFailure::Blocked(_) | ReadFailure::Trouble(_)) => Record::There,
    };
}

/// A young task may be unknown to the provider for a while.
fn is_young(old: &OldGeneration, now: Timestamp) -> bool {
    let young = i64::try_from(Policy::YOUNG.as_secs()).unwrap_or(i64::MAX);
    old.created_at.is_some_and(|at| now.as_second().saturating_sub(at.as_second()) < young)
}
