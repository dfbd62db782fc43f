//! The messenger's files: ids that can be sent again, bytes in memory up to a bound.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::views::FileView;
use crate::ids::SplitMix;

/// Files kept by id; the oldest are forgotten.
const FILES_KEPT: usize = 100_000;

/// What a file is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Photo,
    Video,
    Audio,
    Document,
    Animation,
    Voice,
}

impl FileKind {
    /// The field and kind of its messages.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Document => "document",
            Self::Animation => "animation",
            Self::Voice => "voice",
        }
    }

    pub(crate) fn of(field: &str) -> Option<Self> {
        let all = [Self::Photo, Self::Video, Self::Audio, Self::Document, Self::Animation, Self::Voice];
        all.into_iter().find(|kind| kind.field() == field)
    }

    /// As complaints name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Photo => "Photo",
            Self::Video => "Video",
            Self::Audio => "Audio",
            Self::Document => "Document",
            Self::Animation => "Animation",
            Self::Voice => "Voice",
        }
    }

    /// How ids of this kind begin.
    fn prefix(self) -> &'static str {
        match self {
            Self::Photo => "AgACAgIAAxk",
            Self::Video => "BAACAgIAAxk",
            Self::Audio => "CQACAgIAAxk",
            Self::Document => "BQACAgIAAxk",
            Self::Animation => "CgACAgIAAxk",
            Self::Voice => "AwACAgIAAxk",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Photo => "photos",
            Self::Video => "videos",
            Self::Audio => "music",
            Self::Document => "documents",
            Self::Animation => "animations",
            Self::Voice => "voice",
        }
    }
}

/// What is known of a file before it is stored.
#[derive(Debug, Clone)]
pub(crate) struct NewFile {
    pub(crate) kind: FileKind,
    pub(crate) bytes: Bytes,
    pub(crate) name: Option<String>,
    pub(crate) mime: String,
    pub(crate) extension: &'static str,
    pub(crate) size: Option<(u32, u32)>,
    pub(crate) duration: Option<u32>,
}

/// A stored file; the bytes may have been forgotten.
#[derive(Debug, Clone)]
pub(crate) struct StoredFile {
    pub(crate) kind: FileKind,
    pub(crate) path: String,
    view: FileView,
}

impl StoredFile {
    pub(crate) fn view(&self) -> FileView {
        self.view.clone()
    }
}

/// All files.
pub(crate) struct Files {
    by_id: HashMap<String, Arc<StoredFile>>,
    by_path: HashMap<String, String>,
    bytes: HashMap<String, Bytes>,
    order: VecDeque<String>,
    held: VecDeque<String>,
    held_bytes: u64,
    bytes_max: u64,
    mix: SplitMix,
    count: u64,
}

impl Files {
    pub(crate) fn new(bytes_max: u64, seed: u64) -> Self {
        Self {
            by_id: HashMap::new(),
            by_path: HashMap::new(),
            bytes: HashMap::new(),
            order: VecDeque::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            bytes_max,
            mix: SplitMix::new(seed),
            count: 0,
        }
    }

    /// Stores a file under a new id.
    pub(crate) fn store(&mut self, new: NewFile) -> Arc<StoredFile> {
        let hash = Sha256::digest(&new.bytes);
        let noise: Vec<u8> = (0..5).flat_map(|_| self.mix.next().to_be_bytes()).collect();
        let file_id = format!("{}{}", new.kind.prefix(), URL_SAFE_NO_PAD.encode(noise));
        self.count += 1;
        let view = FileView {
            file_unique_id: format!("AQAD{}", URL_SAFE_NO_PAD.encode(&hash[..9])),
            file_id: file_id.clone(),
            name: new.name,
            mime: new.mime,
            bytes: new.bytes.len() as u64,
            sha256: hex(&hash),
            width: new.size.map(|(width, _)| width),
            height: new.size.map(|(_, height)| height),
            duration: new.duration,
        };
        let path = format!("{}/file_{}.{}", new.kind.folder(), self.count, new.extension);
        let file = Arc::new(StoredFile { kind: new.kind, path: path.clone(), view });
        self.by_path.insert(path, file_id.clone());
        self.by_id.insert(file_id.clone(), Arc::clone(&file));
        self.order.push_back(file_id.clone());
        self.hold(file_id, new.bytes);
        self.forget();
        file
    }

    pub(crate) fn find(&self, file_id: &str) -> Option<&Arc<StoredFile>> {
        self.by_id.get(file_id)
    }

    /// The bytes, unless they were forgotten.
    pub(crate) fn bytes(&self, file_id: &str) -> Option<Bytes> {
        self.bytes.get(file_id).cloned()
    }

    /// Bytes and type of what getFile pointed to.
    pub(crate) fn at_path(&self, path: &str) -> Option<(Bytes, String)> {
        let id = self.by_path.get(path)?;
        Some((self.bytes(id)?, self.by_id.get(id)?.view.mime.clone()))
    }

    fn hold(&mut self, id: String, bytes: Bytes) {
        self.held_bytes += bytes.len() as u64;
        self.bytes.insert(id.clone(), bytes);
        self.held.push_back(id);
        while self.held_bytes > self.bytes_max
            && self.held.len() > 1
            && let Some(oldest) = self.held.pop_front()
        {
            let freed = self.bytes.remove(&oldest).map_or(0, |bytes| bytes.len() as u64);
            self.held_bytes = self.held_bytes.saturating_sub(freed);
        }
    }

    fn forget(&mut self) {
        if self.order.len() > FILES_KEPT
            && let Some(oldest) = self.order.pop_front()
            && let Some(file) = self.by_id.remove(&oldest)
        {
            self.by_path.remove(&file.path);
        }
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &'static [u8]) -> NewFile {
        NewFile {
            kind: FileKind::Document,
            bytes: Bytes::from_static(bytes),
            name: None,
            mime: "text/plain".to_owned(),
            extension: "txt",
            size: None,
            duration: None,
        }
    }

    #[test]
    fn the_oldest_bytes_go_and_the_ids_stay() {
        let mut files = Files::new(6, 1);
        let first = files.store(file(b"1234")).view();
        let second = files.store(file(b"5678")).view();
        assert!(files.bytes(&first.file_id).is_none() && files.find(&first.file_id).is_some());
        assert_eq!(files.bytes(&second.file_id).unwrap(), "5678");
        let again = files.store(file(b"5678")).view();
        assert_eq!(again.file_unique_id, second.file_unique_id);
        assert_ne!(again.file_id, second.file_id);
    }
}
