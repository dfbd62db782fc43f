//! Storage in memory that fails as told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::{AccountId, AssetId, AssetRole, Chance, ManualClock, MediaKind, SeededChance};
use lifecycle::{KeepError, Kept, SourceFile, Vault};

use crate::gate::Gate;

/// What happens at an address whose text contains a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Good,
    Gone,
    Unusable,
    Blocked,
    Source,
    Storage,
    /// It takes so long, then it is good.
    Slow(Duration),
    Panics,
    /// Sound bytes, but not those of before.
    Other,
}

#[derive(Default)]
struct State {
    /// The first pattern that fits decides.
    links: Vec<(String, Link)>,
    objects: BTreeMap<String, u64>,
    /// Those that have other bytes by now.
    overwritten: BTreeSet<String>,
    copies: Vec<(String, String)>,
    weather: Option<(SeededChance, f64)>,
    broken: bool,
}

pub(crate) struct Cabinet {
    clock: Arc<ManualClock>,
    gate: Arc<Gate>,
    state: Mutex<State>,
}

impl Cabinet {
    pub(crate) fn new(clock: Arc<ManualClock>, gate: Arc<Gate>) -> Self {
        Self { clock, gate, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn set(&self, pattern: &str, link: Link) {
        self.lock().links.insert(0, (pattern.to_owned(), link));
    }

    /// Whether our own storage refuses everything.
    pub(crate) fn set_broken(&self, broken: bool) {
        self.lock().broken = broken;
    }

    pub(crate) fn set_weather(&self, weather: Option<(SeededChance, f64)>) {
        self.lock().weather = weather;
    }

    pub(crate) fn objects(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    pub(crate) fn remove(&self, object: &str) {
        self.lock().objects.remove(object);
    }

    /// Other bytes of the same length are there now.
    pub(crate) fn overwrite(&self, object: &str) {
        self.lock().overwritten.insert(object.to_owned());
    }

    /// Addresses that were tried, in order.
    pub(crate) fn tried(&self) -> Vec<String> {
        self.lock().copies.iter().map(|(url, _)| url.clone()).collect()
    }

    /// Trouble of our own storage, by order or by the weather.
    fn trouble(&self) -> Result<(), KeepError> {
        let state = self.lock();
        let storm = |(chance, rate): &(SeededChance, f64)| chance.fraction() < rate / 4.0;
        if state.broken || state.weather.as_ref().is_some_and(storm) {
            return Err(KeepError::Storage("as told".to_owned()));
        }
        Ok(())
    }

    fn fate(&self, url: &str) -> Link {
        let state = self.lock();
        if state.broken {
            return Link::Storage;
        }
        if let Some((_, link)) = state.links.iter().find(|(pattern, _)| url.contains(pattern)) {
            return *link;
        }
        let Some((chance, rate)) = &state.weather else { return Link::Good };
        if chance.fraction() >= *rate {
            return Link::Good;
        }
        match chance.fraction() {
            x if x < 0.3 => Link::Gone,
            x if x < 0.5 => Link::Unusable,
            x if x < 0.7 => Link::Source,
            x if x < 0.75 => Link::Blocked,
            x if x < 0.9 => Link::Storage,
            _ => Link::Slow(Duration::from_secs(100)),
        }
    }
}

/// What every file hashes to, and what other bytes do.
const HASH: [u8; 32] = [7; 32];
const OTHER: [u8; 32] = [8; 32];

fn kept(content_type: &str, bytes: u64) -> Kept {
    Kept {
        kind: None,
        content_type: content_type.to_owned(),
        bytes,
        sha256: HASH,
        width: None,
        height: None,
        duration_ms: None,
        thumbnail: None,
    }
}

#[async_trait]
impl Vault for Cabinet {
    fn object_name(&self, account: AccountId, kind: MediaKind, _role: AssetRole, asset: AssetId) -> String {
        format!("{account}/{kind}/{asset}")
    }

    async fn copy(&self, source_url: &str, object: &str, kind: Option<MediaKind>) -> Result<Kept, KeepError> {
        self.gate.stop("before copy").await;
        self.lock().copies.push((source_url.to_owned(), object.to_owned()));
        let words = || "as told".to_owned();
        let link = self.fate(source_url);
        let answer = match link {
            Link::Gone => Err(KeepError::Gone(words())),
            Link::Unusable => Err(KeepError::Unusable(words())),
            Link::Blocked => Err(KeepError::Blocked(words())),
            Link::Source => Err(KeepError::Source(words())),
            Link::Storage => Err(KeepError::Storage(words())),
            Link::Panics => panic!("a hostile file"),
            Link::Good | Link::Slow(_) | Link::Other => {
                if let Link::Slow(time) = link {
                    self.clock.advance(time);
                }
                let mut state = self.lock();
                state.objects.insert(object.to_owned(), 3);
                if link == Link::Other {
                    state.overwritten.insert(object.to_owned());
                } else {
                    state.overwritten.remove(object);
                }
                drop(state);
                let content_type = match kind {
                    Some(MediaKind::Image) | None => "image/png",
                    Some(MediaKind::Video) => "video/mp4",
                    Some(MediaKind::Audio) => "audio/mpeg",
                    Some(MediaKind::Text) => "application/json",
                };
                let kept = kept(content_type, 3);
                Ok(if link == Link::Other { Kept { sha256: OTHER, ..kept } } else { kept })
            }
        };
        self.gate.stop("after copy").await;
        answer
    }

    async fn adopt(&self, object: &str, _kind: Option<MediaKind>) -> Result<Kept, KeepError> {
        let bytes = self.lock().objects.get(object).copied();
        bytes.map(|bytes| kept("image/png", bytes)).ok_or_else(|| KeepError::Gone("as told".to_owned()))
    }

    async fn answers(&self, source: &str) -> Result<(), KeepError> {
        match self.fate(source) {
            Link::Good | Link::Slow(_) => Ok(()),
            _ => Err(KeepError::Gone("as told".to_owned())),
        }
    }

    async fn write(&self, object: &str, content_type: &str, bytes: Bytes) -> Result<Kept, KeepError> {
        self.gate.stop("before write").await;
        let length = bytes.len() as u64;
        let answer = self.trouble().map(|()| {
            self.lock().objects.insert(object.to_owned(), length);
            kept(content_type, length)
        });
        self.gate.stop("after write").await;
        answer
    }

    async fn digest(&self, object: &str) -> Result<Option<(u64, [u8; 32])>, KeepError> {
        self.gate.stop("before digest").await;
        self.trouble()?;
        let state = self.lock();
        let hash = if state.overwritten.contains(object) { OTHER } else { HASH };
        Ok(state.objects.get(object).map(|bytes| (*bytes, hash)))
    }

    async fn read(&self, object: &str, content_type: &str, bytes: u64) -> Result<SourceFile, KeepError> {
        self.gate.stop("before read").await;
        self.trouble()?;
        if !self.lock().objects.contains_key(object) {
            return Err(KeepError::Storage("there is no such object".to_owned()));
        }
        let stream = Box::pin(futures_util::stream::iter([Ok(Bytes::from_static(b"abc"))]));
        Ok(SourceFile {
            name: object.replace('/', "-"),
            content_type: content_type.to_owned(),
            bytes,
            stream,
        })
    }

    async fn delete(&self, objects: &[String]) -> Result<(), KeepError> {
        self.gate.stop("before delete").await;
        for object in objects {
            self.trouble()?;
            self.lock().objects.remove(object);
        }
        self.gate.stop("after delete").await;
        Ok(())
    }
}
