//! Verifying: stored objects are read again and their hashes compared, all of them or a sample.

use domain::{Asset, Chance, Scope};
use media::MediaStore;
use serde::Serialize;
use store::Store;

use crate::audit::{MediaAudit, compare_all};
use crate::findings::{Finding, Findings};
use crate::{FilesError, Tell};

/// Rows are read, and objects compared, in pages of this size.
const PAGE: u32 = 500;
/// A sample has at most so many.
pub const SAMPLE_MAX: u32 = 100_000;

/// What was read, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Objects that were read.
    pub objects: u64,
    /// Bytes that their rows say.
    pub bytes: u64,
    /// Objects that are gone or not those of their rows; the first thousand.
    pub findings: Vec<Finding>,
    /// How many there are in all.
    pub found: u64,
}

/// Reads every stored object in `scope`, or `sample` of them by chance, a few at a time.
///
/// # Errors
/// When the database fails, or the storage in any other way than by lacking an object.
pub async fn verify(
    store: &dyn Store,
    media: &MediaStore,
    (scope, sample): (Scope, Option<u32>),
    chance: &dyn Chance,
    tell: Tell<'_>,
) -> Result<VerifyReport, FilesError> {
    let (mut report, mut findings) = (VerifyReport::default(), Findings::default());
    let mut sampler = sample.map(|wanted| Sampler::new(wanted.min(SAMPLE_MAX)));
    let mut after = None;
    loop {
        let page = store.list_stored_assets(scope, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        if let Some(sampler) = &mut sampler {
            for asset in page {
                sampler.offer(asset, chance);
            }
        } else {
            report.count(&page);
            compare_all(media, &page, MediaAudit::Hash, &mut findings, tell).await?;
        }
    }
    if let Some(sampler) = sampler {
        report.count(&sampler.taken);
        compare_all(media, &sampler.taken, MediaAudit::Hash, &mut findings, tell).await?;
    }
    findings.settle(store).await?;
    Ok(VerifyReport { findings: findings.listed, found: findings.found, ..report })
}

impl VerifyReport {
    fn count(&mut self, assets: &[Asset]) {
        let bytes = assets.iter().filter_map(|asset| asset.bytes);
        self.bytes = bytes.fold(self.bytes, u64::saturating_add);
        self.objects = self.objects.saturating_add(assets.len() as u64);
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
