//! Restoring: a stored file whose object is gone is fetched again, as long as the provider still has it.

use domain::{Asset, AssetId, AssetState, Job, JobId, Scope};
use store::{NewEntry, StoreError};

use crate::{KeepError, Lifecycle, keep::is_adopted};

/// What became of one file that was not as its row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The asset.
    pub asset: AssetId,
    /// Nothing, if the same bytes are there again; else what went wrong.
    pub trouble: Option<String>,
}

impl Lifecycle {
    /// Looks at the objects of everything that a job has stored, and fetches again what is missing or has another length.
    /// Only bytes with the recorded hash are kept. State and money stay as they are. The files that were not well.
    pub async fn restore_files(&self, id: JobId, reason: &str) -> Result<Vec<Restored>, StoreError> {
        let Some(job) = self.store().find_job(id, Scope::All).await? else { return Ok(Vec::new()) };
        let mut restored = Vec::new();
        for asset in self.store().assets_of(&[id]).await? {
            if asset.state != AssetState::Stored || asset.deleted_at.is_some() {
                continue;
            }
            let trouble = match self.ports.vault.size(&asset.object).await {
                Ok(bytes) if bytes.is_some() && bytes == asset.bytes => continue,
                Ok(_) => self.restore(&job, &asset).await.err(),
                Err(error) => Some(error.to_string()),
            };
            if trouble.is_none() {
                tracing::info!(job = %job.id, account = %job.account, asset = %asset.id, "output.restored");
            }
            restored.push(Restored { asset: asset.id, trouble });
        }
        if !restored.is_empty() {
            let well = restored.iter().filter(|file| file.trouble.is_none()).count();
            let detail = format!("restore: {well} of {} files are there again: {reason}", restored.len());
            let entry =
                NewEntry { source: "operator", event: "job.decided", detail: Some(detail), fold: None };
            self.store().note(id, &[entry], self.ids().now()).await?;
        }
        Ok(restored)
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
