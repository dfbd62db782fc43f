//! Faults of the routes that have none of their own, by script; and the list of faults that people read.

use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Bench, image};
use kie_sim::{Route, Script};

/// A request that succeeds on each route that a script can name.
fn requests(bench: &Bench, url: &str) -> [(Route, RequestBuilder); 6] {
    let id = url.rsplit('/').nth(1).unwrap();
    let file = json!({"base64Data": "aGVsbG8=", "uploadPath": "texts"});
    [
        (Route::CreateTask, bench.post("api/v1/jobs/createTask", &image("kite", None))),
        (Route::RecordInfo, bench.read(id)),
        (Route::Credit, bench.get("api/v1/chat/credit")),
        (Route::DownloadUrl, bench.post("api/v1/common/download-url", &json!({"url": url}))),
        (Route::Upload, bench.post("api/file-base64-upload", &file)),
        (Route::Models, bench.get("api/v1/models/z-image/price")),
    ]
}

#[tokio::test]
async fn every_route_answers_wrongly_when_told_and_only_then() {
    let bench = Bench::start().await;
    let url = bench.urls("kite").await.remove(0);
    for fault in ["500", "html", "empty", "http503", "broken-json", "cut", "reset", "timeout"] {
        for (route, request) in requests(&bench, &url) {
            bench.sim.script(Script::parse(&format!("answer={fault}")).unwrap().on(route).times(1));
            let again = request.try_clone().unwrap();
            let body = seen(request).await;
            let expected = match fault {
                "500" => body.as_ref().is_ok_and(|(status, body)| {
                    *status == 200
                        && serde_json::from_str::<Value>(body).is_ok_and(|body| body["code"] == 500)
                }),
                "html" => body.as_ref().is_ok_and(|(status, body)| *status == 200 && body.contains("<html>")),
                "empty" => body.as_ref().is_ok_and(|(status, body)| *status == 200 && body.is_empty()),
                "http503" => body.as_ref().is_ok_and(|(status, _)| *status == 503),
                "broken-json" => body.as_ref().is_ok_and(|(status, body)| {
                    *status == 200 && serde_json::from_str::<Value>(body).is_err()
                }),
                "timeout" => body == Err(true),
                _ => body == Err(false),
            };
            assert!(expected, "{fault} on {route:?}: {body:?}");
            assert_eq!(Bench::envelope(again).await["code"], 200, "{route:?} after {fault}");
        }
    }
    bench.sim.stop().await;
}

/// Status and body, or whether it was silence that ended the wait.
async fn seen(request: RequestBuilder) -> Result<(u16, String), bool> {
    let answer =
        request.timeout(Duration::from_millis(500)).send().await.map_err(|error| error.is_timeout())?;
    let status = answer.status().as_u16();
    Ok((status, answer.text().await.map_err(|error| error.is_timeout())?))
}

/// Every value that the help lists for a fault is one, so that nobody reads a list that is out of date.
#[test]
fn the_help_names_only_faults_that_exist() {
    let help = include_str!("../../src/help.txt");
    let faults = &help[help.find("FAULTS").unwrap()..];
    // A list goes on behind a bar at the end of its line.
    let lines = faults.split("|\n").map(str::trim_start).collect::<Vec<_>>().join("|");
    let lists = lines.split_whitespace().filter_map(|word| word.split_once('='));
    let named = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let mut values = 0;
    for (name, list) in lists.filter(|(name, _)| named(name)) {
        for value in list.split('|').filter(|value| *value != "…") {
            let value = value.split('[').next().unwrap().trim_end_matches(']');
            let value = value.replace("WORD", "odd").replace("URL", "http://h/x").replace("CODE", "418");
            assert!(Script::parse(&format!("{name}={value}")).is_ok(), "the help names {name}={value}");
            values += 1;
        }
    }
    assert!(values > 100, "only {values} values are listed");
}

#[tokio::test]
async fn chance_and_counters_hold_for_scripts_from_outside() {
    let bench = Bench::start().await;
    let script = json!({"fault": "answer=busy", "route": "credit", "times": 2, "after": 1});
    let added = bench.http.post(bench.at("sim/script")).json(&script).send().await.unwrap();
    assert_eq!(added.status(), 200);
    let mut codes = vec![];
    for _ in 0..4 {
        codes.push(Bench::envelope(bench.get("api/v1/chat/credit")).await["code"].as_i64().unwrap());
    }
    assert_eq!(codes, [200, 422, 422, 200]);
}
