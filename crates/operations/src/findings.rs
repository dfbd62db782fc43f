//! What is wrong with books and files: the first thousand findings, and how many there are.

use domain::{Asset, JobId, Scope};
use serde::Serialize;
use store::{AuditFinding, Store, StoreError};

/// At most so many findings are listed.
const LISTED_MAX: usize = 1000;
/// What a finding about a row is about; its id is the asset's.
const ROW: &str = "asset";

/// Something that books or files must not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The broken invariant: `I1`, `I2`, `I4`, `I5` of the books, `I6` of rows and objects.
    pub invariant: &'static str,
    /// What it is about: `account`, `job`, `delivery`, `transfer`, `asset`, `object`.
    pub noun: &'static str,
    /// Its id.
    pub id: String,
    /// The job that it belongs to, where that is known.
    pub job: Option<JobId>,
    /// What is wrong, with the numbers.
    pub detail: String,
}

impl From<AuditFinding> for Finding {
    fn from(AuditFinding { invariant, noun, id, detail }: AuditFinding) -> Self {
        let job = (noun == "job").then(|| id.parse().ok()).flatten();
        Self { invariant, noun, id, job, detail }
    }
}

/// A list that does not grow without end.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// The first ones.
    pub(crate) listed: Vec<Finding>,
    /// How many there are in all.
    pub(crate) found: u64,
}

impl Findings {
    /// Those of the books, to which findings about files are added.
    pub(crate) fn of_books(listed: Vec<AuditFinding>) -> Self {
        Self { found: listed.len() as u64, listed: listed.into_iter().map(Finding::from).collect() }
    }

    /// Something is wrong with the object of a row.
    pub(crate) fn add_row(&mut self, asset: &Asset, detail: String) {
        self.add(ROW, asset.id.to_string(), asset.job, detail);
    }

    /// Something is wrong with an object.
    pub(crate) fn add_object(&mut self, name: String, detail: &str) {
        self.add("object", name, None, detail.to_owned());
    }

    fn add(&mut self, noun: &'static str, id: String, job: Option<JobId>, detail: String) {
        self.found = self.found.saturating_add(1);
        if self.listed.len() < LISTED_MAX {
            self.listed.push(Finding { invariant: "I6", noun, id, job, detail });
        }
    }

    /// Drops what is listed of rows that were deleted while we looked: housekeeping deletes bytes first and marks their
    /// rows after, so this comes last.
    pub(crate) async fn settle(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let mut kept = Vec::with_capacity(self.listed.len());
        for finding in std::mem::take(&mut self.listed) {
            if is_over(store, &finding).await? {
                self.found = self.found.saturating_sub(1);
            } else {
                kept.push(finding);
            }
        }
        self.listed = kept;
        Ok(())
    }
}

/// Whether a finding is about a row that wants no object any more.
async fn is_over(store: &dyn Store, finding: &Finding) -> Result<bool, StoreError> {
    let Some(id) =
        (finding.invariant == "I6" && finding.noun == ROW).then(|| finding.id.parse().ok()).flatten()
    else {
        return Ok(false);
    };
    let row = store.find_asset(id, Scope::All).await?;
    Ok(row.is_none_or(|asset| asset.deleted_at.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_are_listed_and_all_are_counted() {
        let mut findings = Findings::default();
        for number in 0..1500 {
            findings.add_object(format!("stray {number}"), "no row knows it");
        }
        assert_eq!((findings.listed.len(), findings.found), (1000, 1500));
        assert_eq!(findings.listed[999].id, "stray 999");
    }
}
