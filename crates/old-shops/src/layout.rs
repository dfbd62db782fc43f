//! The three known layouts: which table, which columns under which names, what the words of `status` mean.

use std::collections::BTreeSet;

/// A known layout of an old shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A table `generations`.
    Generations,
    /// A table `jobs` beside `users`.
    Jobs,
    /// A table `generation_jobs`.
    GenerationJobs,
}

/// What a row of an old shop says of its generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OldStatus {
    /// Never paid for.
    Draft,
    /// Paid for; whether it was sent is not said.
    Waiting,
    /// The provider works on it.
    Working,
    /// It succeeded; whether it was stored is not said.
    Succeeded,
    /// It failed.
    Failed,
    /// The customer gave it up.
    Canceled,
}

/// What we take from a row of a generation, in the order of the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Key,
    User,
    Status,
    Kind,
    Model,
    Provider,
    Task,
    Prompt,
    Options,
    Results,
    Asset,
    Error,
    OrderKey,
    Chat,
    Delivered,
    Price,
    Created,
    Updated,
}

impl Column {
    pub(crate) const ALL: [Self; 18] = [
        Self::Key,
        Self::User,
        Self::Status,
        Self::Kind,
        Self::Model,
        Self::Provider,
        Self::Task,
        Self::Prompt,
        Self::Options,
        Self::Results,
        Self::Asset,
        Self::Error,
        Self::OrderKey,
        Self::Chat,
        Self::Delivered,
        Self::Price,
        Self::Created,
        Self::Updated,
    ];

    /// Names that the layouts have for it; the first that is there is read.
    pub(crate) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Key => &["id"],
            Self::User => &["user_id"],
            Self::Status => &["status"],
            Self::Kind => &["type", "kind"],
            Self::Model => &["model_key", "model_id", "model"],
            Self::Provider => &["provider"],
            Self::Task => &["task_id", "kie_task_id"],
            Self::Prompt => &["prompt"],
            Self::Options => &["options", "params"],
            Self::Results => &["result_urls", "result"],
            Self::Asset => &["asset_url"],
            Self::Error => &["error"],
            Self::OrderKey => &["idempotency_key"],
            Self::Chat => &["chat_id"],
            Self::Delivered => &["delivered_at"],
            Self::Price => &["price"],
            Self::Created => &["created_at"],
            Self::Updated => &["updated_at"],
        }
    }

    /// Whether a change of it alone is no change of the generation.
    pub(crate) const fn is_passing(self) -> bool {
        matches!(self, Self::Delivered | Self::Updated)
    }
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Generations, Self::Jobs, Self::GenerationJobs];

    /// Its name, which is that of its table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generations => "generations",
            Self::Jobs => "jobs",
            Self::GenerationJobs => "generation_jobs",
        }
    }

    /// What a word of `status` means in this layout; none for a word that it does not have. Nothing is guessed; only blanks
    /// around it and the case of its letters (ASCII) do not count.
    #[expect(clippy::match_same_arms, reason = "one line for each word of each layout")]
    pub fn status(self, word: &str) -> Option<OldStatus> {
        use OldStatus::{Canceled, Draft, Failed, Succeeded, Waiting, Working};
        Some(match (self, &*word.trim().to_ascii_lowercase()) {
            (Self::Generations, "queued") => Waiting,
            (Self::Generations, "generating") => Working,
            (Self::Generations, "success" | "completed") => Succeeded,
            (Self::Generations, "failed") => Failed,
            (Self::Jobs, "draft") => Draft,
            (Self::Jobs, "pending") => Waiting,
            (Self::Jobs, "running") => Working,
            (Self::Jobs, "done") => Succeeded,
            (Self::Jobs, "failed") => Failed,
            (Self::Jobs, "canceled") => Canceled,
            (Self::GenerationJobs, "queued" | "pending") => Waiting,
            (Self::GenerationJobs, "processing" | "running" | "generating") => Working,
            (Self::GenerationJobs, "success" | "succeeded" | "completed" | "done") => Succeeded,
            (Self::GenerationJobs, "failed" | "error") => Failed,
            (Self::GenerationJobs, "canceled" | "cancelled") => Canceled,
            _ => return None,
        })
    }

    /// The words of `status` that this layout has, for messages.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Generations => "queued, generating, success, completed, failed",
            Self::Jobs => "draft, pending, running, done, failed, canceled",
            Self::GenerationJobs => {
                "queued, pending, processing, running, generating, success, succeeded, completed, done, failed, \
                 error, canceled, cancelled"
            }
        }
    }

    /// The first thing that a table with these columns lacks to be this layout's.
    pub(crate) fn missing(self, columns: Option<&BTreeSet<String>>) -> Option<String> {
        let Some(columns) = columns else { return Some("everything: there is no such table".to_owned()) };
        let required = match self {
            Self::Generations => &["id", "user_id", "status", "task_id"][..],
            Self::Jobs => &["id", "user_id", "status", "kie_task_id"],
            Self::GenerationJobs => &["id", "user_id", "status", "model_id"],
        };
        required.iter().find(|name| !columns.contains(**name)).map(|name| format!("the column {name}"))
    }
}

impl std::str::FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|layout| layout.as_str() == text);
        found.ok_or_else(|| "a layout is generations, jobs or generation_jobs".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_a_layout_has_a_meaning_and_no_other_word_has() {
        for layout in Layout::ALL {
            for word in layout.words().split(',').map(str::trim) {
                let meaning = layout.status(word);
                assert!(meaning.is_some(), "{}: {word}", layout.as_str());
                for same in [word.to_ascii_uppercase(), format!(" {word}\n")] {
                    assert_eq!(layout.status(&same), meaning, "{}: {same}", layout.as_str());
                }
            }
            for word in ["", "Que ued", "unknown", "-done", "refunded", "DÖNE"] {
                assert_eq!(layout.status(word), None, "{}: {word}", layout.as_str());
            }
            assert_eq!(layout.as_str().parse(), Ok(layout));
        }
        assert_eq!(
            Layout::Generations.status("done"),
            None,
            "a word of another layout is no word of this one"
        );
    }
}
