//! A generation as pages show it.

use domain::{AssetState, CustomerStatus, Job, JobState, MediaKind, PriceBasis};

use super::frame::Visitor;
use crate::front::Front;
use crate::view::JobView;
use crate::words;

/// One generation.
#[expect(clippy::struct_excessive_bools, reason = "independent facts that a template asks for")]
pub(super) struct Tile {
    pub(super) id: String,
    pub(super) version: i64,
    /// The status's word in the API, for styles.
    pub(super) status: &'static str,
    pub(super) status_word: &'static str,
    pub(super) is_live: bool,
    pub(super) late: bool,
    pub(super) gift: bool,
    pub(super) hidden: bool,
    pub(super) model: String,
    pub(super) prompt: String,
    pub(super) price: String,
    pub(super) ordered_at: String,
    pub(super) outputs: Vec<Piece>,
    pub(super) failure: Option<String>,
    pub(super) money_back: bool,
}

/// One output.
pub(super) struct Piece {
    pub(super) kind: &'static str,
    pub(super) state: &'static str,
    /// Path of the file; empty while there is none.
    pub(super) url: String,
    pub(super) thumbnail: Option<String>,
    pub(super) download: String,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
}

impl Tile {
    pub(super) fn new(front: &Front, job: &Job, view: &JobView, visitor: Visitor) -> Self {
        let words = visitor.language.words();
        let currency = &front.lifecycle().policy().currency;
        let price = match &job.basis {
            PriceBasis::Imported { price } if !price.is_zero() => currency.format(*price),
            _ if job.price.is_zero() => words.free.to_owned(),
            _ => currency.format(job.price),
        };
        let failure = view.failure.as_ref();
        Self {
            id: job.id.to_string(),
            version: job.version,
            status: view.status.as_str(),
            status_word: words::status(view.status, visitor.language),
            is_live: matches!(view.status, CustomerStatus::Queued | CustomerStatus::Generating),
            late: view.late && !job.state.is_final(),
            gift: view.gift && job.state == JobState::Done,
            hidden: view.hidden,
            model: job.model.clone(),
            prompt: job.prompt.clone().unwrap_or_default(),
            price,
            ordered_at: job.created_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            outputs: view.outputs.iter().map(|output| Piece::new(front, output)).collect(),
            failure: failure.map(|failure| failure.message.clone()),
            money_back: failure.is_some_and(|failure| failure.money == "released"),
        }
    }

    /// What stands for the whole generation.
    pub(super) fn cover(&self) -> Option<&Piece> {
        self.outputs.iter().find(|piece| piece.state == AssetState::Stored.as_str()).or(self.outputs.first())
    }
}

impl Piece {
    fn new(front: &Front, output: &crate::view::OutputView) -> Self {
        let url = output.url.as_deref().map(|url| path_of(front, url)).unwrap_or_default();
        Self {
            kind: output.kind.as_str(),
            state: output.state.as_str(),
            download: if url.is_empty() { String::new() } else { format!("{url}&download=1") },
            thumbnail: output.thumbnail_url.as_deref().map(|url| path_of(front, url)),
            width: output.width,
            height: output.height,
            url,
        }
    }

    pub(super) fn is_stored(&self) -> bool {
        self.state == AssetState::Stored.as_str() && !self.url.is_empty()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.state == AssetState::Lost.as_str()
    }

    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    /// The smallest picture of it, if it is a picture or has one.
    pub(super) fn still(&self) -> Option<&str> {
        let itself =
            (self.kind == MediaKind::Image.as_str() && self.is_stored()).then_some(self.url.as_str());
        self.thumbnail.as_deref().or(itself)
    }
}

/// Pages name our files by path alone, so that they work under whatever name the browser reached us.
fn path_of(front: &Front, url: &str) -> String {
    let origin = front.lifecycle().policy().public_url.origin().ascii_serialization();
    url.strip_prefix(&origin).unwrap_or(url).to_owned()
}
