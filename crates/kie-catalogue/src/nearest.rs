//! "Did you mean": the nearest known name to a mistyped one.

/// Longer names are never compared: nobody mistypes them, and comparing costs time by their length.
const MAX_LENGTH: usize = 64;
const CLOSE_ENOUGH: f64 = 0.72;

/// The known name nearest to `name`, if one is near enough. `bonus` shifts the choice between near ones (0 to 1).
pub(crate) fn nearest<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str>,
    bonus: impl Fn(&str) -> f64,
) -> Option<&'a str> {
    if name.len() > MAX_LENGTH {
        return None;
    }
    let plain = normalise(name);
    let mut best: Option<(&str, f64)> = None;
    for candidate in known {
        let score = score(&plain, &normalise(candidate));
        if score < CLOSE_ENOUGH {
            continue;
        }
        let score = score + bonus(candidate);
        if best.is_none_or(|(_, reached)| score > reached) {
            best = Some((candidate, score));
        }
    }
    best.map(|(candidate, _)| candidate)
}

fn score(name: &str, candidate: &str) -> f64 {
    if name.len().min(candidate.len()) < 3 && strsim::damerau_levenshtein(name, candidate) > 1 {
        return 0.0;
    }
    let likeness =
        strsim::jaro_winkler(name, candidate).max(strsim::normalized_damerau_levenshtein(name, candidate));
    let contained =
        name.len() >= 3 && (candidate.contains(name) || candidate.len() >= 3 && name.contains(candidate));
    if contained { likeness.max(0.8) } else { likeness }
}

/// Case, underscores and other separators do not count.
fn normalise(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
        nearest(name, known.iter().copied(), |_| 0.0)
    }

    #[test]
    fn finds_other_spellings_and_typing_errors() {
        let known = ["prompt", "aspect_ratio", "image_urls", "num_images"];
        assert_eq!(near("aspectRatio", &known), Some("aspect_ratio"));
        assert_eq!(near("promt", &known), Some("prompt"));
        assert_eq!(near("image", &known), Some("image_urls"));
        assert_eq!(near("zebra", &known), None);
        assert_eq!(near(&"prompt".repeat(40), &known), None);
    }
}
