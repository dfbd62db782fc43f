//! What must be true after every story: the audit's invariants, and those that only the provider's side can show.

use std::collections::{BTreeMap, BTreeSet};

use domain::{AssetState, DeliveryState, Job, JobId, JobState};
use store::{DeliveryStore, JobFilter, JobStore, ReportStore};

use crate::kie::Create;
use crate::world::World;

impl World {
    /// Proves the invariants; anything found is a failure.
    pub(crate) async fn prove(&self) {
        let findings = self.store.audit(self.now()).await.unwrap();
        assert_eq!(findings, [], "the audit of the books");
        let filter = JobFilter { with_hidden: true, limit: 1000, ..JobFilter::default() };
        let jobs = self.store.list_jobs(&filter).await.unwrap();
        let mut creates: BTreeMap<(JobId, u16), Create> = BTreeMap::new();
        for create in self.kie.creates() {
            let url = create.callback.clone().unwrap();
            let token = url.path_segments().unwrap().next_back().unwrap().to_owned();
            let attempt = self.life.keys().read_callback_token(&token).unwrap();
            assert!(creates.insert(attempt, create).is_none(), "attempt {attempt:?} was sent twice");
        }
        for job in &jobs {
            self.prove_job(job, &creates).await;
        }
        self.prove_objects(&jobs).await;
    }

    async fn prove_job(&self, job: &Job, creates: &BTreeMap<(JobId, u16), Create>) {
        let attempts = self.attempts(job.id).await;
        let sent: Vec<(u16, &Create)> = creates
            .range((job.id, 0)..=(job.id, u16::MAX))
            .map(|((_, number), create)| (*number, create))
            .collect();
        for (number, create) in &sent {
            assert_eq!(create.model, job.model);
            let row = attempts.iter().find(|attempt| attempt.number == *number);
            assert!(
                row.is_some_and(|row| row.sent_at <= create.at),
                "{}: attempt {number} was not committed",
                job.id
            );
        }
        // A further attempt needs an order, or the provider's own word that nothing came of the one before.
        let orders =
            self.history(job.id).await.iter().filter(|(_, words)| words.starts_with("ResendOrdered")).count();
        let doubtful = sent.iter().rev().skip(1).filter(|(_, create)| !create.refused).count();
        let unsent = attempts.len().saturating_sub(sent.len());
        assert!(doubtful <= orders, "{}: {doubtful} repeated without an order ({unsent} never sent)", job.id);
        let known: BTreeSet<&str> =
            attempts.iter().filter_map(|attempt| attempt.task_id.as_deref()).collect();
        for (number, create) in &sent {
            let Some(task) = create.task.as_deref().filter(|task| !known.contains(task)) else { continue };
            let open = matches!(job.state, JobState::Unclear | JobState::Submitting | JobState::Pending);
            let decided = orders > 0 || matches!(job.state, JobState::Failed | JobState::Canceled);
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
        self.prove_told(job).await;
    }

    /// Whoever asked to be told of an end is told, or is going to be, once per event.
    async fn prove_told(&self, job: &Job) {
        let rows = self.store.deliveries_of(&[job.id]).await.unwrap();
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
        for row in rows.iter().filter(|row| row.state == DeliveryState::Done) {
            let taken = self.ears.heard().iter().any(|heard| heard.id == row.id && heard.taken);
            assert!(taken, "{}: nobody took {}", job.id, row.id);
        }
    }

    /// Every object has a row, every stored output its object.
    async fn prove_objects(&self, jobs: &[Job]) {
        let objects: BTreeSet<String> = self.cabinet.objects().into_iter().collect();
        let mut rows = BTreeSet::new();
        for job in jobs {
            for asset in self.assets(job.id).await {
                if asset.state == AssetState::Stored && asset.deleted_at.is_none() {
                    assert!(objects.contains(&asset.object), "{}: {} is not there", job.id, asset.object);
                }
                rows.insert(asset.object);
            }
        }
        let strangers: Vec<_> =
            objects.iter().filter(|object| !rows.contains(*object) && !object.contains("upload")).collect();
        assert!(strangers.is_empty(), "{strangers:?}");
    }
}
