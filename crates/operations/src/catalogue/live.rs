//! The provider's side: its list and documents, read at the pace that it allows.

use std::collections::BTreeSet;
use std::time::Duration;

use kie_catalogue::{Catalogue, Model};
use kie_client::{Client, ModelFilter, ModelInfo, ReadError};
use tokio::time::Instant;

use super::Unlisted;
use super::document::Document;

/// What to look at, and how fast.
#[derive(Debug, Clone)]
pub struct CatalogueScope {
    /// Only models whose id fits.
    pub models: ModelGlob,
    /// The time between calls; the provider's discovery allows one in a second.
    pub pace: Duration,
}

/// A pattern of model ids: `*` stands for any text, `?` for one character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelGlob(String);

impl ModelGlob {
    /// The pattern as typed.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether the whole id fits.
    pub fn fits(&self, id: &str) -> bool {
        let (pattern, id): (Vec<char>, Vec<char>) = (self.0.chars().collect(), id.chars().collect());
        let (mut at, mut seen) = (0, 0);
        // Where to go on when the text does not fit: behind the last star, one character later.
        let mut again: Option<(usize, usize)> = None;
        while let Some(character) = id.get(seen) {
            match pattern.get(at) {
                Some('*') => {
                    again = Some((at + 1, seen));
                    at += 1;
                }
                Some(wanted) if *wanted == '?' || wanted == character => (at, seen) = (at + 1, seen + 1),
                _ => {
                    let Some((star, from)) = again else { return false };
                    again = Some((star, from + 1));
                    (at, seen) = (star, from + 1);
                }
            }
        }
        pattern.get(at..).is_none_or(|rest| rest.iter().all(|character| *character == '*'))
    }
}

impl Default for ModelGlob {
    fn default() -> Self {
        Self::new("*")
    }
}

/// How far a look at the provider is.
#[derive(Debug, Clone, Copy)]
pub struct CatalogueProgress<'a> {
    /// Models that were looked at.
    pub done: usize,
    /// Models that will be.
    pub total: usize,
    /// The one that is looked at now.
    pub model: &'a str,
}

/// A model of the provider's list.
pub(super) struct Listed<'a> {
    pub(super) info: ModelInfo,
    /// What our catalogue knows under its id.
    pub(super) ours: Option<&'a Model>,
}

impl Listed<'_> {
    pub(super) fn is_listed_here(&self) -> bool {
        self.ours.is_some_and(Model::is_listed)
    }

    pub(super) fn unlisted(&self, remark: Option<String>) -> Unlisted {
        let ModelInfo { model, title, task_type, .. } = &self.info;
        Unlisted { model: model.clone(), title: title.clone(), tasks: task_type.clone(), remark }
    }
}

/// Both lists.
pub(super) struct Lists<'a> {
    pub(super) here: usize,
    pub(super) there: Vec<Listed<'a>>,
    /// Listed here, not there.
    pub(super) gone: Vec<&'a Model>,
    /// What is missing in the provider's list, so that "gone" may not be true.
    pub(super) torn: Option<String>,
}

/// The provider, asked no faster than allowed.
pub(super) struct Live<'a, P> {
    client: &'a Client,
    scope: &'a CatalogueScope,
    progress: P,
    done: usize,
    total: usize,
    last: Option<Instant>,
}

impl<'a, P: FnMut(CatalogueProgress<'_>)> Live<'a, P> {
    pub(super) fn new(client: &'a Client, scope: &'a CatalogueScope, progress: P) -> Self {
        Self { client, scope, progress, done: 0, total: 0, last: None }
    }

    pub(super) async fn list<'c>(&mut self, catalogue: &'c Catalogue) -> Result<Lists<'c>, ReadError> {
        self.wait().await;
        let list = self.client.models(&ModelFilter::default()).await?;
        let (total, read) = (list.total, list.models.len());
        let torn = (read == 0 || total > read as u64)
            .then(|| format!("KIE's list names {total} models, and {read} of them can be read"));
        let mut there: Vec<_> = list
            .models
            .into_iter()
            .filter(|info| self.scope.models.fits(&info.model))
            .map(|info| Listed { ours: catalogue.get(&info.model), info })
            .collect();
        there.sort_by(|a, b| a.info.model.cmp(&b.info.model));
        there.dedup_by(|a, b| a.info.model == b.info.model);
        let known: BTreeSet<_> = there.iter().filter_map(|one| Some(one.ours?.id())).collect();
        let here: Vec<_> = catalogue
            .models()
            .filter(|model| model.is_listed() && self.scope.models.fits(model.id()))
            .collect();
        let gone = here.iter().filter(|model| !known.contains(model.id())).copied().collect();
        Ok(Lists { here: here.len(), there, gone, torn })
    }

    /// How many models will be looked at.
    pub(super) fn expect(&mut self, models: usize) {
        self.total = models;
    }

    pub(super) async fn document(&mut self, model: &str) -> Document {
        (self.progress)(CatalogueProgress { done: self.done, total: self.total, model });
        self.wait().await;
        let document = match self.client.model_schema(model).await {
            Ok(Some(openapi)) => Document::read(&openapi),
            Ok(None) => Document::Unread("the provider has no document of it".to_owned()),
            Err(error) => Document::Unread(error.to_string()),
        };
        self.done += 1;
        (self.progress)(CatalogueProgress { done: self.done, total: self.total, model });
        document
    }

    /// The price as prose: that of the list, else that of the price path.
    pub(super) async fn price(&mut self, info: &ModelInfo) -> Option<String> {
        if let Some(price) = &info.pricing_desc {
            return Some(price.clone());
        }
        self.wait().await;
        match self.client.model_price(&info.model).await {
            Ok(price) => price,
            Err(error) => Some(format!("could not be read: {error}")),
        }
    }

    async fn wait(&mut self) {
        if let Some(last) = self.last {
            tokio::time::sleep_until(last + self.scope.pace).await;
        }
        self.last = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::ModelGlob;

    #[test]
    fn globs_fit_whole_ids() {
        for (pattern, id) in [
            ("*", "z-image"),
            ("", ""),
            ("kling*", "kling-2.6/text-to-video"),
            ("*/text-to-*", "kling-2.6/text-to-video"),
            ("z-imag?", "z-image"),
            ("*a*b*c", "xaxbxbxc"),
        ] {
            assert!(ModelGlob::new(pattern).fits(id), "{pattern} {id}");
        }
        for (pattern, id) in
            [("", "z"), ("z", "z-image"), ("*-to-", "text-to-video"), ("z-image?", "z-image"), ("*a*b", "ba")]
        {
            assert!(!ModelGlob::new(pattern).fits(id), "{pattern} {id}");
        }
    }
}
