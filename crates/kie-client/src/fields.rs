//! A JSON object whose values stay raw text until somebody asks for one of them.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};

/// The members of one JSON object. Unknown members cost nothing, repeated ones are no error (the last
/// wins), and numbers keep the digits of the wire.
#[derive(Debug)]
pub(crate) struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    /// `None` when the text is not one JSON object.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// Whether the member is there, even as `null`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The member as it was written; `null` counts as absent.
    pub(crate) fn raw(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).map(|raw| raw.get()).filter(|text| *text != "null")
    }

    /// The member as an object.
    pub(crate) fn object(&self, key: &str) -> Option<Fields<'a>> {
        self.raw(key).and_then(Fields::parse)
    }

    /// The member as a JSON value; `None` also when it is nested too deeply to be read.
    pub(crate) fn value(&self, key: &str) -> Option<Value> {
        self.raw(key).and_then(|raw| serde_json::from_str(raw).ok())
    }

    /// The member when it is a string, even an empty one.
    pub(crate) fn string(&self, key: &str) -> Option<String> {
        self.raw(key).and_then(|raw| serde_json::from_str(raw).ok())
    }

    /// The member when it is a string with something in it.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.string(key).filter(|text| !text.trim().is_empty())
    }

    /// The member as text, whether it was written as a string or as a number.
    pub(crate) fn word(&self, key: &str) -> Option<String> {
        self.text(key).or_else(|| self.raw(key).filter(|raw| is_number(raw)).map(str::to_owned))
    }

    /// The member as an integer, also when it was written as a string of digits.
    pub(crate) fn integer(&self, key: &str) -> Option<i64> {
        let raw = self.raw(key)?;
        raw.parse().ok().or_else(|| self.string(key).and_then(|text| text.trim().parse().ok()))
    }
}

fn is_number(raw: &str) -> bool {
    raw.starts_with(|first: char| first.is_ascii_digit() || first == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_members_as_they_are_asked_for() {
        let fields =
            Fields::parse(r#"{"a":"x","b":0.10,"c":null,"d":"42","e":500,"f":{"g":1},"a":"y"}"#).unwrap();
        assert_eq!(fields.text("a").as_deref(), Some("y"));
        assert_eq!(fields.raw("b"), Some("0.10"));
        assert_eq!(fields.raw("c"), None);
        assert!(fields.has("c"));
        assert_eq!(fields.integer("d"), Some(42));
        assert_eq!(fields.word("e").as_deref(), Some("500"));
        assert_eq!(fields.object("f").unwrap().integer("g"), Some(1));
        assert_eq!(fields.integer("b"), None);
    }

    #[test]
    fn only_objects_have_fields() {
        for text in ["", "[]", "1", "\"x\"", "{", "null"] {
            assert!(Fields::parse(text).is_none(), "{text}");
        }
    }
}
