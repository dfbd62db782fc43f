//! Words for what is wrong.

use serde_json::{Value, json};

use crate::{catalogue, model, refused, shown, valid};

const IMAGE: &str = "https://a.example/in.png";

#[test]
fn all_faults_come_at_once_with_their_pointers() {
    let faults = refused(
        "kling-2.6/text-to-video",
        json!({
            "prompt": "x".repeat(1001), "aspect_ratio": "2:1", "duration": 5, "sounds": true, "seed/1": 1,
        }),
    );
    assert_eq!(
        shown(&faults),
        [
            "/aspect_ratio: must be one of `1:1`, `16:9` or `9:16`, not `2:1`",
            "/duration: must be one of `5` or `10`, not a number; put it in quotes: \"5\"",
            "/prompt: must be text of at most 1000 characters, not 1001",
            "/seed~11: `seed/1`: there is no such field; known are `aspect_ratio`, `duration`, `prompt` and `sound`",
            "/sound: `sound` is required: true or false",
            "/sounds: `sounds`: did you mean `sound`?",
        ]
    );
}

#[test]
fn unknown_keys_name_the_nearest_known_one() {
    let near = |id: &str, key: &str, value: Value| {
        let mut input = model(id).example().clone();
        input[key] = value;
        let faults = refused(id, input);
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults.into_iter().next().unwrap().message
    };
    assert_eq!(
        near("google/nano-banana-edit", "image", json!([IMAGE])),
        "`image`: did you mean `image_urls`?"
    );
    assert_eq!(
        near("google/nano-banana-edit", "imageUrls", json!([IMAGE])),
        "`imageUrls`: did you mean `image_urls`?"
    );
    assert_eq!(
        near("google/nano-banana-edit", "imagesize", json!("1:1")),
        "`imagesize`: did you mean `image_size`?"
    );
    assert_eq!(near("kling/v2-1-pro", "image", json!(IMAGE)), "`image`: did you mean `image_url`?");
    assert_eq!(near("z-image", "Aspect-Ratio", json!("1:1")), "`Aspect-Ratio`: did you mean `aspect_ratio`?");
}

#[test]
fn faults_inside_lists_point_to_the_entry() {
    let faults = refused(
        "elevenlabs/text-to-dialogue-v3",
        json!({"dialogue": [
            {"text": "Hello"}, {"txt": "Hello", "voice": 1},
        ]}),
    );
    let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
    assert_eq!(pointers, ["/dialogue/1/text", "/dialogue/1/txt", "/dialogue/1/voice"]);
    assert_eq!(faults[1].message, "`txt`: did you mean `text`?");
}

#[test]
fn addresses_are_checked_and_may_be_assets() {
    let with = |address: &str| json!({"prompt": "kite", "first_frame_url": address});
    for good in [IMAGE, "asset://asset-20260404242101-76djj", "oss://bucket/in.png"] {
        valid("bytedance/seedance-2", with(good));
    }
    assert_eq!(
        shown(&refused("bytedance/seedance-2", with("in.png"))),
        ["/first_frame_url: must be a web address such as https://example.com/file"]
    );
    assert_eq!(
        shown(&refused("bytedance/seedance-2", with("https://example.com/кот.png"))),
        [
            "/first_frame_url: must be a web address such as https://example.com/file; other letters and spaces are written percent-encoded"
        ]
    );
    let faults = refused(
        "minimax-h3/reference-to-video",
        json!({
            "prompt": "kite", "reference_image_urls": ["ftp://a.example/in.png"],
        }),
    );
    assert_eq!(
        shown(&faults),
        ["/reference_image_urls/0: must be a web address that begins with http://, https:// or oss://"]
    );
}

#[test]
fn one_of_several_fields() {
    assert_eq!(
        shown(&refused("4o-image-api", json!({"size": "1:1"}))),
        ["give at least one of `prompt`, `files_url` or `file_url`"]
    );
    let extend = |more: Value| {
        let mut input = json!({"prompt": "a kite", "duration": 5, "quality": "720p"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        shown(&refused("pixverse-v6/extend", input))
    };
    assert_eq!(extend(json!({})), ["give exactly one of `taskId` or `video_url`"]);
    assert_eq!(
        extend(json!({"taskId": "t", "video_url": IMAGE})),
        ["give exactly one of `taskId` or `video_url`"]
    );
}

#[test]
fn conditions_are_named() {
    let generate = json!({"custom_mode": true, "instrumental": false, "prompt": "rain"});
    assert_eq!(
        shown(&refused("ai-music-api/generate", generate)),
        [
            "/style: `style` is required when `custom_mode` is true: text of at most 1000 characters",
            "/title: `title` is required when `custom_mode` is true: text of at most 80 characters",
        ]
    );
    let generate = json!({"custom_mode": false, "instrumental": false});
    assert_eq!(
        shown(&refused("ai-music-api/generate", generate)),
        [
            "give at least one of `prompt`, `image_urls`, `video_urls`, `audio_urls`, `style` or `lyrics` unless `custom_mode` is true"
        ]
    );
    let square = json!({"prompt": "kite", "aspect_ratio": "1:1", "resolution": "4K"});
    assert_eq!(
        shown(&refused("gpt-image-2-text-to-image", square)),
        ["not possible together: `aspect_ratio` is `1:1` and `resolution` is `4K`"]
    );
    let unframed = json!({"prompt": "kite", "resolution": "4K"});
    assert_eq!(shown(&refused("gpt-image-2-text-to-image", unframed)).len(), 1);
    let frames = json!({"prompt": "kite", "last_frame_url": IMAGE});
    assert_eq!(
        shown(&refused("bytedance/seedance-2-5", frames)),
        [
            "/first_frame_url: `first_frame_url` is required when `last_frame_url` is given: a web address such as https://example.com/file"
        ]
    );
    let mixed = json!({"prompt": "kite", "first_frame_url": IMAGE, "reference_image_urls": [IMAGE]});
    assert_eq!(
        shown(&refused("bytedance/seedance-2-5", mixed)),
        [
            "leave out `reference_image_urls`, `reference_video_urls` and `reference_audio_urls` when `first_frame_url` is given"
        ]
    );
}

#[test]
fn values_with_alternatives_say_both() {
    let faults = refused("grok-imagine/text-to-video", json!({"prompt": "kite", "duration": "5"}));
    assert_eq!(
        shown(&faults),
        ["/duration: must be a number from 6 to 30 or a whole number from 6 to 30 as text"]
    );
    valid("grok-imagine/text-to-video", json!({"prompt": "kite", "duration": "6"}));
    valid("grok-imagine/text-to-video", json!({"prompt": "kite", "duration": 6}));
}

#[test]
fn what_is_no_object_or_too_large_is_refused_in_one_line() {
    for input in [json!([1]), json!("kite"), json!(null), json!(7)] {
        let faults = refused("z-image", input);
        assert_eq!((faults.len(), faults[0].pointer.as_str()), (1, ""));
    }
    let mut deep = json!("kite");
    for _ in 0..100 {
        deep = json!([deep]);
    }
    assert_eq!(shown(&refused("z-image", json!({"prompt": deep}))), ["the input is nested too deeply"]);
    let many: Vec<Value> = vec![json!(1); 20_000];
    assert_eq!(shown(&refused("z-image", json!({"prompt": many}))), ["the input holds too many values"]);
    let keys: serde_json::Map<String, Value> = (0..9_000).map(|n| (format!("prompt{n}"), json!(n))).collect();
    assert!(refused("z-image", Value::Object(keys)).len() <= 50);
}

#[test]
fn unknown_models_have_a_neighbour() {
    assert_eq!(catalogue().nearest("zimage"), Some("z-image"));
    assert_eq!(catalogue().nearest("kling-2.6/text2video"), Some("kling-2.6/text-to-video"));
    assert_eq!(catalogue().nearest("flux2/pro-text-to-image"), Some("flux-2/pro-text-to-image"));
    assert_eq!(catalogue().nearest("%%%"), None);
}

/// What a customer reads who sends the bad example of a model: the field by name, and what was expected.
#[test]
fn bad_examples_are_answered_in_words() {
    let mut silent = Vec::new();
    for model in catalogue().models().filter(|model| model.is_sellable()) {
        for fault in model.validate(model.bad_example().clone()).unwrap_err() {
            let says = [
                "must ",
                "is required",
                "did you mean",
                "there is no such field",
                "give ",
                "leave out",
                "not possible together",
            ];
            let names_field = !fault.pointer.is_empty() || fault.message.contains('`');
            let is_plain = ["schema", "another value", "null", "anyOf", "oneOf", "pattern", "\\"]
                .iter()
                .all(|word| !fault.message.contains(word));
            if !(names_field && is_plain && says.iter().any(|word| fault.message.contains(word))) {
                silent.push(format!("{}: {fault}", model.id()));
            }
        }
    }
    assert_eq!(silent, [""; 0]);
}

#[test]
fn numbers_say_their_range_and_quotes_are_explained() {
    let with = |id: &str, field: &str, value: Value| {
        let mut input = model(id).example().clone();
        input[field] = value;
        shown(&refused(id, input))
    };
    assert_eq!(
        with("happyhorse-1-1/image-to-video", "duration", json!(16)),
        ["/duration: must be a whole number from 3 to 15, not 16"]
    );
    assert_eq!(
        with("happyhorse-1-1/image-to-video", "duration", json!("5")),
        ["/duration: must be a whole number from 3 to 15, not text; leave out the quotes: 5"]
    );
    assert_eq!(
        with("qwen/text-to-image", "nsfw_checker", json!("true")),
        ["/nsfw_checker: must be true or false, not text; leave out the quotes: true"]
    );
    assert_eq!(
        with("recraft/crisp-upscale", "size", json!(1)),
        ["/size: `size`: there is no such field; the only one is `image`"]
    );
    assert_eq!(
        with("seedream/4.5-edit", "image_urls", json!("https://a.example/in.png")),
        ["/image_urls: must be a list of at most 14 web addresses, not text"]
    );
}
