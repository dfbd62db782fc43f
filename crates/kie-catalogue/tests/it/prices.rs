//! Prices worked out by hand from the provider's list.

use kie_catalogue::{Cost, Credits};
use serde_json::{Value, json};

use crate::{catalogue, model, valid};

const CLIP: &str = "https://a.example/in.mp4";

fn exact(credits: &str) -> Cost {
    Cost::Exact(credits.parse().unwrap())
}

fn at_most(credits: &str) -> Cost {
    Cost::AtMost(credits.parse().unwrap())
}

fn cost(id: &str, input: Value) -> Cost {
    valid(id, input).cost()
}

#[test]
fn one_price_per_result() {
    assert_eq!(cost("z-image", json!({"prompt": "kite"})), exact("0.8"));
    assert_eq!(cost("ai-music-api/generate", model("ai-music-api/generate").example().clone()), exact("12"));
}

#[test]
fn by_setting() {
    let flux = |resolution: &str| {
        cost("flux-2/pro-text-to-image", json!({"prompt": "kite", "resolution": resolution}))
    };
    assert_eq!([flux("1K"), flux("2K")], [exact("5"), exact("7")]);
    let kling = |duration: &str, sound: bool| {
        let input = json!({"prompt": "kite", "aspect_ratio": "1:1", "duration": duration, "sound": sound});
        cost("kling-2.6/text-to-video", input)
    };
    assert_eq!(
        [kling("5", false), kling("10", false), kling("10", true)],
        [exact("55"), exact("110"), exact("220")]
    );
}

#[test]
fn a_setting_without_price_is_unknown_and_the_rest_is_for_sale() {
    let preview = |resolution: &str| {
        cost(
            "grok-imagine-video-1-5-preview",
            json!({"prompt": "kite", "duration": 8, "resolution": resolution}),
        )
    };
    assert_eq!([preview("480p"), preview("1080p")], [exact("19.2"), Cost::Unknown]);
    assert!(model("grok-imagine-video-1-5-preview").is_sellable());
}

#[test]
fn by_started_thousands_of_characters() {
    let speech =
        |length: usize| cost("elevenlabs/text-to-speech-turbo-2-5", json!({"text": "ы".repeat(length)}));
    assert_eq!([speech(1), speech(1000), speech(1001), speech(5000)], ["6", "6", "12", "30"].map(exact));
    let turn = json!({"text": "y".repeat(600)});
    assert_eq!(cost("elevenlabs/text-to-dialogue-v3", json!({"dialogue": [turn, turn]})), exact("28"));
}

#[test]
fn by_seconds_given_defaulted_or_automatic() {
    let wan = |duration: Value| {
        cost("wan/3-0-video", json!({"prompt": "kite", "resolution": "720P", "duration": duration}))
    };
    assert_eq!(
        [wan(json!(10)), wan(Value::Null), wan(json!(-1))],
        [exact("160"), exact("80"), at_most("480")]
    );
    let grok = json!({"prompt": "kite", "resolution": "480p"});
    assert_eq!(cost("grok-imagine/text-to-video", grok), at_most("72"));
}

#[test]
fn by_seconds_of_a_clip_that_the_request_does_not_measure() {
    let avatar = json!({"image_url": CLIP, "audio_url": CLIP, "prompt": "kite"});
    assert_eq!(cost("kling/ai-avatar-standard", avatar.clone()), at_most("2400"));
    assert_eq!(cost("infinitalk/from-audio", avatar), Cost::Unknown);
    assert!(!model("infinitalk/from-audio").is_sellable());
    assert!(model("infinitalk/from-audio").unpriced_because().is_some());
}

#[test]
fn reference_clips_change_rate_and_length() {
    let seedance = |clips: Value| {
        cost(
            "bytedance/seedance-2",
            json!({"prompt": "kite", "resolution": "720p", "duration": 10, "reference_video_urls": clips}),
        )
    };
    assert_eq!(seedance(Value::Null), exact("410"));
    assert_eq!(seedance(json!([CLIP])), at_most("625"));
    let omni = json!({"prompt": "kite", "duration": "4", "resolution": "4k", "video_list": [{"url": CLIP, "start": 0, "ends": 3}]});
    assert_eq!(cost("gemini-omni-video", omni), exact("252"));
}

#[test]
fn by_number_of_results() {
    let ideogram = json!({"prompt": "kite", "reference_image_urls": [CLIP], "rendering_speed": "TURBO", "num_images": "3"});
    let input = valid("ideogram/character", ideogram);
    assert_eq!((input.cost(), input.outputs()), (exact("36"), 3));
    let wan = |input: Value| {
        let input = valid("wan/2-7-image", input);
        (input.cost(), input.outputs())
    };
    assert_eq!(wan(json!({"prompt": "kite"})), (exact("19.2"), 4));
    assert_eq!(wan(json!({"prompt": "kite", "n": 2})), (exact("9.6"), 2));
    assert_eq!(wan(json!({"prompt": "kite", "n": 12, "enable_sequential": true})), (at_most("57.6"), 1));
    let bundle = valid("grok-imagine/text-to-image", json!({"prompt": "kite", "enable_pro": false}));
    assert_eq!((bundle.cost(), bundle.outputs()), (exact("4"), 6));
    let open = valid("grok-imagine/text-to-image", json!({"prompt": "kite"}));
    assert_eq!((open.cost(), open.outputs()), (at_most("5"), 4));
}

#[test]
fn further_input_pictures_are_added() {
    let edit = |pictures: usize| {
        let input = json!({"prompt": "a kite", "quality": "high", "image_urls": vec![CLIP; pictures]});
        cost("seedream/5-pro-image-to-image", input)
    };
    assert_eq!([edit(1), edit(4)], [exact("14"), exact("15.5")]);
}

#[test]
fn by_the_largest_area() {
    assert_eq!(cost("qwen/text-to-image", json!({"prompt": "kite"})), at_most("4.194304"));
    let edit = json!({"prompt": "kite", "image_url": CLIP, "num_images": "2"});
    assert_eq!(cost("qwen/image-edit", edit), at_most("12.582912"));
    assert!(model("qwen/text-to-image").cost_assumes().is_some());
}

#[test]
fn the_dearest_of_what_the_request_does_not_tell() {
    assert_eq!(cost("topaz/image-upscale", json!({"image_url": CLIP})), at_most("40"));
    let extend = json!({"prompt": "kite", "task_id": "t", "extend_at": 2, "extend_times": 6});
    assert_eq!(cost("grok-imagine/extend", extend), at_most("27"));
    assert_eq!(cost("gpt-image-2-text-to-image", json!({"prompt": "kite"})), at_most("16"));
}

#[test]
fn the_options_of_a_price_are_shown() {
    let input =
        valid("kling-2.6/text-to-video", json!({"prompt": "kite", "aspect_ratio": "1:1", "sound": true}));
    assert_eq!(input.price_options(), [("duration", &json!("5")), ("sound", &json!(true))]);
    let input = valid("bytedance/seedance-2", json!({"prompt": "kite"}));
    assert_eq!(
        input.price_options(),
        [("reference_video_urls", &json!(false)), ("resolution", &json!("720p")), ("duration", &json!(5))]
    );
    assert!(
        valid("elevenlabs/text-to-speech-turbo-2-5", json!({"text": "secret"})).price_options().is_empty()
    );
}

#[test]
fn no_known_price_is_absurd() {
    let dearest: Credits = "10000".parse().unwrap();
    for model in crate::catalogue().models().filter(|model| model.is_sellable()) {
        let cost = model.validate(model.example().clone()).unwrap().cost().upper().unwrap();
        assert!(cost <= dearest, "{} costs {cost}", model.id());
    }
}

#[test]
fn rules_can_be_read_by_people() {
    assert_eq!(model("z-image").price_words(), ["0.8 credits"]);
    for model in catalogue().models().filter(|model| model.is_sellable()) {
        let words = model.price_words();
        assert!(
            !words.is_empty() && words.iter().all(|line| line.contains(" credits")),
            "{}: {words:?}",
            model.id()
        );
    }
}
