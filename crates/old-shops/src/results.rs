//! Addresses of results in any of the forms that old shops keep: an array, an object with known members, a list in a text.

use std::collections::HashSet;

use serde_json::Value;

use crate::row::{clean, json};

/// The longest address; signed ones are long.
const ADDRESS_MAX: usize = 8192;
/// Outputs of one generation, as many as a job of ours may have.
pub(crate) const RESULTS_MAX: usize = 32;
/// How deep addresses lie at most.
const DEPTH_MAX: u8 = 6;
/// Members of a `result` object that hold addresses of results.
const RESULT_MEMBERS: [&str; 12] = [
    "resultUrls",
    "result_urls",
    "urls",
    "url",
    "outputs",
    "output",
    "images",
    "videos",
    "image_url",
    "video_url",
    "audio_url",
    "result",
];

/// The addresses of results, in order, without duplicates.
pub(crate) fn results(text: Option<&str>) -> Vec<String> {
    let mut found = Found::default();
    if let Some(text) = text {
        found.take_text(text, DEPTH_MAX);
    }
    found.list
}

#[derive(Default)]
struct Found {
    list: Vec<String>,
    seen: HashSet<String>,
}

impl Found {
    fn take(&mut self, value: &Value, depth: u8) {
        let Some(depth) = depth.checked_sub(1) else { return };
        match value {
            Value::String(text) => self.take_text(text, depth),
            Value::Array(items) => items.iter().for_each(|item| self.take_item(item, depth)),
            Value::Object(members) => {
                for value in RESULT_MEMBERS.iter().filter_map(|name| members.get(*name)) {
                    self.take(value, depth);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// An item of an array is one address, whatever is in it.
    fn take_item(&mut self, item: &Value, depth: u8) {
        match item {
            Value::String(text) if is_address(text.trim()) => self.add(text.trim()),
            other => self.take(other, depth),
        }
    }

    fn take_text(&mut self, text: &str, depth: u8) {
        match json(text) {
            Value::String(text) => match array_literal(text.trim()) {
                Some(items) => items.into_iter().for_each(|item| self.take_item(&Value::String(item), depth)),
                None => addresses(&text).for_each(|address| self.add(address)),
            },
            nested => self.take(&nested, depth),
        }
    }

    fn add(&mut self, word: &str) {
        let fits = is_address(word) && word.len() <= ADDRESS_MAX && self.list.len() < RESULTS_MAX;
        if fits && self.seen.insert(word.to_owned()) {
            self.list.push(clean(word));
        }
    }
}

fn is_address(word: &str) -> bool {
    word.starts_with("https://") || word.starts_with("http://")
}

/// The items of an array as PostgreSQL writes it, `{a,"b,c"}`; none if the text is no such array.
fn array_literal(text: &str) -> Option<Vec<String>> {
    let mut left = text.strip_prefix('{')?.strip_suffix('}')?.chars();
    let (mut items, mut item, mut quoted) = (Vec::new(), String::new(), false);
    while let Some(letter) = left.next() {
        match letter {
            '"' => quoted = !quoted,
            '\\' => item.push(left.next()?),
            ',' if !quoted => items.push(std::mem::take(&mut item)),
            // An array in an array; in an item they stand in quotes.
            '{' | '}' if !quoted => {}
            other => item.push(other),
        }
    }
    items.push(item);
    (!quoted).then_some(items)
}

/// The addresses in a text that is no array. A comma or a brace may be part of one; a blank or a quote is not, nor is a
/// separator with the next address behind it.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '<' | '>'))
        .flat_map(apart)
        .map(|word| word.trim_start_matches(['[', '(', '{', '\'']))
        .map(|word| word.trim_end_matches([',', ';', '|', ']', ')', '\'']))
}

/// Splits a word before each address that stands behind a separator.
fn apart(word: &str) -> impl Iterator<Item = &str> {
    let starts = |at: &usize| word.get(at.saturating_add(1)..).is_some_and(is_address);
    let cuts: Vec<usize> = word.match_indices([',', ';', '|']).map(|(at, _)| at).filter(starts).collect();
    let begins = std::iter::once(0).chain(cuts.clone().into_iter().map(|at| at.saturating_add(1)));
    let ends = cuts.into_iter().chain(std::iter::once(word.len()));
    begins.zip(ends).filter_map(|(begin, end)| word.get(begin..end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn results_are_found_in_every_form() {
        let two = ["https://a/1.png", "https://a/2.png"];
        for text in [
            r#"["https://a/1.png","https://a/2.png","https://a/1.png"]"#,
            r#""[\"https://a/1.png\",\"https://a/2.png\"]""#,
            r#"{"resultUrls":["https://a/1.png","https://a/2.png"]}"#,
            r#"{"images":[{"url":"https://a/1.png"},{"url":"https://a/2.png"}]}"#,
            r#"{"result":"{\"resultUrls\":[\"https://a/1.png\",\"https://a/2.png\"]}"}"#,
            "https://a/1.png, https://a/2.png",
            "https://a/1.png;https://a/2.png",
            "{https://a/1.png,https://a/2.png}",
            "{{https://a/1.png},{https://a/2.png}}",
            r#"{"{\"url\": \"https://a/1.png\"}","{\"url\": \"https://a/2.png\"}"}"#,
            "['https://a/1.png', 'https://a/2.png']",
        ] {
            assert_eq!(results(Some(text)), two, "{text}");
        }
        for text in
            ["null", "{}", "[]", "no address", "5", r#"{"callback":"https://a"}"#, "file:///etc/passwd"]
        {
            assert_eq!(results(Some(text)), Vec::<String>::new(), "{text}");
        }
        let many: Vec<String> = (0..100).map(|n| format!("https://a/{n}")).collect();
        assert_eq!(results(Some(&json!(many).to_string())).len(), RESULTS_MAX);
    }

    #[test]
    fn an_address_with_commas_and_braces_stays_whole() {
        let long = format!("https://a/b.png?X-Amz-Security-Token={}", "x".repeat(4000));
        for address in [
            "https://res.cloudinary.com/x/image/upload/w_400,h_400/a.png",
            "https://res.cloudinary.com/x/image/fetch/w_400,h_400/https://a/b.png",
            "https://a/{size}/b.png",
            "https://a/b.png?list=1,2,3&at={now}",
            &long,
        ] {
            let (array, object) = (json!([address]).to_string(), json!({ "url": address }).to_string());
            for text in [address.to_owned(), array, object, format!("{{\"{address}\"}}")] {
                assert_eq!(results(Some(&text)), [address], "{text}");
            }
        }
        let blank = "https://a/my file, the 2nd.png";
        assert_eq!(results(Some(&json!([blank]).to_string())), [blank], "an item is never cut");
    }

    proptest! {
        #[test]
        fn addresses_come_out_as_they_went_in(
            wanted in prop::collection::hash_set("https?://[a-z]{1,8}\\.[a-z]{2,3}/[a-z0-9_,{}=&?/.-]{0,24}[a-z0-9]", 1..6)
        ) {
            let wanted: Vec<String> = wanted.into_iter().collect();
            let quoted: Vec<String> = wanted.iter().map(|address| format!("\"{address}\"")).collect();
            let objects: Vec<Value> = wanted.iter().map(|address| json!({ "url": address })).collect();
            for text in [
                json!(wanted).to_string(),
                json!(json!(wanted).to_string()).to_string(),
                json!({ "resultUrls": wanted }).to_string(),
                json!({ "images": objects }).to_string(),
                format!("{{{}}}", quoted.join(",")),
                wanted.join(", "),
                wanted.join(","),
                wanted.join("\n"),
                wanted.join(" "),
            ] {
                prop_assert_eq!(&results(Some(&text)), &wanted, "{}", text);
            }
        }

        #[test]
        fn whatever_a_text_holds_only_addresses_come_out(
            text in "(\\[|\\{|\"|\\\\|https://a/|http://|url|:|,|;| |\\]|\\}|0|null|é){0,30}"
        ) {
            for address in results(Some(&text)) {
                prop_assert!(is_address(&address), "{address}");
            }
        }
    }
}
