//! Compares our catalogue with what the provider's own discovery says; nothing here changes the catalogue.

mod document;
mod fields;
mod live;
mod prices;
mod proposal;

use std::path::{Path, PathBuf};

use kie_catalogue::{Catalogue, Model};
use kie_client::{Client, ReadError};
use serde::Serialize;

use document::Document;
pub use fields::{Aspect, Difference};
pub use live::{CatalogueProgress, CatalogueScope, ModelGlob};
use live::{Listed, Live};
use prices::Words;

/// Which models are known on which side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CatalogueCheck {
    /// Models that our catalogue lists.
    pub here: usize,
    /// Models that the provider lists.
    pub there: usize,
    /// Listed here, unknown there: orders of them will be refused.
    pub gone: Vec<String>,
    /// Bought by createTask there, unknown here.
    pub new: Vec<Unlisted>,
    /// Marked as delisted here, listed there.
    pub back: Vec<Unlisted>,
    /// Listed on both sides, and the provider's list names a price that none of our rules has.
    pub priced: Vec<Unlisted>,
    /// Offered under another endpoint than createTask; not ours to sell.
    pub elsewhere: Vec<Unlisted>,
    /// Unknown here, and their document could not be read: a word on why.
    pub unread: Vec<Unlisted>,
}

impl CatalogueCheck {
    /// Whether both sides list the same models.
    pub fn is_clean(&self) -> bool {
        [&self.new, &self.back, &self.priced, &self.unread].iter().all(|list| list.is_empty())
            && self.gone.is_empty()
    }
}

/// A model of the provider's list that ours does not have like this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unlisted {
    /// Its id.
    pub model: String,
    /// Its name for people.
    pub title: Option<String>,
    /// What it does, in the provider's words.
    pub tasks: Vec<String>,
    /// The provider's words on its price, or why its document could not be read.
    pub remark: Option<String>,
}

/// How one model compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Input and listing agree.
    Same,
    /// The input differs.
    Changed,
    /// The provider's words on the price name none of our amounts.
    Price,
    /// There, not here.
    New,
    /// Delisted here, listed there.
    Back,
    /// Here, not there.
    Gone,
    /// Not bought by createTask.
    Elsewhere,
    /// Its document is missing or could not be read.
    Unread,
}

impl Standing {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Changed => "changed",
            Self::Price => "price",
            Self::New => "new",
            Self::Back => "back",
            Self::Gone => "gone",
            Self::Elsewhere => "elsewhere",
            Self::Unread => "unread",
        }
    }
}

/// What differs in one model. The provider's prices are prose, so only this much is judged: whether it names our amounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelDiff {
    /// Its id on the provider's side.
    pub model: String,
    /// How it stands.
    pub standing: Standing,
    /// Field by field.
    pub fields: Vec<Difference>,
    /// The price in the provider's words.
    pub price_there: Option<String>,
    /// Our rules, in words.
    pub price_here: Vec<String>,
    /// Why it could not be compared, or another endpoint's path.
    pub note: Option<String>,
}

/// What [`sync_catalogue`] did for one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposed {
    /// The model.
    pub model: String,
    /// Whether it is new, changed, …
    pub standing: Standing,
    /// The file that was written.
    pub file: Option<PathBuf>,
    /// What a person must mend before the file can be used, beyond the price; or why there is no file.
    pub remark: Option<String>,
}

/// Why proposals cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The provider's list cannot be read.
    #[error("the provider's list of models cannot be read")]
    Read(#[from] ReadError),
    /// The folder is the source of truth itself, which only people change.
    #[error("{} belongs to the source of truth; choose another folder", .0.display())]
    SourceOfTruth(PathBuf),
    /// The folder has files already, which would be taken for proposals of now.
    #[error("{} is not empty; choose a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// The folder or a file cannot be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// Which listed models are unknown on the other side. One call, and one for each model that is unknown here.
///
/// # Errors
/// When the provider's list cannot be read.
pub async fn check_catalogue(
    client: &Client,
    catalogue: &Catalogue,
    scope: &CatalogueScope,
    progress: impl FnMut(CatalogueProgress<'_>),
) -> Result<CatalogueCheck, ReadError> {
    let mut live = Live::new(client, scope, progress);
    let listed = live.list(catalogue).await?;
    let mut report = CatalogueCheck {
        here: listed.here,
        there: listed.there.len(),
        gone: listed.gone.iter().map(|model| model.id().to_owned()).collect(),
        new: Vec::new(),
        back: Vec::new(),
        priced: Vec::new(),
        elsewhere: Vec::new(),
        unread: Vec::new(),
    };
    let nameless =
        |remark| Unlisted { model: "…".to_owned(), title: None, tasks: Vec::new(), remark: Some(remark) };
    report.unread.extend(listed.torn.map(nameless));
    let (known, unknown): (Vec<_>, Vec<_>) = listed.there.iter().partition(|one| one.is_listed_here());
    for one in known {
        let words = one.info.pricing_desc.as_deref().unwrap_or_default();
        if one.ours.is_some_and(|ours| matches!(prices::compare(ours, words), Words::Differ)) {
            report.priced.push(one.unlisted(Some(words.to_owned())));
        }
    }
    live.expect(unknown.len());
    for one in unknown {
        let unlisted = |remark: Option<String>| one.unlisted(remark);
        let price = one.info.pricing_desc.clone();
        match live.document(&one.info.model).await {
            Document::Input(_) if one.ours.is_some() => report.back.push(unlisted(price)),
            Document::Input(_) => report.new.push(unlisted(price)),
            Document::Elsewhere(path) => report.elsewhere.push(unlisted(Some(path))),
            Document::Unread(reason) => report.unread.push(unlisted(Some(reason))),
        }
    }
    Ok(report)
}

/// Compares the input of every model on either side, field by field. One call a model, two where the list has no price.
///
/// # Errors
/// When the provider's list cannot be read. A single model that cannot be read is [`Standing::Unread`].
pub async fn diff_catalogue(
    client: &Client,
    catalogue: &Catalogue,
    scope: &CatalogueScope,
    progress: impl FnMut(CatalogueProgress<'_>),
) -> Result<Vec<ModelDiff>, ReadError> {
    let examined = examine(client, catalogue, scope, progress).await?;
    Ok(examined.into_iter().map(|one| one.diff).collect())
}

/// Writes a proposed model file for every new or changed model below `out`, an empty or new folder. The price is left
/// for a person, and so the proposals are off sale wherever they are loaded as they are. `day` is `YYYY-MM-DD`.
///
/// # Errors
/// When the folder is not fit, a file cannot be written or the provider's list cannot be read.
pub async fn sync_catalogue(
    client: &Client,
    catalogue: &Catalogue,
    scope: &CatalogueScope,
    (out, day): (&Path, &str),
    progress: impl FnMut(CatalogueProgress<'_>),
) -> Result<Vec<Proposed>, SyncError> {
    proposal::prepare(out)?;
    let mut report = Vec::new();
    for one in examine(client, catalogue, scope, progress).await? {
        let Examined { diff, theirs, listed } = one;
        let (file, remark) = match (theirs, listed) {
            (Some(input), Some(listed)) if proposal::is_due(diff.standing) => {
                let written = proposal::write(
                    out,
                    &proposal::Known { diff: &diff, input: &input, listed: &listed, day },
                )?;
                (Some(written.path), written.fault)
            }
            _ if matches!(diff.standing, Standing::Same | Standing::Elsewhere) => continue,
            _ if diff.standing == Standing::Gone => (
                None,
                Some("the provider no longer lists it; its file needs `\"status\": \"delisted\"`".to_owned()),
            ),
            _ => (None, diff.note.clone()),
        };
        report.push(Proposed { model: diff.model, standing: diff.standing, file, remark });
    }
    Ok(report)
}

/// A compared model with what it was compared by.
struct Examined<'a> {
    diff: ModelDiff,
    theirs: Option<serde_json::Value>,
    listed: Option<Listed<'a>>,
}

async fn examine<'a>(
    client: &Client,
    catalogue: &'a Catalogue,
    scope: &CatalogueScope,
    progress: impl FnMut(CatalogueProgress<'_>),
) -> Result<Vec<Examined<'a>>, ReadError> {
    let mut live = Live::new(client, scope, progress);
    let listed = live.list(catalogue).await?;
    live.expect(listed.there.len());
    let mut examined = Vec::new();
    for one in listed.there {
        let document = live.document(&one.info.model).await;
        let price_there = live.price(&one.info).await;
        examined.push(compared(one, document, price_there));
    }
    examined.extend(listed.gone.into_iter().map(gone));
    examined.extend(listed.torn.map(torn));
    examined.sort_by(|a, b| a.diff.model.cmp(&b.diff.model));
    Ok(examined)
}

fn compared(listed: Listed<'_>, document: Document, price_there: Option<String>) -> Examined<'_> {
    let mut diff = ModelDiff {
        model: listed.info.model.clone(),
        standing: Standing::Same,
        fields: Vec::new(),
        price_there,
        price_here: listed.ours.map(Model::price_words).unwrap_or_default(),
        note: None,
    };
    let theirs = match document {
        Document::Input(theirs) => theirs,
        Document::Elsewhere(path) => {
            (diff.standing, diff.note) = (Standing::Elsewhere, Some(path));
            return Examined { diff, theirs: None, listed: Some(listed) };
        }
        Document::Unread(reason) => {
            (diff.standing, diff.note) = (Standing::Unread, Some(reason));
            return Examined { diff, theirs: None, listed: Some(listed) };
        }
    };
    if let Some(ours) = listed.ours {
        diff.fields = fields::compare(ours.schema(), &theirs);
        if ours.id() != listed.info.model {
            diff.note = Some(format!("it is an earlier id of {} here", ours.id()));
        }
    }
    let words = listed.ours.zip(diff.price_there.as_deref());
    let words = words.map_or(Words::Fit, |(ours, words)| prices::compare(ours, words));
    if let Words::Lack(amounts) = &words {
        let amounts: Vec<_> = amounts.iter().map(ToString::to_string).collect();
        diff.note = Some(format!("its price there does not name {} credits", amounts.join(", ")));
    }
    diff.standing = match listed.ours {
        None => Standing::New,
        Some(ours) if !ours.is_listed() => Standing::Back,
        Some(_) if !diff.fields.is_empty() => Standing::Changed,
        Some(_) if matches!(words, Words::Differ) => Standing::Price,
        Some(_) => Standing::Same,
    };
    Examined { diff, theirs: Some(theirs), listed: Some(listed) }
}

fn torn<'a>(note: String) -> Examined<'a> {
    let diff = ModelDiff {
        model: "…".to_owned(),
        standing: Standing::Unread,
        fields: Vec::new(),
        price_there: None,
        price_here: Vec::new(),
        note: Some(note),
    };
    Examined { diff, theirs: None, listed: None }
}

fn gone(model: &Model) -> Examined<'_> {
    let diff = ModelDiff {
        model: model.id().to_owned(),
        standing: Standing::Gone,
        fields: Vec::new(),
        price_there: None,
        price_here: model.price_words(),
        note: None,
    };
    Examined { diff, theirs: None, listed: None }
}
