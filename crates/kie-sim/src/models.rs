//! What the simulated service sells: kinds, required fields, prices.

use serde_json::{Map, Value};

/// What a task makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Pictures.
    Image,
    /// Films.
    Video,
    /// Speech, sounds and music.
    Audio,
    /// Transcripts, lyrics, masks.
    Text,
}

/// What one input would cost and make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quote {
    pub(crate) micro: u64,
    pub(crate) outputs: u32,
}

/// The models on sale.
pub(crate) struct Models {
    unknown_cost: u64,
}

impl Models {
    pub(crate) fn packed(unknown_cost: u64) -> anyhow::Result<Self> {
        Ok(Self { unknown_cost })
    }

    /// The kind of a model, if it exists.
    pub(crate) fn kind(&self, id: &str) -> Option<Kind> {
        (!id.is_empty() && !id.starts_with("unknown")).then(|| guess(id))
    }

    /// The first required field that is missing.
    pub(crate) fn missing_field(&self, _id: &str, input: &Map<String, Value>) -> Option<String> {
        input.is_empty().then(|| "prompt".to_owned())
    }

    pub(crate) fn quote(&self, _id: &str, _input: &Map<String, Value>) -> Quote {
        Quote { micro: self.unknown_cost, outputs: 1 }
    }
}

fn guess(id: &str) -> Kind {
    let has = |words: &[&str]| words.iter().any(|word| id.contains(word));
    if has(&["lyrics", "to-text", "segment-map", "identification"]) {
        Kind::Text
    } else if has(&["video", "kling", "seedance", "veo", "avatar", "sora"]) {
        Kind::Video
    } else if has(&["speech", "audio", "music", "sound", "tts", "dialogue"]) {
        Kind::Audio
    } else {
        Kind::Image
    }
}
