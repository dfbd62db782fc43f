//! Verifying: stored objects are read again and their hashes compared, all of them or a sample.

use domain::{Asset, Chance, Scope};
use media::MediaStore;
use serde::Serialize;
use store::{AuditFinding, Store, StoreError};

use crate::Tell;
use crate::audit::{MediaAudit, compare_all};

/// Rows are read, and objects compared, in pages of this size.
const PAGE: u32 = 500;
/// A sample has at most so many.
pub const SAMPLE_MAX: u32 = 100_000;
/// At most so many findings are listed.
const FINDINGS_MAX: usize = 1000;

/// What was read, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Objects that were read.
    pub objects: u64,
    /// Bytes that their rows say.
    pub bytes: u64,
    /// Objects that are gone, unreadable, or not those of their rows; the first thousand.
    pub findings: Vec<AuditFinding>,
    /// How many there are in all.
    pub found: u64,
}

/// Reads every stored object in `scope`, or `sample` of them by chance, a few at a time.
///
/// # Errors
/// When the database fails. Trouble of the storage is a finding.
pub async fn verify(
    store: &dyn Store,
    media: &MediaStore,
    (scope, sample): (Scope, Option<u32>),
    chance: &dyn Chance,
    tell: Tell<'_>,
) -> Result<VerifyReport, StoreError> {
    let mut report = VerifyReport::default();
    let mut sampler = sample.map(|wanted| Sampler::new(wanted.min(SAMPLE_MAX)));
    let mut after = None;
    loop {
        let page = store.list_stored_assets(scope, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        match &mut sampler {
            Some(sampler) => page.into_iter().for_each(|asset| sampler.offer(asset, chance)),
            None => report.add(media, &page, tell).await,
        }
    }
    if let Some(sampler) = sampler {
        report.add(media, &sampler.taken, tell).await;
    }
    Ok(report)
}

impl VerifyReport {
    async fn add(&mut self, media: &MediaStore, assets: &[Asset], tell: Tell<'_>) {
        let bytes = assets.iter().filter_map(|asset| asset.bytes);
        self.bytes = bytes.fold(self.bytes, u64::saturating_add);
        self.objects = self.objects.saturating_add(assets.len() as u64);
        let found = compare_all(media, assets, MediaAudit::Hash, tell).await;
        self.found = self.found.saturating_add(found.len() as u64);
        let room = FINDINGS_MAX.saturating_sub(self.findings.len());
        self.findings.extend(found.into_iter().take(room));
    }
}

/// Keeps so many of a stream whose length nobody knows, each with the same chance.
struct Sampler {
    wanted: usize,
    seen: u64,
    taken: Vec<Asset>,
}

impl Sampler {
    fn new(wanted: u32) -> Self {
        Self { wanted: wanted as usize, seen: 0, taken: Vec::new() }
    }

    fn offer(&mut self, asset: Asset, chance: &dyn Chance) {
        self.seen = self.seen.saturating_add(1);
        if self.taken.len() < self.wanted {
            self.taken.push(asset);
            return;
        }
        let mut random = [0_u8; 8];
        chance.fill(&mut random);
        let place = u64::from_le_bytes(random).checked_rem(self.seen).unwrap_or(0);
        if let Some(taken) = usize::try_from(place).ok().and_then(|place| self.taken.get_mut(place)) {
            *taken = asset;
        }
    }
}
