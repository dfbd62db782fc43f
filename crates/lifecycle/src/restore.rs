//! Restoring: a stored file whose object is gone is fetched again, as long as the provider still has it.

use domain::{Asset, AssetId, AssetState, Job, JobId, Scope};
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
}

impl Lifecycle {
    /// What a retry would do now; looks at the objects of a job that is over.
    pub async fn foresee_retry(&self, job: &Job) -> Result<RetryPlan, StoreError> {
        if can_wake(job) {
            return Ok(RetryPlan::Wake);
        }
        let unwell = self.unwell(job.id).await?;
        let ids: Vec<_> = unwell.into_iter().map(|(asset, _)| asset.id).collect();
        Ok(if ids.is_empty() { RetryPlan::Nothing } else { RetryPlan::Fetch(ids) })
    }

    /// Looks at the objects of everything that a job has stored, and fetches again what is missing or has another length.
    /// Only bytes with the recorded hash are kept. State and money stay as they are. The files that were not well.
    pub async fn restore_files(&self, id: JobId, reason: &str) -> Result<Vec<Restored>, StoreError> {
        let Some(job) = self.store().find_job(id, Scope::All).await? else { return Ok(Vec::new()) };
        let unwell = self.unwell(id).await?;
        if unwell.is_empty() {
            return Ok(Vec::new());
        }
        // The trace comes first, as with every deed; what came of it is a line of its own.
        let wanted = decided(&format!("restore of {} files", unwell.len()), reason);
        self.store().note(id, &[wanted], self.ids().now()).await?;
        let mut restored = Vec::with_capacity(unwell.len());
        for (asset, unseen) in unwell {
            let trouble = match unseen {
                Some(words) => Some(words),
                None => self.restore(&job, &asset).await.err(),
            };
            if trouble.is_none() {
                tracing::info!(job = %job.id, account = %job.account, asset = %asset.id, "output.restored");
            }
            restored.push(Restored { asset: asset.id, trouble });
        }
        let well = restored.iter().filter(|file| file.trouble.is_none()).count();
        let detail = Some(format!("{well} of {} files are there again", restored.len()));
        let outcome = NewEntry { source: "operator", event: "output.restored", detail, fold: None };
        self.store().note(id, &[outcome], self.ids().now()).await?;
        Ok(restored)
    }

    /// The stored files of a job whose object is missing or has another length, or could not be looked at, and why.
    async fn unwell(&self, id: JobId) -> Result<Vec<(Asset, Option<String>)>, StoreError> {
        let mut unwell = Vec::new();
        for asset in self.store().assets_of(&[id]).await? {
            if asset.state != AssetState::Stored || asset.deleted_at.is_some() {
                continue;
            }
            match self.ports.vault.size(&asset.object).await {
                Ok(bytes) if bytes.is_some() && bytes == asset.bytes => {}
                Ok(_) => unwell.push((asset, None)),
                Err(error) => unwell.push((asset, Some(error.to_string()))),
            }
        }
        Ok(unwell)
    }

    async fn restore(&self, job: &Job, asset: &Asset) -> Result<(), String> {
        let kept = match self.fetch(asset).await {
            Err(KeepError::Storage(words)) => return Err(words),
            Err(error) => self.fetch_anew(job, asset).await.outcome.unwrap_or(Err(error)),
            kept => kept,
        };
        let kept = kept.map_err(|error| error.to_string())?;
        if Some(kept.sha256) == asset.sha256 {
            return Ok(());
        }
        if is_adopted(asset) {
            // Nothing was fetched: it is the object of an old shop, which may still serve it.
            return Err("the adopted object has other bytes now".to_owned());
        }
        // Other bytes under this name would be served as what was sold.
        self.ports
            .vault
            .delete(std::slice::from_ref(&asset.object))
            .await
            .map_err(|error| error.to_string())?;
        Err("the provider has other bytes now".to_owned())
    }
}
