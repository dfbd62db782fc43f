//! Making one step: the move by the transition function, and everything that is written with it.

use std::time::Duration;

use domain::{
    AssetId, AssetRole, Cause, DeliveryId, Effect, Event, Job, JobState, Move, Refused, Timestamp, transition,
};
use ledger::Ids;
use store::{Guard, JobPatch, NewAsset, NewDelivery, NewEntry, Recorded, Step};

use crate::{Lifecycle, Policy, StepError, Vault};

/// A step in the making.
pub(crate) struct Draft<'a> {
    pub(crate) job: &'a Job,
    pub(crate) step: Step,
    effects: Vec<Effect>,
    source: &'static str,
    ids: Ids,
    pending_after: Duration,
    unclear_after: Duration,
    give_up: Duration,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(job: &'a Job, ids: Ids, policy: &Policy) -> Self {
        let step = Step {
            job: job.id,
            account: job.account,
            guard: Guard::claimed(job),
            at: ids.now(),
            patch: JobPatch::keep(job, job.wake_at),
            answer: None,
            task: None,
            transfers: Vec::new(),
            assets: Vec::new(),
            deliveries: Vec::new(),
            timeline: Vec::new(),
            open_jobs: None,
        };
        Self {
            job,
            step,
            effects: Vec::new(),
            source: "worker",
            ids,
            pending_after: policy.pending_after,
            unclear_after: policy.unclear_after,
            give_up: policy.give_up.of(job.kind),
        }
    }

    /// For an act of a person, who holds no lease: only the state must still be true.
    pub(crate) fn unclaimed(mut self) -> Self {
        self.step.guard = Guard::read(self.job);
        self
    }

    pub(crate) fn source(mut self, source: &'static str) -> Self {
        self.source = source;
        for entry in &mut self.step.timeline {
            entry.source = source;
        }
        self
    }

    pub(crate) fn wake_at(mut self, at: Option<Timestamp>) -> Self {
        self.step.patch.wake_at = at;
        self
    }

    pub(crate) fn note(&mut self, entry: NewEntry) {
        self.step.timeline.push(entry);
    }

    pub(crate) fn words(mut self, words: impl Into<String>) -> Self {
        self.step.patch.failure = Some(words.into());
        self
    }

    pub(crate) fn has(&self, effect: Effect) -> bool {
        self.effects.contains(&effect)
    }

    /// Applies an event: state, deadline, money (but for a capture), deliveries and the line of history.
    pub(crate) fn moved(mut self, event: Event) -> Result<Self, Refused> {
        let Move { to, cause, effects } = transition(self.job.state, self.job.gift, event)?;
        let now = self.step.at;
        let patch = &mut self.step.patch;
        patch.state = to;
        patch.cause = cause.or(patch.cause);
        patch.tries = 0;
        patch.hints = 0;
        patch.deadline_at = None;
        patch.wake_at = None;
        self.enter(to, now);
        for &effect in &effects {
            self.apply(effect, now);
        }
        let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        self.step.timeline.push(NewEntry {
            source: self.source,
            event: "job.moved",
            detail: Some(format!("{} → {to}{cause}", self.job.state)),
            fold: None,
        });
        self.effects = effects;
        Ok(self)
    }

    fn enter(&mut self, to: JobState, now: Timestamp) {
        let after = |delay| now.saturating_add(delay).ok().map(domain::to_micros);
        let (wake_at, deadline_at) = match to {
            JobState::Pending => (Some(now), after(self.pending_after)),
            JobState::Unclear => (Some(now), after(self.unclear_after)),
            JobState::Running => (Some(now), after(self.give_up)),
            JobState::Storing => (Some(now), after(Policy::RETENTION)),
            // A late success is looked for once a day until the provider forgets the task.
            JobState::Failed if self.may_succeed_late() => {
                (after(Duration::from_hours(24)), after(Policy::RETENTION))
            }
            JobState::Failed => (None, after(Policy::RETENTION)),
            JobState::Draft | JobState::Submitting | JobState::Done | JobState::Canceled => (None, None),
        };
        self.step.patch.wake_at = wake_at;
        self.step.patch.deadline_at = deadline_at;
    }

    /// Whether the provider may still finish what we gave up. Where it said itself that it failed, only a callback
    /// makes us look again.
    fn may_succeed_late(&self) -> bool {
        let given_up = matches!(
            self.step.patch.cause,
            Some(Cause::Expired | Cause::Unclear | Cause::Operator | Cause::ProviderError)
        );
        given_up && self.job.attempts > 0
    }

    fn apply(&mut self, effect: Effect, now: Timestamp) {
        let job = self.job;
        match effect {
            Effect::Hold => {
                let hold = ledger::hold(job.id, job.account, job.price, now, &*self.ids.chance);
                self.step.transfers.extend(hold);
            }
            Effect::Release => {
                let release = ledger::release(job.id, job.account, job.held, now, &*self.ids.chance);
                self.step.transfers.extend(release);
            }
            Effect::MarkGift => self.step.patch.gift = true,
            Effect::Deliver(event) => {
                let owed = job.recipients.iter().map(|recipient| NewDelivery {
                    id: DeliveryId::generate(now, &*self.ids.chance),
                    channel: recipient.channel(),
                    address: recipient.address(),
                    event,
                });
                self.step.deliveries.extend(owed);
            }
            // Written by those who know the numbers, or after the commit because all jobs share them.
            Effect::Capture
            | Effect::FixOutputs
            | Effect::OpenAttempt
            | Effect::PushSlotsBack
            | Effect::OpenBreaker
            | Effect::CountRefusal => {}
        }
    }

    /// Announces the job's outputs: their rows are written before their objects.
    pub(crate) fn announce(&mut self, role: AssetRole, sources: &[String], vault: &dyn Vault) {
        let job = self.job;
        for (index, source) in (0_u16..).zip(sources) {
            let id = AssetId::generate(self.step.at, &*self.ids.chance);
            self.step.assets.push(NewAsset {
                id,
                account: job.account,
                job: Some(job.id),
                index,
                role,
                kind: job.kind,
                source_url: Some(source.clone()),
                object: vault.object_name(job.account, job.kind, role, id),
            });
        }
    }
}

impl Lifecycle {
    /// Commits a step and tells the log what moved.
    pub(crate) async fn write(&self, draft: &Draft<'_>) -> Result<Recorded, StepError> {
        store::fail_point!("step.made", draft.step.patch.state);
        let recorded = self.store().record(&draft.step).await?;
        store::fail_point!("step.recorded", draft.step.patch.state);
        match recorded {
            Recorded::Applied => log_step(draft.job, &draft.step),
            Recorded::Stale => {
                tracing::debug!(job = %draft.job.id, state = %draft.job.state, "step.stale");
            }
        }
        Ok(recorded)
    }
}

fn log_step(job: &Job, step: &Step) {
    let request_id = &*job.request_id;
    for transfer in &step.transfers {
        let event = match transfer.kind {
            domain::TransferKind::Hold => "hold.placed",
            domain::TransferKind::Capture => "hold.captured",
            domain::TransferKind::Release => "hold.released",
            domain::TransferKind::Topup
            | domain::TransferKind::Refund
            | domain::TransferKind::Reversal
            | domain::TransferKind::Adjust => "transfer.written",
        };
        tracing::info!(
            job = %job.id, account = %job.account, model = %job.model, amount = transfer.amount.minor(), request_id,
            "{event}"
        );
    }
    if step.patch.state == job.state {
        return;
    }
    let task = step.task.as_ref().map_or(job.task_id.as_deref(), |(_, task)| Some(task.as_str()));
    let event = match step.patch.state {
        JobState::Done | JobState::Failed | JobState::Canceled => "job.settled",
        JobState::Draft
        | JobState::Pending
        | JobState::Submitting
        | JobState::Unclear
        | JobState::Running
        | JobState::Storing => "job.moved",
    };
    tracing::info!(
        job = %job.id, account = %job.account, model = %job.model, task, from = %job.state, to = %step.patch.state,
        cause = step.patch.cause.map(domain::Cause::as_str), gift = step.patch.gift, request_id, "{event}"
    );
}
