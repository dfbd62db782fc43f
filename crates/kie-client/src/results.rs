//! What a finished task made: the provider's many spellings of result addresses, put in one order.

use serde_json::{Map, Value};

const MAX_URLS: usize = 32;
const MAX_URL: usize = 8192;
const MAX_DEPTH: usize = 5;

/// Members that hold the outputs as a list, in order of preference.
const LIST_KEYS: [&str; 4] = ["resultUrls", "result_urls", "outputs", "images"];
/// Members that hold tracks: objects of which only the sound or picture itself is an output.
const TRACK_LIST_KEYS: [&str; 2] = ["data", "sunoData"];
/// Members of a track, in order of preference.
const TRACK_KEYS: [&str; 5] = ["audio_url", "audioUrl", "video_url", "videoUrl", "url"];
/// Members of an entry of a list, in order of preference.
const ENTRY_KEYS: [&str; 9] = [
    "url",
    "resultUrl",
    "result_url",
    "audio_url",
    "audioUrl",
    "videoUrl",
    "video_url",
    "imageUrl",
    "image_url",
];
/// Members that hold the only output.
const SINGLE_KEYS: [&str; 10] = [
    "resultVideoUrl",
    "result_video_url",
    "videoUrl",
    "video_url",
    "audioWavUrl",
    "resultImageUrl",
    "result_image_url",
    "resultUrl",
    "url",
    "imageUrl",
];
/// Members that hold one more envelope of results.
const NESTED_KEYS: [&str; 4] = ["response", "info", "videoInfo", "resultInfoJson"];
/// Members that hold something made beside the outputs.
const EXTRA_KEYS: [(&str, ExtraKind); 15] = [
    ("firstFrameUrl", ExtraKind::FirstFrame),
    ("lastFrameUrl", ExtraKind::LastFrame),
    ("resultWaterMarkUrls", ExtraKind::Watermarked),
    ("originUrls", ExtraKind::Original),
    ("originImageUrl", ExtraKind::Original),
    ("originUrl", ExtraKind::Original),
    ("origin_url", ExtraKind::Original),
    ("fullResultUrls", ExtraKind::Full),
    ("imageUrls", ExtraKind::Cover),
    ("image_urls", ExtraKind::Cover),
    ("resultImageUrl", ExtraKind::Cover),
    ("result_image_url", ExtraKind::Cover),
    ("imageUrl", ExtraKind::Cover),
    ("image_url", ExtraKind::Cover),
    ("coverUrl", ExtraKind::Cover),
];

/// Something that was made beside the outputs and is not what was paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extra {
    /// What it is.
    pub kind: ExtraKind,
    /// Where it is, for the time being.
    pub url: String,
}

/// What an [`Extra`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExtraKind {
    /// The first frame of a video.
    FirstFrame,
    /// The last frame of a video.
    LastFrame,
    /// The output with a watermark.
    Watermarked,
    /// The output before its ratio was changed, or the input that was worked on.
    Original,
    /// The whole of a video that was extended.
    Full,
    /// A picture that belongs to a sound or a video.
    Cover,
}

impl ExtraKind {
    /// The kind as a stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstFrame => "first_frame",
            Self::LastFrame => "last_frame",
            Self::Watermarked => "watermarked",
            Self::Original => "original",
            Self::Full => "full",
            Self::Cover => "cover",
        }
    }
}

/// Outputs in the provider's order without duplicates, and what came beside them.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Results {
    pub(crate) outputs: Vec<String>,
    pub(crate) extras: Vec<Extra>,
    pub(crate) object: Option<Value>,
}

impl Results {
    /// Reads any recorded shape: an object, a list, an address, or text that holds one of these.
    pub(crate) fn read(value: Value) -> Self {
        let mut results = Self::default();
        results.take(decode(value), 0);
        results
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.outputs.is_empty() && self.object.is_none()
    }

    /// Adds addresses that no member name tells apart, such as the stems of a separated song.
    pub(crate) fn push_outputs(&mut self, urls: Vec<String>) {
        for url in urls {
            if self.outputs.len() < MAX_URLS && !self.outputs.contains(&url) {
                self.outputs.push(url);
            }
        }
    }

    fn take(&mut self, value: Value, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        match value {
            Value::Object(object) => self.take_object(&object, depth),
            other => self.push_outputs(urls_of(&other, &ENTRY_KEYS, depth)),
        }
    }

    fn take_object(&mut self, object: &Map<String, Value>, depth: usize) {
        let outputs = outputs_of(object, depth);
        self.push_outputs(outputs);
        if self.outputs.is_empty() {
            for key in NESTED_KEYS {
                if let Some(nested) = object.get(key).filter(|nested| !nested.is_null()) {
                    self.take(decode(nested.clone()), depth + 1);
                }
            }
        }
        self.take_extras(object, depth);
        if self.object.is_none() {
            self.object = object.get("resultObject").filter(|value| !value.is_null()).cloned().map(decode);
        }
    }

    fn take_extras(&mut self, object: &Map<String, Value>, depth: usize) {
        let tracks =
            TRACK_LIST_KEYS.iter().filter_map(|key| object.get(*key)).filter_map(Value::as_array).flatten();
        for holder in std::iter::once(object).chain(tracks.filter_map(Value::as_object)) {
            for (key, kind) in EXTRA_KEYS {
                let urls =
                    holder.get(key).map(|value| urls_of(value, &ENTRY_KEYS, depth)).unwrap_or_default();
                for url in urls {
                    self.push_extra(kind, url);
                }
            }
        }
    }

    fn push_extra(&mut self, kind: ExtraKind, url: String) {
        let known = self.outputs.contains(&url) || self.extras.iter().any(|extra| extra.url == url);
        if !known && self.extras.len() < MAX_URLS {
            self.extras.push(Extra { kind, url });
        }
    }
}

fn outputs_of(object: &Map<String, Value>, depth: usize) -> Vec<String> {
    let lists = LIST_KEYS.iter().map(|key| (key, &ENTRY_KEYS[..]));
    let tracks = TRACK_LIST_KEYS.iter().map(|key| (key, &TRACK_KEYS[..]));
    let singles = SINGLE_KEYS.iter().map(|key| (key, &ENTRY_KEYS[..]));
    lists
        .chain(tracks)
        .chain(singles)
        .filter_map(|(key, names)| object.get(*key).map(|value| urls_of(value, names, depth)))
        .find(|urls| !urls.is_empty())
        .unwrap_or_default()
}

/// The addresses of a list, of an entry, or of text that holds them, in order.
pub(crate) fn urls_of(value: &Value, names: &[&str], depth: usize) -> Vec<String> {
    if depth > MAX_DEPTH {
        return Vec::new();
    }
    match value {
        Value::String(text) => urls_of_text(text.trim(), names, depth),
        Value::Array(entries) => entries.iter().flat_map(|entry| urls_of(entry, names, depth + 1)).collect(),
        Value::Object(entry) => names
            .iter()
            .filter_map(|name| entry.get(*name))
            .map(|value| urls_of(value, names, depth + 1))
            .find(|urls| !urls.is_empty())
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn urls_of_text(text: &str, names: &[&str], depth: usize) -> Vec<String> {
    if is_url(text) {
        return vec![text.to_owned()];
    }
    if !text.starts_with(['[', '{', '"']) {
        return Vec::new();
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) => urls_of(&value, names, depth + 1),
        Err(_) => unquoted_list(text),
    }
}

/// Reads `[https://a, https://b]`, which the provider documents for one family. A comma inside an address stays.
fn unquoted_list(text: &str) -> Vec<String> {
    let inner = text.trim_start_matches('[').trim_end_matches(']');
    let mut urls: Vec<String> = Vec::new();
    for part in inner.split(',') {
        match urls.last_mut() {
            Some(last) if !is_url(part.trim()) => {
                last.push(',');
                last.push_str(part);
            }
            _ => urls.push(part.trim().to_owned()),
        }
    }
    urls.retain(|url| is_url(url));
    urls
}

fn is_url(text: &str) -> bool {
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    let scheme = lower.starts_with("http://") || lower.starts_with("https://");
    scheme
        && text.len() <= MAX_URL
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"')
}

/// Undoes JSON inside JSON strings, a bounded number of times.
pub(crate) fn decode(value: Value) -> Value {
    let mut value = value;
    for _ in 0..MAX_DEPTH {
        let Value::String(text) = &value else { break };
        if !text.trim_start().starts_with(['{', '[', '"']) {
            break;
        }
        match serde_json::from_str(text) {
            Ok(inner) => value = inner,
            Err(_) => break,
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outputs(value: Value) -> Vec<String> {
        Results::read(value).outputs
    }

    #[test]
    fn every_shape_of_a_list() {
        let one = vec!["https://h/1.png".to_owned()];
        for value in [
            json!("{\"resultUrls\":[\"https://h/1.png\"]}"),
            json!("\"{\\\"resultUrls\\\":[\\\"https://h/1.png\\\"]}\""),
            json!({"resultUrls": ["https://h/1.png", "https://h/1.png"]}),
            json!({"resultUrls": "https://h/1.png"}),
            json!({"resultUrls": "[\"https://h/1.png\"]"}),
            json!({"resultUrls": "[https://h/1.png]"}),
            json!({"resultUrls": [{"url": "https://h/1.png"}]}),
            json!({"resultUrls": [{"imageUrl": "https://h/1.png"}]}),
            json!({"resultUrls": [], "outputs": ["https://h/1.png"]}),
            json!({"outputs": [{"videoUrl": "https://h/1.png"}]}),
            json!({"response": {"resultUrls": ["https://h/1.png"]}}),
            json!({"data": [{"audio_url": "https://h/1.png", "image_url": "https://h/c.png"}]}),
            json!(["https://h/1.png"]),
            json!([{"audio_url": "https://h/1.png"}]),
            json!("https://h/1.png"),
        ] {
            assert_eq!(outputs(value.clone()), one, "{value}");
        }
    }

    #[test]
    fn order_is_kept_and_bounded() {
        let urls: Vec<_> = (0..40).map(|n| format!("https://h/{n}.png")).collect();
        assert_eq!(outputs(json!({"resultUrls": urls})), urls[..32]);
    }

    #[test]
    fn commas_inside_unquoted_addresses_stay() {
        assert_eq!(
            unquoted_list("[https://h/a,b.png, https://h/c.png]"),
            ["https://h/a,b.png", "https://h/c.png"]
        );
        assert!(unquoted_list("[nothing, here]").is_empty());
    }

    #[test]
    fn covers_are_extras_even_when_a_track_has_no_sound_yet() {
        let early = Results::read(json!({"data": [{"audio_url": "", "image_url": "https://h/c.png"}]}));
        assert!(early.outputs.is_empty());
        assert_eq!(early.extras, [Extra { kind: ExtraKind::Cover, url: "https://h/c.png".into() }]);
    }

    #[test]
    fn frames_and_watermarks_are_extras() {
        let results = Results::read(json!({
            "resultUrls": ["https://h/1.mp4"],
            "firstFrameUrl": ["https://h/f.png"],
            "lastFrameUrl": "https://h/l.png",
            "resultWaterMarkUrls": ["https://h/w.mp4"],
        }));
        let kinds: Vec<_> = results.extras.iter().map(|extra| extra.kind.as_str()).collect();
        assert_eq!(kinds, ["first_frame", "last_frame", "watermarked"]);
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        for value in [
            json!(""),
            json!(null),
            json!({}),
            json!([]),
            json!("text"),
            json!(7),
            json!({"resultUrls": [""]}),
        ] {
            assert!(Results::read(value.clone()).is_empty(), "{value}");
        }
        assert!(outputs(json!("javascript:alert(1)")).is_empty());
        assert!(outputs(json!(["https://h/a b"])).is_empty());
    }
}
