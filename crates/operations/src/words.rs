//! What people read: moments, counts, money, addresses and errors in one form each.

use std::fmt::Display;

use domain::{Currency, Money, Timestamp};
use store::{Store, StoreError};

/// A moment in whole seconds, `2026-11-21 22:48:46Z`.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%F %TZ").to_string()
}

/// A number of things: `1 job`, `2 jobs`.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(number: N, one: &str, many: &str) -> String {
    let noun = if number == N::from(1) { one } else { many };
    format!("{number} {noun}")
}

/// How amounts are told: in the shop's currency, once the shop has one.
#[derive(Debug, Clone)]
pub struct MoneyForm(Option<Currency>);

impl MoneyForm {
    /// The form of this shop.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(store: &dyn Store) -> Result<Self, StoreError> {
        Ok(Self(store.currency().await?.and_then(|text| text.parse().ok())))
    }

    /// The amount with its currency, such as `7.00 RUB`.
    pub fn text(&self, amount: Money) -> String {
        match &self.0 {
            Some(currency) => currency.format(amount),
            None => format!("{} minor units", amount.minor()),
        }
    }
}

/// Whom an address reaches, without what may be secret in it: many a receiver knows its sender by the path.
pub fn shown_address(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (host, hidden) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or_default();
    let hidden = if hidden.is_empty() { "" } else { "/…" };
    format!("{scheme}://{host}{hidden}")
}

/// An error and its causes, each of them once: many an error says its cause's words, too.
pub fn error_words(error: &anyhow::Error) -> String {
    let mut text = String::new();
    let mut said: Vec<String> = Vec::new();
    for cause in error.chain() {
        let words = cause.to_string();
        let new: Vec<&str> =
            words.split(": ").filter(|part| !said.iter().any(|known| known == part)).collect();
        if new.is_empty() || text.contains(&words) {
            continue;
        }
        // The first cause is told as it is.
        let new = if text.is_empty() { words.clone() } else { format!("{text}: {}", new.join(": ")) };
        text = new;
        said.extend(words.split(": ").map(str::to_owned));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_counts_are_told_to_people() {
        let at: Timestamp = "2026-11-21T22:48:46.123456Z".parse().unwrap();
        assert_eq!(moment(at), "2026-11-21 22:48:46Z");
        assert_eq!([0_u64, 1, 2].map(|number| counted(number, "job", "jobs")), ["0 jobs", "1 job", "2 jobs"]);
    }

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        for (address, shown) in [
            ("https://me:secret@shop.example/hook/secret?key=secret#x", "https://shop.example/…"),
            ("https://shop.example:8443", "https://shop.example:8443"),
            ("https://shop.example/secret@b", "https://shop.example/…"),
            ("https://shop.example?key=secret", "https://shop.example/…"),
            ("77", "77"),
        ] {
            assert_eq!(shown_address(address), shown);
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        let told = |causes: &[&'static str]| {
            let mut causes = causes.iter().rev();
            let first = anyhow::Error::msg(*causes.next().unwrap());
            error_words(&causes.fold(first, |error, words| error.context(*words)))
        };
        assert_eq!(told(&["source has trouble", "source has trouble"]), "source has trouble");
        assert_eq!(told(&["storage: put: no route", "put: no route", "no route"]), "storage: put: no route");
        assert_eq!(told(&["storage: put", "put: no route"]), "storage: put: no route");
        assert_eq!(told(&["a job", "the database", "a lock"]), "a job: the database: a lock");
    }
}
