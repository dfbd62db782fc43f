//! Faults that tests order from outside: by route, task, model or prompt, and by method or chat.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::fault::{Armed, BadFault, Fault, Moment, Route, Rule, is_chance, pick};

/// A fault and what it applies to; every filter that is set must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// What happens and how often.
    pub rule: Rule,
    /// Only on this route.
    pub route: Option<Route>,
    /// Only for this task id.
    pub task: Option<String>,
    /// Only for this model; a trailing `*` matches any ending.
    pub model: Option<String>,
    /// Only for tasks whose input, or messages whose text, contains this.
    pub prompt: Option<String>,
    /// Only for this method of the Bot API, whatever its case; a trailing `*` matches any ending.
    pub method: Option<String>,
    /// Only for this chat of the messenger.
    pub chat: Option<i64>,
}

impl Script {
    /// A script from the grammar of the marks, such as `create=429:times=2`.
    pub fn parse(text: &str) -> Result<Self, BadFault> {
        Ok(Self {
            rule: text.parse()?,
            route: None,
            task: None,
            model: None,
            prompt: None,
            method: None,
            chat: None,
        })
    }

    /// The same, only on this route.
    #[must_use]
    pub fn on(self, route: Route) -> Self {
        Self { route: Some(route), ..self }
    }

    /// The same, only for this task id.
    #[must_use]
    pub fn for_task(self, id: impl Into<String>) -> Self {
        Self { task: Some(id.into()), ..self }
    }

    /// The same, only for this model; a trailing `*` matches any ending.
    #[must_use]
    pub fn for_model(self, model: impl Into<String>) -> Self {
        Self { model: Some(model.into()), ..self }
    }

    /// The same, only for this method of the Bot API; a trailing `*` matches any ending.
    #[must_use]
    pub fn for_method(self, method: impl Into<String>) -> Self {
        Self { method: Some(method.into()), ..self }
    }

    /// The same, only for this chat of the messenger.
    #[must_use]
    pub fn for_chat(self, chat: i64) -> Self {
        Self { chat: Some(chat), ..self }
    }

    /// The same, only for tasks whose input, or messages whose text, contains this.
    #[must_use]
    pub fn for_prompt(self, text: impl Into<String>) -> Self {
        Self { prompt: Some(text.into()), ..self }
    }

    /// The same, at most so many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.rule.times = Some(times);
        self
    }

    /// The same, only after so many occasions have passed unharmed.
    #[must_use]
    pub fn after(mut self, occasions: u32) -> Self {
        self.rule.after = occasions;
        self
    }

    /// The same with this chance (0.0 to 1.0) on each occasion, repeatable by its seed.
    #[must_use]
    pub fn with_chance(mut self, probability: f64, seed: u64) -> Self {
        self.rule.probability = Some(probability);
        self.rule.seed = seed;
        self
    }

    fn applies(&self, scene: &Scene<'_>) -> bool {
        self.route.is_none_or(|route| scene.route == Some(route))
            && self.task.as_deref().is_none_or(|id| scene.task == Some(id))
            && self.model.as_deref().is_none_or(|model| scene.model.is_some_and(|name| fits(model, name)))
            && self.method.as_deref().is_none_or(|method| {
                scene
                    .method
                    .is_some_and(|name| fits(&method.to_ascii_lowercase(), &name.to_ascii_lowercase()))
            })
            && self.chat.is_none_or(|chat| scene.chat == Some(chat))
            && self.prompt.as_deref().is_none_or(|text| scene.words.is_some_and(|words| words.contain(text)))
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

/// What is happening when scripts are asked.
#[derive(Default, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) route: Option<Route>,
    pub(crate) task: Option<&'a str>,
    pub(crate) model: Option<&'a str>,
    pub(crate) words: Option<Words<'a>>,
    pub(crate) method: Option<&'a str>,
    pub(crate) chat: Option<i64>,
}

/// Where a script's `prompt` is sought.
#[derive(Clone, Copy)]
pub(crate) enum Words<'a> {
    Text(&'a str),
    /// An input, as JSON text that is made when a script asks.
    Input(&'a Map<String, Value>),
}

impl Words<'_> {
    fn contain(self, part: &str) -> bool {
        match self {
            Self::Text(text) => text.contains(part),
            Self::Input(input) => serde_json::to_string(input).is_ok_and(|text| text.contains(part)),
        }
    }
}

/// A script as the admin path takes and shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScriptForm {
    #[serde(default, skip_deserializing)]
    pub(crate) id: u64,
    pub(crate) fault: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<Route>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) task: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prompt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chat: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<u32>,
    #[serde(default)]
    pub(crate) after: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) probability: Option<f64>,
    #[serde(default)]
    pub(crate) seed: u64,
    #[serde(default, skip_deserializing)]
    pub(crate) struck: u32,
}

impl TryFrom<ScriptForm> for Script {
    type Error = BadFault;

    fn try_from(form: ScriptForm) -> Result<Self, BadFault> {
        if let Some(probability) = form.probability.filter(|probability| !is_chance(*probability)) {
            return Err(BadFault(format!("{}:p={probability}", form.fault)));
        }
        let mut rule: Rule = form.fault.parse()?;
        rule.times = form.times.or(rule.times);
        rule.after = rule.after.max(form.after);
        rule.probability = form.probability.or(rule.probability);
        rule.seed = if form.seed == 0 { rule.seed } else { form.seed };
        Ok(Self {
            rule,
            route: form.route,
            task: form.task,
            model: form.model,
            prompt: form.prompt,
            method: form.method,
            chat: form.chat,
        })
    }
}

struct Entry {
    id: u64,
    text: String,
    script: Script,
    armed: Armed,
}

/// The scripts in force. Without any, asking costs one atomic load.
#[derive(Default)]
pub(crate) struct Scripts {
    count: AtomicUsize,
    next_id: AtomicU64,
    entries: RwLock<Vec<Arc<Entry>>>,
}

/// More scripts than this are refused.
pub(crate) const SCRIPTS_MAX: usize = 10_000;

impl Scripts {
    /// Puts scripts in force, each with its text, and gives their numbers; `None`, and none of them is in force, if
    /// there would be too many.
    pub(crate) fn add(&self, scripts: Vec<(String, Script)>) -> Option<Vec<u64>> {
        let mut entries = self.entries.write().ok()?;
        if entries.len() + scripts.len() > SCRIPTS_MAX {
            return None;
        }
        let mut ids = Vec::with_capacity(scripts.len());
        for (text, script) in scripts {
            let id = self.next_id.fetch_add(1, Ordering::Relaxed) + 1;
            let armed = Armed::new(script.rule.clone(), 0);
            entries.push(Arc::new(Entry { id, text, script, armed }));
            ids.push(id);
        }
        self.count.store(entries.len(), Ordering::Release);
        Some(ids)
    }

    pub(crate) fn clear(&self) {
        if let Ok(mut entries) = self.entries.write() {
            entries.clear();
            self.count.store(0, Ordering::Release);
        }
    }

    pub(crate) fn forms(&self) -> Vec<ScriptForm> {
        self.entries
            .read()
            .map(|entries| entries.iter().map(|entry| entry.form()).collect())
            .unwrap_or_default()
    }

    /// The faults of this moment that strike now.
    pub(crate) fn pick(&self, moment: Moment, scene: &Scene<'_>) -> Vec<Fault> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let Ok(entries) = self.entries.read() else { return Vec::new() };
        pick(entries.iter().filter(|entry| entry.script.applies(scene)).map(|entry| &entry.armed), moment)
    }
}

impl Entry {
    fn form(&self) -> ScriptForm {
        let rule = &self.script.rule;
        ScriptForm {
            id: self.id,
            fault: self.text.clone(),
            route: self.script.route,
            task: self.script.task.clone(),
            model: self.script.model.clone(),
            prompt: self.script.prompt.clone(),
            method: self.script.method.clone(),
            chat: self.script.chat,
            times: rule.times,
            after: rule.after,
            probability: rule.probability,
            seed: rule.seed,
            struck: self.armed.struck(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_must_hold() {
        let scripts = Scripts::default();
        let script = Script::parse("record=500").unwrap().for_model("kling*").for_prompt("kite");
        scripts.add(vec![("record=500".to_owned(), script)]).unwrap();
        let scene =
            |model, text| Scene { model: Some(model), words: Some(Words::Text(text)), ..Scene::default() };
        assert_eq!(scripts.pick(Moment::Record, &scene("kling-2.6/text-to-video", "a kite")).len(), 1);
        assert!(scripts.pick(Moment::Record, &scene("wan/2", "a kite")).is_empty());
        assert!(scripts.pick(Moment::Record, &scene("kling-2", "a dune")).is_empty());
        assert!(scripts.pick(Moment::Create, &scene("kling-2", "a kite")).is_empty());
        let input = serde_json::json!({"prompt": "a kite", "n": 1});
        let words = input.as_object().map(Words::Input);
        let scene = Scene { model: Some("kling-2"), words, ..Scene::default() };
        assert_eq!(scripts.pick(Moment::Record, &scene).len(), 1);
        scripts.clear();
        assert!(scripts.forms().is_empty());
    }

    #[test]
    fn a_list_that_does_not_fit_is_refused_whole() {
        let scripts = Scripts::default();
        let list = |count| {
            let script = Script::parse("record=500").unwrap();
            vec![("record=500".to_owned(), script); count]
        };
        assert_eq!(scripts.add(list(SCRIPTS_MAX - 1)).unwrap().len(), SCRIPTS_MAX - 1);
        assert_eq!(scripts.add(list(2)), None);
        assert_eq!(scripts.forms().len(), SCRIPTS_MAX - 1);
        assert_eq!(scripts.add(list(1)), Some(vec![SCRIPTS_MAX as u64]));
        assert_eq!(scripts.add(list(1)), None);
    }
}
