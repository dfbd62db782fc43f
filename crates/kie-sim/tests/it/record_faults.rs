//! Faults of recordInfo and of the form of results.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::Bench;
use kie_sim::{Route, Script};

#[tokio::test]
async fn reads_fail_in_every_way_and_recover() {
    let bench = Bench::start().await;
    for (fault, code) in [("500", 500), ("429", 429), ("404", 404), ("408", 408), ("455", 455), ("null", 422)]
    {
        let id = bench.accepted(&format!("kite [sim:record={fault}:times=1]"), None).await;
        assert_eq!(bench.record(&id).await["code"], code, "{fault}");
        assert_eq!(bench.record(&id).await["code"], 200, "{fault}");
    }
    let id = bench.accepted("kite [sim:record=http503:times=1]", None).await;
    assert_eq!(bench.read(&id).send().await.unwrap().status(), 503);
    let id = bench.accepted("kite [sim:record=html:times=1]", None).await;
    assert!(bench.read(&id).send().await.unwrap().text().await.unwrap().contains("<html>"));
    let id = bench.accepted("kite [sim:record=broken-json:times=1]", None).await;
    assert!(bench.read(&id).send().await.unwrap().json::<Value>().await.is_err());
    let id = bench.accepted("kite [sim:record=reset:times=1]", None).await;
    assert!(bench.read(&id).send().await.is_err());
    for (fault, status) in [("http429", 429), ("http401", 401), ("http500", 500)] {
        let id = bench.accepted(&format!("kite [sim:record={fault}:times=1]"), None).await;
        assert_eq!(bench.read(&id).send().await.unwrap().status(), status, "{fault}");
    }
    let id = bench.accepted("kite [sim:record=empty:times=1]", None).await;
    assert_eq!(bench.read(&id).send().await.unwrap().text().await.unwrap(), "");
    let id = bench.accepted("kite [sim:record=cut:times=1]", None).await;
    assert!(bench.read(&id).send().await.unwrap().bytes().await.is_err());
    let id = bench.accepted("kite [sim:record=slow:200ms:times=1]", None).await;
    let asked = Instant::now();
    assert_eq!(bench.record(&id).await["code"], 200);
    assert!(asked.elapsed() >= Duration::from_millis(200));
    let id = bench.accepted("kite [sim:record=timeout:times=1]", None).await;
    let silent = bench.read(&id).timeout(Duration::from_millis(200)).send().await;
    assert!(silent.unwrap_err().is_timeout());
    assert_eq!(bench.finished(&id).await["state"], "success");
    bench.sim.stop().await;
}

#[tokio::test]
async fn records_can_lie() {
    let bench = Bench::start().await;
    let data = async |fault: &str| {
        let id = bench
            .accepted(&format!("kite [sim:duration=0s] [sim:{fault}]"), Some("http://127.0.0.1:9/cb"))
            .await;
        bench.until("it ended", |sim| sim.find_task(&id).unwrap().completed_ms.is_some()).await;
        (bench.record(&id).await["data"].clone(), id)
    };
    assert_eq!(data("state=expired").await.0["state"], "expired");
    let (record, id) = data("record=other-task").await;
    assert_ne!(record["taskId"], id);
    assert_eq!(data("record=other-model").await.0["model"], "another/model");
    assert!(
        data("record=other-callback").await.0["param"]
            .as_str()
            .unwrap()
            .contains("https://other.example/callback")
    );
    assert!(
        serde_json::from_str::<Value>(data("record=broken-param").await.0["param"].as_str().unwrap())
            .is_err()
    );
    assert!(data("record=huge:1MiB").await.0.to_string().len() > 1 << 20);
    let (numeric, _) = data("fail=500:x] [sim:record=numeric-fail-code").await;
    assert_eq!(numeric["failCode"], 500);
    let (moderated, _) = data("moderation").await;
    assert_eq!(
        (moderated["state"].as_str(), moderated["failCode"].as_str()),
        (Some("fail"), Some("SENSITIVE_WORD_ERROR"))
    );
}

#[tokio::test]
async fn results_come_in_every_form() {
    let bench = Bench::start().await;
    let result = async |shape: &str| {
        let id = bench.accepted(&format!("kite [sim:shape={shape}]"), None).await;
        bench.finished(&id).await["resultJson"].clone()
    };
    let inner = |value: &Value| serde_json::from_str::<Value>(value.as_str().unwrap()).unwrap();
    assert_eq!(inner(&result("no-urls").await)["resultUrls"].as_array().unwrap().len(), 0);
    assert_eq!(result("empty-text").await, "");
    assert_eq!(result("null").await, Value::Null);
    for broken in ["not-json", "truncated"] {
        assert!(serde_json::from_str::<Value>(result(broken).await.as_str().unwrap()).is_err());
    }
    assert!(result("object").await["resultUrls"][0].is_string());
    assert!(inner(&result("url-text").await)["resultUrls"].is_string());
    assert!(inner(&result("url-objects").await)["resultUrls"][0]["url"].is_string());
    assert!(inner(&result("array").await)[0].is_string());
    assert!(result("bare-url").await.as_str().unwrap().starts_with("http"));
    assert!(inner(&result("outputs").await)["outputs"][0].is_string());
    assert!(inner(&result("watermark").await)["resultWaterMarkUrls"][0].is_string());
    let id = bench.accepted("kite [sim:shape=documented]", None).await;
    let documented = bench.finished(&id).await;
    assert_eq!((&documented["failCode"], &documented["failMsg"]), (&Value::from(""), &Value::from("")));
    assert!(documented["costTime"].as_u64() >= Some(60) && documented["updateTime"].is_u64());
    assert!(inner(&documented["param"])["input"].is_object());
    let frames = inner(&result("frames").await);
    let frame = frames["lastFrameUrl"][0].as_str().unwrap();
    assert_eq!(bench.http.get(frame).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_success_without_result_can_heal() {
    let bench = Bench::start().await;
    let id = bench.accepted("kite [sim:success-without-urls:times=2]", None).await;
    bench.until("it ended", |sim| sim.find_task(&id).unwrap().completed_ms.is_some()).await;
    let mut lengths = vec![];
    for _ in 0..3 {
        lengths.push(crate::support::result_urls(&bench.record(&id).await["data"]).len());
    }
    assert_eq!(lengths, [0, 0, 1]);
}

#[tokio::test]
async fn scripts_strike_routes_tasks_and_chances() {
    let bench = Bench::start().await;
    bench.sim.script(Script::parse("answer=500").unwrap().on(Route::Credit).times(1));
    assert_eq!(Bench::envelope(bench.get("api/v1/chat/credit")).await["code"], 500);
    assert_eq!(Bench::envelope(bench.get("api/v1/chat/credit")).await["code"], 200);
    let (first, second) = (bench.accepted("one", None).await, bench.accepted("two", None).await);
    bench.sim.script(Script::parse("record=500").unwrap().for_task(&first));
    assert_eq!(bench.record(&first).await["code"], 500);
    assert_eq!(bench.record(&second).await["code"], 200);
    bench.sim.clear_scripts();
    bench.sim.script(Script::parse("record=500").unwrap().with_chance(0.5, 11));
    let mut failures = 0;
    for _ in 0..40 {
        failures += u32::from(bench.record(&second).await["code"] == 500);
    }
    assert!((8..32).contains(&failures), "{failures}");
}
