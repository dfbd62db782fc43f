//! Faults of createTask: what is lost, what is refused, and how many tasks there are.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Bench, image, until};
use kie_sim::{Route, Script};

#[tokio::test]
async fn a_lost_answer_leaves_a_task() {
    let bench = Bench::start().await;
    let impatient =
        reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(300)).build().unwrap();
    let send = async |fault: &str| {
        let body = image(&format!("kite {fault} [sim:create={fault}]"), None);
        let url = bench.at("api/v1/jobs/createTask");
        let answer = impatient.post(url).bearer_auth(crate::support::KEY).json(&body).send().await;
        match answer {
            Ok(answer) => answer.text().await.map_err(|error| error.is_timeout()),
            Err(error) => Err(error.is_timeout()),
        }
    };
    assert_eq!(send("timeout").await, Err(true));
    assert_eq!(send("reset").await, Err(false));
    assert_eq!(send("cut").await, Err(false));
    assert!(serde_json::from_str::<Value>(&send("broken-json").await.unwrap()).is_err());
    assert_eq!(send("empty").await.unwrap(), "");
    assert!(send("html").await.unwrap().contains("<html>"));
    assert_eq!(send("http500").await.unwrap(), "");
    let no_id: Value = serde_json::from_str(&send("no-id").await.unwrap()).unwrap();
    assert_eq!((no_id["code"].as_i64(), no_id["data"].get("taskId")), (Some(200), None));
    assert_eq!(bench.sim.tasks().len(), 8);
    assert_eq!(send("timeout:none").await, Err(true));
    assert!(send("http503:none").await.unwrap().contains("<html>"));
    assert_eq!(bench.sim.tasks().len(), 8);
    let silent = bench.sim.requests().iter().filter(|request| request.status.is_none()).count();
    assert_eq!(silent, 3);
    bench.sim.stop().await;
}

#[tokio::test]
async fn refusals_make_no_task_and_cost_nothing() {
    let bench = Bench::start().await;
    let before = bench.sim.credits_micro();
    let cases = [
        ("429", 429, "Your call frequency is too high"),
        ("455", 455, "Service Unavailable"),
        ("402", 402, "Insufficient Credits"),
        ("433", 433, "Sub-key"),
        ("505", 505, "Feature Disabled"),
        ("401", 401, "Unauthorized"),
        ("credits", 500, "Credits insufficient"),
        ("busy", 422, "high demand"),
        ("field", 500, "This field is required"),
        ("model", 422, "The model name"),
        ("500", 500, "Server exception"),
        ("418:I am a teapot", 418, "I am a teapot"),
        ("paused", 500, "temporarily paused"),
        ("callback-url", 422, "Please enter callBackUrl."),
        ("ok-but-failed", 200, "Server exception"),
    ];
    for (fault, code, text) in cases {
        let answer = bench.picture(&format!("kite [sim:create={fault}]")).await;
        assert_eq!(answer["code"], code, "{fault}");
        assert!(answer["msg"].as_str().unwrap().contains(text), "{fault}: {answer}");
        assert_eq!(answer["data"], Value::Null);
    }
    for (fault, status) in [("http429", 429), ("http401", 401), ("http455", 455), ("http404", 404)] {
        let body = image(&format!("[sim:create={fault}]"), None);
        let http = bench.post("api/v1/jobs/createTask", &body).send().await.unwrap();
        assert_eq!(http.status(), status, "{fault}");
    }
    assert!(bench.sim.tasks().is_empty());
    assert_eq!(bench.sim.credits_micro(), before);
}

#[tokio::test]
async fn marks_count_over_equal_orders_and_scripts_over_all() {
    let bench = Bench::start().await;
    let codes = async |prompt: &str| {
        let mut codes = vec![];
        for _ in 0..4 {
            codes.push(bench.picture(prompt).await["code"].as_i64().unwrap());
        }
        codes
    };
    assert_eq!(codes("kite [sim:create=429:times=2]").await, [429, 429, 200, 200]);
    bench.sim.script(Script::parse("create=455").unwrap().for_model("z-*").after(1).times(1));
    assert_eq!(codes("plain").await, [200, 455, 200, 200]);
    bench.sim.script(Script::parse("answer=busy").unwrap().on(Route::CreateTask).times(1));
    assert_eq!(codes("other").await, [422, 200, 200, 200]);
    assert_eq!(bench.sim.tasks().len(), 2 + 3 + 3);
}

#[tokio::test]
async fn other_forms_of_acceptance() {
    let bench = Bench::start().await;
    let other = bench.picture("kite [sim:create=message-key]").await;
    assert_eq!((other["message"].as_str(), other.get("msg")), (Some("success"), None));
    let documented = bench.picture("kite [sim:create=documented-id]").await;
    let id = documented["data"]["taskId"].as_str().unwrap();
    assert!(id.starts_with("task_") && documented["data"].get("recordId").is_none());
    assert_eq!(bench.finished(id).await["state"], "success");
    let started = std::time::Instant::now();
    assert_eq!(bench.picture("kite [sim:create=slow:200ms]").await["code"], 200);
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn duration_count_size_and_cost_can_be_asked_for() {
    let bench = Bench::start().await;
    let before = bench.sim.credits_micro();
    let prompt = "kite [sim:count=3] [sim:size=300KiB] [sim:cost=0.19] [sim:duration=10m]";
    let id = bench.accepted(prompt, None).await;
    assert_eq!(bench.record(&id).await["data"]["state"], "waiting");
    assert!(bench.sim.finish_now(&id) && !bench.sim.finish_now(&id));
    let data = bench.finished(&id).await;
    assert_eq!(data["creditsConsumed"], 0.19);
    assert_eq!(before - bench.sim.credits_micro(), 190_000);
    let urls = crate::support::result_urls(&data);
    assert_eq!(urls.len(), 3);
    for url in urls {
        let bytes = bench.http.get(url).send().await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes.len(), 300 << 10);
        assert!(image::load_from_memory(&bytes).is_ok());
    }
    until("the task is told", || bench.sim.find_task(&id).unwrap().told).await;
}
