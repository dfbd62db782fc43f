//! Findings about files: the first thousand of them, and how many there are.

use domain::{AssetId, Scope};
use store::{AuditFinding, Store, StoreError};

/// At most so many findings are listed.
const LISTED_MAX: usize = 1000;
/// What a finding about a row is about; its id is the asset's.
const ROW: &str = "asset";

/// A list that does not grow without end.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// The first ones.
    pub(crate) listed: Vec<AuditFinding>,
    /// How many there are in all.
    pub(crate) found: u64,
}

impl Findings {
    /// Those of the books, to which findings about files are added.
    pub(crate) fn of_books(listed: Vec<AuditFinding>) -> Self {
        Self { found: listed.len() as u64, listed }
    }

    /// Something is wrong with the object of a row.
    pub(crate) fn add_row(&mut self, asset: AssetId, detail: String) {
        self.add(ROW, asset.to_string(), detail);
    }

    /// Something is wrong with an object.
    pub(crate) fn add_object(&mut self, name: String, detail: &str) {
        self.add("object", name, detail.to_owned());
    }

    fn add(&mut self, noun: &'static str, id: String, detail: String) {
        self.found = self.found.saturating_add(1);
        if self.listed.len() < LISTED_MAX {
            self.listed.push(AuditFinding { invariant: "I6", noun, id, detail });
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
async fn is_over(store: &dyn Store, finding: &AuditFinding) -> Result<bool, StoreError> {
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
