//! The few provider texts that change the meaning of a code, and bounds for texts that are kept.

const MAX_MESSAGE: usize = 500;

/// Keeps at most `MAX_MESSAGE` characters, verbatim.
pub(crate) fn shorten_message(text: &str) -> String {
    shorten(text, MAX_MESSAGE)
}

/// Keeps at most `limit` characters and marks a cut with an ellipsis.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// A record that is young, unknown or gone; the same words are used for all three.
pub(crate) fn is_record_missing(text: &str) -> bool {
    let text = text.to_lowercase();
    ["recordinfo is null", "record is null", "record does not exist"].iter().any(|part| text.contains(part))
        || (text.contains("14 days") && text.contains("record"))
}

/// A 500 that means lack of credits.
pub(crate) fn is_out_of_credits(text: &str) -> bool {
    text.to_lowercase().contains("credits insufficient")
}

/// A 422 that passes by itself.
pub(crate) fn is_high_demand(text: &str) -> bool {
    text.to_lowercase().contains("high demand")
}

/// A 422 that is about the model: unknown or renamed.
pub(crate) fn is_unsupported_model(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("model") && text.contains("not supported")
}

/// A model that is switched off for a while; the code that comes with it is not documented.
pub(crate) fn is_paused(text: &str) -> bool {
    text.to_lowercase().contains("temporarily paused")
}

/// A 500 that is the fault of the input.
pub(crate) fn is_input_fault(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("is required") || text.contains("does not exist")
}

/// The prompt or an input was refused for what it shows or says.
pub(crate) fn is_moderation(text: &str) -> bool {
    const PARTS: [&str; 10] = [
        "moderat",
        "flagged",
        "content polic",
        "sensitive",
        "inappropriate",
        "nsfw",
        "prohibited",
        "unsafe",
        "safety",
        "violat",
    ];
    let text = text.to_lowercase();
    PARTS.iter().any(|part| text.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortening_respects_characters() {
        assert_eq!(shorten("ёж", 2), "ёж");
        assert_eq!(shorten("ёжик", 2), "ёж…");
        assert_eq!(shorten_message(&"я".repeat(501)).chars().count(), 501);
    }

    #[test]
    fn recorded_texts_fall_into_their_class() {
        assert!(is_record_missing("recordInfo is null"));
        assert!(is_record_missing("The record does not exist"));
        assert!(!is_record_missing("url is wrong"));
        assert!(is_out_of_credits("Credits insufficient"));
        assert!(is_high_demand("Service is currently unavailable due to high demand. (E003)"));
        assert!(is_unsupported_model("The model name you specified is not supported."));
        assert!(is_paused("This interface is temporarily paused."));
        assert!(!is_unsupported_model("This size is not supported"));
        assert!(is_input_fault("aspect_ratio is required"));
        assert!(is_moderation("Your prompt was caught by our AI moderator."));
        assert!(is_moderation("SENSITIVE_WORD_ERROR"));
        assert!(!is_moderation("Internal server error"));
    }
}
