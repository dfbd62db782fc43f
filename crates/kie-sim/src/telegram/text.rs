//! Texts with their entities: parsed by their style, trimmed, measured in UTF-16 as the service does.

use serde_json::{Map, Value, json};

use super::args::Args;
use super::refusal::Refusal;
use super::{html, markdown};

/// The longest text of a message.
pub(crate) const TEXT_MAX: usize = 4096;
/// The longest caption.
pub(crate) const CAPTION_MAX: usize = 1024;
/// A text longer than this is not even parsed.
const RAW_MAX: usize = 1 << 15;

/// A plain text and where it is bold, a link, ….
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Formatted {
    pub(crate) text: String,
    pub(crate) entities: Vec<Map<String, Value>>,
}

/// Collects a text and its entities.
#[derive(Default)]
pub(super) struct Writer {
    made: Formatted,
    len: usize,
}

impl Writer {
    pub(super) fn push(&mut self, letter: char) {
        self.made.text.push(letter);
        self.len += letter.len_utf16();
    }

    pub(super) fn push_str(&mut self, text: &str) {
        text.chars().for_each(|letter| self.push(letter));
    }

    /// In UTF-16 units.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Marks everything from `start` to here; an empty stretch is no entity.
    pub(super) fn mark(&mut self, kind: &str, start: usize, extra: Option<(&str, String)>) {
        if self.len == start {
            return;
        }
        let mut entity = Map::new();
        entity.insert("offset".to_owned(), json!(start));
        entity.insert("length".to_owned(), json!(self.len - start));
        entity.insert("type".to_owned(), json!(kind));
        if let Some((name, value)) = extra {
            entity.insert(name.to_owned(), json!(value));
        }
        self.made.entities.push(entity);
    }

    pub(super) fn finish(mut self) -> Formatted {
        let number = |entity: &Map<String, Value>, name: &str| entity[name].as_u64().unwrap_or(0);
        self.made
            .entities
            .sort_by_key(|entity| (number(entity, "offset"), u64::MAX - number(entity, "length")));
        self.made
    }
}

impl Formatted {
    /// The text in `field`, in the style of `mode` or with the entities given in `entities`.
    pub(crate) fn read(args: &Args, field: &str, mode: &str, entities: &str) -> Result<Self, Refusal> {
        let raw = args.text(field);
        if raw.len() > RAW_MAX {
            return Err(Refusal::bad("Text is too long"));
        }
        let parsed = match args.text(mode).to_ascii_lowercase().as_str() {
            "" | "none" => {
                let given = args.json(entities).and_then(|list| serde_json::from_value(list).ok());
                Ok(Self { text: raw.to_owned(), entities: given.unwrap_or_default() })
            }
            "html" => html::parse(raw),
            "markdownv2" => markdown::parse(raw),
            "markdown" => markdown::parse_legacy(raw),
            _ => return Err(Refusal::bad("Unsupported parse_mode")),
        };
        parsed
            .map(Self::trimmed)
            .map_err(|complaint| Refusal::bad(format!("Can't parse entities: {complaint}")))
    }

    /// The text of a message: not empty, not too long.
    pub(crate) fn message(args: &Args, too_long: &str) -> Result<Self, Refusal> {
        let made = Self::read(args, "text", "parse_mode", "entities")?;
        if made.text.is_empty() {
            return Err(Refusal::bad("Message text is empty"));
        }
        if made.units() > TEXT_MAX { Err(Refusal::bad(too_long)) } else { Ok(made) }
    }

    /// A caption, which may be empty.
    pub(crate) fn caption(args: &Args) -> Result<Self, Refusal> {
        let made = Self::read(args, "caption", "parse_mode", "caption_entities")?;
        if made.units() > CAPTION_MAX { Err(Refusal::bad("Message caption is too long")) } else { Ok(made) }
    }

    /// Writes both parts into a message, unless they are empty.
    pub(crate) fn write(self, fields: &mut Map<String, Value>, text: &str, entities: &str) {
        if !self.text.is_empty() {
            fields.insert(text.to_owned(), json!(self.text));
        }
        if !self.entities.is_empty() {
            fields.insert(entities.to_owned(), json!(self.entities));
        }
    }

    /// What a customer types: a command is an entity.
    pub(crate) fn typed(text: &str) -> Self {
        let mut entities = Vec::new();
        if text.starts_with('/') {
            let command: String = text.chars().take_while(|letter| !letter.is_whitespace()).collect();
            let entity = json!({"offset": 0, "length": units(&command), "type": "bot_command"});
            entities.extend(entity.as_object().cloned());
        }
        Self { text: text.to_owned(), entities }
    }

    fn units(&self) -> usize {
        units(&self.text)
    }

    /// Without space at both ends; entities that fall off are dropped.
    fn trimmed(self) -> Self {
        let start = self.text.trim_start();
        let cut = units(&self.text) - units(start);
        let text = start.trim_end().to_owned();
        let end = units(&text);
        let fit = |mut entity: Map<String, Value>| {
            let read = |name: &str| usize::try_from(entity.get(name)?.as_u64()?).ok();
            let (offset, length) = (read("offset")?, read("length")?);
            let (from, to) = (offset.max(cut) - cut, (offset + length).saturating_sub(cut).min(end));
            if from >= to {
                return None;
            }
            entity.insert("offset".to_owned(), json!(from));
            entity.insert("length".to_owned(), json!(to - from));
            Some(entity)
        };
        Self { text, entities: self.entities.into_iter().filter_map(fit).collect() }
    }
}

/// Length in UTF-16 units.
pub(crate) fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_at_the_ends_is_dropped_and_entities_follow() {
        let object = json!({"text": "  <b> bold </b>  ", "parse_mode": "HTML"});
        let made = Formatted::message(&Args::of_object(object.as_object().unwrap()), "too long").unwrap();
        assert_eq!(made.text, "bold");
        assert_eq!(json!(made.entities), json!([{"offset": 0, "length": 4, "type": "bold"}]));
    }

    #[test]
    fn limits_count_utf16() {
        let ask = |text: String| {
            Formatted::message(
                &Args::of_object(json!({"text": text}).as_object().unwrap()),
                "Message is too long",
            )
        };
        assert!(ask("x".repeat(4096)).is_ok());
        assert_eq!(ask("x".repeat(4097)).unwrap_err().description, "Bad Request: message is too long");
        assert!(ask("\u{1F600}".repeat(2049)).is_err());
        assert_eq!(ask(" \n ".to_owned()).unwrap_err().description, "Bad Request: message text is empty");
    }
}
