//! The shape of one model file.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cost::CostRules;
use crate::outputs::OutputCase;

/// What a model makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OutputKind {
    /// Still pictures.
    Image,
    /// Moving pictures, with or without sound.
    Video,
    /// Sound.
    Audio,
    /// Words or data instead of media.
    Text,
}

impl OutputKind {
    /// The word used in files and interfaces: `image`, `video`, `audio` or `text`.
    pub const fn as_str(self) -> &'static str {
        match self {
            OutputKind::Image => "image",
            OutputKind::Video => "video",
            OutputKind::Audio => "audio",
            OutputKind::Text => "text",
        }
    }
}

impl std::fmt::Display for OutputKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether KIE still documents a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Documented at the time of the file.
    Listed,
    /// Once documented, gone since; kept so that old orders can be read.
    Delisted,
}

/// An earlier name of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Alias {
    /// The earlier id.
    pub id: String,
    /// The day on which KIE stopped using it, `YYYY-MM-DD`.
    pub until: String,
}

/// Where the facts of a file come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Origin {
    /// Addresses of the pages or repositories.
    pub sources: Vec<String>,
    /// The day as of which the input schema is known, `YYYY-MM-DD`.
    pub read_on: String,
    /// How well it is backed: `documented`, `one source` or `client code`.
    pub backing: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelFile {
    #[serde(rename = "$schema")]
    pub _schema: Option<String>,
    pub id: String,
    pub family: String,
    pub title: String,
    pub kind: OutputKind,
    pub task: String,
    pub status: Status,
    #[serde(default)]
    pub aliases: Vec<Alias>,
    pub input: Value,
    pub outputs: Vec<OutputCase>,
    pub cost: CostRules,
    pub example: Value,
    pub bad_example: Value,
    pub bad_reason: String,
    pub origin: Origin,
    #[serde(default)]
    pub notes: Vec<String>,
}
