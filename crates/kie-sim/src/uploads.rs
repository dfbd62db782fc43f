//! Uploaded inputs: files in a folder that are gone after their time.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use tokio::fs::File;

use crate::clock::{now_ms, whole_ms};

/// The account number in every path.
pub(crate) const ACCOUNT: &str = "kieai/100001";

/// Where uploads lie.
pub(crate) struct Uploads {
    root: PathBuf,
    life: Duration,
    /// Removed at the end, when no folder was given.
    temporary: bool,
}

impl Uploads {
    pub(crate) fn open(folder: Option<&Path>, life: Duration) -> anyhow::Result<Self> {
        let temporary = folder.is_none();
        let root = folder.map_or_else(
            || std::env::temp_dir().join(format!("kie-sim-{:016x}", rand::random::<u64>())),
            |folder| folder.join("uploads"),
        );
        if !temporary {
            std::fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
        }
        Ok(Self { root, life, temporary })
    }

    /// A new file under `kieai/<account>/<folder>/<name>`, and that path.
    pub(crate) async fn create(&self, folder: &str, name: &str) -> std::io::Result<(File, String)> {
        let relative = relative(folder, name);
        let path = self.with_folder(&relative).await?;
        Ok((File::create(path).await?, relative))
    }

    /// Gives a file its place, and that path; what lay there is overwritten.
    pub(crate) async fn settle(&self, from: &str, folder: &str, name: &str) -> std::io::Result<String> {
        let relative = relative(folder, name);
        let path = self.with_folder(&relative).await?;
        tokio::fs::rename(self.root.join(from), path).await?;
        Ok(relative)
    }

    async fn with_folder(&self, relative: &str) -> std::io::Result<PathBuf> {
        let path = self.root.join(relative);
        if let Some(parent) = path.parent() {
            tokio::fs::create_dir_all(parent).await?;
        }
        Ok(path)
    }

    /// An upload that still lives, with its length.
    pub(crate) async fn find(&self, relative: &str) -> Option<(File, u64)> {
        if clean(relative) != relative {
            return None;
        }
        let file = File::open(self.root.join(relative)).await.ok()?;
        let metadata = file.metadata().await.ok()?;
        let written_ms = whole_ms(metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?);
        let alive = now_ms() < written_ms.saturating_add(whole_ms(self.life));
        (metadata.is_file() && alive).then_some((file, metadata.len()))
    }

    pub(crate) async fn remove(&self, relative: &str) {
        if let Err(error) = tokio::fs::remove_file(self.root.join(relative)).await {
            tracing::debug!(%error, relative, "a refused upload was not removed");
        }
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        if self.temporary
            && self.root.exists()
            && let Err(error) = std::fs::remove_dir_all(&self.root)
        {
            tracing::warn!(%error, path = %self.root.display(), "temporary uploads were not removed");
        }
    }
}

fn relative(folder: &str, name: &str) -> String {
    let parts = [clean(folder), clean(name)];
    let parts: Vec<_> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    format!("{ACCOUNT}/{}", parts.join("/"))
}

/// Letters, digits, dot, dash, underscore in segments that cannot climb.
fn clean(path: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let segments = path.split(['/', '\\']).filter(|part| !part.is_empty() && !part.chars().all(|c| c == '.'));
    segments.map(|part| part.chars().map(letter).collect::<String>()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_cannot_leave_the_folder() {
        assert_eq!(clean("../../etc/passwd"), "etc/passwd");
        assert_eq!(clean("/images//a b.png"), "images/a_b.png");
        assert_eq!(clean("a\0b"), "a_b");
    }
}
