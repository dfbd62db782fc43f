//! The archive: written by a thread of its own that is a few pieces behind.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Pieces that may wait for the disk.
const WAITING: usize = 16;

enum Part {
    Begin(String),
    Bytes(Bytes),
    Abort,
    Manifest(String),
}

/// An archive in the making, in a temporary file beside its place. Media do not shrink, so nothing is compressed.
pub(super) struct ZipFile {
    parts: mpsc::Sender<Part>,
    writing: JoinHandle<anyhow::Result<NamedTempFile>>,
}

impl ZipFile {
    pub(super) fn create(out: &Path) -> anyhow::Result<Self> {
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let cannot = || format!("cannot write in {}", folder.display());
        let file = NamedTempFile::new_in(folder).with_context(cannot)?;
        let manifest = tempfile::tempfile_in(folder).with_context(cannot)?;
        let (parts, queue) = mpsc::channel(WAITING);
        let writing = tokio::task::spawn_blocking(move || write(file, manifest, queue));
        Ok(Self { parts, writing })
    }

    /// Begins a file.
    pub(super) async fn begin(&mut self, name: String) -> anyhow::Result<()> {
        self.send(Part::Begin(name)).await
    }

    /// More bytes of the file that was begun.
    pub(super) async fn bytes(&mut self, bytes: Bytes) -> anyhow::Result<()> {
        self.send(Part::Bytes(bytes)).await
    }

    /// Takes the file that was begun out again.
    pub(super) async fn abort(&mut self) -> anyhow::Result<()> {
        self.send(Part::Abort).await
    }

    /// More text of `manifest.json`, which becomes the last file.
    pub(super) async fn manifest(&mut self, text: String) -> anyhow::Result<()> {
        self.send(Part::Manifest(text)).await
    }

    async fn send(&mut self, part: Part) -> anyhow::Result<()> {
        if self.parts.send(part).await.is_ok() {
            return Ok(());
        }
        // The writer ended early: it knows why.
        let ended = (&mut self.writing).await.context("the writer of the archive crashed")?;
        Err(ended.err().unwrap_or_else(|| anyhow!("the writer of the archive ended")))
    }

    /// Writes what is left and puts the archive in its place, which must be free.
    pub(super) async fn finish(self, out: &Path) -> anyhow::Result<()> {
        drop(self.parts);
        let file = self.writing.await.context("the writer of the archive crashed")??;
        file.persist_noclobber(out).with_context(|| format!("cannot write {}", out.display()))?;
        Ok(())
    }
}

fn write(
    file: NamedTempFile,
    mut manifest: std::fs::File,
    mut parts: mpsc::Receiver<Part>,
) -> anyhow::Result<NamedTempFile> {
    let mut zip = ZipWriter::new(file);
    while let Some(part) = parts.blocking_recv() {
        match part {
            Part::Begin(name) => zip.start_file(name, options())?,
            Part::Bytes(bytes) => zip.write_all(&bytes)?,
            Part::Abort => zip.abort_file()?,
            Part::Manifest(text) => manifest.write_all(text.as_bytes())?,
        }
    }
    manifest.seek(SeekFrom::Start(0))?;
    zip.start_file("manifest.json", options())?;
    std::io::copy(&mut manifest, &mut zip)?;
    let file = zip.finish()?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// The long form of an entry for every file: how long one really is shows when its bytes have come.
fn options() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true)
}
