//! The provider's shelf: files uploaded as inputs, each behind an address that answers for a day.

use std::collections::VecDeque;
use std::time::Duration;

use domain::{Chance, SeededChance, Timestamp};
use lifecycle::ReadFailure;
use serde_json::Value;

const ADDRESS: &str = "https://uploads.kie.example/";
/// The shortest of the times that the provider's texts name.
pub(crate) const KEPT: Duration = Duration::from_hours(24);

/// A file that came.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) url: String,
    pub(crate) name: String,
    pub(crate) at: Timestamp,
    /// From then on its address is dead.
    until: Timestamp,
}

#[derive(Default)]
pub(crate) struct Shelf {
    uploads: Vec<Upload>,
    faults: VecDeque<ReadFailure>,
    weather: Option<(SeededChance, f64)>,
}

impl Shelf {
    pub(crate) fn fail_next(&mut self, failure: ReadFailure) {
        self.faults.push_back(failure);
    }

    /// With this probability an upload is refused, its answer is lost, or the file does not live its day.
    pub(crate) fn set_weather(&mut self, weather: Option<(SeededChance, f64)>) {
        self.weather = weather;
    }

    pub(crate) fn uploads(&self) -> &[Upload] {
        &self.uploads
    }

    /// Loses everything that was uploaded so far.
    pub(crate) fn lose_all(&mut self, now: Timestamp) {
        self.uploads.iter_mut().for_each(|upload| upload.until = now);
    }

    pub(crate) fn take(&mut self, name: String, now: Timestamp) -> Result<String, ReadFailure> {
        if let Some(failure) = self.faults.pop_front() {
            return Err(failure);
        }
        let bad = self.weather.as_ref().filter(|(chance, rate)| chance.fraction() < *rate);
        let misfortune = bad.map(|(chance, _)| (chance.fraction(), chance.fraction()));
        let trouble = |words: &str| Err(ReadFailure::Trouble(words.to_owned()));
        let life = match misfortune {
            Some((kind, _)) if kind < 0.4 => return trouble("HTTP 503"),
            Some((kind, part)) if kind > 0.7 => KEPT.mul_f64(part),
            Some(_) | None => KEPT,
        };
        let url = format!("{ADDRESS}{}", self.uploads.len() + 1);
        let until = now.saturating_add(life).unwrap();
        self.uploads.push(Upload { url: url.clone(), name, at: now, until });
        match misfortune {
            Some((kind, _)) if kind <= 0.7 => trouble("the answer was lost"),
            Some(_) | None => Ok(url),
        }
    }

    /// Whether an input names a file of this host that is not there (any more).
    pub(crate) fn misses(&self, input: &Value, now: Timestamp) -> bool {
        let texts = input.as_object().into_iter().flat_map(serde_json::Map::values).filter_map(Value::as_str);
        let there = |url: &str| self.uploads.iter().any(|upload| upload.url == url && now < upload.until);
        texts.filter(|text| text.starts_with(ADDRESS)).any(|url| !there(url))
    }
}
