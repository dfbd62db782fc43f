//! Signatures of links that expire.

use sha2::{Digest, Sha256};

/// 32 hex digits over the file and its time.
pub(crate) fn sign(seed: u64, task: &str, name: &str, until_ms: u64) -> String {
    let digest = Sha256::digest(format!("{seed}/{task}/{name}/{until_ms}"));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
