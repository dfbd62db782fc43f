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

/// A 422 that is about the model: unknown or renamed. The whole wording counts, because a setting that a model does
/// not support is refused in similar words, and is no reason to take the model off sale.
pub(crate) fn is_unsupported_model(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("model name you specified is not supported")
        || text.trim().trim_end_matches('.') == "the model is not supported"
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

const MODERATION: [&str; 10] = [
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

/// A code of a failure that says the same as [`is_moderation`], such as `SENSITIVE_WORD_ERROR`.
pub(crate) fn is_moderation_code(code: &str) -> bool {
    let code = code.to_lowercase();
    MODERATION.iter().any(|part| code.contains(part))
}

/// The prompt or an input was refused for what it shows or says. Names of fields do not count:
/// `nsfw_checker is required` is about a field.
pub(crate) fn is_moderation(text: &str) -> bool {
    let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let words: Vec<&str> = words.filter(|word| !is_field_name(word)).collect();
    is_moderation_code(&words.join(" "))
}

/// `nsfw_checker` and `safetyTolerance`, but not `SENSITIVE_WORD_ERROR` and `OpenAI`.
fn is_field_name(word: &str) -> bool {
    let snake = word.contains('_') && word.contains(char::is_lowercase);
    snake || (word.starts_with(char::is_lowercase) && word.contains(char::is_uppercase))
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
        assert!(is_unsupported_model("The model is not supported"));
        assert!(!is_unsupported_model("This size is not supported"));
        assert!(is_input_fault("aspect_ratio is required"));
        assert!(is_moderation("Your prompt was caught by our AI moderator."));
        assert!(is_moderation_code("SENSITIVE_WORD_ERROR"));
        assert!(is_moderation_code("content_policy_violation"));
        assert!(!is_moderation_code("GENERATION_FAILED"));
        assert!(is_moderation("Your content was flagged by OpenAI as violating content policies"));
        assert!(is_moderation("Inappropriate content detected. Please replace the image or video."));
        assert!(is_moderation("Rejected by Flow(public error unsafe image upload)."));
        assert!(!is_moderation("Internal server error"));
    }

    #[test]
    fn a_setting_that_a_model_lacks_says_nothing_about_the_model() {
        for text in [
            "4k is not supported by this model",
            "resolution 4K is not supported for model nano-banana-2",
            "The model is not supported at 4K",
            "the image format is not supported; see the model page",
        ] {
            assert!(!is_unsupported_model(text), "{text}");
        }
    }

    #[test]
    fn names_of_fields_are_no_moderation() {
        for text in [
            "nsfw_checker is required",
            "`enable_safety_checker` must be a boolean",
            "input.safety_tolerance: out of range",
            "safetyTolerance is out of range",
        ] {
            assert!(!is_moderation(text), "{text}");
        }
        assert!(is_moderation("nsfw_checker: NSFW content found"));
        assert!(is_moderation("error SENSITIVE_WORD_ERROR"));
    }
}
