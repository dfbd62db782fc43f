//! Restoring: a stored file whose object is gone or overwritten is fetched again, as long as the provider still has it.

use domain::{Asset, AssetId, AssetRole, AssetState, Job, JobId, JobState, Scope};
use store::{NewEntry, StoreError};

use crate::decide::{can_wake, decided};
use crate::{KeepError, Lifecycle, keep::is_adopted};

/// What became of one file that was not as its row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The asset.
    pub asset: AssetId,
    /// Nothing, if the same bytes are there again; else what went wrong.
    pub trouble: Option<String>,
    /// Whether another try would give the same: the provider answered, and has these bytes no more.
    pub is_gone: bool,
}

/// Why a file could not be restored.
struct Trouble {
    words: String,
    is_gone: bool,
}

impl Trouble {
    fn passing(words: String) -> Self {
        Self { words, is_gone: false }
    }
}

/// What can be done for a job that an operator wants to be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryPlan {
    /// It is woken.
    Wake,
    /// It is over, and these of its files are not as their rows say: they are fetched again.
    Fetch(Vec<AssetId>),
    /// It is over, and everything that it stored is there.
    Nothing,
    /// It is done, but the rows say of none of its outputs that it is stored: nothing says what to fetch.
    NoOutput,
    /// It is over, and everything that it stored was deleted.
    Deleted,
}

impl Lifecycle {
    /// What a retry would do now; looks at the objects of a job that is over.
    pub async fn foresee_retry(&self, job: &Job) -> Result<RetryPlan, StoreError> {
        if can_wake(job) {
            return Ok(RetryPlan::Wake);
        }
        let assets = self.store().assets_of(&[job.id]).await?;
        let mut stored = assets.iter().filter(|asset| asset.state == AssetState::Stored).peekable();
        let has_output = stored.clone().any(|asset| asset.role == AssetRole::Output);
        let is_deleted = stored.peek().is_some() && stored.all(|asset| asset.deleted_at.is_some());
        let unwell = self.unwell(&assets).await;
        let ids: Vec<_> = unwell.into_iter().map(|(asset, _)| asset.id).collect();
        Ok(match () {
            () if !ids.is_empty() => RetryPlan::Fetch(ids),
            () if job.state == JobState::Done && !has_output => RetryPlan::NoOutput,
            () if is_deleted => RetryPlan::Deleted,
            () => RetryPlan::Nothing,
        })
    }

    /// Looks at the objects of everything that a job has stored, and fetches again what is missing or has other bytes.
    /// Only bytes with the recorded hash are kept. State and money stay as they are. The files that were not well.
    pub async fn restore_files(&self, id: JobId, reason: &str) -> Result<Vec<Restored>, StoreError> {
        self.restore_some(id, |_| true, reason).await
    }

    /// The same for these files of a job alone.
    pub async fn restore_only(
        &self,
        id: JobId,
        files: &[AssetId],
        reason: &str,
    ) -> Result<Vec<Restored>, StoreError> {
        self.restore_some(id, |asset| files.contains(&asset.id), reason).await
    }

    async fn restore_some(
        &self,
        id: JobId,
        is_meant: impl Fn(&Asset) -> bool + Send,
        reason: &str,
    ) -> Result<Vec<Restored>, StoreError> {
        let Some(job) = self.store().find_job(id, Scope::All).await? else { return Ok(Vec::new()) };
        let mut assets = self.store().assets_of(&[id]).await?;
        assets.retain(|asset| is_meant(asset));
        let unwell = self.unwell(&assets).await;
        if unwell.is_empty() {
            return Ok(Vec::new());
        }
        // The trace comes first, as with every deed; what came of it is a line of its own.
        let wanted = decided(&format!("restore of {} files", unwell.len()), reason);
        self.store().note(id, &[wanted], self.ids().now()).await?;
        store::fail_point!("restore.noted");
        let mut restored = Vec::with_capacity(unwell.len());
        for (asset, unseen) in unwell {
            let trouble = match unseen {
                Some(words) => Some(Trouble::passing(words)),
                None => self.restore(&job, asset).await.err(),
            };
            if trouble.is_none() {
                tracing::info!(job = %job.id, account = %job.account, asset = %asset.id, "output.restored");
            }
            let is_gone = trouble.as_ref().is_some_and(|trouble| trouble.is_gone);
            restored.push(Restored {
                asset: asset.id,
                trouble: trouble.map(|trouble| trouble.words),
                is_gone,
            });
            store::fail_point!("restore.fetched");
        }
        let well = restored.iter().filter(|file| file.trouble.is_none()).count();
        let detail = Some(format!("{well} of {} files are there again", restored.len()));
        let outcome = NewEntry { source: "operator", event: "output.restored", detail, fold: None };
        self.store().note(id, &[outcome], self.ids().now()).await?;
        Ok(restored)
    }

    /// Those whose object is missing or has other bytes than their row says, or could not be read, and why.
    async fn unwell<'a>(&self, assets: &'a [Asset]) -> Vec<(&'a Asset, Option<String>)> {
        let mut unwell = Vec::new();
        for asset in assets {
            if asset.state != AssetState::Stored || asset.deleted_at.is_some() {
                continue;
            }
            match self.ports.vault.digest(&asset.object).await {
                Ok(Some((bytes, hash))) if Some(bytes) == asset.bytes && Some(hash) == asset.sha256 => {}
                Ok(_) => unwell.push((asset, None)),
                Err(error) => unwell.push((asset, Some(error.to_string()))),
            }
        }
        unwell
    }

    async fn restore(&self, job: &Job, asset: &Asset) -> Result<(), Trouble> {
        let kept = match self.fetch(asset).await {
            Ok(kept) => kept,
            Err(KeepError::Storage(words)) => return Err(Trouble::passing(words)),
            Err(error) => {
                let links = self.fetch_anew(job, asset).await;
                let is_gone = matches!(error, KeepError::Gone(_)) && links.all_dead && !links.unasked;
                links
                    .outcome
                    .unwrap_or(Err(error))
                    .map_err(|last| Trouble { is_gone, words: last.to_string() })?
            }
        };
        if Some(kept.sha256) == asset.sha256 {
            return Ok(());
        }
        if is_adopted(asset) {
            // Nothing was fetched: it is the object of an old shop, which may still serve it.
            return Err(Trouble::passing("the adopted object has other bytes now".to_owned()));
        }
        // Other bytes under this name would be served as what was sold.
        let deleted = self.ports.vault.delete(std::slice::from_ref(&asset.object)).await;
        deleted.map_err(|error| Trouble::passing(error.to_string()))?;
        Err(Trouble { words: "the provider has other bytes now".to_owned(), is_gone: true })
    }
}
