//! What happens to an input before it is judged.

use serde_json::json;

use crate::{refused, shown, valid};

#[test]
fn a_prompt_alone_does_for_the_free_text_models() {
    assert_eq!(
        valid("z-image", json!({"prompt": "kite"})).value(),
        &json!({"prompt": "kite", "aspect_ratio": "1:1"})
    );
    assert_eq!(valid("qwen/text-to-image", json!({"prompt": "kite"})).value(), &json!({"prompt": "kite"}));
    let flux = valid("flux-2/pro-text-to-image", json!({"prompt": "kite"}));
    assert_eq!(flux.value(), &json!({"prompt": "kite", "aspect_ratio": "1:1", "resolution": "1K"}));
}

#[test]
fn nulls_and_empty_texts_of_known_fields_are_dropped() {
    let input = valid(
        "kling/v2-1-pro",
        json!({
            "prompt": "kite", "image_url": "https://a.example/in.png", "tail_image_url": "", "duration": null, "cfg_scale": null,
        }),
    );
    assert_eq!(input.value(), &json!({"prompt": "kite", "image_url": "https://a.example/in.png"}));
    let filled = valid("z-image", json!({"prompt": "kite", "aspect_ratio": ""}));
    assert_eq!(filled.value()["aspect_ratio"], "1:1");
}

#[test]
fn an_empty_required_text_counts_as_missing() {
    assert_eq!(
        shown(&refused("z-image", json!({"prompt": ""}))),
        ["/prompt: `prompt` is required: text of at most 1000 characters"]
    );
}

#[test]
fn empty_values_of_unknown_fields_are_still_unknown() {
    assert_eq!(
        shown(&refused("z-image", json!({"prompt": "kite", "promt": null}))),
        ["/promt: `promt`: did you mean `prompt`?"]
    );
}

#[test]
fn defaults_reach_into_lists_of_objects() {
    let input =
        valid("elevenlabs/text-to-dialogue-v3", json!({"dialogue": [{"text": "Hello", "voice": ""}]}));
    assert_eq!(input.value(), &json!({"dialogue": [{"text": "Hello", "voice": "EkK5I93UQWFDigLMpZcX"}]}));
    assert_eq!(input.prompt(), Some("Hello"));
}

#[test]
fn defaults_meet_an_alternative_that_nothing_else_meets() {
    let shot = json!({"prompt": "kite", "duration": "5", "mode": "std", "sound": false});
    assert_eq!(valid("kling-3.0/video", shot.clone()).value()["aspect_ratio"], "16:9");
    let mut with_image = shot;
    with_image["image_urls"] = json!(["https://a.example/in.png"]);
    assert_eq!(valid("kling-3.0/video", with_image.clone()).value(), &with_image);
}

#[test]
fn optional_fields_are_not_filled_and_types_not_converted() {
    let input = valid("kling/v2-1-pro", json!({"prompt": "kite", "image_url": "https://a.example/in.png"}));
    assert_eq!(input.value().as_object().unwrap().len(), 2);
    assert_eq!(
        shown(&refused(
            "kling/v2-1-pro",
            json!({"prompt": "kite", "image_url": "https://a.example/in.png", "duration": 5})
        )),
        ["/duration: must be one of `5` or `10`, not a number; put it in quotes: \"5\""]
    );
}

#[test]
fn filling_twice_changes_nothing() {
    for model in crate::catalogue().models() {
        let once = model.validate(model.example().clone()).unwrap().into_value();
        let twice = model.validate(once.clone()).unwrap();
        assert_eq!(twice.value(), &once, "{}", model.id());
    }
}
