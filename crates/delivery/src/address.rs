//! Which addresses a customer may name for webhooks.

use outbound::{Blocked, Guard};
use thiserror::Error;
use url::{Host, Url};

/// The longest address, in bytes.
const LENGTH_MAX: usize = 2_048;

/// Last labels of names that mean something only inside somebody's own network.
const PRIVATE_SUFFIXES: [&str; 5] = ["localhost", "local", "internal", "lan", "home.arpa"];

/// Why an address is refused, in the customer's words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WebhookUrlError {
    /// Longer than 2048 bytes.
    #[error("the webhook address is longer than {LENGTH_MAX} characters")]
    TooLong,
    /// Not an absolute URL with a host.
    #[error("the webhook address is not a complete URL such as `https://shop.example/hooks`")]
    NotUrl,
    /// Another scheme than https.
    #[error("the webhook address must begin with `https://`")]
    NotHttps,
    /// A user name or password in the URL.
    #[error("the webhook address must not contain a user name or password; calls are signed instead")]
    UserInfo,
    /// An address that the public internet does not reach.
    #[error("the webhook address must be reachable from the public internet")]
    Private,
}

/// Reads a webhook address at order time.
///
/// The same guard judges again at each try, then by the resolved address too. Targets of the guard's allow list pass,
/// also by plain http.
pub fn check_webhook_url(guard: &Guard, url: &str) -> Result<Url, WebhookUrlError> {
    if url.len() > LENGTH_MAX {
        return Err(WebhookUrlError::TooLong);
    }
    let url = Url::parse(url).map_err(|_not_url| WebhookUrlError::NotUrl)?;
    if url.as_str().len() > LENGTH_MAX {
        return Err(WebhookUrlError::TooLong);
    }
    guard.check(&url).map_err(|blocked| match blocked {
        Blocked::Scheme { .. } => WebhookUrlError::NotHttps,
        Blocked::UserInfo => WebhookUrlError::UserInfo,
        Blocked::NoHost => WebhookUrlError::NotUrl,
        _ => WebhookUrlError::Private,
    })?;
    if has_private_name(&url) && !is_listed(guard, &url) {
        return Err(WebhookUrlError::Private);
    }
    Ok(url)
}

/// Names such as `localhost` or `printer.local` would only fail later, when they are resolved.
fn has_private_name(url: &Url) -> bool {
    let Some(Host::Domain(name)) = url.host() else { return false };
    let name = name.strip_suffix('.').unwrap_or(name);
    let ends_with =
        |suffix: &str| name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !name.contains('.') || PRIVATE_SUFFIXES.iter().any(|suffix| ends_with(suffix))
}

/// Whether the deployer named the target: only then it may be reached by plain http.
fn is_listed(guard: &Guard, url: &Url) -> bool {
    let mut plain = url.clone();
    let port = url.port_or_known_default();
    plain.set_scheme("http").is_ok() && plain.set_port(port).is_ok() && guard.check(&plain).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_https_addresses_pass() {
        for url in [
            "https://shop.example/hooks?shop=1",
            "https://shop.example:8443/",
            "https://1.1.1.1/hook",
            "https://xn--80ak6aa92e.example/",
            "https://internal.example.org/",
            "https://local.example./x",
        ] {
            assert_eq!(check_webhook_url(&Guard::default(), url).map(String::from), Ok(url.to_owned()));
        }
    }

    #[test]
    fn everything_else_is_refused_in_the_customer_s_words() {
        let long = format!("https://shop.example/{}", "a".repeat(2_048));
        let grows = format!("https://shop.example/{}", "ä".repeat(900));
        let cases = [
            (long.as_str(), WebhookUrlError::TooLong),
            (grows.as_str(), WebhookUrlError::TooLong),
            ("", WebhookUrlError::NotUrl),
            ("shop.example/hooks", WebhookUrlError::NotUrl),
            ("https://", WebhookUrlError::NotUrl),
            ("https://shop.example:0/", WebhookUrlError::NotUrl),
            ("http://shop.example/", WebhookUrlError::NotHttps),
            ("ftp://shop.example/", WebhookUrlError::NotHttps),
            ("javascript:alert(1)", WebhookUrlError::NotHttps),
            ("https://user:pw@shop.example/", WebhookUrlError::UserInfo),
            ("https://127.0.0.1/", WebhookUrlError::Private),
            ("https://0x7f.1/", WebhookUrlError::Private),
            ("https://[::ffff:10.0.0.1]/", WebhookUrlError::Private),
            ("https://169.254.169.254/latest", WebhookUrlError::Private),
            ("https://localhost/", WebhookUrlError::Private),
            ("https://LOCALHOST./", WebhookUrlError::Private),
            ("https://db/", WebhookUrlError::Private),
            ("https://metadata.google.internal/", WebhookUrlError::Private),
        ];
        for (url, error) in cases {
            assert_eq!(check_webhook_url(&Guard::default(), url), Err(error), "{url}");
        }
    }

    #[test]
    fn listed_targets_pass_on_their_port() {
        let guard = Guard::new("hooks:9000, localhost:443, 127.0.0.1:8080".parse().unwrap());
        for url in
            ["http://hooks:9000/x", "https://hooks:9000/", "https://localhost/", "http://127.0.0.1:8080/"]
        {
            assert!(check_webhook_url(&guard, url).is_ok(), "{url}");
        }
        for url in ["http://hooks/", "https://hooks/", "https://localhost:444/", "http://127.0.0.1:8081/"] {
            assert!(check_webhook_url(&guard, url).is_err(), "{url}");
        }
    }
}
