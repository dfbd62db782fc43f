//! Buying: a pending job is committed to one attempt and sent once; what the answer means is written.

use std::time::Duration;

use domain::{Answer, Cause, Effect, Event, Job, JobState};
use store::{Began, BeginAttempt, Guard, NewEntry, Recorded};

use crate::observe::{Known, UNREAD_PAUSE};
use crate::{CreateFailure, Lifecycle, Policy, StepError, UploadError, pace, step::Draft};

impl Lifecycle {
    pub(crate) async fn buy(&self, job: &Job) -> Result<(), StepError> {
        let in_time = job.deadline_at.is_none_or(|deadline| deadline > self.ids().now());
        if job.attempts > 0 {
            // A resend was ordered, but the first task may have turned up meanwhile.
            match self.known_task(job).await? {
                Known::Task(number, task) => return self.follow(job, number, task).await,
                Known::Unread if in_time => {
                    let draft = self.draft(job).wake_at(Some(self.after(UNREAD_PAUSE)));
                    return self.write(&draft).await.map(drop);
                }
                Known::Unread | Known::Nothing => {}
            }
        }
        if !in_time {
            return self.waited_too_long(job).await;
        }
        let input = match self.input_for_provider(job).await {
            Ok(input) => input,
            Err(error) => return self.cannot_upload(job, error).await,
        };
        let number = job.attempts.saturating_add(1);
        store::fail_point!("buy.ready");
        match self.begin(job, number).await? {
            Began::Stale => Ok(()),
            Began::NoSlot(at) => self.write(&self.draft(job).wake_at(Some(at))).await.map(drop),
            Began::Committed => self.send(job, number, &input).await,
        }
    }

    async fn waited_too_long(&self, job: &Job) -> Result<(), StepError> {
        let blocked = self.store().breaker().await?.is_some();
        let cause = if blocked { Cause::ProviderBalance } else { Cause::Expired };
        let draft = self.draft(job).moved(Event::WaitedTooLong(cause))?;
        self.write(&draft.words("it could not be sent in time")).await.map(drop)
    }

    async fn cannot_upload(&self, job: &Job, error: UploadError) -> Result<(), StepError> {
        match error {
            UploadError::Store(error) => Err(error.into()),
            UploadError::Later(words) => self.postpone(job, &words).await,
        }
    }

    async fn begin(&self, job: &Job, number: u16) -> Result<Began, StepError> {
        let begin = BeginAttempt {
            job: job.id,
            account: job.account,
            guard: Guard::claimed(job),
            at: self.ids().now(),
            lease_until: self.after(self.policy.sending_lease()),
            number,
            slots: self.policy.create_slots,
            slot_free_at: self.after(Policy::SLOT_WINDOW),
            next_trial_at: self.after(Policy::TRIAL_EVERY),
            timeline: vec![NewEntry {
                source: "worker",
                event: "create.sent",
                detail: Some(format!("attempt {number}")),
                fold: None,
            }],
        };
        Ok(self.store().begin_attempt(&begin).await?)
    }

    async fn send(&self, job: &Job, number: u16, input: &serde_json::Value) -> Result<(), StepError> {
        store::fail_point!("buy.committed");
        let callback = self.policy.callbacks.then(|| self.callback_url(job.id, number)).flatten();
        tracing::debug!(job = %job.id, attempt = number, input = %input, "create.input");
        let outcome = self.ports.provider.create_task(&job.model, input, callback.as_ref()).await;
        store::fail_point!("buy.answered", if outcome.is_ok() { "accepted" } else { "refused" });
        let mut sent = job.clone();
        sent.state = JobState::Submitting;
        sent.attempts = number;
        match outcome {
            Ok(task_id) => self.accepted(&sent, number, task_id).await,
            Err(failure) => self.refused(&sent, number, failure).await,
        }
    }

    async fn accepted(&self, job: &Job, number: u16, task_id: String) -> Result<(), StepError> {
        tracing::info!(
            job = %job.id, account = %job.account, model = %job.model, task = %task_id, attempt = number,
            request_id = %job.request_id, "create.accepted"
        );
        let mut draft = self.draft(job).moved(Event::Answered(Answer::Accepted))?;
        draft.step.answer = Some((number, "accepted".to_owned()));
        draft.step.task = Some((number, task_id.clone()));
        // The first read follows the pace of the kind, not the moment of creation.
        let first_read = pace::next_read(job.kind, Duration::ZERO, 0, self.fraction());
        draft.step.patch.wake_at = Some(self.after(first_read));
        let recorded = self.write_patiently(&draft).await;
        if !matches!(recorded, Ok(Recorded::Applied)) {
            // Someone else holds the job by now, or the write failed; the id is evidence and is saved whoever holds it.
            self.save_task_patiently(job, number, &task_id).await?;
        }
        store::fail_point!("buy.saved");
        if let Ok(true) = self.store().close_breaker().await {
            tracing::info!("breaker.closed");
        }
        store::fail_point!("buy.trusted");
        self.forget_refusals(&job.model).await?;
        recorded.map(drop)
    }

    async fn write_patiently(&self, draft: &Draft<'_>) -> Result<Recorded, StepError> {
        self.patiently(draft.job, || self.write(draft)).await
    }

    /// Evidence: it is saved whoever holds the job by now.
    async fn save_task_patiently(&self, job: &Job, number: u16, task: &str) -> Result<(), StepError> {
        let save = || async { Ok(self.store().save_task(job.id, number, task, self.ids().now()).await?) };
        self.patiently(job, save).await.map(drop)
    }

    /// The answer to a paid call is worth waiting for a database that is away, for as long as the sending may last; what
    /// is still not written after that becomes `unclear` when the lease ends, which is safe but slow.
    async fn patiently<T, F>(&self, job: &Job, write: impl Fn() -> F) -> Result<T, StepError>
    where
        F: Future<Output = Result<T, StepError>>,
    {
        let pauses =
            [200, 1000, 3000].into_iter().chain(std::iter::repeat(10_000)).map(Duration::from_millis);
        let mut waited = Duration::ZERO;
        for pause in pauses {
            match write().await {
                Err(StepError::Store(error))
                    if error.is_unavailable() && waited < self.policy.sending_lease() =>
                {
                    tracing::warn!(job = %job.id, error = &error as &dyn std::error::Error, "step.not_written");
                    tokio::time::sleep(pause).await;
                    waited = waited.saturating_add(pause);
                }
                outcome => return outcome,
            }
        }
        write().await
    }

    async fn refused(&self, job: &Job, number: u16, failure: CreateFailure) -> Result<(), StepError> {
        tracing::warn!(
            job = %job.id, account = %job.account, model = %job.model, attempt = number, answer = ?failure.answer,
            words = %failure.words, request_id = %job.request_id, "create.refused"
        );
        let mut draft = self.draft(job).moved(Event::Answered(failure.answer))?.words(failure.words.clone());
        // An attempt without an answer is one whose outcome nobody knows.
        draft.step.answer = (failure.answer != Answer::Unknown).then(|| (number, failure.words.clone()));
        if draft.step.patch.state == JobState::Pending {
            draft.step.patch.tries = job.tries.saturating_add(1);
            let again = self.after(pace::backoff(job.tries, self.fraction()));
            draft.step.patch.wake_at = Some(job.deadline_at.map_or(again, |deadline| again.min(deadline)));
            // How long it may wait counts from the order, not from the last refusal.
            draft.step.patch.deadline_at = job.deadline_at;
        }
        draft.note(NewEntry {
            source: "provider",
            event: "create.refused",
            detail: Some(failure.words.clone()),
            fold: Some(format!("create.refused:{}", failure.words)),
        });
        let effects =
            [Effect::PushSlotsBack, Effect::OpenBreaker, Effect::CountRefusal].map(|e| draft.has(e));
        if let Some(task) = &failure.task_id {
            // Before the state that allows another purchase.
            self.save_task_patiently(job, number, task).await?;
        }
        self.write_patiently(&draft).await?;
        store::fail_point!("buy.refused");
        if failure.answer == Answer::Refused(Cause::InvalidInput) {
            self.distrust_copies(job).await?;
        }
        self.after_refusal(job, &failure.words, effects).await
    }

    /// What all jobs share is written after the job's own step: losing it costs one more refusal, never money.
    async fn after_refusal(
        &self,
        job: &Job,
        words: &str,
        [push_slots, open_breaker, count]: [bool; 3],
    ) -> Result<(), StepError> {
        if push_slots {
            // The job has its own backoff; the others may try again in the provider's next window.
            self.store().push_slots_back(self.after(Policy::SLOT_WINDOW)).await?;
            store::fail_point!("refusal.pushed");
        }
        if open_breaker {
            let next_trial = self.after(Policy::TRIAL_EVERY);
            if self.store().open_breaker(words, self.ids().now(), next_trial).await? {
                tracing::error!(
                    words,
                    "breaker.opened: the provider refuses our account; top it up or check the key"
                );
            }
            store::fail_point!("refusal.blocked");
        }
        if count {
            let at = self.ids().now();
            let health = self.store().count_refusal(&job.model, Policy::REFUSALS_OFF_SALE, at).await?;
            store::fail_point!("refusal.counted");
            if health.off_since.is_some() {
                tracing::error!(model = %job.model, words, "model.off_sale: the provider refuses the model");
                self.offers.refresh(self.store(), at).await?;
            }
        }
        Ok(())
    }

    async fn forget_refusals(&self, model: &str) -> Result<(), StepError> {
        Ok(self.store().clear_refusals(model).await?)
    }

    /// Found `submitting` with its lease over: the sender died, or hangs.
    pub(crate) async fn sender_lost(&self, job: &Job) -> Result<(), StepError> {
        if self.follow_known_task(job).await? {
            return Ok(());
        }
        tracing::warn!(job = %job.id, account = %job.account, model = %job.model, "create.unclear");
        self.write(&self.draft(job).moved(Event::SenderLost)?).await.map(drop)
    }
}
