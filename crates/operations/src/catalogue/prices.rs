//! Whether the provider's words on a price, which are prose, name the amounts of our rules.

use kie_catalogue::{Credits, Model};

/// A credit is 0.005 USD, and some words name dollars alone.
const CREDITS_A_DOLLAR: u64 = 200;

/// How the provider's words stand to our amounts.
pub(super) enum Words {
    /// They name all of them, or what our example costs, or nothing can be said: there are no rules, or no numbers.
    Fit,
    /// They do not name these.
    Lack(Vec<Credits>),
    /// They name none of them.
    Differ,
}

pub(super) fn compare(model: &Model, words: &str) -> Words {
    let (ours, theirs) = (model.price_amounts(), numbers(words));
    let named = |amount: &Credits| {
        theirs.iter().any(|number| number == amount || number.checked_mul(CREDITS_A_DOLLAR) == Some(*amount))
    };
    let lacking: Vec<_> = ours.iter().filter(|amount| !named(amount)).copied().collect();
    let example = model.validate(model.example().clone()).ok().and_then(|valid| valid.cost().upper());
    match lacking.len() {
        0 => Words::Fit,
        _ if theirs.is_empty() || example.as_ref().is_some_and(named) => Words::Fit,
        all if all == ours.len() => Words::Differ,
        _ => Words::Lack(lacking),
    }
}

/// Every number in a text that speaks of credits or dollars: `1,200 credits ($6)` has 1200 and 6.
fn numbers(words: &str) -> Vec<Credits> {
    if !(words.contains('$') || words.to_lowercase().contains("credit")) {
        return Vec::new();
    }
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).count();
    let mut plain = String::with_capacity(words.len());
    for (at, letter) in words.char_indices() {
        // Before three digits it parts thousands, else it parts words.
        match letter {
            ',' if digits(&words[at.saturating_add(1)..]) == 3 => {}
            ',' => plain.push(' '),
            letter => plain.push(letter),
        }
    }
    let parts = plain.split(|letter: char| !letter.is_ascii_digit() && letter != '.');
    parts.filter_map(|part| part.trim_matches('.').parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn numbers_are_found_in_prose() {
        let found = |words: &str| numbers(words).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(found("8 credits per image (about $0.04)."), ["8", "0.04"]);
        assert_eq!(found("1,200 credits/5s, 720p: 0.8…1.5."), ["1200", "5", "720", "0.8", "1.5"]);
        assert_eq!(found("credits: 8,12"), ["8", "12"]);
        assert_eq!(found("see the table for 720p"), [""; 0]);
    }
}
