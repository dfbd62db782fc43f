//! The main path: order, read, download, pay.

use serde_json::{Value, json};

use crate::support::{Bench, KEY, PATIENCE, image, quick, result_urls};
use kie_sim::{Durations, FieldSet, Kind, SimConfig, Stages};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_picture_is_ordered_read_and_downloaded() {
    let bench = Bench::start().await;
    let answer = bench.picture("a red kite over a dune").await;
    assert_eq!(answer["code"], 200);
    assert_eq!(answer["msg"], "success");
    let id = answer["data"]["taskId"].as_str().unwrap();
    assert_eq!(answer["data"]["recordId"], id);
    assert_eq!(id.len(), 32);
    let first = bench.record(id).await;
    assert_eq!(first["data"]["state"], "waiting");
    assert_eq!(first["data"]["resultJson"], "");
    assert_eq!(first["data"]["costTime"], Value::Null);
    let data = bench.finished(id).await;
    assert_eq!(data["state"], "success");
    assert_eq!(data["creditsConsumed"], 0.8);
    let bytes = bench.http.get(&result_urls(&data)[0]).send().await.unwrap().bytes().await.unwrap();
    let picture = image::load_from_memory(&bytes).unwrap();
    assert_eq!((picture.width(), picture.height()), (768, 768));
    bench.sim.stop().await;
}

#[tokio::test]
async fn the_wire_has_the_habits_of_the_service() {
    let bench = Bench::start().await;
    let answer = bench.post("api/v1/jobs/createTask", &image("x", None)).send().await.unwrap();
    let headers = answer.headers();
    assert_eq!(headers["content-type"], "application/json;charset=UTF-8");
    assert!(!headers.contains_key("content-length"));
    assert_eq!(headers["server"], "cloudflare");
    assert!(!headers.contains_key("set-cookie"));
    let raw = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
    let ask = raw.get(bench.at("api/v1/chat/credit")).bearer_auth(KEY).header("accept-encoding", "gzip");
    let packed = ask.send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert_eq!(&packed.bytes().await.unwrap()[..2], [0x1F, 0x8B]);
    let missing = bench.get("api/v1/jobs/create").send().await.unwrap();
    assert_eq!(missing.status(), 404);
    let body: Value = missing.json().await.unwrap();
    assert_eq!((&body["status"], &body["path"]), (&json!(404), &json!("/api/v1/jobs/create")));
    assert!(body.get("code").is_none());
    let wrong_method = bench.get("api/v1/jobs/createTask").send().await.unwrap();
    assert_eq!(wrong_method.status(), 404);
}

#[tokio::test]
async fn param_is_encoded_twice_and_shows_the_callback() {
    let bench = Bench::start().await;
    let id = bench.accepted("a kite", Some("http://127.0.0.1:9/cb")).await;
    let record = bench.record(&id).await;
    let param: Value = serde_json::from_str(record["data"]["param"].as_str().unwrap()).unwrap();
    assert_eq!(param["callBackUrl"], "http://127.0.0.1:9/cb");
    assert_eq!(param["model"], "z-image");
    let input: Value = serde_json::from_str(param["input"].as_str().unwrap()).unwrap();
    assert_eq!(input["prompt"], "a kite");
}

#[tokio::test]
async fn films_and_sounds_are_real_files() {
    let bench = Bench::start().await;
    let input = json!({"prompt": "a fox", "aspect_ratio": "1:1", "duration": "5", "sound": false});
    let film = bench.order(&json!({"model": "kling-2.6/text-to-video", "input": input})).await;
    let data = bench.finished(film["data"]["taskId"].as_str().unwrap()).await;
    assert_eq!(data["creditsConsumed"], 55.0);
    let url = &result_urls(&data)[0];
    assert!(url.ends_with("/0.mp4"));
    let answer = bench.http.get(url).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "video/mp4");
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(&bytes[4..8], b"ftyp");
    for word in [&b"moov"[..], b"mdat", b"a fox"] {
        assert!(bytes.windows(word.len()).any(|window| window == word), "{word:?}");
    }
    let input = json!({"text": "Good morning"});
    let sound = bench.order(&json!({"model": "elevenlabs/text-to-speech-turbo-2-5", "input": input})).await;
    let data = bench.finished(sound["data"]["taskId"].as_str().unwrap()).await;
    let bytes = bench.http.get(&result_urls(&data)[0]).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(&bytes[..3], b"ID3");
    let tag = bytes[6..10].iter().fold(0usize, |size, byte| (size << 7) | usize::from(*byte)) + 10;
    assert_eq!((bytes[tag], bytes[tag + 1] & 0xE0), (0xFF, 0xE0));
}

#[tokio::test]
async fn text_models_answer_with_an_object_and_music_with_tracks() {
    let bench = Bench::start().await;
    let lyrics = json!({"model": "ai-music-api/generate-lyrics", "input": {"prompt": "winter trains"}});
    let order = bench.order(&lyrics).await;
    let data = bench.finished(order["data"]["taskId"].as_str().unwrap()).await;
    assert!(
        data["response"]["resultObject"]["lyricsData"][0]["text"].as_str().unwrap().contains("winter trains")
    );
    let input = json!({"custom_mode": false, "instrumental": false, "model": "V6", "prompt": "trains"});
    let order = bench.order(&json!({"model": "ai-music-api/generate", "input": input})).await;
    let data = bench.finished(order["data"]["taskId"].as_str().unwrap()).await;
    let tracks = data["response"]["data"].as_array().unwrap();
    assert_eq!(tracks.len(), 2);
    for track in tracks {
        for (key, kind) in
            [("audio_url", "audio/mpeg"), ("stream_audio_url", "audio/mpeg"), ("image_url", "image/png")]
        {
            let answer = bench.http.get(track[key].as_str().unwrap()).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()["content-type"], kind);
        }
    }
}

#[tokio::test]
async fn the_balance_falls_and_failures_are_free() {
    let bench = Bench::with(SimConfig { credits: 2_000_000, ..quick() }).await;
    let id = bench.accepted("a kite", None).await;
    bench.finished(&id).await;
    let credit = Bench::envelope(bench.get("api/v1/chat/credit")).await;
    assert_eq!(credit["data"], 1.2);
    let id = bench.accepted("a kite [sim:fail=500:Internal server error]", None).await;
    let data = bench.finished(&id).await;
    assert_eq!((&data["state"], &data["failCode"]), (&json!("fail"), &json!("500")));
    assert_eq!(data["failMsg"], "Internal server error");
    assert_eq!((&data["creditsConsumed"], &data["successFlag"]), (&json!(0.0), &json!(3)));
    assert_eq!(bench.sim.credits_micro(), 1_200_000);
    bench.sim.set_credits_micro(799_999);
    let short = bench.picture("a kite").await;
    assert_eq!((&short["code"], &short["data"]), (&json!(402), &Value::Null));
    assert_eq!(bench.sim.tasks().len(), 2);
}

#[tokio::test]
async fn field_sets_and_stages_can_be_chosen() {
    let april = SimConfig { fields: FieldSet::April, stages: Stages::All, ..quick() };
    let bench = Bench::with(april).await;
    let id = bench.accepted("a kite [sim:duration=6s]", None).await;
    let answer = bench.read(&id).send().await.unwrap();
    assert!(answer.headers()["set-cookie"].to_str().unwrap().starts_with("JSESSIONID="));
    let mut states = vec![];
    let deadline = Instant::now() + PATIENCE;
    loop {
        let record = bench.record(&id).await;
        let data = record["data"].as_object().unwrap();
        assert!(!data.contains_key("creditsConsumed") && !data.contains_key("paramJson"));
        let state = data["state"].as_str().unwrap().to_owned();
        if states.last() != Some(&state) {
            states.push(state);
        }
        if states.last().unwrap() == "success" {
            break;
        }
        assert!(Instant::now() < deadline, "only {states:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(states, ["waiting", "queuing", "generating", "success"]);
}

#[tokio::test]
async fn wrong_orders_are_refused_as_the_service_does() {
    let bench = Bench::start().await;
    let code = async |body: Value| {
        let answer = bench.order(&body).await;
        (answer["code"].as_i64().unwrap(), answer["msg"].as_str().unwrap().to_owned())
    };
    let unknown = code(json!({"model": "nano-banana-99", "input": {"prompt": "x"}})).await;
    assert_eq!(unknown.0, 422);
    assert!(unknown.1.starts_with("The model name you specified is not supported."));
    let missing = code(json!({"model": "z-image", "input": {"prompt": "x"}})).await;
    assert_eq!(missing, (500, "aspect_ratio is required".to_owned()));
    assert_eq!(code(json!({"model": "z-image"})).await, (500, "This field is required".to_owned()));
    let extra = json!({"model": "z-image", "input": {"prompt": "x", "aspect_ratio": "1:1", "seed": 1}});
    assert_eq!(code(extra).await.0, 200);
    assert_eq!(bench.sim.tasks().len(), 1);
    let keyless = bench.http.get(bench.at("api/v1/chat/credit")).send().await.unwrap();
    assert_eq!(keyless.status(), 200);
    let body: Value = keyless.json().await.unwrap();
    assert_eq!(body["code"], 401);
    assert!(body.get("data").is_none() && body["msg"].as_str().unwrap().contains('\u{2013}'));
    let plain = bench.http.post(bench.at("api/v1/jobs/createTask")).bearer_auth(KEY).body("{}");
    assert_eq!(Bench::envelope(plain).await["code"], 401);
}

#[tokio::test]
async fn what_was_asked_is_logged_without_the_key() {
    let bench = Bench::start().await;
    let id = bench.accepted("a kite", None).await;
    bench.record(&id).await;
    let requests = bench.sim.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!((requests[0].path.as_str(), requests[0].code), ("/api/v1/jobs/createTask", Some(200)));
    assert_eq!(requests[0].task_id.as_deref(), Some(id.as_str()));
    assert!(requests[0].body.contains("a kite"));
    assert_eq!(requests[1].authorized, Some(true));
    assert!(!format!("{requests:?}").contains(KEY));
    let view = bench.sim.find_task(&id).unwrap();
    assert_eq!((view.kind, view.model.as_str()), (Kind::Image, "z-image"));
}

#[tokio::test]
async fn every_listed_example_is_accepted_at_its_price() {
    let none = Duration::ZERO;
    let duration = Durations { image: none, video: none, audio: none, text: none };
    let bench = Bench::with(SimConfig { credits: 1 << 50, duration, ..quick() }).await;
    let catalogue = kie_catalogue::Catalogue::packed().unwrap();
    for model in catalogue.models().filter(|model| model.is_listed()) {
        let valid = model.validate(model.example().clone()).unwrap();
        let answer = bench.order(&json!({"model": model.id(), "input": valid.value()})).await;
        assert_eq!(answer["code"], 200, "{}: {answer}", model.id());
        let id = answer["data"]["taskId"].as_str().unwrap();
        bench.until("it ended", |sim| sim.find_task(id).unwrap().completed_ms.is_some()).await;
        let view = bench.sim.find_task(id).unwrap();
        assert_eq!(view.state, "success");
        assert_eq!(
            view.charged_micro,
            valid.cost().upper().map_or(1_000_000, kie_catalogue::Credits::micro),
            "{}",
            model.id()
        );
        assert_eq!(view.result_urls.is_empty(), view.kind == Kind::Text, "{}", model.id());
    }
}
