//! What Telegram signs for web pages: the data of a mini app and of the login widget.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::files::hex;
use super::views::Person;
use crate::ids::fnv;

/// `initData` of a mini app that this person opened at `auth_date` (seconds since the epoch): a query string
/// with `query_id`, `user`, `auth_date` and `hash`. The newer `signature` for third parties is not made.
pub fn sign_init_data(token: &str, user: &Person, auth_date: u64) -> String {
    let fields = [
        ("auth_date", auth_date.to_string()),
        ("query_id", format!("AAF{:016x}", fnv(&format!("{} {auth_date}", user.id)))),
        ("user", serde_json::to_string(user).unwrap_or_default()),
    ];
    let hash = hex(&mac(&mac(b"WebAppData", token.as_bytes()), check_text(&fields).as_bytes()));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(fields).append_pair("hash", &hash);
    query.finish()
}

/// What the login widget hands over for this person at `auth_date` (seconds since the epoch): its fields and
/// `hash`, in the order of their names.
pub fn sign_login(token: &str, user: &Person, auth_date: u64) -> Vec<(String, String)> {
    let mut fields = vec![("auth_date".to_owned(), auth_date.to_string())];
    if let Ok(Value::Object(object)) = serde_json::to_value(user) {
        for (name, value) in object {
            // The widget does not tell the language.
            if name != "language_code" {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                fields.push((name, text));
            }
        }
    }
    fields.sort();
    let hash = hex(&mac(&Sha256::digest(token.as_bytes()), check_text(&fields).as_bytes()));
    fields.push(("hash".to_owned(), hash));
    fields
}

/// `name=value` by line, in the order given.
fn check_text(fields: &[(impl AsRef<str>, String)]) -> String {
    let lines: Vec<_> = fields.iter().map(|(name, value)| format!("{}={value}", name.as_ref())).collect();
    lines.join("\n")
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    // A key of any length is accepted by HMAC, so the empty answer is never given.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by an independent implementation from the documented recipe.
    const INIT_HASH: &str = "932ef7b46cd0524f29a61c85e94b3191f67006d9c945ed588a72c968540a2143";
    const LOGIN_HASH: &str = "d1d9d36a397367537762cfc97a1e5c3d87287abf208043d620a4bf92c6404eb8";

    fn person() -> Person {
        Person {
            id: 42,
            first_name: "Ann".into(),
            last_name: None,
            username: Some("ann".into()),
            language_code: Some("en".into()),
        }
    }

    #[test]
    fn init_data_is_signed_by_the_recipe() {
        let query = sign_init_data("123:abc", &person(), 1_700_000_000);
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        assert_eq!(pairs[2].1, r#"{"id":42,"first_name":"Ann","username":"ann","language_code":"en"}"#);
        assert_eq!(pairs[3], ("hash".to_owned(), INIT_HASH.to_owned()), "{query}");
    }

    #[test]
    fn the_login_is_signed_by_the_recipe() {
        let fields = sign_login("123:abc", &person(), 1_700_000_000);
        let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["auth_date", "first_name", "id", "username", "hash"]);
        assert_eq!(fields[4].1, LOGIN_HASH);
    }
}
