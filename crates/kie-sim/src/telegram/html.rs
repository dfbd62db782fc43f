//! The HTML style of texts, with the service's own complaints.

use super::text::{Formatted, Writer};

/// A tag that is open.
struct Open {
    tag: String,
    kind: Option<&'static str>,
    extra: Option<(&'static str, String)>,
    start: usize,
}

/// Texts and entities of an HTML text; the error is what the service says after `Can't parse entities: `.
pub(super) fn parse(text: &str) -> Result<Formatted, String> {
    let mut out = Writer::default();
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        match letter {
            '&' => at += character(&text[at..], &mut out),
            '<' if text[at + 1..].starts_with('/') => at = close(text, at, &mut open, &mut out)?,
            '<' => at = start(text, at, &mut open, &out)?,
            _ => {
                out.push(letter);
                at += letter.len_utf8();
            }
        }
    }
    match open.last() {
        Some(left) => Err(format!("Can't find end tag corresponding to start tag \"{}\"", left.tag)),
        None => Ok(out.finish()),
    }
}

/// Writes the character of `&lt;` and its kind, and gives how many bytes it took.
fn character(rest: &str, out: &mut Writer) -> usize {
    let named = rest[1..].split_once(';').map(|(name, _)| name).filter(|name| name.len() <= 10);
    let letter = named.and_then(|name| match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|_| code != 0)
        }
    });
    if let (Some(letter), Some(name)) = (letter, named) {
        out.push(letter);
        name.len() + 2
    } else {
        out.push('&');
        1
    }
}

fn start(text: &str, begin: usize, open: &mut Vec<Open>, out: &Writer) -> Result<usize, String> {
    let rest = &text[begin + 1..];
    let end = rest.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(rest.len());
    let tag = rest[..end].to_ascii_lowercase();
    let (attributes, used) =
        attributes(&rest[end..]).ok_or_else(|| format!("Unclosed start tag at byte offset {begin}"))?;
    let find = |name: &str| attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let kind = match tag.as_str() {
        "b" | "strong" => Some("bold"),
        "i" | "em" => Some("italic"),
        "u" | "ins" => Some("underline"),
        "s" | "strike" | "del" => Some("strikethrough"),
        "tg-spoiler" => Some("spoiler"),
        "code" => Some("code"),
        "pre" => Some("pre"),
        "blockquote" if find("expandable").is_some() => Some("expandable_blockquote"),
        "blockquote" => Some("blockquote"),
        "tg-emoji" => Some("custom_emoji"),
        "a" => find("href").filter(|href| href.contains('.') || href.contains(':')).map(|_| "text_link"),
        "span" if find("class").as_deref() == Some("tg-spoiler") => Some("spoiler"),
        "span" => {
            return Err(format!("Tag \"span\" must have class \"tg-spoiler\" at byte offset {begin}"));
        }
        _ => return Err(format!("Unsupported start tag \"{tag}\" at byte offset {begin}")),
    };
    let extra = match tag.as_str() {
        "a" => find("href").map(|href| ("url", href)),
        "tg-emoji" => find("emoji-id").map(|id| ("custom_emoji_id", id)),
        _ => None,
    };
    open.push(Open { tag, kind, extra, start: out.len() });
    Ok(begin + 1 + end + used)
}

/// The attributes up to the closing bracket, and how many bytes they took; `None` if there is none.
fn attributes(text: &str) -> Option<(Vec<(String, String)>, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if text[at..].starts_with('>') {
            return Some((found, at + 1));
        }
        let rest = &text[at..];
        let end = rest.find(|c: char| c.is_whitespace() || c == '=' || c == '>')?;
        let name = rest[..end].to_ascii_lowercase();
        at += end;
        if !text[at..].starts_with('=') {
            found.push((name, String::new()));
            continue;
        }
        at += 1;
        let rest = &text[at..];
        let value = if let quote @ ('"' | '\'') = rest.chars().next()? {
            let close = rest[1..].find(quote)?;
            at += close + 2;
            &rest[1..=close]
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || c == '>')?;
            at += end;
            &rest[..end]
        };
        let mut plain = Writer::default();
        let mut place = 0;
        while let Some(letter) = value[place..].chars().next() {
            if letter == '&' {
                place += character(&value[place..], &mut plain);
            } else {
                plain.push(letter);
                place += letter.len_utf8();
            }
        }
        found.push((name, plain.finish().text));
    }
}

fn close(text: &str, begin: usize, open: &mut Vec<Open>, out: &mut Writer) -> Result<usize, String> {
    let rest = &text[begin + 2..];
    let end = rest.find('>').ok_or_else(|| format!("Unclosed end tag at byte offset {begin}"))?;
    let name = rest[..end].trim().to_ascii_lowercase();
    let Some(last) = open.pop() else { return Err(format!("Unexpected end tag at byte offset {begin}")) };
    if !name.is_empty() && name != last.tag {
        return Err(format!(
            "Unmatched end tag at byte offset {begin}, expected \"</{}>\", found \"</{name}>\"",
            last.tag
        ));
    }
    if let Some(kind) = last.kind {
        out.mark(kind, last.start, last.extra);
    }
    Ok(begin + 2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tags_become_entities_in_utf16() {
        let made =
            parse("\u{1F600}<b>bold <i>both</i></b> &lt;x&gt; <a href=\"http://a.b/?x=1&amp;y\">link</a>")
                .unwrap();
        assert_eq!(made.text, "\u{1F600}bold both <x> link");
        assert_eq!(
            json!(made.entities),
            json!([
                {"type": "bold", "offset": 2, "length": 9},
                {"type": "italic", "offset": 7, "length": 4},
                {"type": "text_link", "offset": 16, "length": 4, "url": "http://a.b/?x=1&y"},
            ])
        );
    }

    #[test]
    fn complaints_are_those_of_the_service() {
        for (text, complaint) in [
            ("<b>x", "Can't find end tag corresponding to start tag \"b\""),
            ("a <p>x</p>", "Unsupported start tag \"p\" at byte offset 2"),
            ("<b>x</i>", "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\""),
            ("x</b>", "Unexpected end tag at byte offset 1"),
            ("<b", "Unclosed start tag at byte offset 0"),
            ("1 < 2", "Unclosed start tag at byte offset 2"),
        ] {
            assert_eq!(parse(text).map(|made| made.text), Err(complaint.to_owned()), "{text}");
        }
    }
}
