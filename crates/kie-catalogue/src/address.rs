//! Addresses of files: what `"format": "uri"` means in an input.

/// Schemes that the provider fetches, or knows as its own files (<https://docs.kie.ai/market/bytedance/seedance-2>).
const SCHEMES: [&str; 4] = ["https", "http", "asset", "oss"];

/// Whether the text is an address with one of the schemes and a host, in the letters that RFC 3986 knows. Anything else would
/// be bought and then refused.
pub(crate) fn is_address(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known))
        && !host.is_empty()
        && !host.starts_with(':')
        && rest.bytes().all(is_letter)
        && rest.split('%').skip(1).all(begins_in_hex)
}

/// Whether some letter of the text must be percent-encoded in an address.
pub(crate) fn has_odd_letters(text: &str) -> bool {
    !text.bytes().all(is_letter)
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_graphic() && !br#"<>"\^`{|}"#.contains(&byte)
}

fn begins_in_hex(text: &str) -> bool {
    matches!(text.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn only_what_can_be_fetched_is_an_address() {
        for good in [
            "https://files.example.com/in.png?a=1#b",
            "HTTP://127.0.0.1:8080/media/a/b",
            "https://user:word@example.com",
            "asset://asset-20260404242101-76djj",
            "oss://bucket/%D0%B0.png",
        ] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "in.png",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "foo:bar",
            "mailto:a@b.example",
            "https://",
            "http:x",
            "https:///x",
            "https://?x",
            "https://:80/x",
            "https://a@/x",
            "https://пример.рф/x.png",
            "https://a.example/a b",
            "https://a.example/%zz",
            "https://a.example/%a",
            " https://a.example",
            "ftp://a.example/x",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
