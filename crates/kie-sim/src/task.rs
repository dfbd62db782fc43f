//! A task: what was asked, what it will make, how far it is.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Stages;
use crate::fault::{Armed, Fault, Moment, Rule, Shape, UNKNOWN_MAX, marks_in, pick, unknown_marks_in};
use crate::files::Format;
use crate::ids::fnv;
use crate::lock::locked;
use crate::models::Kind;
use crate::script::{Scene, Words};

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Success,
    Fail { code: String, message: String },
}

/// What was ordered; never changes and is written down whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) seq: u64,
    pub(crate) model: String,
    pub(crate) kind: Kind,
    pub(crate) input: Map<String, Value>,
    pub(crate) callback_url: Option<String>,
    pub(crate) created_ms: u64,
    pub(crate) due_ms: u64,
    pub(crate) cost_micro: u64,
    pub(crate) count: u32,
    pub(crate) bytes: Option<u64>,
}

/// How far a task is.
#[derive(Debug, Default, Clone)]
pub(crate) struct Progress {
    pub(crate) outcome: Option<Outcome>,
    pub(crate) done_ms: u64,
    pub(crate) told: bool,
    reads_window: (u64, u32),
}

impl Progress {
    pub(crate) fn ended(outcome: Outcome, done_ms: u64) -> Self {
        Self { outcome: Some(outcome), done_ms, ..Self::default() }
    }
}

/// An order with its marks and its progress.
pub(crate) struct Task {
    pub(crate) order: Order,
    /// How long it is in memory, about: an input takes more than its JSON text.
    pub(crate) bytes: usize,
    marks: Vec<Armed>,
    /// Marks that say nothing known: misspelt ones, as a rule.
    pub(crate) unknown_marks: Vec<String>,
    progress: Mutex<Progress>,
}

impl Task {
    pub(crate) fn new(order: Order, progress: Progress) -> Arc<Self> {
        let bytes = size_of::<Self>() + text_length(&order.input) * 2;
        let salt = fnv(&order.id);
        let marks = marks_of(&order.input).into_iter().map(|rule| Armed::new(rule, salt)).collect();
        let mut unknown_marks = Vec::new();
        visit_texts(&order.input, &mut |text| unknown_marks.extend(unknown_marks_in(text)));
        unknown_marks.truncate(UNKNOWN_MAX);
        Arc::new(Self { order, bytes, marks, unknown_marks, progress: Mutex::new(progress) })
    }

    pub(crate) fn progress(&self) -> Progress {
        locked(&self.progress).clone()
    }

    /// Ends the task once; later calls say `false` and change nothing.
    pub(crate) fn end(&self, outcome: Outcome, now_ms: u64) -> bool {
        let mut progress = locked(&self.progress);
        if progress.outcome.is_some() {
            return false;
        }
        progress.outcome = Some(outcome);
        progress.done_ms = now_ms;
        true
    }

    pub(crate) fn is_final(&self) -> bool {
        locked(&self.progress).outcome.is_some()
    }

    pub(crate) fn set_told(&self) {
        locked(&self.progress).told = true;
    }

    /// Whether one more read of this task is allowed in this second.
    pub(crate) fn admit_read(&self, limit: u32, now_ms: u64) -> bool {
        let mut progress = locked(&self.progress);
        let second = now_ms / 1000;
        if progress.reads_window.0 != second {
            progress.reads_window = (second, 0);
        }
        progress.reads_window.1 = progress.reads_window.1.saturating_add(1);
        limit == 0 || progress.reads_window.1 <= limit
    }

    /// The faults of the marks in the input that strike now.
    pub(crate) fn pick(&self, moment: Moment) -> Vec<Fault> {
        if self.marks.is_empty() { Vec::new() } else { pick(&self.marks, moment) }
    }

    /// A form of the result that is asked for without counting the occasion.
    pub(crate) fn lasting_shape(&self) -> Option<Shape> {
        self.marks.iter().find_map(|armed| match armed.rule.fault {
            Fault::Shape(shape) => Some(shape),
            _ => None,
        })
    }

    pub(crate) fn scene(&self) -> Scene<'_> {
        Scene {
            route: None,
            task: Some(&self.order.id),
            model: Some(&self.order.model),
            words: Some(Words::Input(&self.order.input)),
            ..Scene::default()
        }
    }

    /// The word for its state now.
    pub(crate) fn state(&self, progress: &Progress, stages: Stages, now_ms: u64) -> &'static str {
        match &progress.outcome {
            Some(Outcome::Success) => "success",
            Some(Outcome::Fail { .. }) => "fail",
            None => self.running_state(stages, now_ms),
        }
    }

    fn running_state(&self, stages: Stages, now_ms: u64) -> &'static str {
        let whole = self.order.due_ms.saturating_sub(self.order.created_ms).max(1);
        let third = now_ms.saturating_sub(self.order.created_ms).saturating_mul(3) / whole;
        match (stages, third) {
            (_, 0) => "waiting",
            (Stages::All, 1) => "queuing",
            (Stages::All, _) => "generating",
            (Stages::Observed, _) if says_generating(&self.order.model) => "generating",
            (Stages::Observed, _) => "waiting",
        }
    }

    /// The text people see in the result: the prompt without its marks.
    pub(crate) fn caption(&self) -> String {
        let text = ["prompt", "text", "lyrics", "title"]
            .iter()
            .find_map(|key| self.order.input.get(*key)?.as_str())
            .unwrap_or(&self.order.model);
        without_marks(text)
    }

    /// The format of the main files.
    pub(crate) fn format(&self) -> Format {
        match self.order.kind {
            Kind::Video => Format::Mp4,
            Kind::Audio => Format::Mp3,
            Kind::Image | Kind::Text => Format::of_image(&self.order.input),
        }
    }
}

/// How many tracks a Suno model of the jobs path makes, if it makes tracks.
pub(crate) fn music_tracks(model: &str) -> Option<u32> {
    match model.strip_prefix("ai-music-api/")? {
        "replace-section" | "suno-recovery-audio" => Some(1),
        "generate"
        | "extend"
        | "mashup"
        | "sounds"
        | "add-instrumental"
        | "add-vocals"
        | "upload-and-cover-audio"
        | "upload-and-extend-audio" => Some(2),
        _ => None,
    }
}

/// The three models that were seen to say `generating`.
fn says_generating(model: &str) -> bool {
    ["gpt-image-2-text-to-image", "kling-3.0/video", "seedream-5-lite"]
        .iter()
        .any(|name| model.contains(name))
}

/// The marks in every text of an input.
pub(crate) fn marks_of(input: &Map<String, Value>) -> Vec<Rule> {
    let mut rules = Vec::new();
    visit_texts(input, &mut |text| rules.extend(marks_in(text)));
    rules
}

/// Shows every text with a mark, at any depth.
fn visit_texts(input: &Map<String, Value>, see: &mut impl FnMut(&str)) {
    input.values().for_each(|value| visit(value, see));
}

fn visit(value: &Value, see: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) if text.contains("[sim:") => see(text),
        Value::Array(items) => items.iter().for_each(|item| visit(item, see)),
        Value::Object(fields) => visit_texts(fields, see),
        _ => {}
    }
}

fn without_marks(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("[sim:") {
        clean.push_str(&rest[..start]);
        rest = rest[start..].find(']').map_or("", |end| &rest[start + end + 1..]);
    }
    clean.push_str(rest);
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The length of an input as JSON text.
fn text_length(input: &Map<String, Value>) -> usize {
    serde_json::to_string(input).map_or(0, |text| text.len())
}

/// The end of a task that starts now and runs for so long.
pub(crate) fn due(now_ms: u64, runs: Duration) -> u64 {
    now_ms.saturating_add(crate::clock::whole_ms(runs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_at_any_depth_and_hidden_from_people() {
        let input = serde_json::json!({"turns": [{"text": "hello [sim:count=3] you"}], "n": 1});
        assert_eq!(marks_of(input.as_object().unwrap()).len(), 1);
        assert_eq!(without_marks("a [sim:count=3] kite [sim:size=1GiB]"), "a kite");
    }
}
