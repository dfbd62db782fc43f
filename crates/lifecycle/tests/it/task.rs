//! A task at the provider: how long it takes, how it ends, and what its record says meanwhile.

use std::time::Duration;

use domain::{Decimal, Timestamp};
use lifecycle::{ReadFailure, TaskRecord, TaskWord};
use serde_json::{Value, json};
use url::Url;

/// How a task ends.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// So many results (what the input asks for if none is said; a text model then answers with an object) and extras;
    /// credits as reported.
    Made {
        results: Option<usize>,
        extras: usize,
        credits: Option<&'static str>,
    },
    Object(Value),
    /// Success that names nothing.
    Empty,
    /// Success that names its result only after this further time.
    EmptyAtFirst(Duration),
    Failed {
        moderation: bool,
    },
    /// A word in no list.
    Word(&'static str),
    Never,
}

/// What a callback of a task brings.
#[derive(Debug, Clone)]
pub(crate) enum Hint {
    Genuine,
    /// Our token, but another task's id.
    OtherTask(String),
    Garbage,
    WrongToken,
}

/// The life of a task from its creation on.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    /// For so long its record is not found.
    pub(crate) young: Duration,
    pub(crate) ends_after: Duration,
    pub(crate) end: End,
    pub(crate) hints: Vec<(Duration, Hint)>,
    /// Another model than the ordered one is shown.
    pub(crate) shows_model: Option<&'static str>,
    pub(crate) shows_address: bool,
    /// The address that is shown is one that we had before.
    pub(crate) address_moved: bool,
    /// The shown time of creation lies so much later.
    pub(crate) created_later: Duration,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            young: Duration::ZERO,
            ends_after: Duration::from_secs(20),
            end: End::Made { results: None, extras: 0, credits: None },
            hints: Vec::new(),
            shows_model: None,
            shows_address: true,
            address_moved: false,
            created_later: Duration::ZERO,
        }
    }
}

impl Life {
    pub(crate) fn ending(end: End) -> Self {
        Self { end, ..Self::default() }
    }

    pub(crate) fn after(mut self, ends_after: Duration) -> Self {
        self.ends_after = ends_after;
        self
    }

    pub(crate) fn hint(mut self, after: Duration, hint: Hint) -> Self {
        self.hints.push((after, hint));
        self
    }
}

/// A task that was made.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) born: Timestamp,
    pub(crate) model: String,
    pub(crate) callback: Option<Url>,
    pub(crate) life: Life,
    /// How many results the input asks for.
    pub(crate) wanted: usize,
    /// Rises when its links move.
    pub(crate) edition: u32,
}

impl Task {
    pub(crate) fn record(&self, id: &str, now: Timestamp) -> Result<TaskRecord, ReadFailure> {
        let age = Duration::try_from(now.duration_since(self.born)).unwrap_or_default();
        if age < self.life.young {
            return Err(ReadFailure::NotFound);
        }
        let working = TaskRecord {
            model: Some(self.life.shows_model.unwrap_or(&self.model).to_owned()),
            word: TaskWord::Working,
            raw_word: "generating".to_owned(),
            outputs: Vec::new(),
            extras: Vec::new(),
            object: None,
            credits: None,
            callback_url: self.callback.clone().filter(|_| self.life.shows_address).map(|mut address| {
                if self.life.address_moved {
                    address.set_host(Some("before.example")).unwrap();
                }
                address.into()
            }),
            created_at: Some(self.born.saturating_add(self.life.created_later).unwrap()),
        };
        if age < self.life.ends_after {
            return Ok(working);
        }
        let success =
            TaskRecord { word: TaskWord::Success, raw_word: "success".to_owned(), ..working.clone() };
        Ok(match &self.life.end {
            End::Never => working,
            End::Made { results, extras, credits } => self.made(id, success, *results, *extras, *credits),
            End::Object(value) => TaskRecord { object: Some(value.clone()), ..success },
            End::Empty => success,
            End::EmptyAtFirst(more) if age < self.life.ends_after + *more => success,
            End::EmptyAtFirst(_) => self.made(id, success, None, 0, None),
            End::Failed { moderation } => {
                let words = "500: it did not work".to_owned();
                let word = TaskWord::Fail { moderation: *moderation, words };
                TaskRecord { word, raw_word: "fail".to_owned(), ..working }
            }
            End::Word(word) => {
                TaskRecord { word: TaskWord::Unknown, raw_word: (*word).to_owned(), ..working }
            }
        })
    }

    fn made(
        &self,
        id: &str,
        success: TaskRecord,
        results: Option<usize>,
        extras: usize,
        credits: Option<&str>,
    ) -> TaskRecord {
        let kinds = ["film", "song", "words"];
        let kind = kinds.into_iter().find(|kind| self.model.ends_with(kind)).unwrap_or("draw");
        let url = |what: &str, number: usize| {
            format!("https://files.kie.example/{kind}/{id}/v{}/{what}{number}", self.edition)
        };
        let in_words = kind == "words" && results.is_none();
        let outputs = if in_words { 0 } else { results.unwrap_or(self.wanted) };
        TaskRecord {
            outputs: (0..outputs).map(|number| url("out", number)).collect(),
            extras: (0..extras).map(|number| url("extra", number)).collect(),
            object: in_words.then(|| json!({"text": format!("words of {id}")})),
            credits: credits.map(|credits| credits.parse::<Decimal>().unwrap()),
            ..success
        }
    }
}
