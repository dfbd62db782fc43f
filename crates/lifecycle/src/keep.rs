//! Keeping: every output is copied into our storage and checked; then the money is captured.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::{Asset, AssetRole, AssetState, Effect, Event, Job, MediaKind, Stored};
use serde_json::Value;
use store::NewEntry;

use crate::{KeepError, Kept, Lifecycle, OBJECT, StepError, old_model, pace};

/// Until a job looks again for room among those who copy.
const ROOM_PAUSE: Duration = Duration::from_secs(2);
const JSON_DATA: &str = "data:application/json;base64,";

/// A text model's answer as an address that carries it: it is stored as one JSON output.
pub(crate) fn data_url(object: &Value) -> String {
    format!("{JSON_DATA}{}", STANDARD.encode(object.to_string()))
}

/// What became of one try of one asset.
enum Tried {
    Ended,
    /// To be tried again; tries that count against it, none if the trouble is ours.
    Again {
        tries: u32,
    },
    /// The claim is lost: another worker has the job.
    Stale,
}

/// What must come. A cover of a song is a picture, so extras may be of any kind.
fn kind_of(asset: &Asset) -> Option<MediaKind> {
    (asset.role == AssetRole::Output).then_some(asset.kind)
}

/// Whether the asset is an object that was in our storage before.
pub(crate) fn is_adopted(asset: &Asset) -> bool {
    asset.source_url.as_deref().is_some_and(|source| source.starts_with(OBJECT))
}

/// Whose fault a failed try is.
enum Fault<'a> {
    /// Not the output's: trouble of our storage, or of the way to the source. It never counts against the output.
    Passing,
    /// The source's; the record may name another address by now.
    Theirs { moved: Option<&'a str> },
}

/// What came of asking the provider for other links to an output.
pub(crate) struct OtherLinks {
    /// What the last link gave; nothing if there is none.
    pub(crate) outcome: Option<Result<Kept, KeepError>>,
    /// Where the record says now that the result is, if that is somewhere else.
    moved: Option<String>,
    /// The provider could not be asked for all of them: nothing is lost yet.
    pub(crate) unasked: bool,
    /// Every link that was tried is dead; so it is if there was none to try.
    pub(crate) all_dead: bool,
}

impl OtherLinks {
    fn tried(&mut self, outcome: Result<Kept, KeepError>) {
        self.all_dead &= matches!(outcome, Err(KeepError::Gone(_)));
        self.outcome = Some(outcome);
    }
}

impl Lifecycle {
    pub(crate) async fn keep(&self, job: &Job) -> Result<(), StepError> {
        if !self.ports.vault.has_room() {
            return self.write(&self.draft(job).wake_at(Some(self.after(ROOM_PAUSE)))).await.map(drop);
        }
        let assets = self.store().assets_of(&[job.id]).await?;
        let mut again = None;
        for asset in assets.iter().filter(|asset| asset.state == AssetState::Pending) {
            match self.keep_asset(job, asset, again.is_some()).await? {
                Tried::Ended => {}
                Tried::Again { tries } => again = again.max(Some(tries)),
                Tried::Stale => return Ok(()),
            }
        }
        let Some(tries) = again else { return self.settle(job).await };
        let delay = match tries {
            // Only our own storage had trouble.
            0 => pace::backoff(job.tries, self.fraction()),
            tries => pace::next_copy(tries, self.fraction()),
        };
        let mut draft = self.draft(job).wake_at(Some(self.after(delay)));
        draft.step.patch.tries = job.tries.saturating_add(1);
        self.write(&draft).await.map(drop)
    }

    /// `waiting`: whether the job has to wait for an earlier asset anyway; outputs come before extras.
    async fn keep_asset(&self, job: &Job, asset: &Asset, waiting: bool) -> Result<Tried, StepError> {
        store::fail_point!("keep.begun");
        let error = match self.fetch(asset).await {
            Ok(kept) => return self.kept(job, asset, &kept).await,
            Err(error) => error,
        };
        tracing::warn!(
            job = %job.id, account = %job.account, model = %job.model, asset = %asset.id, tries = asset.tries,
            error = %error, request_id = %job.request_id, "output.failed"
        );
        let out_of_time = job.deadline_at.is_some_and(|deadline| deadline <= self.ids().now());
        match error {
            KeepError::Storage(words) if !out_of_time && (waiting || asset.role != AssetRole::Extra) => {
                tracing::error!(error = %words, "storage.trouble: outputs wait until our storage takes them");
                self.failed(job, asset, &words, Fault::Passing).await
            }
            KeepError::Blocked(words) => self.lost(job, asset, (&words, asset.source_url.is_some())).await,
            KeepError::Storage(words) => self.lost(job, asset, (&words, false)).await,
            // What is neither priced nor counted does not hold the job up.
            error if asset.role == AssetRole::Extra => {
                self.lost(job, asset, (&error.to_string(), false)).await
            }
            error => {
                let links = self.fetch_anew(job, asset).await;
                match links.outcome {
                    Some(Ok(kept)) => return self.kept(job, asset, &kept).await,
                    // Another link lives; what refuses its bytes is our own storage.
                    Some(Err(KeepError::Storage(words))) if !out_of_time => {
                        return self.failed(job, asset, &words, Fault::Passing).await;
                    }
                    Some(Err(_)) | None => {}
                }
                let passing = links.unasked || matches!(error, KeepError::Source(_));
                if out_of_time || (!passing && self.is_given_up(asset)) {
                    return self.lost(job, asset, (&error.to_string(), false)).await;
                }
                let fault =
                    if passing { Fault::Passing } else { Fault::Theirs { moved: links.moved.as_deref() } };
                self.failed(job, asset, &error.to_string(), fault).await
            }
        }
    }

    pub(crate) async fn fetch(&self, asset: &Asset) -> Result<Kept, KeepError> {
        let Some(source) = asset.source_url.as_deref() else {
            return Err(KeepError::Blocked("there is no address to fetch from".to_owned()));
        };
        if source.starts_with(OBJECT) {
            return self.ports.vault.adopt(&asset.object, kind_of(asset)).await;
        }
        let Some(encoded) = source.strip_prefix(JSON_DATA) else {
            return self.ports.vault.copy(source, &asset.object, kind_of(asset)).await;
        };
        let bytes = STANDARD.decode(encoded).map_err(|error| KeepError::Unusable(error.to_string()))?;
        self.ports.vault.write(&asset.object, "application/json", Bytes::from(bytes)).await
    }

    /// A dead link is renewed: by the record of an output, which may name another, else by a fresh download link.
    pub(crate) async fn fetch_anew(&self, job: &Job, asset: &Asset) -> OtherLinks {
        let mut links = OtherLinks { outcome: None, moved: None, unasked: false, all_dead: true };
        if is_adopted(asset) {
            // Nothing is written over an object that an old shop may still serve.
            return links;
        }
        if let (AssetRole::Output, Some(task)) = (asset.role, job.task_id.as_deref()) {
            match self.ports.provider.record(task, old_model(job)).await {
                Ok(record) => {
                    let now = record.outputs.into_iter().nth(usize::from(asset.index));
                    links.moved = now.filter(|now| Some(now) != asset.source_url.as_ref());
                }
                Err(failure) => links.unasked = !failure.is_final(),
            }
        }
        if let Some(url) = &links.moved {
            let tried = self.ports.vault.copy(url, &asset.object, kind_of(asset)).await;
            let ends = matches!(tried, Ok(_) | Err(KeepError::Storage(_)));
            links.tried(tried);
            if ends {
                return links;
            }
        }
        let Some(source) = links.moved.as_deref().or(asset.source_url.as_deref()) else { return links };
        match self.ports.provider.download_url(source).await {
            Ok(fresh) => {
                links.tried(self.ports.vault.copy(&fresh, &asset.object, kind_of(asset)).await);
            }
            Err(failure) => links.unasked |= !failure.is_final(),
        }
        links
    }

    fn is_given_up(&self, asset: &Asset) -> bool {
        let tries = asset.tries.saturating_add(1);
        let since = asset.first_try_at.map(|first| self.ids().now().duration_since(first));
        let time = since.and_then(|since| Duration::try_from(since).ok()).unwrap_or(Duration::ZERO);
        tries >= pace::COPY_TRIES && time >= pace::COPY_TIME
    }

    async fn kept(&self, job: &Job, asset: &Asset, kept: &Kept) -> Result<Tried, StepError> {
        store::fail_point!("keep.copied");
        let stored = self.store().asset_stored(asset.id, Some(job.fence), kept, self.ids().now()).await?;
        store::fail_point!("keep.stored");
        if !stored {
            return Ok(Tried::Stale);
        }
        tracing::info!(
            job = %job.id, account = %job.account, model = %job.model, task = job.task_id.as_deref(),
            asset = %asset.id, bytes = kept.bytes, content_type = %kept.content_type, request_id = %job.request_id,
            "output.stored"
        );
        Ok(Tried::Ended)
    }

    async fn failed(
        &self,
        job: &Job,
        asset: &Asset,
        words: &str,
        fault: Fault<'_>,
    ) -> Result<Tried, StepError> {
        let (counts, moved) = match fault {
            Fault::Passing => (false, None),
            Fault::Theirs { moved } => (true, moved),
        };
        let at = self.ids().now();
        let written = self.store().asset_failed(asset.id, job.fence, words, counts, moved, at).await?;
        let tries = if counts { asset.tries.saturating_add(1) } else { 0 };
        Ok(if written { Tried::Again { tries } } else { Tried::Stale })
    }

    /// `blocked`: whether its address may not be reached.
    async fn lost(
        &self,
        job: &Job,
        asset: &Asset,
        (words, blocked): (&str, bool),
    ) -> Result<Tried, StepError> {
        let at = self.ids().now();
        let written = self.store().asset_lost(asset.id, job.fence, words, blocked, at).await?;
        if written && asset.role == AssetRole::Output {
            tracing::error!(job = %job.id, asset = %asset.id, words, "output.lost");
        }
        Ok(if written { Tried::Ended } else { Tried::Stale })
    }

    /// Every output is stored or lost: the money is taken for what is stored, in the same transaction as the state.
    async fn settle(&self, job: &Job) -> Result<(), StepError> {
        let assets = self.store().assets_of(&[job.id]).await?;
        let outputs = assets.iter().filter(|asset| asset.role == AssetRole::Output);
        let (announced, stored) = outputs.fold((0_u32, 0_u32), |(all, stored), asset| {
            (all.saturating_add(1), stored.saturating_add(u32::from(asset.state == AssetState::Stored)))
        });
        let outcome = if stored == 0 { Stored::Nothing } else { Stored::Some };
        let mut draft = self.draft(job).moved(Event::OutputsEnded(outcome))?;
        if draft.has(Effect::Capture) {
            let full = ledger::full_price(job, &self.policy.currency);
            let announced = announced.max(u32::from(job.outputs_ordered));
            let parts = (stored, announced);
            let settled = ledger::settle(job, full.amount, parts, self.ids().now(), &*self.ids().chance)?;
            draft.step.transfers = settled.transfers;
            if let Some(finding) = full.finding {
                tracing::warn!(job = %job.id, model = %job.model, finding, "finding.cost");
                draft.note(NewEntry {
                    source: "ledger",
                    event: "finding.cost",
                    detail: Some(finding.to_owned()),
                    fold: None,
                });
            }
        }
        if outcome == Stored::Nothing {
            draft = draft.words("none of the outputs could be had");
        }
        self.write(&draft).await.map(drop)
    }
}
