//! Observing: the record of the task is read, and only the record is believed.

use std::time::Duration;

use domain::{AssetRole, Attempt, Cause, Event, Job, JobState, Timestamp};
use store::{NewEntry, TaskSaved};
use url::Url;

use crate::{Lifecycle, Policy, ReadFailure, StepError, TaskRecord, TaskWord, old_model, pace};

/// Clocks of the provider and ours may differ by so much when a task is matched to an attempt by time.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(2);
/// Until a record that a callback names and that could not be read is asked for again.
pub(crate) const UNREAD_PAUSE: Duration = Duration::from_secs(15);
/// So many reads in a row must have failed, over a quarter of an hour, before a job whose time is over is given up unread.
const READS_FAILED: u32 = 6;

/// What is known of the task of a job that has none yet.
pub(crate) enum Known {
    /// The attempt with this number made it.
    Task(u16, String),
    /// A callback names one, and its record could not be read so far.
    Unread,
    Nothing,
}

/// Whether a callback's task is the attempt's.
#[derive(PartialEq, Eq)]
enum Adopted {
    Yes,
    No,
    /// Its record could not be read.
    Unread,
}

impl Lifecycle {
    /// One read of a running job.
    pub(crate) async fn observe(&self, job: &Job) -> Result<(), StepError> {
        let Some(task) = job.task_id.as_deref() else {
            // Cannot be by the moves; should a row say so, the attempts know the task.
            return self.follow_known_task(job).await.map(drop);
        };
        if job.attempts > 1 && job.hints > 0 {
            self.note_surplus(job).await?;
        }
        let gave_up = job.deadline_at.is_some_and(|deadline| deadline <= self.ids().now());
        let read = self.read(job, task).await;
        store::fail_point!("observe.read");
        match read {
            Ok(record) => match &record.word {
                TaskWord::Success if has_results(&record) => self.succeeded(job, &record).await,
                TaskWord::Success if gave_up => {
                    self.end(job, Event::RecordEmpty, "success without results").await
                }
                TaskWord::Success => self.empty(job).await,
                TaskWord::Fail { moderation, words } => {
                    let cause = if *moderation { Cause::Moderation } else { Cause::ProviderError };
                    self.end(job, Event::RecordFailed(cause), words).await
                }
                TaskWord::Working | TaskWord::Unknown if gave_up => {
                    self.end(job, Event::GaveUp, "the provider did not finish in time").await
                }
                TaskWord::Working | TaskWord::Unknown => self.read_again(job, &record).await,
            },
            // One read that fails after a long pause of ours decides nothing.
            Err(failure) if gave_up && (failure.is_final() || job.tries >= READS_FAILED) => {
                self.end(job, Event::GaveUp, &failure.to_string()).await
            }
            Err(failure) => self.read_failed(job, &failure).await,
        }
    }

    async fn read(&self, job: &Job, task: &str) -> Result<TaskRecord, ReadFailure> {
        let result = self.ports.provider.record(task, old_model(job)).await;
        match &result {
            Ok(record) => tracing::debug!(
                job = %job.id, account = %job.account, model = %job.model, task, word = %record.raw_word,
                request_id = %job.request_id, "record.read"
            ),
            Err(failure) => tracing::warn!(
                job = %job.id, account = %job.account, model = %job.model, task, error = %failure,
                request_id = %job.request_id, "record.failed"
            ),
        }
        result
    }

    /// After a resend the first attempt may turn out to have a task, too: it is kept as evidence, never charged, told.
    async fn note_surplus(&self, job: &Job) -> Result<(), StepError> {
        let attempts = self.store().attempts(job.id).await?;
        for callback in self.store().callbacks_with_task(job.id).await?.into_iter().take(4) {
            let attempt = attempts.iter().find(|one| one.number == callback.attempt && one.task_id.is_none());
            let (Some(attempt), Some(task)) = (attempt, callback.task_id) else { continue };
            if self.adopt(job, attempt, &task, callback.at).await? == Adopted::Yes {
                tracing::warn!(job = %job.id, task = %task, "task.surplus: the provider made a second task for this job");
                let entry =
                    NewEntry { source: "callback", event: "task.surplus", detail: Some(task), fold: None };
                self.store().note(job.id, &[entry], self.ids().now()).await?;
            }
        }
        Ok(())
    }

    async fn succeeded(&self, job: &Job, record: &TaskRecord) -> Result<(), StepError> {
        let mut draft = self.draft(job).moved(Event::RecordSuccess)?;
        draft.step.patch.cost = record.credits;
        let object = record.object.as_ref().filter(|_| record.outputs.is_empty()).map(crate::keep::data_url);
        let outputs = object.map_or_else(|| record.outputs.clone(), |url| vec![url]);
        draft.announce(AssetRole::Output, &outputs, self.vault());
        draft.announce(AssetRole::Extra, &record.extras, self.vault());
        draft.note(word_entry(record));
        self.write(&draft).await.map(drop)
    }

    /// Success without results is asked again for a while, then given up.
    async fn empty(&self, job: &Job) -> Result<(), StepError> {
        let mut draft = self.draft(job);
        let limit = self.after(Policy::EMPTY_AFTER);
        draft.step.patch.deadline_at = Some(job.deadline_at.map_or(limit, |deadline| deadline.min(limit)));
        draft.step.patch.wake_at = Some(self.next_read(job));
        draft.step.patch.hints = job.hints.saturating_sub(1);
        draft.note(NewEntry {
            source: "provider",
            event: "record.empty",
            detail: Some("success without results".to_owned()),
            fold: Some("record.empty".to_owned()),
        });
        self.write(&draft).await.map(drop)
    }

    async fn read_again(&self, job: &Job, record: &TaskRecord) -> Result<(), StepError> {
        if record.word == TaskWord::Unknown {
            tracing::error!(job = %job.id, model = %job.model, word = %record.raw_word, "record.unknown_word");
        }
        let mut draft = self.draft(job);
        draft.step.patch.wake_at = Some(self.next_read(job));
        draft.step.patch.hints = job.hints.saturating_sub(1);
        draft.step.patch.tries = 0;
        draft.step.patch.late = job.late || self.age(job.entered_at) > Policy::late_after(job.kind);
        draft.note(word_entry(record));
        self.write(&draft).await.map(drop)
    }

    async fn read_failed(&self, job: &Job, failure: &ReadFailure) -> Result<(), StepError> {
        let young = matches!(failure, ReadFailure::NotFound) && self.age(job.entered_at) < Policy::YOUNG;
        let mut draft = self.draft(job);
        draft.step.patch.hints = job.hints.saturating_sub(1);
        draft.step.patch.wake_at = Some(self.next_read(job));
        if !young {
            let slower = pace::backoff(job.tries, self.fraction());
            draft.step.patch.tries = job.tries.saturating_add(1);
            draft.step.patch.wake_at = draft.step.patch.wake_at.max(Some(self.after(slower)));
            draft.note(NewEntry {
                source: "provider",
                event: "record.failed",
                detail: Some(failure.to_string()),
                // Words may carry the id of a request, and differ at each read.
                fold: Some("record.failed".to_owned()),
            });
        }
        self.write(&draft).await.map(drop)
    }

    async fn end(&self, job: &Job, event: Event, words: &str) -> Result<(), StepError> {
        self.write(&self.draft(job).moved(event)?.words(words)).await.map(drop)
    }

    fn next_read(&self, job: &Job) -> Timestamp {
        self.after(pace::next_read(job.kind, self.age(job.entered_at), job.hints, self.fraction()))
    }

    fn age(&self, since: Timestamp) -> Duration {
        self.ids().now().duration_since(since).try_into().unwrap_or(Duration::ZERO)
    }

    /// A job that failed is still looked at: a late success becomes a gift, once.
    pub(crate) async fn observe_after_failure(&self, job: &Job) -> Result<(), StepError> {
        if job.gift || job.attempts == 0 {
            return self.write(&self.draft(job).wake_at(None)).await.map(drop);
        }
        let Some(task) = job.task_id.as_deref() else { return self.failed_without_task(job).await };
        match self.read(job, task).await {
            // Outputs are fixed once; those of this job were announced before and could not be had.
            Ok(record) if has_results(&record) && !self.store().assets_of(&[job.id]).await?.is_empty() => {
                self.write(&self.draft(job).wake_at(None)).await.map(drop)
            }
            Ok(record) if record.word == TaskWord::Success && has_results(&record) => {
                tracing::info!(job = %job.id, account = %job.account, task, "gift.found");
                self.succeeded(job, &record).await
            }
            Ok(TaskRecord { word: TaskWord::Fail { .. }, .. }) => {
                self.write(&self.draft(job).wake_at(None)).await.map(drop)
            }
            Ok(_) | Err(ReadFailure::NotFound) => self.look_tomorrow(job).await,
            Err(_) => self.look_soon(job).await,
        }
    }

    async fn failed_without_task(&self, job: &Job) -> Result<(), StepError> {
        match self.known_task(job).await? {
            Known::Task(number, task) => {
                let mut draft = self.draft(job).wake_at(Some(self.ids().now()));
                draft.step.task = Some((number, task));
                self.write(&draft).await.map(drop)
            }
            Known::Unread => self.look_soon(job).await,
            Known::Nothing => self.look_tomorrow(job).await,
        }
    }

    async fn look_tomorrow(&self, job: &Job) -> Result<(), StepError> {
        let tomorrow = self.after(Duration::from_hours(24));
        let wake_at = job.deadline_at.is_some_and(|deadline| tomorrow < deadline).then_some(tomorrow);
        let mut draft = self.draft(job).wake_at(wake_at);
        draft.step.patch.tries = 0;
        self.write(&draft).await.map(drop)
    }

    /// What woke a failed job may be a result; trouble of the provider does not put it off to the daily look at once.
    async fn look_soon(&self, job: &Job) -> Result<(), StepError> {
        const TRIES: u32 = 15;
        if job.tries >= TRIES {
            return self.look_tomorrow(job).await;
        }
        let mut draft = self.draft(job).wake_at(Some(self.after(pace::backoff(job.tries, self.fraction()))));
        draft.step.patch.tries = job.tries.saturating_add(1);
        self.write(&draft).await.map(drop)
    }

    /// An `unclear` job: a task id may have turned up; else the policy decides when its time has come.
    pub(crate) async fn clear_up(&self, job: &Job) -> Result<(), StepError> {
        let known = self.known_task(job).await?;
        let unread = matches!(known, Known::Unread);
        if let Known::Task(number, task) = known {
            return self.follow(job, number, task).await;
        }
        let now = self.ids().now();
        let release = self.policy.unclear_policy == crate::UnclearPolicy::Release;
        if release && job.deadline_at.is_some_and(|deadline| deadline <= now) {
            let words = "it never became known whether the provider has the task";
            let mut draft = self.draft(job).moved(Event::StayedUnclear)?.words(words);
            if unread {
                draft.step.patch.wake_at = Some(self.after(UNREAD_PAUSE));
            }
            return self.write(&draft).await.map(drop);
        }
        // A callback's record may not be readable yet; otherwise only a wake or the deadline brings news.
        let pause = if unread { UNREAD_PAUSE } else { Duration::from_hours(1) };
        let mut wake_at = self.after(pause);
        if let Some(deadline) = job.deadline_at.filter(|deadline| release && *deadline > now) {
            wake_at = wake_at.min(deadline);
        }
        self.write(&self.draft(job).wake_at(Some(wake_at))).await.map(drop)
    }

    /// Moves the job to `running` if the task of one of its attempts is known; whether it did.
    pub(crate) async fn follow_known_task(&self, job: &Job) -> Result<bool, StepError> {
        let Known::Task(number, task) = self.known_task(job).await? else { return Ok(false) };
        self.follow(job, number, task).await.map(|()| true)
    }

    pub(crate) async fn follow(&self, job: &Job, number: u16, task: String) -> Result<(), StepError> {
        tracing::info!(job = %job.id, account = %job.account, model = %job.model, task = %task, "task.found");
        let mut draft = self.draft(job);
        if job.state != JobState::Running {
            draft = draft.moved(Event::TaskFound)?;
        }
        draft.step.task = Some((number, task));
        self.write(&draft).await.map(drop)
    }

    pub(crate) async fn known_task(&self, job: &Job) -> Result<Known, StepError> {
        let attempts = self.store().attempts(job.id).await?;
        let first = |attempts: &[Attempt]| {
            attempts.iter().find_map(|one| one.task_id.clone().map(|task| Known::Task(one.number, task)))
        };
        if let Some(known) = first(&attempts) {
            return Ok(known);
        }
        let mut unread = false;
        for callback in self.store().callbacks_with_task(job.id).await?.into_iter().take(4) {
            let attempt = attempts.iter().find(|one| one.number == callback.attempt);
            let (Some(attempt), Some(task)) = (attempt, callback.task_id) else { continue };
            match self.adopt(job, attempt, &task, callback.at).await? {
                Adopted::Yes => return Ok(Known::Task(attempt.number, task)),
                Adopted::No => {}
                Adopted::Unread => unread = true,
            }
        }
        Ok(if unread { Known::Unread } else { Known::Nothing })
    }

    /// A callback's task id is adopted only if the record, read with our key, agrees that it is this attempt's.
    async fn adopt(
        &self,
        job: &Job,
        attempt: &Attempt,
        task: &str,
        told_at: Timestamp,
    ) -> Result<Adopted, StepError> {
        let record = match self.read(job, task).await {
            Ok(record) => record,
            // There is no such task: whoever told of it was wrong.
            Err(ReadFailure::NotFound | ReadFailure::Rejected(_)) if self.age(told_at) > Policy::YOUNG => {
                return Ok(Adopted::No);
            }
            Err(_) => return Ok(Adopted::Unread),
        };
        if !self.record_agrees(job, attempt, &record) {
            tracing::warn!(job = %job.id, task, "callback.disagrees");
            let entry = NewEntry {
                source: "callback",
                event: "callback.disagrees",
                detail: Some(format!("the record of {task} is not of this attempt")),
                fold: Some(format!("callback.disagrees:{task}")),
            };
            self.store().note(job.id, &[entry], self.ids().now()).await?;
            return Ok(Adopted::No);
        }
        store::fail_point!("adopt.read");
        let saved = self.store().save_task(job.id, attempt.number, task, self.ids().now()).await?;
        store::fail_point!("adopt.saved");
        Ok(if matches!(saved, TaskSaved::Saved | TaskSaved::Known) { Adopted::Yes } else { Adopted::No })
    }

    /// Where our callback address is shown, it decides: it carries a MAC of this attempt. Else model and time must agree.
    pub(crate) fn record_agrees(&self, job: &Job, attempt: &Attempt, record: &TaskRecord) -> bool {
        // Its token alone decides, as when it calls us: keys and our address may have changed since.
        let of_this_attempt = record.callback_url.as_deref().map(|url| {
            let token = url.split(['?', '#']).next().and_then(|path| path.rsplit('/').next());
            token.and_then(|token| self.keys.read_callback_token(token)) == Some((job.id, attempt.number))
        });
        let same_model = record.model.as_deref().map(|model| model == job.model);
        let in_time = record.created_at.map(|created| {
            let earliest = attempt.sent_at.saturating_sub(CLOCK_TOLERANCE).unwrap_or(attempt.sent_at);
            let latest = attempt.sent_at.saturating_add(self.policy.sending_lease() + CLOCK_TOLERANCE);
            (earliest..=latest.unwrap_or(attempt.sent_at)).contains(&created)
        });
        match of_this_attempt {
            Some(ours) => ours && same_model != Some(false),
            None => same_model == Some(true) && in_time == Some(true),
        }
    }

    /// The callback address of one attempt.
    pub(crate) fn callback_url(&self, job: domain::JobId, attempt: u16) -> Option<Url> {
        let base = self.policy.public_url.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/callbacks/kie/{}", self.keys.callback_token(job, attempt))).ok()
    }
}

fn has_results(record: &TaskRecord) -> bool {
    !record.outputs.is_empty() || record.object.is_some()
}

/// The provider's raw word, counted.
fn word_entry(record: &TaskRecord) -> NewEntry {
    let read = NewEntry {
        source: "provider",
        event: "record.read",
        detail: Some(record.raw_word.clone()),
        fold: Some(format!("record.read:{}", record.raw_word)),
    };
    if record.word != TaskWord::Unknown {
        return read;
    }
    // The overview looks for it by this name, `store::UNKNOWN_WORD`.
    let fold = Some(format!("record.unknown_word:{}", record.raw_word));
    NewEntry { event: "record.unknown_word", fold, ..read }
}
