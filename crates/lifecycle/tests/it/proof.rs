//! What must be true after every story: the audit's invariants, and those that only the provider's side can show.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Delivery, DeliveryId, DeliveryState, Job, JobId, JobState, Scope};
use store::{AssetStore, DeliveryStore, JobFilter, JobStore, ReportStore};

use crate::files::file_at;
use crate::kie::Create;
use crate::shelf::KEPT;
use crate::world::World;

/// More rows than any story makes.
const ROWS: u32 = 1000;

impl World {
    /// Which attempt a createTask was of, by the callback address that it named.
    pub(crate) fn attempt_of(&self, create: &Create) -> (JobId, u16) {
        let token = create.callback.as_ref().unwrap().path_segments().unwrap().next_back().unwrap();
        self.life.keys().read_callback_token(token).unwrap()
    }

    /// Proves the invariants; anything found is a failure.
    pub(crate) async fn prove(&self) {
        let findings = self.store.audit(self.now()).await.unwrap();
        assert_eq!(findings, [], "the audit of the books");
        let filter = JobFilter { with_hidden: true, limit: ROWS, ..JobFilter::default() };
        let jobs = self.store.list_jobs(&filter).await.unwrap();
        let mut creates: BTreeMap<(JobId, u16), Create> = BTreeMap::new();
        for create in self.kie.creates() {
            let attempt = self.attempt_of(&create);
            assert!(creates.insert(attempt, create).is_none(), "attempt {attempt:?} was sent twice");
        }
        assert!(self.kie.tasks().len() <= creates.len(), "more tasks than attempts that were sent");
        let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
        let deliveries = self.store.deliveries_of(&ids).await.unwrap();
        let heard = self.ears.heard();
        let taken: BTreeSet<DeliveryId> = heard.iter().filter(|one| one.taken).map(|one| one.id).collect();
        for job in &jobs {
            self.prove_job(job, &creates).await;
            prove_told(job, deliveries.iter().filter(|row| row.job == job.id), &taken);
        }
        self.prove_objects().await;
    }

    async fn prove_job(&self, job: &Job, creates: &BTreeMap<(JobId, u16), Create>) {
        let attempts = self.attempts(job.id).await;
        let sent: Vec<(u16, &Create)> = creates
            .range((job.id, 0)..=(job.id, u16::MAX))
            .map(|((_, number), create)| (*number, create))
            .collect();
        for (number, create) in &sent {
            assert_eq!(create.model, job.model);
            self.prove_input(job, create).await;
            let row = attempts.iter().find(|attempt| attempt.number == *number);
            assert!(
                row.is_some_and(|row| row.sent_at <= create.at),
                "{}: attempt {number} was not committed",
                job.id
            );
        }
        // A further attempt needs an order, or the provider's own word that nothing came of the one before.
        let orders =
            self.history(job.id).await.iter().filter(|(_, words)| words.starts_with("resend:")).count();
        let doubtful = sent.iter().rev().skip(1).filter(|(_, create)| !create.refused).count();
        let unsent = attempts.len().saturating_sub(sent.len());
        assert!(doubtful <= orders, "{}: {doubtful} repeated without an order ({unsent} never sent)", job.id);
        let known: BTreeSet<&str> =
            attempts.iter().filter_map(|attempt| attempt.task_id.as_deref()).collect();
        for (number, create) in &sent {
            let Some(task) = create.task.as_deref().filter(|task| !known.contains(task)) else { continue };
            let open = matches!(job.state, JobState::Unclear | JobState::Submitting | JobState::Pending);
            let decided = orders > 0 || job.state == JobState::Failed;
            assert!(
                open || decided,
                "{}: {task} of attempt {number} is unknown while it is {}",
                job.id,
                job.state
            );
        }
        if job.state.is_final() {
            assert_eq!(job.captured.plus(job.released).unwrap(), job.held, "{}", job.id);
        }
    }

    /// What was sent is what was ordered; in place of the customer's own file there is a living copy of it.
    async fn prove_input(&self, job: &Job, create: &Create) {
        let mut expected = job.input.clone();
        if let Some(file) = job.input["image_url"].as_str().and_then(file_at) {
            let sent = &create.input["image_url"];
            let copy = self.kie.uploads().into_iter().find(|upload| *sent == upload.url);
            let copy = copy.unwrap_or_else(|| panic!("{}: {sent} was never uploaded", job.id));
            let scope = Scope::Account(job.account);
            let file = self.store.find_asset(file, scope).await.unwrap().unwrap();
            assert_eq!(copy.name, file.object.replace('/', "-"), "{}: another file", job.id);
            assert!(
                create.at < copy.at + KEPT,
                "{}: a copy of {} was sent at {}",
                job.id,
                copy.at,
                create.at
            );
            expected["image_url"] = sent.clone();
        }
        assert_eq!(create.input, expected, "{}", job.id);
    }

    /// Every object has a row, every stored row its object.
    async fn prove_objects(&self) {
        let objects: BTreeSet<String> = self.cabinet.objects().into_iter().collect();
        let rows = self.store.list_stored_assets(Scope::All, None, ROWS).await.unwrap();
        for row in &rows {
            assert!(objects.contains(&row.object), "{} is not there: {row:?}", row.object);
        }
        let known: BTreeSet<&str> = rows.iter().map(|row| row.object.as_str()).collect();
        for object in objects.iter().filter(|object| !known.contains(object.as_str())) {
            // Of a copy that is being made, or was given up.
            let row = self.store.find_asset_by_object(object).await.unwrap();
            assert!(row.is_some(), "nobody knows {object}");
        }
    }
}

/// Whoever asked to be told of an end is told, or is going to be, once per event.
fn prove_told<'a>(job: &Job, rows: impl Iterator<Item = &'a Delivery>, taken: &BTreeSet<DeliveryId>) {
    let rows: Vec<&Delivery> = rows.collect();
    let events: BTreeSet<&str> = rows.iter().map(|row| row.event.as_str()).collect();
    assert_eq!(events.len(), rows.len(), "{}: told twice of one event", job.id);
    let expected = match job.state {
        JobState::Done if job.gift => vec!["job.done", "job.failed"],
        JobState::Done => vec!["job.done"],
        JobState::Failed => vec!["job.failed"],
        JobState::Storing if job.gift => vec!["job.failed"],
        _ => vec![],
    };
    if !job.recipients.is_empty() {
        assert_eq!(events.into_iter().collect::<Vec<_>>(), expected, "{} is {}", job.id, job.state);
    }
    for row in rows.into_iter().filter(|row| row.state == DeliveryState::Done) {
        assert!(taken.contains(&row.id), "{}: nobody took {}", job.id, row.id);
    }
}
