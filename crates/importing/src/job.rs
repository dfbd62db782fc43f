//! The rows that a generation becomes: job, attempt, assets, movements, its first line of history.

use std::time::Duration;

use domain::{
    AccountId, AssetId, AssetRole, Book, Job, JobId, JobState, MediaKind, Money, PriceBasis, Recipient,
    Timestamp, TransferKind, to_micros,
};
use lifecycle::{OBJECT, Policy, media_kind};
use old_shops::{OldGeneration, OldStatus};
use serde_json::Value;
use store::{ImportedJob, NewAsset, NewEntry, NewImport, NewTransfer, SourceNoun};

use crate::look::is_kie;
use crate::pass::Pass;
use crate::plan::{Look, Take};

const NOUN: &str = "generation";
/// Words of a failure that are kept.
const WORDS_MAX: usize = 2000;
/// The longest name of a model.
const MODEL_MAX: usize = 200;

/// What is ordered, as far as the old shop and the provider's record tell.
pub(crate) struct Order {
    model: String,
    kind: MediaKind,
    input: Value,
    prompt: Option<String>,
    sources: Vec<String>,
}

/// What is ordered, or why that cannot be told.
pub(crate) fn order(pass: &Pass<'_>, old: &OldGeneration, look: &Look, take: &Take) -> Result<Order, String> {
    let mapped = old.model.as_deref().map(|name| pass.options.models.id(name));
    let named = if look.by_old_name { old.model.as_deref() } else { mapped };
    let model = named.or(look.model.as_deref()).unwrap_or("unknown");
    if model.len() > MODEL_MAX {
        return Err("its model's name is too long".to_owned());
    }
    // What has nothing to show is shown as a picture that never came.
    let Some(kind) = kind(pass, old, look).or_else(|| take.state.is_final().then_some(MediaKind::Image))
    else {
        return Err(format!("nothing tells what {model} makes: name it in --model-map"));
    };
    let mut input = old.options.clone();
    if let (Value::Object(members), Some(prompt)) = (&mut input, &old.prompt) {
        members.entry("prompt").or_insert_with(|| Value::String(prompt.clone()));
    }
    let prompt =
        old.prompt.clone().or_else(|| input.get("prompt").and_then(Value::as_str).map(str::to_owned));
    let sources = if take.state == JobState::Storing { look.sources.clone() } else { Vec::new() };
    Ok(Order { model: model.to_owned(), kind, input, prompt, sources })
}

/// What a generation makes, if anything tells.
pub(crate) fn kind(pass: &Pass<'_>, old: &OldGeneration, look: &Look) -> Option<MediaKind> {
    let catalogue = pass.lifecycle.offers().catalogue();
    let of_catalogue = |id: &str| catalogue.get(id).map(|model| media_kind(model.kind()));
    let mapped = old.model.as_deref().map(|name| pass.options.models.id(name));
    mapped
        .or(look.model.as_deref())
        .and_then(of_catalogue)
        .or_else(|| old.kind.as_deref().and_then(kind_of_word))
        .or_else(|| look.model.as_deref().and_then(of_catalogue))
        .or_else(|| look.sources.iter().chain(&old.results).find_map(|source| kind_of_name(source)))
}

/// `image`, `video`… or what a `text-to-video` makes.
fn kind_of_word(word: &str) -> Option<MediaKind> {
    let word = word.to_ascii_lowercase();
    match word.rsplit("to-").next().unwrap_or_default() {
        "image" | "photo" | "picture" => Some(MediaKind::Image),
        "video" => Some(MediaKind::Video),
        "audio" | "music" | "sound" | "speech" => Some(MediaKind::Audio),
        "text" => Some(MediaKind::Text),
        _ => None,
    }
}

fn kind_of_name(source: &str) -> Option<MediaKind> {
    let path = source.split(['?', '#']).next().unwrap_or_default();
    let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    match extension.to_ascii_lowercase().as_str() {
        "png" | "jpg" | "jpeg" | "webp" | "gif" => Some(MediaKind::Image),
        "mp4" | "webm" | "mov" => Some(MediaKind::Video),
        "mp3" | "wav" | "ogg" | "m4a" | "flac" => Some(MediaKind::Audio),
        _ => None,
    }
}

/// When a row is taken over, and when its job becomes due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct When {
    pub(crate) now: Timestamp,
    pub(crate) due: Timestamp,
}

/// Everything that is written with a generation.
pub(crate) fn import(
    pass: &Pass<'_>,
    old: &OldGeneration,
    (order, take): (&Order, &Take),
    account: AccountId,
    (price, when): (Money, When),
) -> NewImport {
    let row = job_row(pass, old, (order, take), account, (price, when));
    let now = when.now;
    let mut transfers: Vec<NewTransfer> = Vec::new();
    transfers.extend(ledger::hold(row.id, account, take.held, now, pass.chance()));
    if take.refunded.is_positive() {
        transfers.push(refund(pass, old, (account, row.id), take.refunded, now));
    }
    let detail = format!("{}: {NOUN} {}, which was {}", pass.options.shop, old.key, old.word);
    let entry = NewEntry { source: "import", event: "job.imported", detail: Some(detail), fold: None };
    let assets = assets(pass, (account, row.id, row.kind), &order.sources, now);
    NewImport {
        shop: pass.options.shop.clone(),
        noun: SourceNoun::Generation,
        key: old.key.clone(),
        known: None,
        fingerprint: old.fingerprint,
        amount: take.held,
        account,
        open: None,
        job: Some(row.id),
        transfers,
        at: now,
        write: Some(Box::new(ImportedJob { assets, row, timeline: vec![entry] })),
    }
}

fn job_row(
    pass: &Pass<'_>,
    old: &OldGeneration,
    (order, take): (&Order, &Take),
    account: AccountId,
    (price, when): (Money, When),
) -> Job {
    let now = when.now;
    let created_at = old.created_at.unwrap_or(now).min(now);
    let ended_at = old.updated_at.unwrap_or(created_at).clamp(created_at, now);
    let due = when.due.max(now);
    let policy = pass.lifecycle.policy();
    let (wake_at, deadline_at) = match take.state {
        JobState::Running => (Some(due), after(due, policy.give_up.of(order.kind))),
        JobState::Unclear => (Some(now), after(now, policy.unclear_after)),
        JobState::Storing => (Some(due), after(due, Policy::RETENTION)),
        _ => (None, None),
    };
    let is_final = take.state.is_final();
    // Whatever may have been sent is an attempt; a task of our provider's belongs to it.
    let task_id = old.task.clone().filter(|_| is_kie(old));
    let sent = task_id.is_some() || take.state == JobState::Unclear;
    let id = JobId::generate(created_at, pass.chance());
    Job {
        id,
        account,
        model: order.model.clone(),
        kind: order.kind,
        input: order.input.clone(),
        prompt: order.prompt.clone(),
        state: take.state,
        gift: false,
        late: false,
        cause: take.cause,
        failure: take.cause.and_then(|_| failure(old, take)),
        price: take.held,
        basis: PriceBasis::Imported { price },
        held: take.held,
        captured: Money::ZERO,
        released: Money::ZERO,
        refunded: Money::ZERO,
        outputs_ordered: u16::try_from(order.sources.len()).unwrap_or(1).max(1),
        batch: None,
        key: order_key(old).unwrap_or_else(|| own_key(pass, &old.key)),
        recipients: if is_final { Vec::new() } else { recipients(pass, old) },
        request_id: "import".to_owned(),
        attempts: u16::from(sent),
        cost: None,
        task_id,
        created_at: to_micros(created_at),
        entered_at: if is_final { to_micros(ended_at) } else { now },
        updated_at: now,
        version: 1,
        wake_at,
        wake_seq: 0,
        lease_until: None,
        fence: 0,
        deadline_at,
        tries: 0,
        hints: 0,
        favourite: false,
        hidden_at: None,
    }
}

pub(crate) fn after(at: Timestamp, time: Duration) -> Option<Timestamp> {
    at.saturating_add(time).ok().map(to_micros)
}

/// Who is told when it ends: the chat that waits for a generation in flight; that of a finished one only if asked.
fn recipients(pass: &Pass<'_>, old: &OldGeneration) -> Vec<Recipient> {
    let waits = match old.status {
        OldStatus::Waiting | OldStatus::Working => true,
        OldStatus::Succeeded => pass.options.deliver && !old.delivered,
        OldStatus::Draft | OldStatus::Failed | OldStatus::Canceled => false,
    };
    old.chat.filter(|_| waits).map(|chat_id| Recipient::Telegram { chat_id }).into_iter().collect()
}

fn failure(old: &OldGeneration, take: &Take) -> Option<String> {
    if take.lost {
        return Some("the result is gone: the provider does not know the task any more".to_owned());
    }
    old.error.as_ref().map(|words| words.chars().take(WORDS_MAX).collect())
}

/// The key that the old front end ordered with, where an order of ours could have it.
fn order_key(old: &OldGeneration) -> Option<String> {
    old.order_key.clone().filter(|key| key.len() <= 255 && key.bytes().all(|byte| byte.is_ascii_graphic()))
}

fn own_key(pass: &Pass<'_>, key: &str) -> String {
    format!("import:{}:{key}", pass.options.shop)
}

/// Another row has the same order key: this one is found by its task or id. False if there is nothing to leave out.
pub(crate) fn forget_order_key(pass: &Pass<'_>, import: &mut NewImport) -> bool {
    let own = own_key(pass, &import.key);
    let Some(write) = import.write.as_mut().filter(|write| write.row.key != own) else { return false };
    write.row.key = own;
    true
}

/// Another row has the same task. False if the job cannot do without it.
pub(crate) fn forget_task(import: &mut NewImport) -> bool {
    let Some(write) = &mut import.write else { return false };
    let needs_task = write.row.state == JobState::Running || write.row.task_id.is_none();
    if !needs_task {
        write.row.task_id = None;
        write.row.attempts = 0;
    }
    !needs_task
}

/// The outputs of a job, from where they are to be had.
pub(crate) fn assets(
    pass: &Pass<'_>,
    (account, job, kind): (AccountId, JobId, MediaKind),
    sources: &[String],
    now: Timestamp,
) -> Vec<NewAsset> {
    let vault = pass.lifecycle.vault();
    let asset = |(index, source): (u16, &String)| {
        let id = AssetId::generate(now, pass.chance());
        let role = AssetRole::Output;
        // An object of our storage keeps its place and name.
        let object = match source.strip_prefix(OBJECT) {
            Some(name) => name.to_owned(),
            None => vault.object_name(account, kind, role, id),
        };
        NewAsset { id, account, job: Some(job), index, role, kind, source_url: Some(source.clone()), object }
    };
    (0_u16..).zip(sources).map(asset).collect()
}

/// Gives the price of a lost generation back; the same movement whenever it is found out.
pub(crate) fn refund(
    pass: &Pass<'_>,
    old: &OldGeneration,
    (account, job): (AccountId, JobId),
    amount: Money,
    now: Timestamp,
) -> NewTransfer {
    NewTransfer {
        id: pass.transfer_id(now),
        account,
        job: None,
        kind: TransferKind::Adjust,
        key: pass.money_key(NOUN, &old.key, "lost"),
        debit: Book::Adjustments,
        credit: Book::Available,
        amount,
        reason: Some(format!("the result of {job} was lost by the old shop {}", pass.options.shop)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_words_and_names_or_not_at_all() {
        assert_eq!(kind_of_word("image"), Some(MediaKind::Image));
        assert_eq!(kind_of_word("Text-to-Video"), Some(MediaKind::Video));
        assert_eq!(kind_of_word("music"), Some(MediaKind::Audio));
        assert_eq!(kind_of_word("hologram"), None);
        assert_eq!(kind_of_name("https://a/b.c/x.MP4?y=.png"), Some(MediaKind::Video));
        assert_eq!(kind_of_name("object:a/b"), None);
    }
}
