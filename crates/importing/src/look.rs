//! Looking at a generation outside the old shop's database: does its own copy give a file, does the provider still know
//! the task, do its result addresses answer?

use domain::Timestamp;
use futures_util::{StreamExt, stream};
use lifecycle::{KeepError, Policy, ReadFailure, TaskWord};
use old_shops::{OldGeneration, OldStatus};

use crate::pass::Pass;
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
pub(crate) async fn look(pass: &Pass<'_>, old: &OldGeneration, now: Timestamp) -> Look {
    let mut look = Look::default();
    match old.status {
        OldStatus::Draft | OldStatus::Failed | OldStatus::Canceled => {}
        OldStatus::Waiting | OldStatus::Working => {
            read_record(pass, old, now, &mut look).await;
            if look.record == Record::Gone {
                ask_own_copy(pass, old, &mut look).await;
                ask_results(pass, old, &mut look).await;
            }
        }
        OldStatus::Succeeded => {
            ask_own_copy(pass, old, &mut look).await;
            if look.sources.is_empty() {
                read_record(pass, old, now, &mut look).await;
            }
            if look.record != Record::Made {
                ask_results(pass, old, &mut look).await;
            }
        }
    }
    look
}

/// The shop's own copy stands for the first result.
async fn ask_own_copy(pass: &Pass<'_>, old: &OldGeneration, look: &mut Look) {
    let Some(asset) = &old.asset else { return };
    match place(asset, &pass.options.media_at) {
        Place::Unreachable(reason) => look.unreachable = Some(reason),
        Place::Source(source) => {
            let answer = pass.lifecycle.vault().answers(&source).await;
            take_answer(look, &source, answer);
        }
    }
}

/// The results behind the shop's own copy. They do without it, if all of them can be asked.
async fn ask_results(pass: &Pass<'_>, old: &OldGeneration, look: &mut Look) {
    let vault = pass.lifecycle.vault();
    look.gone = 0;
    let of_own_copy = look.unreachable.take();
    let asked = stream::iter(old.results.iter().skip(look.sources.len()))
        .map(|source| async move { (source, vault.answers(source).await) })
        .buffered(AT_ONCE);
    let mut asked = std::pin::pin!(asked);
    while let Some((source, answer)) = asked.next().await {
        take_answer(look, source, answer);
    }
    if look.sources.is_empty() && look.unreachable.is_none() {
        look.unreachable = of_own_copy;
    }
}

fn take_answer(look: &mut Look, source: &str, answer: Result<(), KeepError>) {
    match answer {
        // Trouble on the way may pass; the job tries again.
        Ok(()) | Err(KeepError::Source(_) | KeepError::Storage(_)) => look.sources.push(source.to_owned()),
        Err(KeepError::Gone(_) | KeepError::Unusable(_)) => look.gone = look.gone.saturating_add(1),
        Err(KeepError::Blocked(words)) => {
            look.unreachable = Some(format!("{words}: name its host in FETCH_ALLOW, if it is yours"));
        }
    }
}

async fn read_record(pass: &Pass<'_>, old: &OldGeneration, now: Timestamp, look: &mut Look) {
    let Some(task) = old.task.as_deref().filter(|_| is_kie(old)) else { return };
    let provider = pass.lifecycle.provider();
    let name = old.model.as_deref();
    let mapped = name.map(|name| pass.options.models.id(name));
    let mut read = provider.record(task, mapped).await;
    if mapped != name && read.as_ref().is_err_and(ReadFailure::is_final) {
        // The task may be one of a family that only the old name tells.
        read = provider.record(task, name).await;
        look.by_old_name = read.is_ok();
    }
    look.record = match read {
        Ok(record) => {
            let has_results = !record.outputs.is_empty() || record.object.is_some();
            look.model = record.model;
            look.made = record.outputs;
            match record.word {
                TaskWord::Success if has_results => Record::Made,
                TaskWord::Fail { .. } => Record::Failed,
                TaskWord::Success | TaskWord::Working | TaskWord::Unknown => Record::There,
            }
        }
        Err(failure) if failure.is_final() && !is_young(old, now) => Record::Gone,
        Err(_) => Record::There,
    };
}

/// A young task may be unknown to the provider for a while.
fn is_young(old: &OldGeneration, now: Timestamp) -> bool {
    let young = i64::try_from(Policy::YOUNG.as_secs()).unwrap_or(i64::MAX);
    old.created_at.is_some_and(|at| now.as_second().saturating_sub(at.as_second()) < young)
}
