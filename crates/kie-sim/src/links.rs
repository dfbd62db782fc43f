//! Signatures of links that expire.

use sha2::{Digest, Sha256};

/// 32 hex digits over the file and its time.
pub(crate) fn sign(seed: u64, task: &str, name: &str, until_ms: u64) -> String {
    let digest = Sha256::digest(format!("{seed}/{task}/{name}/{until_ms}"));
    let half = digest.first_chunk::<16>().map_or(0, |half| u128::from_be_bytes(*half));
    format!("{half:032x}")
}
