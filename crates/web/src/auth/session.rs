//! Sessions of browsers: a cookie that holds the token itself, looked up at every request like any other.

use http::{HeaderMap, header};

use crate::problem::{Kind, Problem};

const MAX_AGE_S: u32 = 30 * 24 * 60 * 60;

/// The token in the session's cookie.
pub(crate) fn find_cookie(headers: &HeaderMap, secure: bool) -> Option<&str> {
    let wanted = name(secure);
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, token)| token).filter(|token| !token.is_empty())
}

/// `Set-Cookie` of a new session. `token` has been looked up, so it is plain ASCII.
pub(crate) fn start_cookie(token: &str, secure: bool) -> String {
    cookie(token, MAX_AGE_S, secure)
}

/// `Set-Cookie` that ends a session.
pub(crate) fn end_cookie(secure: bool) -> String {
    cookie("", 0, secure)
}

/// Whether a browser sent this from a page of ours: by `Sec-Fetch-Site`, for older browsers by `Origin` and `Host`.
pub(crate) fn check_same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let same = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some() && host == text("host")
        }
        (None, None) => false,
    };
    if same {
        return Ok(());
    }
    Err(Problem::new(Kind::Forbidden).detail("a session may change things from our own pages only"))
}

fn cookie(value: &str, max_age_s: u32, secure: bool) -> String {
    let secure_word = if secure { "; Secure" } else { "" };
    format!("{}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure_word}", name(secure))
}

const fn name(secure: bool) -> &'static str {
    if secure { "__Host-kie" } else { "kie" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let given = headers(&[("cookie", "a=1; kie=kie_12 ; b=2")]);
        assert_eq!(find_cookie(&given, false), Some("kie_12"));
        assert_eq!(find_cookie(&given, true), None);
        assert!(start_cookie("t", true).starts_with("__Host-kie=t; Path=/;"));
        assert!(start_cookie("t", true).ends_with("; HttpOnly; SameSite=Strict; Secure"));
    }

    #[test]
    fn only_our_own_pages_may_change_things() {
        let same = |pairs: &[(&'static str, &'static str)]| check_same_origin(&headers(pairs)).is_ok();
        assert!(same(&[("sec-fetch-site", "same-origin")]));
        assert!(same(&[("origin", "http://a.example:80"), ("host", "a.example:80")]));
        assert!(!same(&[
            ("sec-fetch-site", "same-site"),
            ("origin", "http://a.example"),
            ("host", "a.example")
        ]));
        assert!(!same(&[("origin", "http://b.example"), ("host", "a.example")]));
        assert!(!same(&[("origin", "null"), ("host", "a.example")]));
        assert!(!same(&[]));
    }
}
