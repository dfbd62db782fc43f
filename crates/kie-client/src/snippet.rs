//! The beginning of an answer that could not be used, kept for people who look into a fault.

use std::fmt;

use crate::texts::shorten;

const MAX_SNIPPET: usize = 300;
const MAX_BRIEF: usize = 120;
/// Characters of a body that is no page.
const MAX_HINT: usize = 40;
/// How much of a page is looked through for its words, in bytes.
const MAX_PAGE: usize = 16 * 1024;
/// From here on a word behind `Bearer` is taken for a key.
const MIN_KEY: usize = 12;

/// The beginning of a body, kept for people who look into a fault. Its `Debug` shows the length alone, because a
/// body can hold prompts, callback addresses and balances.
#[derive(Clone, PartialEq, Eq)]
pub struct Snippet {
    text: String,
    page: bool,
}

impl Snippet {
    pub(crate) fn new(body: &str) -> Self {
        let words = if body.trim_start().starts_with('<') { words_of_page(body) } else { String::new() };
        let page = !words.is_empty();
        let text = without_keys(&shorten(if page { &words } else { body }, 2 * MAX_SNIPPET));
        Self { text: shorten(&text, MAX_SNIPPET), page }
    }

    /// `None` of a body that says nothing.
    pub(crate) fn of(body: &str) -> Option<Self> {
        (!body.trim().is_empty()).then(|| Self::new(body))
    }

    /// At most 300 characters of the body; of a page its words without the tags, line by line. Not for logs.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// One short line, fit for an error: of a page the first of its words, which is the title; of other bodies less, as they
    /// may be an echo of the request.
    pub(crate) fn brief(&self) -> String {
        let text = if self.page { self.text.lines().next().unwrap_or_default() } else { &self.text };
        let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        shorten(&without_paths(&line), if self.page { MAX_BRIEF } else { MAX_HINT })
    }

    /// The [brief](Self::brief) line of a page, as proxies and servers send it. Other bodies may be pieces of a
    /// record, with prompts in them.
    pub(crate) fn brief_of_page(&self) -> Option<String> {
        self.page.then(|| self.brief())
    }
}

impl fmt::Debug for Snippet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snippet({} bytes)", self.text.len())
    }
}

/// What a reader of the page would see, one line for each piece of text.
fn words_of_page(page: &str) -> String {
    let mut lines = Vec::new();
    let mut rest = &page[..page.floor_char_boundary(MAX_PAGE)];
    while let Some((text, tag)) = rest.split_once('<') {
        lines.push(text);
        let hidden = ["script", "style"].into_iter().find(|name| begins_with(tag, name));
        let end = hidden.map_or(Some(0), |name| tag.to_ascii_lowercase().find(&format!("</{name}")));
        let tag = end.map_or("", |end| &tag[end..]);
        rest = tag.split_once('>').map_or("", |(_, behind)| behind);
    }
    lines.push(rest);
    let words = lines.into_iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    words.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn begins_with(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// Leaves out what follows `Bearer`, should somebody answer with the headers of the request.
fn without_keys(text: &str) -> String {
    const MARK: &str = "bearer ";
    let (mut kept, mut rest) = (String::new(), text);
    while let Some(found) = rest.to_ascii_lowercase().find(MARK) {
        let (before, behind) = rest.split_at(found + MARK.len());
        let key = behind.find(|c: char| c.is_whitespace() || "\"'<>,;\\".contains(c)).unwrap_or(behind.len());
        kept.push_str(before);
        kept.push_str(if key < MIN_KEY { &behind[..key] } else { "…" });
        rest = &behind[key..];
    }
    kept + rest
}

/// Leaves out what lies behind the host of an address: it can be a secret, and often is one in callback addresses.
fn without_paths(text: &str) -> String {
    let text = text.replace("\\/", "/");
    let (mut kept, mut rest) = (String::new(), text.as_str());
    while let Some(found) = rest.find("://") {
        let (before, behind) = rest.split_at(found + 3);
        let end = behind.find(|c: char| c.is_whitespace() || "\"'<>\\".contains(c)).unwrap_or(behind.len());
        let address = &behind[..end];
        let host = address.split(['/', '?', '#']).next().unwrap_or_default();
        kept.push_str(before);
        kept.push_str(host.rsplit('@').next().unwrap_or_default());
        kept.push_str(if host.len() < address.len() { "/…" } else { "" });
        rest = &behind[end..];
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_kept_as_its_words() {
        let page = "<!DOCTYPE html>\n<!--[if lt IE 7]> <html class=\"no-js\"> <![endif]-->\n<head>\
                    <title>api.kie.ai | 502: Bad  gateway</title><style>a>b {}</style></head>\
                    <body><h1>Error</h1><script>let a = 1 < 2;</script>2026-11-21 07:12:40 UTC</body>";
        let snippet = Snippet::new(page);
        assert_eq!(snippet.as_str(), "api.kie.ai | 502: Bad gateway\nError\n2026-11-21 07:12:40 UTC");
        assert_eq!(snippet.brief(), "api.kie.ai | 502: Bad gateway", "the same for every such page");
        for bare in ["<html>", "<", "<script>x", "{\"code\":2", "text"] {
            assert_eq!((Snippet::new(bare).as_str(), Snippet::new(bare).brief_of_page()), (bare, None));
        }
        assert_eq!(Snippet::of(" \n"), None);
    }

    #[test]
    fn everything_is_bounded() {
        let long = Snippet::new(&"ё ".repeat(100_000));
        assert_eq!((long.as_str().chars().count(), long.brief().chars().count()), (301, 41));
        let page = Snippet::new(&format!("<p>{}", "ё".repeat(100_000)));
        assert_eq!((page.as_str().chars().count(), page.brief().chars().count()), (301, 121));
    }

    #[test]
    fn keys_are_not_kept_and_addresses_not_shown_whole() {
        let echo = Snippet::new("authorization: Bearer sk-0123456789abcdef, no bearer token");
        assert_eq!(echo.as_str(), "authorization: Bearer …, no bearer token");
        let echo = r#"{"a":"https://u:p@shop.example/cb/secret?k=1","b":"http:\/\/h\/secret"}"#;
        assert_eq!(Snippet::new(echo).brief(), r#"{"a":"https://shop.example/…","b":"http:…"#);
    }

    #[test]
    fn debug_hides_bodies() {
        assert_eq!(format!("{:?}", Snippet::new("a secret prompt")), "Snippet(15 bytes)");
    }
}
