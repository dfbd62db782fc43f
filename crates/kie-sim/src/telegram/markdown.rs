//! The two Markdown styles of texts, with the service's own complaints.

use super::text::{Formatted, Writer};

/// An entity that is open.
struct Open {
    mark: &'static str,
    kind: &'static str,
    name: &'static str,
    start: usize,
    begin: usize,
}

/// What opens and closes what, longer marks first.
const MARKS: [(&str, &str, &str); 7] = [
    ("```", "pre", "Pre"),
    ("__", "underline", "Underline"),
    ("||", "spoiler", "Spoiler"),
    ("*", "bold", "Bold"),
    ("_", "italic", "Italic"),
    ("~", "strikethrough", "Strikethrough"),
    ("`", "code", "Code"),
];

/// `MarkdownV2`.
pub(super) fn parse(text: &str) -> Result<Formatted, String> {
    let mut out = Writer::default();
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        let rest = &text[at..];
        if letter == '\\'
            && let Some(next) = rest[1..].chars().next().filter(|next| (1..=126).contains(&u32::from(*next)))
        {
            out.push(next);
            at += 2;
        } else if let Some(last) = open.last().filter(|last| matches!(last.kind, "code" | "pre")) {
            if rest.starts_with(last.mark) {
                at += finish(&mut open, &mut out);
            } else {
                out.push(letter);
                at += letter.len_utf8();
            }
        } else if letter == '>' && (at == 0 || text[..at].ends_with('\n')) {
            if open.is_empty() {
                open.push(Open {
                    mark: "\n",
                    kind: "blockquote",
                    name: "BlockQuote",
                    start: out.len(),
                    begin: at,
                });
            }
            at += 1;
        } else if letter == '\n' {
            if open.last().is_some_and(|last| last.kind == "blockquote") && !rest[1..].starts_with('>') {
                finish(&mut open, &mut out);
            }
            out.push(letter);
            at += 1;
        } else {
            at += special(text, at, &mut open, &mut out)?;
        }
    }
    if open.last().is_some_and(|last| last.kind == "blockquote") {
        finish(&mut open, &mut out);
    }
    match open.last() {
        Some(left) => Err(format!("Can't find end of {} entity at byte offset {}", left.name, left.begin)),
        None => Ok(out.finish()),
    }
}

/// Ends the last entity and gives the length of its mark.
fn finish(open: &mut Vec<Open>, out: &mut Writer) -> usize {
    let Some(last) = open.pop() else { return 0 };
    out.mark(last.kind, last.start, None);
    last.mark.len()
}

/// A mark, a link, a plain letter or one that had to be escaped; gives the bytes it took.
fn special(text: &str, at: usize, open: &mut Vec<Open>, out: &mut Writer) -> Result<usize, String> {
    let rest = &text[at..];
    if let Some(last) = open.last() {
        if last.kind == "text_link" && rest.starts_with(']') {
            return link(rest, open, out);
        }
        let longer = last.mark == "_" && rest.starts_with("__");
        if last.kind != "blockquote" && rest.starts_with(last.mark) && !longer {
            return Ok(finish(open, out));
        }
    }
    if rest.starts_with('[') {
        open.push(Open { mark: "]", kind: "text_link", name: "TextUrl", start: out.len(), begin: at });
        return Ok(1);
    }
    if let Some((mark, kind, name)) = MARKS.iter().find(|(mark, ..)| rest.starts_with(mark)) {
        open.push(Open { mark, kind, name, start: out.len(), begin: at });
        return Ok(mark.len());
    }
    let letter = rest.chars().next().unwrap_or_default();
    if "_*[]()~`>#+-=|{}.!".contains(letter) {
        return Err(format!("Character '{letter}' is reserved and must be escaped with the preceding '\\'"));
    }
    out.push(letter);
    Ok(letter.len_utf8())
}

/// `](address)` after the text of a link.
fn link(rest: &str, open: &mut Vec<Open>, out: &mut Writer) -> Result<usize, String> {
    let Some(last) = open.pop() else { return Ok(1) };
    let Some(address) = rest.strip_prefix("](") else {
        return Ok(1);
    };
    let Some(end) = unescaped(address, ')') else {
        return Err(format!("Can't find end of a URL at byte offset {}", last.begin));
    };
    out.mark(last.kind, last.start, Some(("url", address[..end].replace('\\', ""))));
    Ok(2 + end + 1)
}

fn unescaped(text: &str, wanted: char) -> Option<usize> {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        if letter == wanted && !escaped {
            return Some(at);
        }
        escaped = letter == '\\' && !escaped;
    }
    None
}

/// The old style, which knows no nesting.
pub(super) fn parse_legacy(text: &str) -> Result<Formatted, String> {
    let mut out = Writer::default();
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        let rest = &text[at..];
        let begin = at;
        let endless = || format!("Can't find end of the entity starting at byte offset {begin}");
        let mark = [("```", "pre"), ("*", "bold"), ("_", "italic"), ("`", "code")]
            .into_iter()
            .find(|(mark, _)| rest.starts_with(mark));
        if letter == '\\' && rest[1..].starts_with(['_', '*', '`', '[']) {
            out.push_str(&rest[1..2]);
            at += 2;
        } else if let Some((mark, kind)) = mark {
            let inner = &rest[mark.len()..];
            let end = inner.find(mark).ok_or_else(endless)?;
            let start = out.len();
            out.push_str(&inner[..end]);
            out.mark(kind, start, None);
            at += end + 2 * mark.len();
        } else if letter == '[' {
            let end = rest.find(']').ok_or_else(endless)?;
            let start = out.len();
            out.push_str(&rest[1..end]);
            at += end + 1;
            if let Some(address) = rest[end + 1..].strip_prefix('(') {
                let close = address.find(')').ok_or_else(endless)?;
                out.mark("text_link", start, Some(("url", address[..close].to_owned())));
                at += close + 2;
            }
        } else {
            out.push(letter);
            at += letter.len_utf8();
        }
    }
    Ok(out.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_second_style_nests_and_escapes() {
        let made = parse("*b _i_* \\. `a.b` [x](http://a.b) __u__ ||s||\n>quote\nend").unwrap();
        assert_eq!(made.text, "b i . a.b x u s\nquote\nend");
        let kinds: Vec<_> = made.entities.iter().map(|entity| entity["type"].clone()).collect();
        assert_eq!(
            json!(kinds),
            json!(["bold", "italic", "code", "text_link", "underline", "spoiler", "blockquote"])
        );
    }

    #[test]
    fn complaints_are_those_of_the_service() {
        for (text, complaint) in [
            ("1.5", "Character '.' is reserved and must be escaped with the preceding '\\'"),
            ("*open", "Can't find end of Bold entity at byte offset 0"),
            ("a _i", "Can't find end of Italic entity at byte offset 2"),
            ("`c", "Can't find end of Code entity at byte offset 0"),
        ] {
            assert_eq!(parse(text).map(|made| made.text), Err(complaint.to_owned()), "{text}");
        }
        let old = parse_legacy("snake_case");
        assert_eq!(
            old.map(|made| made.text),
            Err("Can't find end of the entity starting at byte offset 5".to_owned())
        );
        assert_eq!(parse_legacy("*b* 1.5 [x](http://a)").unwrap().entities.len(), 2);
    }
}
