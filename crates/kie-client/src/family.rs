//! Records of the dedicated families, so that old tasks can be finished.

use serde_json::Value;

use crate::{
    answer::{self, Answer},
    client::Client,
    error::ReadError,
    fields::Fields,
    record::{Record, TaskState, answer_of, top_level_results},
    results::{Extra, ExtraKind, Results, decode, urls_of},
    task::TaskId,
    texts,
};

const MAX_WORD: usize = 64;

/// A family of models with endpoints of its own. A task is read through the path of its family only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Veo 3 and 3.1 videos.
    Veo,
    /// Suno music: generate, extend, covers, mash-ups, sounds.
    Suno,
    /// Suno lyrics.
    SunoLyrics,
    /// Suno tracks converted to WAV.
    SunoWav,
    /// Suno tracks separated into vocals and instruments.
    SunoVocal,
    /// Suno music videos.
    SunoMp4,
    /// Suno tracks as MIDI.
    SunoMidi,
    /// Cover pictures for Suno tracks.
    SunoCover,
    /// 4o images.
    Gpt4oImage,
    /// Flux Kontext images.
    Kontext,
    /// Runway videos.
    Runway,
    /// Runway Aleph videos.
    Aleph,
    /// Midjourney images.
    Midjourney,
    /// Luma modified videos.
    Luma,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 14] = [
        Self::Veo,
        Self::Suno,
        Self::SunoLyrics,
        Self::SunoWav,
        Self::SunoVocal,
        Self::SunoMp4,
        Self::SunoMidi,
        Self::SunoCover,
        Self::Gpt4oImage,
        Self::Kontext,
        Self::Runway,
        Self::Aleph,
        Self::Midjourney,
        Self::Luma,
    ];

    /// The path of the family's status endpoint.
    pub const fn record_path(self) -> &'static str {
        match self {
            Self::Veo => "/api/v1/veo/record-info",
            Self::Suno => "/api/v1/generate/record-info",
            Self::SunoLyrics => "/api/v1/lyrics/record-info",
            Self::SunoWav => "/api/v1/wav/record-info",
            Self::SunoVocal => "/api/v1/vocal-removal/record-info",
            Self::SunoMp4 => "/api/v1/mp4/record-info",
            Self::SunoMidi => "/api/v1/midi/record-info",
            Self::SunoCover => "/api/v1/suno/cover/record-info",
            Self::Gpt4oImage => "/api/v1/gpt4o-image/record-info",
            Self::Kontext => "/api/v1/flux/kontext/record-info",
            Self::Runway => "/api/v1/runway/record-detail",
            Self::Aleph => "/api/v1/aleph/record-info",
            Self::Midjourney => "/api/v1/mj/record-info",
            Self::Luma => "/api/v1/modify/record-info",
        }
    }

    /// Guesses the family whose endpoint made an old task, from the name under which a shop wrote its model down:
    /// `veo3_fast`, `suno-v4`, `gpt-4o-image`.
    ///
    /// It is for tasks of which nothing but that name is left. The name alone does not tell a family's task from one
    /// of [`create_task`](Client::create_task), whose models are called `runway` or `veo-3-1` as well: read
    /// [`record`](Client::record) first, and never take this path for a task that `create_task` made.
    pub fn of_model(model: &str) -> Option<Self> {
        let model = model.to_ascii_lowercase();
        let words: Vec<&str> = model.split(|letter: char| !letter.is_ascii_alphanumeric()).collect();
        let named = |beginning: &str| words.iter().any(|word| word.starts_with(beginning));
        // What is done with a song stands beside the name of its maker.
        let of_song = [
            ("lyrics", Self::SunoLyrics),
            ("wav", Self::SunoWav),
            ("vocal", Self::SunoVocal),
            ("stem", Self::SunoVocal),
            ("mp4", Self::SunoMp4),
            ("midi", Self::SunoMidi),
        ];
        let families = [
            ("veo", Self::Veo),
            ("suno", Self::Suno),
            ("4o", Self::Gpt4oImage),
            ("gpt4o", Self::Gpt4oImage),
            ("kontext", Self::Kontext),
            ("aleph", Self::Aleph),
            ("runway", Self::Runway),
            ("midjourney", Self::Midjourney),
            ("mj", Self::Midjourney),
            ("luma", Self::Luma),
        ];
        let family = families.into_iter().find(|(name, _)| named(name))?.1;
        let song = of_song.into_iter().find(|(name, _)| family == Self::Suno && named(name));
        Some(song.map_or(family, |(_, kind)| kind))
    }

    /// The provider's word for the state: a state, a status, or a flag.
    fn word(self, data: &Fields<'_>) -> String {
        let keys: &[&str] = match self {
            Self::Runway => &["state"],
            Self::Suno | Self::SunoLyrics => &["status", "successFlag"],
            _ => &["successFlag", "status"],
        };
        keys.iter().find_map(|key| data.word(key)).unwrap_or_default()
    }

    fn state(self, word: &str, has_results: bool) -> TaskState {
        match word {
            "0" | "GENERATING" | "TEXT_SUCCESS" | "FIRST_SUCCESS" | "generating" => TaskState::Generating,
            "1" | "SUCCESS" | "success" | "成功" => TaskState::Success,
            "wait" | "waiting" | "PENDING" => TaskState::Waiting,
            "queueing" | "queuing" => TaskState::Queuing,
            "fail" | "SENSITIVE_WORD_ERROR" => TaskState::Fail,
            // The provider made the video and only failed to tell us.
            "4" if self == Self::Luma => TaskState::Success,
            "CALLBACK_EXCEPTION" if has_results => TaskState::Success,
            word if word.ends_with("_FAILED") => TaskState::Fail,
            word if word.parse::<u32>().is_ok() => TaskState::Fail,
            other => TaskState::Unknown(other.to_owned()),
        }
    }

    fn results(self, data: &Fields<'_>) -> Results {
        let response = data.value("response").map(decode);
        match self {
            Self::SunoVocal => stems(response.as_ref()),
            Self::SunoLyrics => object_of(response.and_then(|value| value.get("data").cloned())),
            Self::SunoMidi => object_of(data.value("midiData").map(decode).or(response)),
            _ => ["response", "videoInfo", "resultInfoJson", "info", "resultUrls"]
                .iter()
                .filter_map(|key| data.value(key))
                .map(Results::read)
                .find(|results| !results.is_empty())
                .or_else(|| top_level_results(data))
                .unwrap_or_default(),
        }
    }
}

impl Record {
    /// Reads the body of a family's status answer.
    pub fn parse_family(family: Family, body: &[u8]) -> Result<Self, ReadError> {
        Self::read_family(family, &answer_of(body))
    }

    fn read_family(family: Family, answer: &Answer) -> Result<Self, ReadError> {
        let text = answer.text();
        let envelope = answer::open(&text, answer.status, answer.retry_after)?;
        let data = answer::require_object(&envelope)?;
        let mut record = Self::common(&data, &text, true)?;
        let results = family.results(&data);
        let word = family.word(&data);
        record.state = family.state(&word, !results.is_empty());
        record.raw_state = texts::shorten(&word, MAX_WORD);
        record.take_results(results);
        Ok(record)
    }
}

impl Client {
    /// Reads the record of a task that was made through a family's own endpoint. Some of Veo's failures come as
    /// [`ReadError::Rejected`] instead of a record in state [`TaskState::Fail`].
    pub async fn family_record(&self, family: Family, task_id: &TaskId) -> Result<Record, ReadError> {
        let read = |answer: &Answer| Record::read_family(family, answer);
        self.read_record("family_record", family.record_path(), task_id, read).await
    }
}

/// Every stem of a separated song: vocals, instruments, then the others by name.
fn stems(response: Option<&Value>) -> Results {
    let mut results = Results::default();
    let Some(Value::Object(response)) = response else { return results };
    let named = ["vocalUrl", "vocal_url", "instrumentalUrl", "instrumental_url"];
    let mut others: Vec<_> = response.keys().map(String::as_str).collect();
    others.retain(|key| key.to_lowercase().ends_with("url"));
    others.sort_unstable();
    for key in named.into_iter().chain(others) {
        let urls = response.get(key).map(|value| urls_of(value, &[], 0)).unwrap_or_default();
        if key.to_lowercase().starts_with("origin") {
            results.extras.extend(urls.into_iter().map(|url| Extra { kind: ExtraKind::Original, url }));
        } else {
            results.push_outputs(urls);
        }
    }
    if results.outputs.is_empty() {
        // The stems once more, at the addresses of their maker.
        let listed = response.get("originData").map(|data| urls_of(data, &["audio_url"], 0));
        results.push_outputs(listed.unwrap_or_default());
    }
    results
}

fn object_of(value: Option<Value>) -> Results {
    Results { object: value.filter(|value| !value.is_null()), ..Results::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_tells_its_family() {
        for (model, family) in [
            ("veo3", Some(Family::Veo)),
            ("google/VEO-3.1_fast", Some(Family::Veo)),
            ("suno-v4.5", Some(Family::Suno)),
            ("suno/vocal-removal", Some(Family::SunoVocal)),
            ("suno_cover", Some(Family::Suno)),
            ("gpt-4o-image", Some(Family::Gpt4oImage)),
            ("flux-kontext-pro", Some(Family::Kontext)),
            ("runway-gen4-aleph", Some(Family::Aleph)),
            ("runway_gen3", Some(Family::Runway)),
            ("mj_txt2img", Some(Family::Midjourney)),
            ("luma/modify", Some(Family::Luma)),
            ("wan/2-5-midi", None),
            ("google/nano-banana", None),
            ("", None),
        ] {
            assert_eq!(Family::of_model(model), family, "{model}");
        }
    }

    fn read(family: Family, data: &str) -> Record {
        Record::parse_family(family, format!(r#"{{"code":200,"data":{data}}}"#).as_bytes()).unwrap()
    }

    #[test]
    fn flags_and_words() {
        for (family, word, state) in [
            (Family::Veo, "0", TaskState::Generating),
            (Family::Veo, "1", TaskState::Success),
            (Family::Veo, "2", TaskState::Fail),
            (Family::Aleph, "3", TaskState::Fail),
            (Family::Veo, "4", TaskState::Fail),
            (Family::Luma, "4", TaskState::Success),
            (Family::Veo, "-1", TaskState::Unknown("-1".into())),
            (Family::SunoWav, "\"SUCCESS\"", TaskState::Success),
            (Family::SunoWav, "\"GENERATE_WAV_FAILED\"", TaskState::Fail),
            (Family::SunoWav, "\"NEW_WORD\"", TaskState::Unknown("NEW_WORD".into())),
            (Family::SunoWav, "\"1\"", TaskState::Success),
        ] {
            let record = read(family, &format!(r#"{{"taskId":"a1","successFlag":{word}}}"#));
            assert_eq!(record.state, state, "{family:?} {word}");
        }
    }

    #[test]
    fn a_failed_callback_is_a_success_when_results_are_there() {
        let with = r#"{"taskId":"a1","status":"CALLBACK_EXCEPTION","response":{"sunoData":[{"audioUrl":"https://h/1.mp3"}]}}"#;
        assert_eq!(read(Family::Suno, with).state, TaskState::Success);
        let without = r#"{"taskId":"a1","status":"CALLBACK_EXCEPTION","response":null}"#;
        assert!(matches!(read(Family::Suno, without).state, TaskState::Unknown(_)));
    }

    #[test]
    fn stems_lyrics_and_midi() {
        let stems = r#"{"taskId":"a1","successFlag":"SUCCESS","response":{"originUrl":"https://h/o.mp3","drumsUrl":"https://h/d.mp3","instrumentalUrl":"https://h/i.mp3","vocalUrl":"https://h/v.mp3"}}"#;
        let record = read(Family::SunoVocal, stems);
        assert_eq!(record.outputs, ["https://h/v.mp3", "https://h/i.mp3", "https://h/d.mp3"]);
        assert_eq!(record.extras.len(), 1);
        let listed = r#"{"taskId":"a1","successFlag":"SUCCESS","response":{"vocalUrl":null,"originData":[{"audio_url":"https://h/k.mp3","stem_type_group_name":"Keyboard"}]}}"#;
        assert_eq!(read(Family::SunoVocal, listed).outputs, ["https://h/k.mp3"]);
        let lyrics =
            r#"{"taskId":"a1","status":"SUCCESS","response":{"data":[{"text":"la","title":"Kite"}]}}"#;
        assert_eq!(read(Family::SunoLyrics, lyrics).result_object.unwrap()[0]["text"], "la");
        let midi = r#"{"taskId":"a1","successFlag":1,"midiData":"{\"instruments\":[]}"}"#;
        assert!(read(Family::SunoMidi, midi).result_object.unwrap()["instruments"].is_array());
    }

    #[test]
    fn older_shapes_of_veo() {
        for data in [
            r#"{"taskId":"a1","successFlag":1,"info":{"resultUrls":["https://h/1.mp4"]}}"#,
            r#"{"taskId":"a1","successFlag":1,"resultUrls":"[\"https://h/1.mp4\"]"}"#,
        ] {
            assert_eq!(read(Family::Veo, data).outputs, ["https://h/1.mp4"], "{data}");
        }
    }
}
